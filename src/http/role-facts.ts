/**
 * What a node knows of its own role at one instant: what the role checks decide by. Everything that ends by itself (lease,
 * promise, the leader's silence) stands here as an instant, because the core last looked at its deadlines some time ago.
 */
import type { Epoch, Instant, NodeId, Term } from '../core/index.ts';

export type RoleName = 'leader' | 'caretaker' | 'follower' | 'candidate' | 'damaged';

export interface RoleFacts {
  readonly node: NodeId;
  /** By the log's members; null where it does not name this node (before the first entry, after a removal). */
  readonly kind: 'data' | 'witness' | null;
  readonly isVoter: boolean;
  readonly role: RoleName;
  readonly term: Term;
  /** CLOCK_MONOTONIC when the facts were read, on the same clock as every other instant here. */
  readonly now: Instant;
  /** L: who has not heard its leader for this long does not know whether there still is one. */
  readonly leaseMs: number;
  /** g: how late a yes may leave this process, which may be taken off its core between the decision and the write. */
  readonly guardMs: number;
  /** End of the own authority to lead, `q + L` (L1). Null: none (no leader, renounced, or the host was suspended: T3). */
  readonly leaseUntil: Instant | null;
  /** Whom this node follows, and when it last heard from it. Null: nobody, or it leads itself. */
  readonly following: { readonly leader: NodeId; readonly heardAt: Instant } | null;
  /** L2: no vote before `until`; `to` null: promised to nobody, as after a start (L4). */
  readonly promise: { readonly to: NodeId | null; readonly until: Instant };
  /** The open tenure of the log, as far as it is committed here. */
  readonly tenure: { readonly node: NodeId; readonly epoch: Epoch } | null;
  /** What this node holds by itself. `isComplete`: its takeover has ended, and nothing has been given up since. */
  readonly held: { readonly epoch: Epoch; readonly isComplete: boolean } | null;
  /** In the committed in-sync set; null for a witness, and where there is no set yet. */
  readonly isInSync: boolean | null;
  /** The own replicated data, as the executor last read it. `up-to-date` where nothing is replicated. */
  readonly disk: 'up-to-date' | 'failed' | 'unknown';
  /** Entries between the own commit index and the leader's, as far as it has said; null: it has said nothing in its term. */
  readonly behind: number | null;
  readonly log: 'works' | 'damaged' | 'stalled' | 'failed';
  /** `releasing`: in order, or after a lease was lost. `unverified`: not known what is held (L3, L4). */
  readonly executor: 'ready' | 'releasing' | 'unverified' | 'lost';
  /** H6: what the own tenure goes on without; none where all is well, or nothing is held. */
  readonly degraded: readonly string[];
  /** H7: nobody is granted a tenure until an operator says so. */
  readonly isPaused: boolean;
  /** An operator wants this node to hold nothing. */
  readonly isOnStandby: boolean;
  /** It has been told to end: it takes nothing any more. */
  readonly isEnding: boolean;
}
