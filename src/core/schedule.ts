/**
 * A switchover that an operator wants at a later time: what the log says of it. Pure.
 *
 * 1. One at a time. It is about one tenure: where another one begins, or that one ends, it is over (the operator meant that one).
 * 2. Begun at most once: by the first `switchover-begun` that is committed while it waits; whatever calls it off before that
 *    stands before it in the log, and then it begins nothing.
 * 3. The time in it is a wall clock's, and decides when a *planned* move is begun, and nothing else (T3): that move goes through
 *    every rule of one that is ordered at that moment (R3, H1, H2).
 */
import type { ClusterState } from './cluster-state.ts';
import type { EntryBody } from './entry.ts';
import type { Proposal } from './io.ts';
import type { CoreNode } from './node.ts';
import type { Decision } from './proposals.ts';
import type { Epoch, LogIndex, NodeId } from './types.ts';
import { logIndex } from './types.ts';

type Body<Kind extends EntryBody['kind']> = Extract<EntryBody, { kind: Kind }>;
export type ScheduleOutcome = Body<'switchover-ended'>['outcome'];

export interface ScheduleEnd {
  readonly outcome: ScheduleOutcome;
  readonly why: string;
  /** Who has cancelled it; null: it ended by itself. */
  readonly who: string | null;
  readonly at: number | null;
}

export interface Schedule {
  /** Of the entry that ordered it: its id. */
  readonly index: LogIndex;
  /** Null: the best other data node at that time. */
  readonly to: NodeId | null;
  readonly epoch: Epoch;
  /** Wall clock in ms since 1970; from then on for `graceMs` it may begin. */
  readonly dueAt: number;
  readonly graceMs: number;
  readonly who: string;
  readonly why: string;
  readonly at: number | null;
  /** `void`: called off by another entry, which no leader has written the end of yet. */
  readonly phase:
    | { readonly kind: 'waiting' }
    | { readonly kind: 'void'; readonly why: string }
    /** `to`: who shall hold. */
    | { readonly kind: 'begun'; readonly to: NodeId }
    | ({ readonly kind: 'ended' } & ScheduleEnd);
}

/** Null where there is none, or the last one has ended. */
export function openSchedule({ schedule }: Pick<ClusterState, 'schedule'>): Schedule | null {
  return schedule === null || schedule.phase.kind === 'ended' ? null : schedule;
}

/** Why an order of this moment would change nothing, or null. Also what the fold goes by, so that the log says it to everybody. */
export function whyNotScheduled(state: ClusterState, epoch: Epoch): string | null {
  const open = openSchedule(state);
  if (open !== null) return `a switchover is scheduled already (entry ${open.index}): cancel that one first`;
  if (state.pause !== null) return 'the cluster is paused (H7)';
  const { tenure, forced } = state;
  const isOpen = forced === null && tenure !== null && !tenure.released && tenure.epoch === epoch;
  return isOpen ? null : `epoch ${epoch} is not open`;
}

export function scheduled(
  state: ClusterState,
  index: LogIndex,
  body: Body<'switchover-scheduled'>,
): ClusterState {
  if (whyNotScheduled(state, body.epoch) !== null) return state;
  const { to, epoch, dueAt, graceMs, who, why, at } = body;
  return {
    ...state,
    schedule: { index, to, epoch, dueAt, graceMs, who, why, at, phase: { kind: 'waiting' } },
  };
}

export function begun(state: ClusterState, { of, to }: Body<'switchover-begun'>): ClusterState {
  const { schedule } = state;
  if (schedule?.index !== of || schedule.phase.kind !== 'waiting') return state;
  return { ...state, schedule: { ...schedule, phase: { kind: 'begun', to } } };
}

/** Why such an entry changes nothing, or null. Cancelled is only what has not begun. */
export function whyNotEnded(
  { schedule }: Pick<ClusterState, 'schedule'>,
  { of, outcome }: Pick<Body<'switchover-ended'>, 'of' | 'outcome'>,
): string | null {
  if (schedule?.index !== of || schedule.phase.kind === 'ended')
    return `no switchover of entry ${of} is scheduled`;
  return outcome === 'cancelled' && schedule.phase.kind === 'begun' ? 'it has begun' : null;
}

export function ended(state: ClusterState, body: Body<'switchover-ended'>): ClusterState {
  const { schedule } = state;
  if (schedule === null || whyNotEnded(state, body) !== null) return state;
  const { outcome, why, who, at } = body;
  return { ...state, schedule: { ...schedule, phase: { kind: 'ended', outcome, why, who, at } } };
}

/** After every other entry: what has happened to the tenure that it was about, or to everything (H7). */
export function scheduleAfter(state: ClusterState): ClusterState {
  const { schedule, tenure } = state;
  if (schedule?.phase.kind !== 'waiting') return state;
  const isOver = state.forced !== null || tenure?.epoch !== schedule.epoch || tenure.released;
  const why =
    state.pause !== null
      ? `${state.pause.who} has paused the cluster (H7)`
      : isOver
        ? `epoch ${schedule.epoch}, which it was about, is over`
        : null;
  return why === null ? state : { ...state, schedule: { ...schedule, phase: { kind: 'void', why } } };
}

export type ScheduleProposal = Extract<
  Proposal,
  { kind: 'switchover-scheduled' | 'switchover-begun' | 'switchover-ended' }
>;

/** One decision per proposal. `isFull`: the log takes nothing inessential any more (D4); what ends one is bounded (`whyEndPending`). */
export function decideSchedule(node: CoreNode, body: ScheduleProposal, isFull: boolean): Decision {
  if (body.kind === 'switchover-scheduled') {
    const isHeld = node.hold.kind === 'held' && node.hold.epoch === body.epoch && node.mayHold;
    const why = isHeld
      ? (whyNotScheduled(node.state, body.epoch) ?? whyPending(node))
      : `${node.self} does not hold epoch ${body.epoch}`;
    if (why !== null) return { refused: why };
    return isFull ? { refused: 'the log is near its size limit (D4)' } : { body };
  }
  const { schedule } = node.state;
  if (body.kind === 'switchover-ended') {
    const why = whyNotEnded(node.state, body) ?? whyEndPending(node, body);
    return why === null ? { body } : { refused: why };
  }
  if (schedule?.index !== body.of || schedule.phase.kind === 'ended')
    return { refused: `no switchover of entry ${body.of} is scheduled` };
  if (schedule.phase.kind !== 'waiting') return { refused: 'it was begun before, or is called off' };
  return node.hold.kind === 'held' && node.hold.epoch === schedule.epoch && node.mayHold
    ? { body }
    : { refused: `${node.self} does not hold epoch ${schedule.epoch}` };
}

/** Two orders at the same moment: the second one would be void. */
function whyPending(node: CoreNode): string | null {
  return pendingBodies(node).some(({ kind }) => kind === 'switchover-scheduled')
    ? 'another switchover is just being scheduled'
    : null;
}

/** D4: what would be void is not written, so that each order has one end, and one more for each leader at most. */
function whyEndPending(node: CoreNode, { of, outcome }: Body<'switchover-ended'>): string | null {
  const pending = pendingBodies(node);
  if (pending.some((body) => body.kind === 'switchover-ended' && body.of === of))
    return 'its end is just being written';
  const isBeginning = pending.some((body) => body.kind === 'switchover-begun' && body.of === of);
  return outcome === 'cancelled' && isBeginning ? 'it is just being begun' : null;
}

function pendingBodies(node: CoreNode): readonly EntryBody[] {
  const pending = node.log.slice(logIndex(node.commitIndex + 1), Number.POSITIVE_INFINITY);
  return pending.map(({ body }) => body);
}
