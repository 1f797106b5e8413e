/**
 * The abrupt release: kill what runs, release everything local in the reverse order, read it back, and do so again until
 * everything reads `not-held`, and not in part. There is no other way out (R2); that it takes too long is the caller's
 * business (R1).
 */

import type { Clock } from '../clock.ts';
import { assert, instant } from '../core/index.ts';
import { isReleased, type Probe, type ProbeResult, type Resource } from '../resources/index.ts';
import { type PlanResource, planRelease, runPlan } from '../takeover/index.ts';

/** What was read of one local resource after its last action: `not-held`, or it would not be in the result. */
export interface Finding {
  readonly name: string;
  readonly detail: string;
  /** What its release said; null: nothing had to be done. */
  readonly action: string | null;
}

export interface VerifiedReleaseOptions {
  /** All resources, for the graph; only the local ones have an entry in `local`. */
  readonly graph: readonly PlanResource[];
  readonly local: ReadonlyMap<string, Resource>;
  readonly clock: Clock;
  readonly children: {
    /** False if something cannot be killed in time. */
    killInFlight(limitMs: number): Promise<boolean>;
    /** Children of a predecessor that died. */
    killLeftovers(): Promise<boolean>;
  };
  /** `D`: what one round may take. */
  readonly limitMs: number;
  /** Reads before it acts: most often nothing is held. Otherwise it acts at once. */
  readonly isReadFirst: boolean;
  readonly mayHaveLeftovers: boolean;
  readonly onUnverified: (fields: Readonly<Record<string, unknown>>) => void;
}

/** Waits between two rounds. */
const RETRY_MS = { first: 10, most: 500 } as const;
/** The part of D that a round waits, each time, for killed commands; one that is stuck in the kernel must not cost the whole. */
const KILL_SHARE = 0.2;

/** Resolves with one finding for each local resource, or never. */
export async function releaseUntilVerified(options: VerifiedReleaseOptions): Promise<Finding[]> {
  let isReadFirst = options.isReadFirst;
  let pauseMs: number = RETRY_MS.first;
  for (;;) {
    // A command that cannot be killed may still change what was read: nothing is verified before it is gone.
    const killing = killEverything(options);
    // Who acts at once does not wait for a killed command to end (10 ms for one with a raw socket): only the reading must. Of a
    // predecessor's children it does: the search for them could take this round's own for theirs.
    if (isReadFirst || options.mayHaveLeftovers) await killing;
    const before = isReadFirst ? await probeAll(options) : new Map<string, ProbeResult>();
    isReadFirst = false;
    const said = await releaseRound(options, before);
    const wasQuiet = await killing;
    // Neither before what this round itself started is gone: an `umount` leaves the table of mounts first, and writes then.
    const isRoundQuiet = said.size === 0 || (await killInFlight(options));
    const after = said.size === 0 ? before : await probeAll(options);
    const isAllReleased = [...options.local.keys()].every((name) => isReleased(after.get(name)));
    const isQuiet = wasQuiet && isRoundQuiet && (!isAllReleased || (await killInFlight(options)));
    if (isQuiet && isAllReleased)
      return [...after].map(([name, { detail }]) => ({ name, detail, action: said.get(name) ?? null }));
    // mark: release-not-verified-yet
    options.onUnverified({
      event: 'release-unverified',
      isQuiet,
      said: Object.fromEntries(said),
      found: Object.fromEntries(after),
    });
    await options.clock.sleep(pauseMs);
    pauseMs = Math.min(pauseMs * 2, RETRY_MS.most);
  }
}

/** False if something of us or of a dead predecessor cannot be killed in time. SIGKILL is sent before it returns. */
async function killEverything(options: VerifiedReleaseOptions): Promise<boolean> {
  const isQuiet = await killInFlight(options);
  return isQuiet && (!options.mayHaveLeftovers || (await options.children.killLeftovers()));
}

function killInFlight({ children, limitMs }: VerifiedReleaseOptions): Promise<boolean> {
  return children.killInFlight(limitMs * KILL_SHARE);
}

/** What each step said; empty when there was nothing to do. */
async function releaseRound(
  options: VerifiedReleaseOptions,
  observed: ReadonlyMap<string, ProbeResult>,
): Promise<Map<string, string>> {
  // The plan leaves alone what is `not-held`: what is so only in part must not look like it.
  const probes = new Map(
    [...observed].map(([name, result]): [string, Probe] => [
      name,
      result.probe === 'not-held' && !isReleased(result) ? 'unknown' : result.probe,
    ]),
  );
  const deadline = instant(options.clock.now() + options.limitMs);
  const report = await runPlan(planRelease(options.graph, probes, 'abrupt'), {
    now: () => options.clock.now(),
    signal: new AbortController().signal,
    perform: (step, signal) => {
      const resource = options.local.get(step.name);
      assert(resource !== undefined, `no local resource ${step.name}`);
      return resource.release({ mode: 'abrupt', deadline, signal });
    },
  });
  return new Map(report.steps.map((step) => [step.name, step.result]));
}

async function probeAll(options: VerifiedReleaseOptions): Promise<Map<string, ProbeResult>> {
  const deadline = instant(options.clock.now() + options.limitMs);
  const { signal } = new AbortController();
  const results = await Promise.all(
    [...options.local.values()].map(
      async (resource) => [resource.name, await resource.probe({ deadline, signal })] as const,
    ),
  );
  return new Map(results);
}

export function evidenceOf(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'no local resource';
  return findings
    .map(({ name, detail, action }) => `${name}: ${detail}${action === null ? '' : ` (${action})`}`)
    .join('; ');
}
