/** Which resyncs of DRBD run here and how far they are, as the executor tells it. For people only: the agent decides nothing by it (D4). */
import type { Clock } from '../clock.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import type { ResyncFacts } from '../resync.ts';

/** The executor repeats what still runs far more often, on a slow host too. What is older is not known any more. */
const STALE_MS = 60_000;

export class ResyncView {
  readonly #clock: Pick<Clock, 'now'>;
  #told: { readonly volumes: readonly ResyncFacts[]; readonly at: number } | null = null;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** None: none runs, or none is known of. */
  get running(): readonly ResyncFacts[] {
    return this.#told === null || this.#clock.now() - this.#told.at > STALE_MS ? [] : this.#told.volumes;
  }

  onExecutorEvent(event: ExecutorEvent): void {
    if (event.kind === 'resync') this.#told = { volumes: event.volumes, at: this.#clock.now() };
    if (event.kind === 'gone') this.#told = null;
  }
}
