/** Who waits for an entry to be committed: that very one, by index and term. */
import type { Clock } from '../clock.ts';
import type { LogIndex, Term } from '../core/index.ts';
import { QuorateError } from '../errors.ts';

export interface Place {
  readonly index: LogIndex;
  readonly term: Term;
}

interface Waiter extends Place {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const MAX_WAITERS = 1_000;

export class CommitWaiters {
  readonly #clock: Pick<Clock, 'after'>;
  #waiters: Waiter[] = [];

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /** Rejects `timed-out-unknown` when that is lost sight of. */
  add({ index, term }: Place, limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#waiters.length >= MAX_WAITERS) return reject(unknownOutcome());
      const timer = this.#clock.after(limitMs, () => this.#drop((other) => other === waiter));
      const waiter: Waiter = {
        index,
        term,
        resolve: () => {
          timer.cancel();
          resolve();
        },
        reject: (error) => {
          timer.cancel();
          reject(error);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  /**
   * Of everything up to this entry, which is committed: returns what answers them. Another term at a place means that another entry has
   * taken it.
   */
  take(upTo: LogIndex): (termAt: (index: LogIndex) => Term | null) => void {
    const done = this.#waiters.filter(({ index }) => index <= upTo);
    if (done.length > 0) this.#waiters = this.#waiters.filter(({ index }) => index > upTo);
    return (termAt) => {
      for (const waiter of done) {
        if (waiter.term === termAt(waiter.index)) waiter.resolve();
        else waiter.reject(unknownOutcome());
      }
    };
  }

  /** Nobody will be told any more: what becomes of the entries is not known here. */
  drop(): void {
    this.#drop(() => true);
  }

  #drop(isLost: (waiter: Waiter) => boolean): void {
    const lost = this.#waiters.filter(isLost);
    this.#waiters = this.#waiters.filter((waiter) => !isLost(waiter));
    for (const waiter of lost) waiter.reject(unknownOutcome());
  }
}

function unknownOutcome(): QuorateError {
  return new QuorateError(
    'timed-out-unknown',
    'leadership or time ran out before the entry was known to be committed',
  );
}
