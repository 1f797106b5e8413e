/**
 * A node with an empty data directory may be new, or may have lost its disk. The difference matters: a voter that forgot
 * its votes and entries could help to elect a leader without them (D2).
 *
 * A new node becomes a voter only after it has the log; so a log that was already committed when the first append came,
 * and in which this node has a vote, is the log of a disk that is gone.
 */
import type { LogIndex, Message, NodeId } from '../core/index.ts';

export class DiskLossCheck {
  readonly #self: NodeId;
  /** Null: the node was not empty at start, or has been bootstrapped since. */
  #state: { horizon: LogIndex | null } | null;

  constructor(self: NodeId, isEmpty: boolean) {
    this.#self = self;
    this.#state = isEmpty ? { horizon: null } : null;
  }

  bootstrapped(): void {
    this.#state = null;
  }

  isLost(message: Message): boolean {
    const state = this.#state;
    if (state === null || message.kind !== 'append') return false;
    state.horizon ??= message.commit;
    const { horizon } = state;
    return message.entries.some(
      ({ index, body }) =>
        index <= horizon &&
        body.kind === 'config' &&
        body.members.some(({ id, learner }) => id === this.#self && !learner),
    );
  }
}
