/**
 * The leader's lease (L1): anchored at the instant a heartbeat round was sent, never at the receipt of its acks.
 *
 * Invariants: the lease ends at `q + L`, where `q` is the k-th newest acknowledged send time over the voters
 * (self = now); an old, repeated or unknown `seq` moves nothing.
 */
import type { Instant, NodeId } from './types.ts';

export class Lease {
  #seq = 0;
  readonly #leaseMs: number;
  /** Send times of the rounds that can still extend the lease, oldest first. */
  readonly #rounds: { readonly seq: number; readonly sentAt: Instant }[] = [];
  readonly #acked = new Map<NodeId, { readonly seq: number; readonly sentAt: Instant }>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Starts a round; its number goes into the heartbeats. */
  begin(now: Instant): number {
    // A round older than the lease can extend nothing: this bounds the list.
    while (this.#rounds[0] !== undefined && this.#rounds[0].sentAt + this.#leaseMs <= now)
      this.#rounds.shift();
    this.#seq += 1;
    this.#rounds.push({ seq: this.#seq, sentAt: now });
    return this.#seq;
  }

  ack(from: NodeId, seq: number): void {
    const round = this.#rounds.find((candidate) => candidate.seq === seq);
    if (round === undefined || seq <= (this.#acked.get(from)?.seq ?? 0)) return;
    this.#acked.set(from, round);
  }

  /** `q`: null until a quorum has acknowledged a round. */
  confirmedAt(voters: readonly NodeId[], self: NodeId, now: Instant): Instant | null {
    const times = voters
      .map((voter) => (voter === self ? now : (this.#acked.get(voter)?.sentAt ?? Number.NEGATIVE_INFINITY)))
      .sort((left, right) => right - left);
    const confirmed = times[Math.floor(voters.length / 2)] ?? Number.NEGATIVE_INFINITY;
    return confirmed === Number.NEGATIVE_INFINITY ? null : (confirmed as Instant);
  }

  /** Has this node acknowledged a round that was sent at or after `since`? */
  heardFrom(node: NodeId, since: number): boolean {
    return (this.#acked.get(node)?.sentAt ?? Number.NEGATIVE_INFINITY) >= since;
  }
}
