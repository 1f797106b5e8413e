/**
 * The replicator of this node: a process for each tenure, in a process group of its own.
 *
 * 1. It is killed first in every release, with everything that carries its mark, wherever that went; nobody waits for it longer
 *    than `STOP_LIMIT_MS`. The guard kills it too, and takes nothing for released while something of it runs (`killReplicator`).
 * 2. It dies when its standard input closes, so it does not outlive the executor.
 * 3. One that dies by itself is started again, later each time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from '../clock.ts';
import type { Epoch } from '../core/index.ts';
import { readLines } from '../lines.ts';
import { NO_ROUND, type Report, reportSchema } from '../replication/index.ts';
import type { LogLevel } from './guard-protocol.ts';
import { processesWith, signalProcess } from './processes.ts';
import { yieldFromStart } from './yielding.ts';

export const REPLICATOR_MARK = 'QUORATE_REPLICATOR';

const STOP_LIMIT_MS = 200;
const POLL_MS = 5;
const RESTART_MS = { first: 1000, most: 60_000 } as const;
/** One that has run this long was fine: the next restart is quick again. */
const STEADY_MS = 120_000;
export const HEAP_MB = 192;
/** To one that hangs nothing more is said. */
const MAX_UNSENT_BYTES = 16 * 1024;

export interface ReplicatorOptions {
  /** dist/replicator.mjs. */
  readonly program: string;
  readonly args: readonly string[];
  /** Of this node on this host. */
  readonly mark: string;
  readonly clock: Clock;
  readonly onReport: (report: Report) => void;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

export class Replicator {
  readonly #options: ReplicatorOptions;
  #child: ChildProcess | null = null;
  #epoch: Epoch | null = null;
  #timer: Timer | null = null;
  #restartMs: number = RESTART_MS.first;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
  }

  /** Of the process; null while there is none. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** The tenure is complete: send in it until `stop`. */
  send(epoch: Epoch): void {
    if (this.#epoch === epoch) return;
    if (this.#epoch !== null) void this.stop();
    this.#epoch = epoch;
    this.#restartMs = RESTART_MS.first;
    this.#start(epoch);
  }

  /** A round now. Where there is no process at the moment, it begins with one. */
  run(dataset: string | null): void {
    this.#write({ kind: 'run', dataset });
  }

  /** Resolves when nothing of it is left; false: something still is after the limit. */
  async stop(): Promise<boolean> {
    if (this.#epoch === null) return true;
    this.#epoch = null;
    this.#timer?.cancel();
    const pid = this.#child?.pid;
    this.#child = null;
    if (pid !== undefined) signalProcess(-pid, 'SIGKILL');
    this.#options.onReport({ isReset: true, round: NO_ROUND, datasets: [], gone: [] });
    const { mark, clock, log } = this.#options;
    const isGone = await killReplicator(mark, STOP_LIMIT_MS, clock);
    if (!isGone) log('error', { event: 'replicator-not-gone', ms: STOP_LIMIT_MS });
    return isGone;
  }

  #write(order: object): void {
    const { stdin } = this.#child ?? {};
    if (stdin?.writable === true && stdin.writableLength < MAX_UNSENT_BYTES)
      stdin.write(`${JSON.stringify(order)}\n`);
  }

  #start(epoch: Epoch): void {
    const { program, args, mark, clock, log, onReport } = this.#options;
    const startedAt = clock.now();
    const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, program, ...args], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, [REPLICATOR_MARK]: mark },
    });
    this.#child = child;
    yieldFromStart(child.pid);
    child.stdin.on('error', () => undefined);
    child.stdout.on('error', () => undefined);
    this.#write({ kind: 'send', epoch });
    log('info', { event: 'replicator-started', epoch, pid: child.pid ?? null });
    readLines(child.stdout, {
      onLine: (line) => {
        const report = parse(line);
        if (this.#child !== child) return;
        if (report === null) child.kill('SIGKILL');
        else onReport(report);
      },
      onTooLong: () => void child.kill('SIGKILL'),
    });
    const onEnd = (why: string): void => {
      if (this.#child !== child) return;
      this.#child = null;
      // What it had started may live on.
      if (child.pid !== undefined) signalProcess(-child.pid, 'SIGKILL');
      if (clock.now() - startedAt > STEADY_MS) this.#restartMs = RESTART_MS.first;
      log('warn', { event: 'replicator-ended', epoch, why, againInMs: this.#restartMs });
      this.#timer = clock.after(this.#restartMs, () => {
        if (this.#epoch === epoch) this.#start(epoch);
      });
      this.#restartMs = Math.min(2 * this.#restartMs, RESTART_MS.most);
    };
    child.once('error', (error) => onEnd(error.message));
    child.once('close', (code, signal) => onEnd(code === null ? `signal ${signal}` : `code ${code}`));
  }
}

function parse(line: string): Report | null {
  try {
    const result = reportSchema.safeParse(JSON.parse(line));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

/** SIGKILL to everything that carries the mark, until nothing does; false: something is not gone at the limit. */
export async function killReplicator(mark: string, limitMs: number, clock: Clock): Promise<boolean> {
  const end = clock.now() + limitMs;
  for (;;) {
    const left = processesWith(REPLICATOR_MARK, mark);
    if (left.length === 0) return true;
    for (const pid of left) signalProcess(pid, 'SIGKILL');
    if (clock.now() >= end) return false;
    await clock.sleep(POLL_MS);
  }
}
