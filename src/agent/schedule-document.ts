/** A scheduled switchover as programs and people are told of it. */
import type { ScheduledSwitchover } from '../admin/index.ts';
import {
  applyEntry,
  type ClusterState,
  type CoreView,
  EMPTY_STATE,
  type Entry,
  type Epoch,
  type LogIndex,
  logIndex,
  type NodeId,
  type Schedule,
} from '../core/index.ts';
import type { QuorateError } from '../errors.ts';
import { isoTime, type RequestRecord } from '../state/index.ts';
import { refusedFor } from './refusals.ts';

/** Before it is written it has no index, and perhaps no tenure. */
type Written = Omit<Schedule, 'index' | 'epoch'> & {
  readonly index: LogIndex | null;
  readonly epoch: Epoch | null;
};

export function scheduleDocument(schedule: Written): ScheduledSwitchover {
  const { index, to, epoch, dueAt, graceMs, who, why, phase } = schedule;
  const end = phase.kind === 'ended' ? phase : null;
  return {
    ...{ id: index, to, epoch, who, why },
    at: isoTime(dueAt) ?? '',
    until: isoTime(dueAt + graceMs) ?? '',
    // One that was called off waits for nothing but the entry that says so.
    state: phase.kind === 'void' ? 'ended' : phase.kind,
    outcome: end?.outcome ?? (phase.kind === 'void' ? 'cancelled' : null),
    result: end === null ? (phase.kind === 'void' ? phase.why : null) : end.why,
  };
}

/**
 * For the status: one that is to come or under way; and one that came to nothing by itself, as long as the tenure goes on that it was
 * about: somebody waits for it. Null otherwise.
 */
export function scheduleToShow({ schedule, tenure }: ClusterState): ScheduledSwitchover | null {
  if (schedule === null) return null;
  const { phase } = schedule;
  if (phase.kind === 'ended') {
    const goesOn = tenure?.epoch === schedule.epoch && !tenure.released;
    if (phase.who !== null || phase.outcome === 'done' || !goesOn) return null;
  }
  return scheduleDocument(schedule);
}

/**
 * Of an order that is asked again.
 * @throws QuorateError `refused-unsafe` for a cancelling that came too late
 */
export function scheduleAgain(
  { log, commitIndex, self }: Pick<CoreView, 'log' | 'commitIndex' | 'self'>,
  { index, kind, outcome }: RequestRecord,
): ScheduledSwitchover | null {
  if (outcome.kind === 'failed')
    throw refusedCancel(self, `it was asked before (entry ${index}): ${outcome.why}`);
  const asked = log.at(index)?.body;
  const of = kind === 'switchover-cancel' && asked?.kind === 'switchover-ended' ? asked.of : index;
  const schedule = scheduleOf(log.slice(logIndex(1), commitIndex), of);
  if (schedule !== null) return scheduleDocument(schedule);
  const body = log.at(of)?.body;
  if (body?.kind !== 'switchover-scheduled') return null;
  const why = 'its entry was void';
  return scheduleDocument({
    ...body,
    ...{ index: of, phase: { kind: 'ended', outcome: 'refused', why, who: null, at: null } },
  });
}

/** As the log left it when the next one came: not every entry that ends one counts. */
function scheduleOf(entries: readonly Entry[], of: LogIndex): Schedule | null {
  let state = EMPTY_STATE;
  let found: Schedule | null = null;
  for (const entry of entries) {
    state = applyEntry(state, entry);
    if (state.schedule?.index === of) found = state.schedule;
    else if (found !== null) break;
  }
  return found;
}

export function refusedCancel(self: NodeId, detail: string): QuorateError {
  return refusedFor('cancelling was', [{ name: 'scheduled', ok: false, detail }], self, 'refused-unsafe');
}
