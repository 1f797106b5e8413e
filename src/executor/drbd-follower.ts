/**
 * Follows one resource's `drbdsetup events2` as a long-lived child, so that watching costs nothing while nothing changes
 * (a probe a second by spawning would cost more CPU than the whole agent).
 */

import type { Clock, Timer } from '../clock.ts';
import type { CommandRunner } from '../resources/index.ts';
import { DrbdEvents, type DrbdState } from '../resources/index.ts';

const RESTART_MS = { first: 500, most: 30_000 } as const;
/** A child that has run this long was fine: the next restart is quick again. */
const STEADY_MS = 10_000;

export class DrbdFollower {
  readonly #resource: string;
  readonly #runner: CommandRunner;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #events: DrbdEvents | null = null;
  #stop: (() => void) | null = null;
  #restartMs: number = RESTART_MS.first;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(resource: string, runner: CommandRunner, clock: Clock, onChange: () => void) {
    this.#resource = resource;
    this.#runner = runner;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  start(): void {
    const events = new DrbdEvents(this.#resource);
    const startedAt = this.#clock.now();
    this.#events = events;
    this.#stop = this.#runner.follow(['drbdsetup', 'events2', this.#resource], {
      onLine: (line) => {
        if (events.read(line) && events.isComplete) this.#onChange();
      },
      onEnd: () => {
        this.#events = null;
        this.#stop = null;
        if (this.#isClosed) return;
        if (this.#clock.now() - startedAt > STEADY_MS) this.#restartMs = RESTART_MS.first;
        this.#timer = this.#clock.after(this.#restartMs, () => this.start());
        this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MS.most);
        this.#onChange();
      },
    });
  }

  /** Null while there is no living child that has told everything. */
  state(): DrbdState | null {
    return this.#events?.state() ?? null;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#stop?.();
    this.#stop = null;
  }
}
