/** What does not pass the codec is dropped and counted, and said once for each kind and peer: a peer cannot fill the log. */
import type { NodeId } from '../core/index.ts';
import { WireError, type WireProblem } from './codec.ts';
import type { PeerLogger } from './logger.ts';

export class DroppedMessages {
  readonly #logger: PeerLogger;
  readonly #counts = new Map<WireProblem, number>();
  readonly #logged = new Set<string>();

  constructor(logger: PeerLogger) {
    this.#logger = logger;
  }

  /** Since the start, by problem. */
  get counts(): ReadonlyMap<WireProblem, number> {
    return this.#counts;
  }

  /** What `decode` returns, or what is wrong with it. */
  checked<Value>(from: NodeId, decode: () => Value): Value | WireError {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const { problem, message } = error;
      this.#counts.set(problem, (this.#counts.get(problem) ?? 0) + 1);
      if (!this.#logged.has(`${from} ${problem}`)) {
        this.#logged.add(`${from} ${problem}`);
        this.#logger.warn(
          { event: 'peer-message-dropped', node: from, problem, why: message },
          `dropped a ${problem} message of ${from}: ${message}; further ones are only counted`,
        );
      }
      return error;
    }
  }
}
