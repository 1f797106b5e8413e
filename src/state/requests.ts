/**
 * Which of the operators' requests the log has seen, by the ids that their callers gave, and what became of each: so that one
 * that is repeated, also to the next leader, is not done twice. A fold over committed entries, in order.
 *
 * Invariants: at most `MAX_REQUESTS` are known, the newest; an id is known once, by its first entry; what has ended stays so.
 */
import {
  applyEntry,
  type ClusterState,
  EMPTY_STATE,
  type Entry,
  type EntryBody,
  type Epoch,
  type LogIndex,
  type NodeId,
  type Term,
  whyNotEnded,
} from '../core/index.ts';
import { acceptedLoss } from './data-loss.ts';

/** An id that was used longer ago than so many others is forgotten. */
export const MAX_REQUESTS = 1024;

export type RequestKind =
  | 'switchover'
  | 'failover'
  | 'pause'
  | 'resume'
  | 'standby'
  | 'activate'
  | 'restart'
  | 'members-add'
  | 'members-promote'
  | 'members-remove'
  | 'settings'
  | 'switchover-schedule'
  | 'switchover-cancel';

export type RequestOutcome =
  /** Written, and the takeover that it is about has not ended. */
  | { readonly kind: 'open' }
  /** `takeover`: the entry that says how long its steps took; null where there was nothing to move. */
  | { readonly kind: 'done'; readonly epoch: Epoch | null; readonly takeover: LogIndex | null }
  | { readonly kind: 'failed'; readonly why: string };

export interface RequestRecord {
  readonly id: string;
  /** Of its entry. */
  readonly index: LogIndex;
  readonly kind: RequestKind;
  /** What it was about; null: the whole cluster. */
  readonly node: NodeId | null;
  /** Who held when it was written. */
  readonly from: NodeId | null;
  readonly outcome: RequestOutcome;
}

export interface RequestMemory {
  /** Oldest first. */
  readonly records: readonly RequestRecord[];
  /** `term`: in which it holds. A later leader's log may still have it open. */
  readonly holder: { readonly node: NodeId; readonly epoch: Epoch; readonly term: Term } | null;
  /** What the entries so far mean: an order that changes nothing by them has failed. */
  readonly state: ClusterState;
}

export const NO_REQUESTS: RequestMemory = { records: [], holder: null, state: EMPTY_STATE };

export function rememberRequests(memory: RequestMemory, entry: Entry): RequestMemory {
  const holder = holderAfter(memory, entry);
  let records = memory.records;
  if (records.some(({ outcome }) => outcome.kind === 'open'))
    records = records.map((record) => follow(record, entry));
  const began = requestOf(memory, entry);
  if (began !== null && !records.some(({ id }) => id === began.id))
    records = [...records, began].slice(-MAX_REQUESTS);
  return { records, holder, state: applyEntry(memory.state, entry) };
}

/** The id that an entry carries, committed or not; null where it has none. */
export function requestIdOf(body: EntryBody): string | null {
  if (body.kind === 'config') return body.change?.request ?? null;
  return 'request' in body ? (body.request ?? null) : null;
}

/** Whether it was the same that is asked now. A node that is not named now is whichever was found then. */
export function isSameRequest(record: RequestRecord, kind: RequestKind, node: NodeId | null): boolean {
  return record.kind === kind && (node === null || record.node === node);
}

function holderAfter({ holder }: RequestMemory, { index, term, body }: Entry): RequestMemory['holder'] {
  if (body.kind === 'tenure-granted') return { node: body.node, epoch: index as number as Epoch, term };
  if (body.kind === 'tenure-adopted' && body.epoch === holder?.epoch) return { ...holder, term };
  return body.kind === 'tenure-released' && body.epoch === holder?.epoch ? null : holder;
}

const DONE: RequestOutcome = { kind: 'done', epoch: null, takeover: null };
const OPEN: RequestOutcome = { kind: 'open' };

function requestOf({ holder, state }: RequestMemory, { index, term, body }: Entry): RequestRecord | null {
  const id = requestIdOf(body);
  if (id === null) return null;
  const from = holder?.node ?? null;
  switch (body.kind) {
    case 'operator':
      // A failover that accepts a loss of snapshots outdates nobody, so that its entry is an operator's word (O3).
      return {
        ...{ id, index, node: body.to ?? null, from, outcome: OPEN },
        kind: acceptedLoss(body.action) === null ? 'switchover' : 'failover',
      };
    case 'forced':
      return { id, index, kind: 'failover', node: body.node, from, outcome: OPEN };
    case 'pause':
      return { id, index, kind: body.paused ? 'pause' : 'resume', node: null, from, outcome: DONE };
    case 'config': {
      if (body.change === undefined) return null;
      const { what, node } = body.change;
      const kind = what === 'settings' ? what : (`members-${what}` as const);
      return { id, index, kind, node, from, outcome: DONE };
    }
    case 'standby': {
      // The holder's standby is a switchover, too; not that of one who held under an earlier leader.
      const isHolder = from === body.node && holder?.term === term;
      const outcome = body.standby && isHolder ? OPEN : DONE;
      return { id, index, kind: body.standby ? 'standby' : 'activate', node: body.node, from, outcome };
    }
    case 'switchover-scheduled':
      return { id, index, kind: 'switchover-schedule', node: body.to, from, outcome: DONE };
    case 'switchover-ended': {
      const why = whyNotEnded(state, body);
      const outcome = why === null ? DONE : ({ kind: 'failed', why } as const);
      return { id, index, kind: 'switchover-cancel', node: null, from, outcome };
    }
    case 'restart-begun':
      return { id, index, kind: 'restart', node: body.node, from, outcome: OPEN };
    default:
      return null;
  }
}

/** What an entry says about a request that has not ended. */
function follow(record: RequestRecord, { index, body }: Entry): RequestRecord {
  if (record.outcome.kind !== 'open') return record;
  const end = (outcome: RequestOutcome): RequestRecord => ({ ...record, outcome });
  // Of a standby the other one is wanted, whoever that is.
  const isWanted = (node: NodeId): boolean => (record.kind === 'standby') !== (node === record.node);
  switch (body.kind) {
    case 'tenure-adopted':
      if (record.kind !== 'restart' || body.node !== record.node) return record;
      return end({ kind: 'done', epoch: body.epoch, takeover: null });
    case 'tenure-released':
      return record.kind === 'restart' && body.node === record.node
        ? end({ kind: 'failed', why: `${body.node} has released` })
        : record;
    case 'tenure-granted':
      if (record.kind === 'restart') return end({ kind: 'failed', why: `${body.node} holds anew` });
      return isWanted(body.node) ? record : end({ kind: 'failed', why: `${body.node} holds` });
    case 'takeover-done': {
      if (record.kind === 'restart') return record;
      if (body.epoch < record.index || !isWanted(body.node)) return record;
      if (body.ok) return end({ kind: 'done', epoch: body.epoch, takeover: index });
      return end({
        kind: 'failed',
        why: `${body.node} could not take over: ${body.steps.at(-1)?.result ?? ''}`,
      });
    }
    case 'operator-result':
      return body.of === record.index && !body.ok ? end({ kind: 'failed', why: body.result }) : record;
    case 'standby':
      return record.kind === 'standby' && body.node === record.node && !body.standby
        ? end({ kind: 'failed', why: body.why })
        : record;
    default:
      return record;
  }
}
