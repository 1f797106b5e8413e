/** Asks the executor what the pools hold, and puts its answer together. The agent looks at none of it: it only carries it on. */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import { READ_LIMIT_MS } from '../replication/index.ts';

/** Its own commands have ended by then. */
const ANSWER_LIMIT_MS = READ_LIMIT_MS + 2000;
/** Of the whole answer; no executor of ours says so much. */
const MAX_CHARACTERS = 1_048_576;

type Heard = Extract<ExecutorEvent, { kind: 'pools-read' | 'pools-unread' }>;

export class PoolsQuestion {
  readonly #executor: Pick<ExecutorClient, 'readPools' | 'connected'>;
  readonly #clock: Pick<Clock, 'after'>;
  #count = 0;
  #hear: (event: Heard) => void = () => {};
  #asking: Promise<string> | null = null;

  constructor(executor: Pick<ExecutorClient, 'readPools' | 'connected'>, clock: Pick<Clock, 'after'>) {
    this.#executor = executor;
    this.#clock = clock;
  }

  onHeard(event: Heard): void {
    if (event.id === this.#count) this.#hear(event);
  }

  /** Who asks while the answer is awaited gets that one. Rejects with why there is none. */
  ask(): Promise<string> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  #ask(): Promise<string> {
    if (!this.#executor.connected)
      return Promise.reject(new QuorateError('executor-unreachable', 'its executor is gone'));
    this.#count += 1;
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new QuorateError('executor-unreachable', why));
      const timer = this.#clock.after(ANSWER_LIMIT_MS, () =>
        fail(`its executor has not read the pools within ${ANSWER_LIMIT_MS} ms`),
      );
      let text = '';
      this.#hear = (event) => {
        if (event.kind === 'pools-read') text += event.text;
        if (event.kind === 'pools-read' && !event.isLast && text.length <= MAX_CHARACTERS) return;
        timer.cancel();
        if (event.kind === 'pools-unread') fail(`its executor has not read the pools: ${event.why}`);
        else if (text.length > MAX_CHARACTERS) fail('its executor says too much of the pools');
        else resolve(text);
      };
      this.#executor.readPools(this.#count);
    });
  }
}
