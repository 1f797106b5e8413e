/**
 * What the committed log means for consensus: members, the in-sync set, the tenure. A fold over entries, in order.
 *
 * Invariants: at most one open tenure; `peer-outdated`, `peer-in-sync` and `node-outdated` of another epoch than the
 * open tenure's change nothing (H3); an id that was removed never comes back (E5); from a `forced` entry that counts to
 * the next grant no tenure is current (O3); only members are on standby.
 */
import type { Entry, EntryBody, Member, Timing } from './entry.ts';
import { begun, ended, type Schedule, scheduleAfter, scheduled } from './schedule.ts';
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
  /** After an operator's `forced` entry, until a takeover has succeeded (O3): old data may be promoted in it. */
  readonly isForced: boolean;
  /** Its takeover has succeeded: whatever stands guard over the data (DRBD, for one) has agreed. */
  readonly isTaken: boolean;
  /** Earlier ones whose end nothing in the log shows, and after which no takeover has succeeded; at most one of each node. */
  readonly unproven: readonly Claim[];
}

/** That a node has held, and may not have stopped. */
export interface Claim {
  readonly node: NodeId;
  readonly epoch: Epoch;
}

/** O3: an operator has made this node the only one in sync, and nobody has held since. */
export interface Forced {
  readonly index: LogIndex;
  readonly node: NodeId;
}

/** L7: a restart that was announced and not finished by adoption or release. */
export interface Restart {
  readonly epoch: Epoch;
  readonly node: NodeId;
  readonly durationMs: number;
}

/** H7: nobody is granted a tenure until an operator says so. */
export interface Pause {
  readonly index: LogIndex;
  readonly who: string;
  readonly why: string;
  readonly at: number | null;
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
  readonly forced: Forced | null;
  /** Null while tenures are granted as ever. */
  readonly pause: Pause | null;
  /** Nodes that an operator wants to hold nothing, in the order of their ids. */
  readonly standby: readonly NodeId[];
  /** The last switchover that was ordered for a later time, ended or not; null before the first. */
  readonly schedule: Schedule | null;
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
  forced: null,
  pause: null,
  standby: [],
  schedule: null,
};

export function mayHoldByKind(members: readonly Member[], id: NodeId): boolean {
  const member = members.find((candidate) => candidate.id === id);
  return member !== undefined && !member.witness && !member.learner;
}

/** H3: a block layer mirrors its data, so that it can be in sync. */
export function isMirrored(members: readonly Member[], id: NodeId): boolean {
  return mayHoldByKind(members, id) && members.find((member) => member.id === id)?.snapshots !== true;
}

/** Folds one committed entry into the state. */
export function applyEntry(state: ClusterState, entry: Entry): ClusterState {
  return { ...scheduleAfter(applyBody(state, entry, entry.body)), appliedIndex: entry.index };
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
        standby: state.standby.filter((id) => body.members.some((member) => member.id === id)),
      };
    }
    case 'tenure-granted': {
      const tenure = {
        epoch: epoch(entry.index),
        node: body.node,
        term: entry.term,
        released: false,
        fenced: false,
        isForced: isToBeForced(state, body.node),
        isTaken: false,
        // Before it was granted anything, the node's own executor has verified that nothing was held there (L4).
        unproven: unprovenClaims(state).filter(({ node }) => node !== body.node),
      };
      return { ...state, tenure, restart: null, forced: null };
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
      if (!isCurrent(state, body.epoch) || !isMirrored(state.members, body.peer)) return state;
      return state.inSync.includes(body.peer)
        ? state
        : { ...state, inSync: [...state.inSync, body.peer].sort() };
    case 'restart-begun':
      return restartBegun(state, body);
    case 'tenure-adopted':
      if (state.tenure === null || !isRestarting(state, body.epoch, body.node)) return state;
      return { ...state, tenure: { ...state.tenure, term: entry.term }, restart: null };
    case 'forced':
      if (body.newCluster !== undefined)
        return startAlone(state, entry.index, body.node, body.newCluster.fenced);
      return whyForceIsVoid(state, entry.term, body.node) === null
        ? { ...state, inSync: [body.node], forced: { index: entry.index, node: body.node } }
        : state;
    case 'takeover-done': {
      const { tenure } = state;
      if (tenure?.epoch !== body.epoch || !body.ok) return state;
      // By force nobody was asked: what was unproven stays so.
      return {
        ...state,
        tenure: { ...tenure, isTaken: true, unproven: tenure.isForced ? tenure.unproven : [] },
      };
    }
    case 'pause': {
      const { who, why, at } = body;
      // Said twice, the first one is since when.
      const pause = state.pause ?? { index: entry.index, who, why, at };
      return { ...state, pause: body.paused ? pause : null };
    }
    case 'standby': {
      if (!state.members.some(({ id, witness }) => id === body.node && !witness)) return state;
      const others = state.standby.filter((id) => id !== body.node);
      return { ...state, standby: body.standby ? [...others, body.node].sort() : others };
    }
    case 'switchover-scheduled':
      return scheduled(state, entry.index, body);
    case 'switchover-begun':
      return begun(state, body);
    case 'switchover-ended':
      return ended(state, body);
    case 'elected':
    case 'repaired':
    case 'operator':
    case 'operator-result':
    case 'timing-persisted':
    case 'note':
      return state;
    default:
      return assertNever(body);
  }
}

/**
 * O3: what the others have done since its log ends this node cannot know, nor therefore whether its data is the newest: so it counts
 * as forced in any case. That they have stopped is the operator's word, like a fencing (R5).
 */
function startAlone(
  state: ClusterState,
  index: LogIndex,
  node: NodeId,
  fenced: readonly NodeId[],
): ClusterState {
  const { tenure } = state;
  return {
    ...state,
    inSync: [node],
    forced: { index, node },
    tenure: tenure && {
      ...tenure,
      fenced: tenure.fenced || fenced.includes(tenure.node),
      unproven: tenure.unproven.filter((claim) => !fenced.includes(claim.node)),
    },
  };
}

/** Everybody who has held and is not shown to have stopped, oldest first. */
export function unprovenClaims({ tenure }: ClusterState): readonly Claim[] {
  if (tenure === null) return [];
  const { node, epoch, released, fenced, unproven } = tenure;
  return released || fenced ? unproven : [...unproven.filter((one) => one.node !== node), { node, epoch }];
}

/**
 * O3: whether the next tenure of this node would be an operator's override. One that ended before its takeover succeeded (a
 * crash between the grant and the promotion) has not used it up: nobody else may hold, and the data is as old as it was.
 */
export function isToBeForced({ forced, tenure, inSync }: ClusterState, node: NodeId): boolean {
  if (forced !== null) return forced.node === node;
  const isUnused = tenure !== null && tenure.node === node && tenure.isForced && !tenure.isTaken;
  // Once another node is in sync it has data to wait for (H3), however the takeover went.
  return isUnused && inSync.length === 1 && inSync[0] === node;
}

/**
 * O3: why a `forced` entry of this term changes nothing, or null. A tenure of an *earlier* term that is still open is no
 * reason: whoever acts on the entry is elected past that tenure's promise and goes through the whole of H2 again. One of the
 * same term may still be held.
 */
export function whyForceIsVoid(state: ClusterState, term: Term, node: NodeId): string | null {
  if (!mayHoldByKind(state.members, node)) return `${node} is not a data node with a vote`;
  if (state.inSync.includes(node)) return `${node} is in the in-sync set`;
  const { tenure } = state;
  if (tenure !== null && !tenure.released && tenure.term >= term)
    return `${tenure.node} holds in term ${tenure.term}`;
  return null;
}

/** L7: is this tenure's restart announced, and not over? */
export function isRestarting(state: ClusterState, epoch: Epoch, node: NodeId): boolean {
  const { restart } = state;
  return restart !== null && restart.epoch === epoch && restart.node === node && isCurrent(state, epoch);
}

/** L7: whose is not the holder's own announces nothing. Said twice, the longer one is waited for. */
function restartBegun(
  state: ClusterState,
  { epoch, node, durationMs }: Extract<EntryBody, { kind: 'restart-begun' }>,
): ClusterState {
  if (!isCurrent(state, epoch) || state.tenure?.node !== node) return state;
  const before = state.restart?.epoch === epoch ? state.restart.durationMs : 0;
  return { ...state, restart: { epoch, node, durationMs: Math.max(durationMs, before) } };
}

function isCurrent(state: ClusterState, of: Epoch): boolean {
  if (state.forced !== null) return false;
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
