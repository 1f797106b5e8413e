/**
 * Messages between agents. One way each: an answer is a message of its own. Every message carries the sender's
 * term. `heartbeat` and `heartbeat-ack` travel on a stream of their own, so that a large append cannot delay a lease.
 */
import type { ElectionReason, Entry } from './entry.ts';
import type { ChainHash, DurationMs, Epoch, LogIndex, NodeId, Term } from './types.ts';

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
}

/** "`node` has released, or will never hold, in every term up to `term`" (R3, R4). */
export interface ReleaseProof {
  readonly node: NodeId;
  readonly term: Term;
}

/** One round of the lease (L1). The ack echoes `seq`; the send time stays with the leader. */
export interface Heartbeat extends Envelope {
  readonly kind: 'heartbeat';
  readonly seq: number;
  readonly commit: LogIndex;
  /** R3: sets no promise and drops those made to the sender in this term. */
  readonly renounced: boolean;
  /** L8: the promise that the leader asks for. */
  readonly promiseMs: DurationMs;
}
export interface HeartbeatAck extends Envelope {
  readonly kind: 'heartbeat-ack';
  readonly seq: number;
}

export interface Append extends Envelope {
  readonly kind: 'append';
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly previousHash: ChainHash;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
  readonly renounced: boolean;
  readonly promiseMs: DurationMs;
}
export interface AppendAck extends Envelope {
  readonly kind: 'append-ack';
  readonly success: boolean;
  /** On success: everything up to here is durable at the sender and equals the leader's log. */
  readonly match: LogIndex;
  /** On failure: where the leader should try next (the paper's conflict hint). `conflictTerm` 0: the log ends before. */
  readonly conflictIndex: LogIndex;
  readonly conflictTerm: Term;
  /** D2: set while the sender is damaged and its log is past its marker again: asks for a `repaired` entry. */
  readonly healed: { readonly markerIndex: LogIndex; readonly markerTerm: Term } | null;
}

export interface PreVote extends Envelope {
  readonly kind: 'pre-vote';
  /** The term that the sender would campaign in; `term` is its present one. */
  readonly nextTerm: Term;
  /** E1: an answer counts only in the round that it belongs to. */
  readonly round: number;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly caretaker: boolean;
  readonly proof: ReleaseProof | null;
  /** L7: the tenure that the sender's executor has kept over the restart of its agent; null in every other election. */
  readonly adopt: Epoch | null;
}
export interface PreVoteAck extends Envelope {
  readonly kind: 'pre-vote-ack';
  readonly round: number;
  readonly granted: boolean;
  /** How long the sender's promise still binds; null when that was not the reason for a refusal. */
  readonly retryAfterMs: DurationMs | null;
}

export interface Vote extends Envelope {
  readonly kind: 'vote';
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly caretaker: boolean;
  readonly reason: ElectionReason;
  readonly proof: ReleaseProof | null;
  /** L7: see `PreVote`. */
  readonly adopt: Epoch | null;
}
export interface VoteAck extends Envelope {
  readonly kind: 'vote-ack';
  /** The term that the vote was asked for; `term` is the sender's present one. */
  readonly candidateTerm: Term;
  readonly granted: boolean;
}

/** R3: the sender has renounced; the receiver may campaign at once. */
export interface TimeoutNow extends Envelope {
  readonly kind: 'timeout-now';
  readonly proof: ReleaseProof;
}
/** R4: the sender's executor has verified the release of `epoch` and that its agent is gone; `term` is its last. */
export interface Released extends Envelope {
  readonly kind: 'released';
  readonly epoch: Epoch;
  readonly evidence: string;
}
/** R3: the sender led `term`, has released, and will not hold in it again. */
export interface Renounced extends Envelope {
  readonly kind: 'renounced';
}

export type Message =
  | Heartbeat
  | HeartbeatAck
  | Append
  | AppendAck
  | PreVote
  | PreVoteAck
  | Vote
  | VoteAck
  | TimeoutNow
  | Released
  | Renounced;

/** Claims of durable facts (E2): may leave only after the persist that makes them true. */
export type DurableMessage = AppendAck | Vote | VoteAck;
export type MessageKind = Message['kind'];
