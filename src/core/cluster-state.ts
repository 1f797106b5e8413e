/**
 * What the committed log means for consensus: members, the in-sync set, the tenure. A fold over entries, in order.
 *
 * Invariants: at most one open tenure; `peer-outdated`, `peer-in-sync` and `node-outdated` of another epoch than the
 * open tenure's change nothing (H3); an id that was removed never comes back (E5).
 */
import type { Entry, EntryBody, Member, Timing } from './entry.ts';
import type { Epoch, LogIndex, NodeId, Term } from './types.ts';
import { assertNever, epoch } from './types.ts';

export interface Membership {
  readonly members: readonly Member[];
  /** Ids that must never be used again (E5). */
  readonly removed: readonly NodeId[];
}

export interface Tenure {
  readonly epoch: Epoch;
  readonly node: NodeId;
  readonly term: Term;
  readonly released: boolean;
  /** Its node was stopped from outside, confirmed: it writes no more (R5). */
  readonly fenced: boolean;
}

/** L7: a restart that was announced and not finished by adoption or release. */
export interface Restart {
  readonly epoch: Epoch;
  readonly node: NodeId;
  readonly durationMs: number;
}

export interface ClusterState {
  readonly appliedIndex: LogIndex;
  readonly cluster: string;
  readonly members: readonly Member[];
  readonly removed: readonly NodeId[];
  readonly timing: Timing | null;
  readonly inSync: readonly NodeId[];
  /** The latest tenure, open or released; null before the first. */
  readonly tenure: Tenure | null;
  readonly restart: Restart | null;
}

export const EMPTY_STATE: ClusterState = {
  appliedIndex: 0 as LogIndex,
  cluster: '',
  members: [],
  removed: [],
  timing: null,
  inSync: [],
  tenure: null,
  restart: null,
};

export function mayHoldByKind(members: readonly Member[], id: NodeId): boolean {
  const member = members.find((candidate) => candidate.id === id);
  return member !== undefined && !member.witness && !member.learner;
}

/** Folds one committed entry into the state. */
export function applyEntry(state: ClusterState, entry: Entry): ClusterState {
  return { ...applyBody(state, entry, entry.body), appliedIndex: entry.index };
}

function applyBody(state: ClusterState, entry: Entry, body: EntryBody): ClusterState {
  switch (body.kind) {
    case 'config': {
      const inSync =
        body.inSync ?? state.inSync.filter((id) => body.members.some((member) => member.id === id));
      return {
        ...state,
        cluster: body.cluster,
        members: body.members,
        removed: body.removed,
        timing: body.timing,
        inSync,
      };
    }
    case 'tenure-granted': {
      const tenure = {
        epoch: epoch(entry.index),
        node: body.node,
        term: entry.term,
        released: false,
        fenced: false,
      };
      return { ...state, tenure, restart: null };
    }
    case 'tenure-released':
      if (state.tenure?.epoch !== body.epoch) return state;
      return { ...state, tenure: { ...state.tenure, released: true }, restart: null };
    case 'fenced':
      if (state.tenure?.epoch !== body.epoch || body.outcome === 'unconfirmed') return state;
      return { ...state, tenure: { ...state.tenure, fenced: true } };
    case 'peer-outdated':
      return isCurrent(state, body.epoch) && mayOutdate(state, body.peer)
        ? withoutInSync(state, body.peer)
        : state;
    case 'node-outdated':
      return isCurrent(state, body.epoch) && state.inSync.length > 1
        ? withoutInSync(state, body.node)
        : state;
    case 'peer-in-sync':
      if (!isCurrent(state, body.epoch) || !mayHoldByKind(state.members, body.peer)) return state;
      return state.inSync.includes(body.peer)
        ? state
        : { ...state, inSync: [...state.inSync, body.peer].sort() };
    case 'restart-begun':
      return isCurrent(state, body.epoch)
        ? { ...state, restart: { epoch: body.epoch, node: body.node, durationMs: body.durationMs } }
        : state;
    case 'tenure-adopted':
      return state.restart?.epoch === body.epoch ? { ...state, restart: null } : state;
    case 'elected':
    case 'takeover-done':
    case 'repaired':
    case 'operator':
    case 'forced':
    case 'timing-persisted':
    case 'note':
      return state;
    default:
      return assertNever(body);
  }
}

function isCurrent(state: ClusterState, of: Epoch): boolean {
  return state.tenure !== null && !state.tenure.released && state.tenure.epoch === of;
}

/** Only a holder whose own data is good may say that a peer's is not: the set never loses its last member (H3). */
function mayOutdate(state: ClusterState, peer: NodeId): boolean {
  const holder = state.tenure?.node;
  return holder !== undefined && holder !== peer && state.inSync.includes(holder);
}

function withoutInSync(state: ClusterState, id: NodeId): ClusterState {
  return { ...state, inSync: state.inSync.filter((member) => member !== id) };
}
