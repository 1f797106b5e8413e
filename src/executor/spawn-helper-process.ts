/**
 * One spawn helper as the guard's thread sees it, from its start to its end.
 *
 * 1. A child is killed by its process group, directly: that needs no helper. One whose start has not been told is called off
 *    there; the helper starts none that is called off with the same breath.
 * 2. A helper that owes an answer for too long is stuck, most often because it waits for an exec that does not come (a program
 *    on a file system that is frozen). It is stopped, so that it begins nothing more, and killed with all its children, also
 *    the one that it was about to start. Nothing is started again here: what it had begun unheard would run twice.
 * 3. `onEnd` of a child is told when it is gone, and not before: what has not ended may still change something (O1).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { uptime } from 'node:os';
import type { Clock, Timer } from '../clock.ts';
import { assertNever, type Instant, instant } from '../core/index.ts';
import { readLines } from '../lines.ts';
import { VERSION } from '../version.ts';
import {
  childrenOf,
  isGone,
  isGroupGone,
  isStopped,
  killUntilGone,
  type ProcessId,
  processesWithAny,
  signalProcess,
  startTimeOf,
  TICKS_PER_SECOND,
} from './processes.ts';
import { MAX_SPAWN_LINE, type SpawnEvent, type SpawnRequest, toSpawnLine } from './spawn-protocol.ts';
import type { ChildEnd, ChildListener, ChildSpec, SpawnedChild } from './spawner.ts';

/** In the environment of everything that a helper starts. */
const SPAWN_MARK = 'QUORATE_SPAWN_MARK';
/** Behind a helper that owes an answer and has said nothing for so long nobody else waits. */
const SLOW_MS = 100;
/** And then it counts as stuck. A command takes 2 ms to start; on a host that has to swap, or is emulated, hundreds. */
const STUCK_MS = 1000;
const LOOK_MS = 250;
const POLL_MS = 5;

export interface SpawnHelperOptions {
  /** dist/spawn-helper.mjs. */
  readonly program: string;
  /** In the environment of the helper, and of all that it starts. */
  readonly mark: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/** A child that was asked for. */
interface Remote {
  readonly id: number;
  readonly listener: ChildListener;
  /** Null: its start has not been told. */
  child: ProcessId | null;
  hasEnded: boolean;
  isKilled: boolean;
  /** Since when an answer is due: to be started, drained, or ended after a kill. Null: none is. */
  dueSince: Instant | null;
}

export class SpawnHelper {
  readonly #process: ChildProcess | null;
  readonly #options: SpawnHelperOptions;
  readonly #clock: Clock;
  /** Of no other helper of this host. */
  readonly #name = `${process.pid}@${process.hrtime.bigint()}`;
  readonly #children = new Map<number, Remote>();
  readonly #onGone: () => void;
  #nextId = 1;
  #heardAt: Instant = instant(0);
  #state: 'loading' | 'ready' | 'ending' | 'gone' = 'loading';
  #watch: Timer | null = null;
  /** Its children when it was stopped; null: it ended otherwise. */
  #begun: readonly ProcessId[] | null = null;

  /** `onGone`: the helper's process is gone, or could not be started. */
  constructor(options: SpawnHelperOptions, onGone: () => void) {
    this.#options = options;
    this.#clock = options.clock;
    this.#onGone = onGone;
    this.#process = this.#start();
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Something has been due for a while: whoever comes now would wait behind it. */
  isSlow(): boolean {
    return [...this.#children.values()].some(
      (remote) => this.#silentMs(remote) > SLOW_MS && (remote.child === null || remote.hasEnded),
    );
  }

  /** Since when the helper owes this, and has said nothing at all. */
  #silentMs({ dueSince }: Remote): number {
    return dueSince === null ? 0 : this.#clock.now() - Math.max(dueSince, this.#heardAt);
  }

  spawn(spec: ChildSpec, listener: ChildListener): SpawnedChild {
    const id = this.#nextId;
    this.#nextId += 1;
    const remote: Remote = { id, listener, child: null, hasEnded: false, isKilled: false, dueSince: null };
    this.#children.set(id, remote);
    const environment = { ...spec.environment, [SPAWN_MARK]: this.#markOf(id) };
    this.#send({ kind: 'spawn', id, ...spec, environment });
    this.#isDue(remote);
    return { kill: () => this.#kill(remote) };
  }

  close(): void {
    if (this.#state === 'gone') return;
    this.#state = 'ending';
    this.#process?.kill('SIGKILL');
  }

  #start(): ChildProcess | null {
    try {
      // A small heap, and no threads beside it: what it is for is to be small.
      const words = ['--max-old-space-size=64', '--single-threaded', this.#options.program];
      const child = spawn(process.execPath, words, {
        detached: true,
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, ...this.#options.mark, [SPAWN_MARK]: this.#markOf('helper') },
        cwd: '/',
      });
      child.once('exit', () => this.#gone());
      // Out of file descriptors there are no streams either.
      child.once('error', () => {
        if (child.pid === undefined) this.#gone();
      });
      child.stdin?.on('error', () => this.close());
      if (child.stdout)
        readLines(
          child.stdout,
          {
            onLine: (line) => this.#onEvent(JSON.parse(line) as SpawnEvent),
            onTooLong: () => this.close(),
          },
          MAX_SPAWN_LINE,
        );
      return child;
    } catch {
      // No memory, no processes left: without a helper everything goes on as it can.
      queueMicrotask(() => this.#gone());
      return null;
    }
  }

  #send(request: SpawnRequest): void {
    if (this.#state === 'ready') this.#process?.stdin?.write(toSpawnLine(request));
  }

  #onEvent(event: SpawnEvent): void {
    this.#heardAt = this.#clock.now();
    if (event.kind === 'ready') {
      if (event.version !== VERSION) this.close();
      else if (this.#state === 'loading') this.#state = 'ready';
      return;
    }
    const remote = this.#children.get(event.id);
    if (remote === undefined) return;
    switch (event.kind) {
      case 'started':
        remote.child = event.child;
        if (!remote.isKilled) remote.dueSince = null;
        return remote.listener.onStart(event.child.pid);
      case 'output':
        return remote.listener.onOutput(event.stream, event.text);
      case 'ended':
        if (event.end.kind === 'exited') this.#isDue(remote);
        else this.#children.delete(event.id);
        return this.#ended(remote, event.end);
      case 'drained':
        this.#children.delete(event.id);
        return remote.listener.onDrained(true);
      default:
        return assertNever(event);
    }
  }

  #ended(remote: Remote, end: ChildEnd): void {
    if (remote.hasEnded) return;
    remote.hasEnded = true;
    remote.listener.onEnd(end);
  }

  #kill(remote: Remote): void {
    if (remote.hasEnded || remote.isKilled) return;
    remote.isKilled = true;
    if (remote.child === null) this.#send({ kind: 'kill', id: remote.id });
    else signalGroupOf(remote.child);
    if (remote.dueSince === null) this.#isDue(remote);
  }

  #isDue(remote: Remote): void {
    remote.dueSince = this.#clock.now();
    if (this.#watch === null) this.#watchOn();
  }

  #watchOn(): void {
    this.#watch = this.#clock.after(LOOK_MS, () => {
      // After a stall of this thread what the helper has said long ago is read first.
      setImmediate(() => setImmediate(() => this.#look()));
    });
  }

  #look(): void {
    this.#watch = null;
    if (this.#state !== 'ready') return;
    const due = [...this.#children.values()].filter(({ dueSince }) => dueSince !== null);
    // One that was killed and is still there is stuck in the kernel: the helper can do nothing about it.
    const isStuck = due.some(
      (remote) =>
        this.#silentMs(remote) >= STUCK_MS &&
        (remote.child === null || remote.hasEnded || isGone(remote.child)),
    );
    if (isStuck) return void this.#giveUp();
    if (due.length > 0) this.#watchOn();
  }

  async #giveUp(): Promise<void> {
    this.#state = 'ending';
    const { pid } = this;
    if (pid === null) return;
    signalProcess(pid, 'SIGSTOP');
    // In the middle of a fork it stops after it.
    while (!this.#isGone() && !isStopped(pid)) await this.#clock.sleep(POLL_MS);
    if (!this.#isGone()) this.#begun = childrenOf(pid);
    this.#process?.kill('SIGKILL');
  }

  #isGone(): boolean {
    return this.#state === 'gone';
  }

  /** Its process has ended: it begins nothing any more. */
  #gone(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#watch?.cancel();
    this.#onGone();
    const left = [...this.#children.values()];
    this.#children.clear();
    for (const remote of left) {
      if (remote.hasEnded) remote.listener.onDrained(false);
      else if (remote.child !== null) void this.#endTold(remote, remote.child);
    }
    void this.#endUntold(left.filter(({ child, hasEnded }) => child === null && !hasEnded));
  }

  async #endTold(remote: Remote, child: ProcessId): Promise<void> {
    // One that had ended by itself, unheard, may have left a daemon in its group, which is left alone.
    if (signalGroupOf(child)) {
      while (!isGroupGone(child.pid)) await this.#clock.sleep(POLL_MS);
    }
    this.#ended(remote, { kind: 'lost' });
  }

  async #endUntold(untold: readonly Remote[]): Promise<void> {
    if (untold.length === 0) return;
    if (this.#begun === null) await this.#killUntold(untold);
    else await Promise.all(this.#begun.map((child) => killUntilGone(child, this.#clock)));
    for (const remote of untold) this.#ended(remote, { kind: 'lost' });
  }

  /**
   * The helper was ended by somebody else, and what it was about to start has no parent any more: it is found by its mark, until
   * two looks in a row find nobody. In the middle of an exec a process shows no environment: one of that time may be ours.
   */
  async #killUntold(untold: readonly Remote[]): Promise<void> {
    // Forked, and not yet the command: it still has the environment of the helper.
    const marks = [this.#markOf('helper'), ...untold.map(({ id }) => this.#markOf(id))].map(
      (mark) => `${SPAWN_MARK}=${mark}`,
    );
    const askedAt = Math.min(...untold.map(({ dueSince }) => dueSince ?? 0));
    const sinceTicks = (uptime() - (this.#clock.now() - askedAt) / 1000) * TICKS_PER_SECOND - 1;
    for (let quiet = 0; quiet < 2; ) {
      const from = this.#clock.now();
      const { marked, unknown } = processesWithAny(marks, sinceTicks);
      for (const pid of marked) signalProcess(pid, 'SIGKILL');
      quiet = marked.length === 0 && unknown.length === 0 ? quiet + 1 : 0;
      // A look reads all of /proc in this thread, which has other things to do as well (T4).
      await this.#clock.sleep(Math.max(POLL_MS, this.#clock.now() - from));
    }
  }

  /** Of one child, or of the helper: what a service has left running since an earlier command is somebody else. */
  #markOf(id: number | 'helper'): string {
    return `${this.#name}/${id}`;
  }
}

/** Of a leader that is still the same process: its number may be somebody else's by now. */
function signalGroupOf(child: ProcessId): boolean {
  return startTimeOf(child.pid) === child.startTime && signalProcess(-child.pid, 'SIGKILL');
}
