/** What goes into the core and what comes out of it. */
import type { ConfigChange, ElectionReason, Entry, EntryBody, ReleaseReason, Timing } from './entry.ts';
import type { Persist } from './hard-state.ts';
import type { Message } from './messages.ts';
import type { DurationMs, Epoch, Instant, LogIndex, NodeId, Term } from './types.ts';

/** What may be proposed from outside; the rest the core writes itself. */
export type Proposal =
  | Extract<
      EntryBody,
      {
        kind:
          | 'note'
          | 'operator'
          | 'operator-result'
          | 'takeover-done'
          | 'fenced'
          | 'forced'
          | 'pause'
          | 'standby'
          | 'switchover-scheduled'
          | 'switchover-begun'
          | 'switchover-ended';
      }
    >
  | { readonly kind: 'peer-outdated' | 'peer-in-sync'; readonly peer: NodeId }
  /** H3: the proposer's own disk is not usable. */
  | { readonly kind: 'self-outdated' }
  | {
      readonly kind: 'add-learner';
      readonly id: NodeId;
      readonly witness: boolean;
      readonly peer?: string;
      readonly zone?: string;
      readonly snapshots?: true;
      readonly by?: OrderedBy;
    }
  | { readonly kind: 'promote' | 'remove'; readonly id: NodeId; readonly by?: OrderedBy }
  /** L8: the whole of it, as `deriveTiming` makes it. */
  | { readonly kind: 'set-timing'; readonly timing: Timing; readonly by: OrderedBy }
  /** L7: the proposer goes away for so long at most, and means to come back under the same tenure. */
  | {
      readonly kind: 'restart';
      readonly durationMs: DurationMs;
      readonly who: string;
      readonly request: string | null;
    };

/** Of a change of the members or the timing: who has ordered it, for the log. */
export type OrderedBy = Pick<ConfigChange, 'who' | 'why' | 'request' | 'at'>;

export type Input =
  /** Nothing but time. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly message: Message }
  /** Everything up to this persist is durable. */
  | { readonly kind: 'persisted'; readonly id: number }
  | { readonly kind: 'persist-failed' }
  | { readonly kind: 'propose'; readonly proposal: Proposal }
  /** `to: null`: to whoever may hold, or to nobody (orderly shutdown). */
  | { readonly kind: 'transfer'; readonly to: NodeId | null; readonly reason: ReleaseReason }
  /** The executor has armed what must be armed, or cannot (H2). */
  | { readonly kind: 'prepared'; readonly id: number; readonly ok: boolean }
  /** The executor has verified that nothing is held (R2). */
  | { readonly kind: 'released'; readonly evidence: string }
  /** A planned release could not end and was undone: everything is held again (R1). */
  | { readonly kind: 'release-failed' }
  /** O1: the executor is gone: what this node holds is not known until `released`. */
  | { readonly kind: 'executor-lost' }
  /** What this leader has renounced for is over, by an operator's word that only its agent understands: it may ask for another term. */
  | { readonly kind: 'lead-anew' }
  /** L8: the executor works with these values from now on. */
  | { readonly kind: 'timing-applied'; readonly timing: Timing }
  /** L7: the executor has the deadline and needs no agent until then; or it has refused, and knows nothing of a restart. */
  | { readonly kind: 'handed-over'; readonly epoch: Epoch; readonly ok: boolean }
  /** L7: the executor lets go by the end of the new term's lease from here on; or it has not kept the tenure. */
  | { readonly kind: 'bound'; readonly epoch: Epoch; readonly ok: boolean }
  /** As if the election window had just elapsed. */
  | { readonly kind: 'campaign' }
  /** H7: the first entry of a new cluster, for a node whose log is empty. */
  | { readonly kind: 'bootstrap'; readonly entry: Entry }
  /** H7: every member has the first entry: whoever waits for this may be elected from now on. */
  | { readonly kind: 'begin' };

export type RoleName =
  | 'follower'
  | 'pre-candidate'
  | 'candidate'
  | 'leader'
  | 'caretaker'
  | 'damaged'
  | 'stopped';

export type StepDownReason =
  | 'lease-lost'
  | 'newer-term'
  | 'disk-stalled'
  | 'executor-lost'
  | 'handed-over'
  | 'caretaker-bound'
  | 'no-successor'
  | 'release-stuck'
  | 'by-order'
  | 'adoption-failed'
  | 'stopped';

/** What a person wants to read in the text log: one line each. */
export type CoreEvent =
  | { readonly event: 'role'; readonly role: RoleName; readonly term: Term; readonly leader: NodeId | null }
  | { readonly event: 'campaign'; readonly term: Term; readonly reason: ElectionReason }
  | { readonly event: 'stepped-down'; readonly term: Term; readonly why: StepDownReason }
  | { readonly event: 'renounced'; readonly term: Term; readonly why: string }
  | { readonly event: 'transfer'; readonly to: NodeId | null; readonly phase: string }
  | { readonly event: 'freed'; readonly by: NodeId; readonly term: Term }
  | { readonly event: 'foreign-log'; readonly from: NodeId; readonly index: LogIndex }
  | { readonly event: 'repaired'; readonly index: LogIndex }
  /** L7. */
  | { readonly event: 'restart'; readonly epoch: Epoch; readonly phase: string };

export type Effect =
  | { readonly kind: 'send'; readonly message: Message }
  | { readonly kind: 'persist'; readonly persist: Persist }
  /** Arm the watchdog where required, then answer `prepared` with the same number (H2). */
  | { readonly kind: 'prepare'; readonly id: number }
  /**
   * The gate is passed: take the resources under this epoch. `previousReleased`: the log proves the last release.
   * `hasProof`: it proves of everybody who has held before that they let go or were stopped (R4, R5).
   * `isForced`: the first tenure after an operator's override, in which old data may be promoted (O3).
   */
  | {
      readonly kind: 'hold';
      readonly epoch: Epoch;
      readonly term: Term;
      readonly until: Instant;
      readonly previousReleased: boolean;
      readonly hasProof: boolean;
      readonly isForced: boolean;
    }
  /** The lease has a new end (T4). */
  | { readonly kind: 'lease'; readonly epoch: Epoch; readonly until: Instant }
  | { readonly kind: 'release'; readonly epoch: Epoch | null; readonly mode: 'planned' | 'abrupt' }
  /** L7: the executor keeps everything until then without an agent; answered by `handed-over`. */
  | { readonly kind: 'hand-over'; readonly epoch: Epoch; readonly until: Instant }
  /** L7: what it has kept is bound to the lease of this term from now on, and to the deadline still; answered by `bound`. */
  | { readonly kind: 'bind'; readonly epoch: Epoch; readonly term: Term; readonly until: Instant }
  /** L7: adopted: it obeys this term's leader as it did the one before, and there is no deadline but the lease. */
  | { readonly kind: 'adopted'; readonly epoch: Epoch; readonly term: Term; readonly until: Instant }
  | { readonly kind: 'committed'; readonly entry: Entry }
  /** Answer to a proposal: its place in the log (committed only when `committed` says so), or why not. */
  | { readonly kind: 'proposed'; readonly index: LogIndex; readonly term: Term }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'event'; readonly event: CoreEvent };
