/**
 * Follows one resource's `drbdsetup events2` as a long-lived child, so that watching costs nothing while nothing changes
 * (a probe a second by spawning would cost more CPU than the whole agent).
 */

import type { Clock } from '../clock.ts';
import type { CommandRunner } from '../resources/index.ts';
import { DrbdEvents, type DrbdState } from '../resources/index.ts';
import { Follower } from './follower.ts';

export class DrbdFollower {
  readonly #follower: Follower;
  #events: DrbdEvents | null = null;

  constructor(resource: string, runner: CommandRunner, clock: Clock, onChange: () => void) {
    this.#follower = new Follower(['drbdsetup', 'events2', resource], runner, clock, {
      onStart: () => {
        this.#events = new DrbdEvents(resource);
      },
      onLine: (line) => {
        if (this.#events?.read(line) === true && this.#events.isComplete) onChange();
      },
      onEnd: () => {
        this.#events = null;
        onChange();
      },
    });
  }

  start(): void {
    this.#follower.start();
  }

  /** Null while there is no living child that has told everything. */
  state(): DrbdState | null {
    return this.#events?.state() ?? null;
  }

  close(): void {
    this.#follower.close();
  }
}
