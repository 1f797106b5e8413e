/**
 * Whether everything that the tenure is about is held: its takeover has ended, and nothing has been given up since. A takeover
 * that failed, or a release that did and was undone, is complete once every resource reads `held` (H4, H6).
 */
import type { Epoch } from '../core/index.ts';
import type { ExecutorEvent } from '../executor/index.ts';

export class Completeness {
  /** Of the tenure that is complete; null: none is. */
  #complete: Epoch | null = null;
  /** Of the tenure that will be when every resource reads `held`: its executor looks after what it has kept or taken back. */
  #awaited: Epoch | null = null;

  onExecutorEvent(event: ExecutorEvent): void {
    switch (event.kind) {
      case 'taken':
        this.#complete = event.epoch;
        this.#awaited = null;
        return;
      case 'take-failed':
      case 'release-failed':
        if (this.#complete === event.epoch) this.#complete = null;
        this.#awaited = event.epoch;
        return;
      case 'bound':
        // L7: what the process before had is looked at anew.
        if (event.ok) this.#awaited = event.epoch;
        return;
      case 'probes':
        if (this.#awaited === null || event.resources.some(({ probe }) => probe !== 'held')) return;
        this.#complete = this.#awaited;
        this.#awaited = null;
        return;
      default:
        // An epoch that has ended never comes back (R2): there is nothing to forget.
        return;
    }
  }

  isComplete(epoch: Epoch): boolean {
    return this.#complete === epoch;
  }
}
