/**
 * A node's promise: until it ends, no vote and no pre-vote for anybody (L2).
 *
 * Invariants: `until` only grows, except through `free` with a proof (R4). A leader that is known to have renounced
 * or released in a term sets no promise in it any more, however late its messages arrive (R3).
 */
import type { ReleaseProof } from './messages.ts';
import type { Instant, NodeId, Term } from './types.ts';

export class PromiseRecord {
  #to: NodeId | null = null;
  #term: Term = 0 as Term;
  #until: Instant;
  /** The newest term in which each node is known to hold nothing and to get nothing. */
  readonly #freed = new Map<NodeId, Term>();

  /**
   * L4: at start, a promise to nobody: no proof ends it. The message of a leader may replace it, because that leader was
   * elected past whatever was promised before the start (L2).
   */
  constructor(until: Instant) {
    this.#until = until;
  }

  /**
   * L7: at the start of an agent whose executor has kept its tenure: whatever it owes is owed to that tenure. A promise binds
   * against others, so it does not bind against the adoption; against every other vote it does.
   */
  static toOneself(self: NodeId, term: Term, until: Instant): PromiseRecord {
    const record = new PromiseRecord(until);
    record.#to = self;
    record.#term = term;
    return record;
  }

  get until(): Instant {
    return this.#until;
  }
  /** Null: to nobody, as after a start (L4). */
  get to(): NodeId | null {
    return this.#to;
  }

  binds(now: Instant): boolean {
    return now < this.#until;
  }

  /** L2, on a valid message of the current leader. */
  extend(leader: NodeId, term: Term, until: Instant): void {
    if (this.isFreed(leader, term)) return;
    this.#to = leader;
    this.#term = term;
    if (until > this.#until) this.#until = until;
  }

  isFreed(node: NodeId, term: Term): boolean {
    return (this.#freed.get(node) ?? -1) >= term;
  }

  /** R4: proof that `node` holds nothing in any term up to `term`. Says whether a binding promise ended by it. */
  free(proof: ReleaseProof, now: Instant): boolean {
    if (!this.isFreed(proof.node, proof.term)) this.#freed.set(proof.node, proof.term);
    if (this.#to !== proof.node || this.#term > proof.term || !this.binds(now)) return false;
    this.#until = (now - 1) as Instant;
    return true;
  }
}
