/**
 * Starts children by the spawn helper, so that no fork of this large process stalls its thread; by this thread itself
 * while there is no helper, because a release must not wait for one.
 *
 * 1. A child is killed by its process group, directly: that needs no helper. One that has not started yet is called off in the
 *    helper, whose requests are in order.
 * 2. A helper that does not answer to a kill is killed itself. With it ends all that it has started: first it, so that
 *    nothing new begins, then the groups it has told of, then whoever else carries the mark and is its child (O1).
 * 3. Only then `onEnd` is called: what has not ended may still change something.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from '../clock.ts';
import { assertNever } from '../core/index.ts';
import { directSpawner } from './direct-spawner.ts';
import { readLines } from './lines.ts';
import { isGroupGone, parentOf, processesWith, signalProcess } from './processes.ts';
import { MAX_SPAWN_LINE, type SpawnEvent, type SpawnRequest, toSpawnLine } from './spawn-protocol.ts';
import type { ChildEnd, ChildListener, ChildSpec, SpawnedChild, Spawner } from './spawner.ts';

/** In the environment of everything that a helper starts. */
const SPAWN_MARK = 'QUORATE_SPAWN_MARK';
/** From a kill to its end; a helper that forks at that moment answers after it. */
const STUCK_MS = 500;
const GROUP_POLL_MS = 5;
const RESTART_MS = { first: 1000, most: 60_000 } as const;
/** A helper that has run this long was fine: the next restart is quick again. */
const STEADY_MS = 60_000;

export interface HelperOptions {
  /** dist/spawn-helper.mjs. */
  readonly program: string;
  /** In the environment of the helper, and of all that it starts. */
  readonly mark: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

export class HelperSpawner implements Spawner {
  readonly #options: HelperOptions;
  #helper: Helper | null = null;
  #restartMs: number = RESTART_MS.first;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(options: HelperOptions) {
    this.#options = options;
    this.#start();
  }

  /** Of the helper; null while there is none. */
  get pid(): number | null {
    return this.#helper?.pid ?? null;
  }

  get isReady(): boolean {
    return this.#helper?.isReady === true;
  }

  spawn(spec: ChildSpec, listener: ChildListener): SpawnedChild {
    const helper = this.#helper;
    return helper?.isReady === true ? helper.spawn(spec, listener) : directSpawner.spawn(spec, listener);
  }

  isOwn(pid: number): boolean {
    const own = this.pid;
    return own !== null && (pid === own || parentOf(pid) === own);
  }

  /** It ends with everything that it has started. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#helper?.close();
  }

  #start(): void {
    const { clock } = this.#options;
    const startedAt = clock.now();
    const helper: Helper = new Helper(this.#options, () => {
      if (this.#helper === helper) this.#helper = null;
      if (this.#isClosed) return;
      if (clock.now() - startedAt > STEADY_MS) this.#restartMs = RESTART_MS.first;
      this.#timer = clock.after(this.#restartMs, () => this.#start());
      this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MS.most);
    });
    this.#helper = helper;
  }
}

interface Remote {
  readonly listener: ChildListener;
  pid: number | null;
  hasEnded: boolean;
  /** Since it was killed. */
  timer: Timer | null;
}

class Helper {
  readonly #process: ChildProcess;
  readonly #options: HelperOptions;
  /** Of no other helper of this host. */
  readonly #name = `${process.pid}@${process.hrtime.bigint()}`;
  readonly #children = new Map<number, Remote>();
  #nextId = 1;
  #state: 'loading' | 'ready' | 'ending' = 'loading';

  constructor(options: HelperOptions, onGone: () => void) {
    this.#options = options;
    // A small heap, and no threads beside it: what it is for is to be small.
    this.#process = spawn(
      process.execPath,
      ['--max-old-space-size=64', '--single-threaded', options.program],
      {
        detached: true,
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, ...options.mark, [SPAWN_MARK]: this.#spawnMark(null) },
        cwd: '/',
      },
    );
    const { stdin, stdout } = this.#process;
    stdin?.on('error', () => this.#kill());
    if (stdout !== null)
      readLines(
        stdout,
        { onLine: (line) => this.#onEvent(JSON.parse(line) as SpawnEvent), onTooLong: () => this.#kill() },
        MAX_SPAWN_LINE,
      );
    const onEnd = (): void => {
      this.#state = 'ending';
      onGone();
      void this.#endAll();
    };
    this.#process.once('exit', onEnd);
    this.#process.once('error', () => {
      if (this.#process.pid === undefined) onEnd();
    });
  }

  get pid(): number | null {
    return this.#process.pid ?? null;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  spawn(spec: ChildSpec, listener: ChildListener): SpawnedChild {
    const id = this.#nextId;
    this.#nextId += 1;
    const remote: Remote = {
      listener,
      pid: null,
      hasEnded: false,
      timer: null,
    };
    this.#children.set(id, remote);
    const environment = { ...spec.environment, [SPAWN_MARK]: this.#spawnMark(id) };
    this.#send({ kind: 'spawn', id, ...spec, environment });
    return { kill: () => this.#killChild(id, remote) };
  }

  close(): void {
    this.#state = 'ending';
    this.#kill();
  }

  #send(request: SpawnRequest): void {
    if (this.#state !== 'ending') this.#process.stdin?.write(toSpawnLine(request));
  }

  #onEvent(event: SpawnEvent): void {
    if (event.kind === 'ready') {
      if (this.#state === 'loading') this.#state = 'ready';
      return;
    }
    const remote = this.#children.get(event.id);
    if (remote === undefined) return;
    const { listener } = remote;
    switch (event.kind) {
      case 'started':
        remote.pid = event.pid;
        return listener.onStart(event.pid);
      case 'output':
        return listener.onOutput(event.stream, event.text);
      case 'ended':
        if (event.end.kind !== 'exited') this.#children.delete(event.id);
        return this.#end(remote, event.end);
      case 'drained':
        this.#children.delete(event.id);
        return listener.onDrained();
      default:
        return assertNever(event);
    }
  }

  #end(remote: Remote, end: ChildEnd): void {
    if (remote.hasEnded) return;
    remote.hasEnded = true;
    remote.timer?.cancel();
    remote.listener.onEnd(end);
  }

  #killChild(id: number, remote: Remote): void {
    if (remote.hasEnded) return;
    if (remote.pid === null) this.#send({ kind: 'kill', id });
    else signalProcess(-remote.pid, 'SIGKILL');
    remote.timer ??= this.#options.clock.after(STUCK_MS, () => void this.#suspect(remote));
  }

  /** Killed, and its end not told. Stuck in the kernel, as only a command can be, it is waited for; otherwise the helper is stuck. */
  async #suspect(remote: Remote): Promise<void> {
    while (!remote.hasEnded && this.#state !== 'ending') {
      if (remote.pid === null || isGroupGone(remote.pid)) return this.#kill();
      await this.#options.clock.sleep(STUCK_MS);
    }
  }

  #kill(): void {
    const { pid } = this;
    this.#state = 'ending';
    if (pid !== null) signalProcess(pid, 'SIGKILL');
  }

  /** After its end nothing new begins; what it was about to start carries the mark, and has no pid here. */
  async #endAll(): Promise<void> {
    const left = [...this.#children].filter(([, remote]) => !remote.hasEnded);
    const groups = new Set(left.flatMap(([, { pid }]) => (pid === null ? [] : [pid])));
    for (const group of groups) signalProcess(-group, 'SIGKILL');
    await this.#killUntold(left.flatMap(([id, { pid }]) => (pid === null ? [id] : [])));
    for (const [, remote] of left) {
      while (remote.pid !== null && !isGroupGone(remote.pid)) {
        signalProcess(-remote.pid, 'SIGKILL');
        await this.#options.clock.sleep(GROUP_POLL_MS);
      }
      this.#end(remote, { kind: 'lost' });
    }
    this.#children.clear();
  }

  /** Until two looks in a row find nobody: a killed process may have forked just before. */
  async #killUntold(ids: readonly number[]): Promise<void> {
    if (ids.length === 0) return;
    // Forked, and not yet the command: it still has the environment of the helper.
    const marks = [this.#spawnMark(null), ...ids.map((id) => this.#spawnMark(id))];
    for (let quiet = 0; quiet < 2; ) {
      const found = marks.flatMap((mark) => processesWith(SPAWN_MARK, mark));
      for (const pid of found) signalProcess(pid, 'SIGKILL');
      quiet = found.length === 0 ? quiet + 1 : 0;
      await this.#options.clock.sleep(GROUP_POLL_MS);
    }
  }

  /** Of one child, or of the helper: what a service has left running since an earlier command is somebody else. */
  #spawnMark(id: number | null): string {
    return `${this.#name}/${id ?? 'helper'}`;
  }
}
