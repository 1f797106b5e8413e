/**
 * `executor.mjs --release-within MS`: takes over from whatever executor is there, releases, verifies, says on stdout what it
 * found, and ends. With or without an agent, a running executor, or a tenure.
 *
 * 1. It takes nothing: no agent can connect to it, and no call leaves for the cloud.
 * 2. What it does is what every executor does when it starts (L4, O1): its predecessor is made sure to be gone, what that
 *    one has left running is killed, everything local is released and read back, the epoch is dead for ever.
 * 3. A running agent loses its executor by this: it steps down, votes for nobody, and starts a new one, which waits for this
 *    one (lock.ts), verifies again, and only then is ready.
 * 4. It gives up at its limit and says so: what is not verified counts as held, and the watchdog is not petted meanwhile.
 */
import { mkdirSync } from 'node:fs';
import { systemClock } from '../clock.ts';
import { type Config, graphOf, loadConfig } from '../config/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import type { Probe } from '../resources/index.ts';
import { ChildRunner } from './commands.ts';
import type { GuardReport, Released } from './guard-protocol.ts';
import { GuardProxy } from './guard-proxy.ts';
import { lockOwner, takeLock } from './lock.ts';
import { isGone } from './processes.ts';
import { clip } from './protocol.ts';
import type { ReleaseReport } from './release-report.ts';
import { guardDataOf, markOf, resourcesOf } from './settings.ts';
import { newLeaseBuffer } from './shared-lease.ts';
import { StateFile } from './state-file.ts';

/** Beside the limit of another release that may be under way. */
const LOCK_LIMIT_MS = 10_000;
/** Closing the watchdog and ending the guard are a matter of milliseconds. */
const END_LIMIT_MS = 2_000;
/**
 * How long an agent's new executor waits for this one: twice D, at least this. What has not ended by then hangs, or cannot work
 * here (other tools in PATH, other rights), and the agent's may be better off.
 */
const LEAST_PROTECTED_MS = 2_000;
/** A shell without them finds neither `drbdadm` nor `ip`; the units have them. */
const SYSTEM_PATHS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export interface ReleaseOnlyOptions {
  /** R1: processes that keep a mount busy, whosever they are. */
  readonly mayKill: boolean;
  readonly file: string;
  readonly node: string | undefined;
  readonly limitMs: number;
  readonly guardProgram: URL;
  /** The guard's thread has died: nothing is known. Does not return. */
  readonly onDeath: (error: unknown) => never;
}

/** Resolves with the exit code; by then the report is on stdout. */
export async function releaseOnly(options: ReleaseOnlyOptions): Promise<number> {
  const { limitMs } = options;
  if (!(limitMs > 0)) throw new QuorateError('usage', '--release-within needs a number of milliseconds');
  // Ctrl-C reaches this process too; a release that has begun is not left half done, and it has a limit of its own.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
  process.stdout.on('error', () => undefined);
  process.env.PATH = [process.env.PATH ?? '/usr/bin:/bin', ...SYSTEM_PATHS].join(':');
  // Nothing is said to anybody here: a release must not fail for a certificate.
  const config = loadConfig(options.file, { node: options.node, needsTls: false });
  // As in main.ts: not on a mount that must go.
  process.chdir('/');
  const { dataDir, timing } = config;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const releasesForMs = Math.min(limitMs, Math.max(LEAST_PROTECTED_MS, 2 * timing.releaseMs));
  const heard = new Heard();
  const loaded = await GuardProxy.load(
    options.guardProgram,
    // Never a reboot: whoever typed this is logged in.
    { ...guardDataOf(config, 'off', newLeaseBuffer()), isReleaseOnly: true, mayKill: options.mayKill },
    {
      onReport: (report) => heard.read(report),
      onDeath: options.onDeath,
    },
  );
  const before = lockOwner(dataDir);
  const replaced = before === null || isGone(before) ? null : before.pid;
  await takeLock(dataDir, { mayReplace: true, limitMs: limitMs + LOCK_LIMIT_MS, releasesForMs }, systemClock);
  const startedAt = systemClock.now();
  const guard = await loaded.begin();
  const released = await Promise.race([heard.released, systemClock.sleep(limitMs).then(() => null)]);
  const totalMs = Math.round((systemClock.now() - startedAt) * 10) / 10;
  // Answered when the watchdog that a predecessor left ticking is closed: only after a verified release, and before we end.
  if (released !== null) await within(guard.ask({ op: 'disarm' }));
  await within(guard.close());
  // At the limit something of ours may still run, and nobody would end it.
  if (released === null) await new ChildRunner(markOf(config), systemClock).killLeftovers();
  const state = StateFile.openWhole(dataDir);
  const report: ReleaseReport = {
    node: config.node,
    outcome: released === null ? 'unverified' : 'released',
    epoch: released?.epoch ?? null,
    replaced,
    evidence: released === null ? null : clip(released.evidence),
    ms: released?.ms ?? null,
    totalMs,
    releaseMs: timing.releaseMs,
    resources: resourcesIn(config, released, heard),
    isRemembered: state !== null,
    isWatchdogTicking: state?.state.isArmed ?? null,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return released === null ? EXIT.failed : EXIT.done;
}

/** What the guard has said so far. */
class Heard {
  readonly released: Promise<Released>;
  #settle: (released: Released) => void = () => undefined;
  /** Of the last round that could not verify everything. */
  found: ReadonlyMap<string, { readonly probe: Probe; readonly detail: string }> = new Map();
  said: ReadonlyMap<string, string> = new Map();

  constructor() {
    this.released = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  read(report: GuardReport): void {
    if (report.kind === 'released') this.#settle(report.released);
    if (report.kind !== 'log') return;
    process.stderr.write(`${JSON.stringify({ level: report.level, name: 'release', ...report.fields })}\n`);
    if (report.fields.event !== 'release-unverified') return;
    // Of our own thread: `onUnverified` in verified-release.ts.
    this.found = new Map(
      Object.entries(report.fields.found as Record<string, { probe: Probe; detail: string }>),
    );
    this.said = new Map(Object.entries(report.fields.said as Record<string, string>));
  }
}

function resourcesIn(config: Config, released: Released | null, heard: Heard): ReleaseReport['resources'] {
  return graphOf(resourcesOf(config)).map(({ name, kind, scope }) => {
    if (scope === 'cloud') return { name, kind, scope, probe: null, detail: null, action: null };
    const finding = released?.findings.find((one) => one.name === name);
    if (finding !== undefined)
      return {
        name,
        kind,
        scope,
        probe: 'not-held',
        detail: clip(finding.detail),
        action: short(finding.action),
      };
    const { probe, detail } = heard.found.get(name) ?? {
      probe: 'unknown' as const,
      detail: 'its release has not come to an end',
    };
    return { name, kind, scope, probe, detail: clip(detail), action: short(heard.said.get(name) ?? null) };
  });
}

const short = (value: string | null): string | null => (value === null ? null : clip(value));

function within(work: Promise<unknown>): Promise<unknown> {
  return Promise.race([work.catch(() => undefined), systemClock.sleep(END_LIMIT_MS)]);
}
