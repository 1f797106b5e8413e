/** How much the other data node may ask of the receiver at a time, and how often (grpc-limits.ts). */
import { RateLimits } from '../../peer/index.ts';
import { REPLICATION_CALLS } from './grpc-limits.ts';

/** There is one who may ask. */
const CALLER = 'peer';
const { callsAtOnce: burst, callsPerSecond: perSecond } = REPLICATION_CALLS;
const RATE = { burst, perSecond } as const;

export class CallLimits {
  readonly #rate = new RateLimits(RATE, RATE);
  readonly #open = { streams: 0, questions: 0 };
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Why not, or null: then `end` must follow. */
  begin(kind: 'streams' | 'questions'): string | null {
    const most = REPLICATION_CALLS[kind];
    if (this.#open[kind] >= most) return `${most} ${kind} are under way already`;
    if (!this.#rate.take(CALLER, true, this.#now())) return `more than ${perSecond} calls a second`;
    this.#open[kind] += 1;
    return null;
  }

  end(kind: 'streams' | 'questions'): void {
    this.#open[kind] -= 1;
  }
}
