/**
 * Starts children by the spawn helper, so that no fork of this large process stalls its thread; by this thread itself while
 * there is no helper, or while it does not answer at once: a release must not wait for one.
 */
import type { Clock, Timer } from '../clock.ts';
import { directSpawner } from './direct-spawner.ts';
import { parentOf } from './processes.ts';
import { SpawnHelper, type SpawnHelperOptions } from './spawn-helper-process.ts';
import { MAX_SPAWN_INPUT } from './spawn-protocol.ts';
import type { ChildListener, ChildSpec, SpawnedChild, Spawner } from './spawner.ts';

const RESTART_MS = { first: 1000, most: 60_000 } as const;
/** A helper that has run this long was fine: the next restart is quick again. */
const STEADY_MS = 60_000;

export class HelperSpawner implements Spawner {
  readonly #options: SpawnHelperOptions;
  readonly #clock: Clock;
  #helper: SpawnHelper | null = null;
  #restartMs: number = RESTART_MS.first;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(options: SpawnHelperOptions) {
    this.#options = options;
    this.#clock = options.clock;
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
    const isFit = (spec.input?.length ?? 0) <= MAX_SPAWN_INPUT;
    return helper?.isReady === true && isFit && !helper.isSlow()
      ? helper.spawn(spec, listener)
      : directSpawner.spawn(spec, listener);
  }

  isOwn(group: number): boolean {
    const { pid } = this;
    return pid !== null && (group === pid || parentOf(group) === pid);
  }

  /** It ends with everything that it has started. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#helper?.close();
  }

  #start(): void {
    const startedAt = this.#clock.now();
    const helper = new SpawnHelper(this.#options, () => {
      if (this.#helper === helper) this.#helper = null;
      if (this.#isClosed) return;
      if (this.#clock.now() - startedAt > STEADY_MS) this.#restartMs = RESTART_MS.first;
      this.#timer = this.#clock.after(this.#restartMs, () => this.#start());
      this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MS.most);
    });
    this.#helper = helper;
  }
}
