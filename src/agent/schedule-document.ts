/** A scheduled switchover as programs and people are told of it. */
import type { ScheduledSwitchover } from '../admin/index.ts';
import type { ClusterState, CoreView, Epoch, LogIndex, Schedule } from '../core/index.ts';
import { isoTime, type RequestRecord } from '../state/index.ts';

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

/** Of an order that is asked again. */
export function scheduleAgain(
  { log, state }: Pick<CoreView, 'log' | 'state'>,
  { index, kind }: RequestRecord,
): ScheduledSwitchover | null {
  const asked = log.at(index)?.body;
  const of = kind === 'switchover-cancel' && asked?.kind === 'switchover-ended' ? asked.of : index;
  if (state.schedule?.index === of) return scheduleDocument(state.schedule);
  const body = log.at(of)?.body;
  if (body?.kind !== 'switchover-scheduled') return null;
  const end = log.all.find((entry) => entry.body.kind === 'switchover-ended' && entry.body.of === of)?.body;
  const ended =
    end?.kind === 'switchover-ended'
      ? { outcome: end.outcome, why: end.why, who: end.who, at: end.at }
      : { outcome: 'refused' as const, why: 'its entry was void', who: null, at: null };
  return scheduleDocument({ ...body, index: of, phase: { kind: 'ended', ...ended } });
}
