import type { Entry } from './entry.ts';
import type { LogIndex, NodeId, Term } from './types.ts';

/** A damaged node's way back: it may vote again once its log is past this tail and says `repaired` (D2). */
export interface DamageMarker {
  readonly markerIndex: LogIndex;
  readonly markerTerm: Term;
}

/** What a node must remember over a crash besides the log. */
export interface HardState {
  readonly term: Term;
  readonly votedFor: NodeId | null;
  /** A lower bound of the commit index, at most the last durable index. Saved with whatever persist comes next. */
  readonly commitIndex: LogIndex;
  readonly damaged: DamageMarker | null;
}

/**
 * One synced batch, one marker (D1). `entries` are contiguous and replace everything from the first one's index on;
 * where a conflict shortens the log, entries behind the last one are deleted in the same batch.
 */
export interface Persist {
  /** Increases by one each time; a completion of `id` means that all up to it are durable. */
  readonly id: number;
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}
