/** Asks the executor what its block layer says now, for a decision that a cached state is too old for. */
import type { Clock } from '../clock.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';

/** A `drbdsetup` that hangs says nothing. */
const LOOK_LIMIT_MS = 3_000;

export class DataLook {
  readonly #executor: Pick<ExecutorClient, 'look'>;
  readonly #clock: Clock;
  #waiting: ((event: Extract<ExecutorEvent, { kind: 'data-read' }>) => void)[] = [];

  constructor(executor: Pick<ExecutorClient, 'look'>, clock: Clock) {
    this.#executor = executor;
    this.#clock = clock;
  }

  onDataRead(event: Extract<ExecutorEvent, { kind: 'data-read' }>): void {
    for (const waiting of this.#waiting) waiting(event);
  }

  /** Is the own data, however old, of one moment on every replicated device? Null: it could not be read in time. */
  isWhole(): Promise<boolean | null> {
    const since = this.#clock.now();
    return new Promise((resolve) => {
      const end = (isWhole: boolean | null): void => {
        this.#waiting = this.#waiting.filter((one) => one !== hear);
        timer.cancel();
        resolve(isWhole);
      };
      const hear = (event: Extract<ExecutorEvent, { kind: 'data-read' }>): void => {
        // One that was asked for before may have begun before.
        if (event.readAt >= since) end(event.isWhole);
      };
      const timer = this.#clock.after(LOOK_LIMIT_MS, () => end(null));
      this.#waiting.push(hear);
      this.#executor.look();
    });
  }
}
