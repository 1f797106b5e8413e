/** What the agent wants to know of the data before it decides, and the I/O that it lets go on (H3). */
import type { Epoch, NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorOptions } from './executor-options.ts';
import { PROBE_LIMIT_MS } from './lookout.ts';
import { words } from './protocol.ts';

const RESUME_LIMIT_MS = 10_000;
/** The command has ended by itself and said no. */
const KNOWN_FAILURES: ReadonlySet<string> = new Set([
  'drbd-refused',
  'command-failed',
  'command-missing',
  'drbd-tools-missing',
]);

export class DataOrders {
  readonly #options: ExecutorOptions;
  #others: readonly NodeId[];

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#others = options.otherDataNodes;
  }

  setOthers(ids: readonly NodeId[]): void {
    this.#others = ids;
  }

  /** H3: what a probe has cached may be from before the decision that it is wanted for. */
  async look(): Promise<void> {
    const { guard, clock, hasReplication } = this.#options;
    try {
      const data = hasReplication
        ? await guard.ask({ op: 'look', limitMs: PROBE_LIMIT_MS })
        : {
            readAt: clock.now(),
            peers: Object.fromEntries(this.#others.map((id) => [id, 'in-sync' as const])),
            disk: 'up-to-date' as const,
            isWhole: true,
          };
      this.#options.send({ kind: 'data-read', ...data });
    } catch (error) {
      this.#warn('look-failed', error);
    }
  }

  async resumeIo(epoch: Epoch): Promise<void> {
    try {
      const result = await this.#options.guard.ask({ op: 'resume-io', epoch, limitMs: RESUME_LIMIT_MS });
      this.#options.log('info', { event: 'io-resumed', epoch, result });
      this.#options.send({ kind: 'io-resumed', epoch, outcome: 'done' });
    } catch (error) {
      this.#warn('resume-io-failed', error);
      const isRefused = error instanceof QuorateError && KNOWN_FAILURES.has(error.code);
      this.#options.send({ kind: 'io-resumed', epoch, outcome: isRefused ? 'failed' : 'unknown' });
    }
  }

  #warn(event: string, error: unknown): void {
    this.#options.log('warn', { event, why: words(error) });
  }
}
