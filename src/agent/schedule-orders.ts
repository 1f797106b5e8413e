/** Ordering a switchover at a later time, and cancelling it. Orders are of whoever leads: `not-leader` is the caller's to say. */
import type { CancelOrder, CancelOutcome, ScheduleOrder, ScheduleOutcome } from '../admin/index.ts';
import { durationMs, type LogIndex, type NodeId, openSchedule } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { reasonOf } from './reason.ts';
import { refusedFor, requireHeldEpoch } from './refusals.ts';
import { refusedCancel, scheduleDocument } from './schedule-document.ts';
import type { SchedulesOptions } from './schedules.ts';
import { requireAll } from './switchover.ts';

/** Stated in the entry, so that every leader goes by the same. */
export const SCHEDULE_GRACE_MS = 60_000;
const MAX_AHEAD_MS = 30 * 86_400_000;
/** What is wrong now and will not be better then. The rest is for the operator to see to before that. */
const LASTING_CHECKS: ReadonlySet<string> = new Set(['leader', 'data node', 'other node', 'not paused']);

export class ScheduleOrders {
  readonly #options: SchedulesOptions;

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  async schedule(order: ScheduleOrder): Promise<ScheduleOutcome> {
    const { driver, clock, switchover, limitMs } = this.#options;
    const { to, who, requestId } = order;
    const why = reasonOf(order.why);
    requireHeldEpoch(driver.view, order.expectedEpoch);
    const at = clock.wallMs();
    const dueAt = dueAtOf(order.when, at);
    const checks = to === null ? switchover.checksOfBest() : switchover.checks(to);
    const { hold } = driver.view;
    const terms = { to, dueAt, graceMs: durationMs(SCHEDULE_GRACE_MS), who, why, at };
    const epoch = hold.kind === 'held' ? hold.epoch : null;
    if (order.dryRun || epoch === null) {
      const schedule = scheduleDocument({ ...terms, index: null, epoch, phase: { kind: 'waiting' } });
      if (order.dryRun) return { dryRun: true, schedule, checks, alreadyDone: false };
    }
    const subject = to ?? driver.view.self;
    requireAll(
      'a switchover at that time',
      subject,
      checks.filter(({ name }) => LASTING_CHECKS.has(name)),
    );
    if (epoch === null) throw new QuorateError('refused-unsafe', `${driver.view.self} does not hold`);
    const request = requestId === '' ? null : requestId;
    const index = await driver.commit({ kind: 'switchover-scheduled', ...terms, epoch, request }, limitMs);
    const { schedule } = driver.view.state;
    if (schedule?.index !== index)
      throw refusedFor(
        `the switchover of entry ${index} was`,
        [{ name: 'epoch', ok: false, detail: 'what came before it in the log has made it void' }],
        subject,
        'refused-unsafe',
      );
    return { dryRun: false, schedule: scheduleDocument(schedule), checks, alreadyDone: false };
  }

  /** Rejects `refused-unsafe` where it has begun, or there is none. */
  async cancel(order: CancelOrder): Promise<CancelOutcome> {
    const { driver, clock, limitMs } = this.#options;
    const open = openSchedule(driver.view.state);
    if (open === null || (order.id !== null && open.index !== order.id)) {
      const which = order.id === null ? 'no switchover' : `no switchover of entry ${order.id}`;
      throw refusedCancel(driver.view.self, `${which} is scheduled`);
    }
    // Seen here, it needs no entry: nothing would count that came after the beginning.
    if (open.phase.kind === 'begun') throw hasBegun(driver.view.self, open.index);
    await driver.commit(
      {
        ...{ kind: 'switchover-ended', of: open.index, outcome: 'cancelled', who: order.who },
        ...{ why: reasonOf(order.why), request: order.requestId || null, at: clock.wallMs() },
      },
      limitMs,
    );
    const after = driver.view.state.schedule;
    if (after?.index === open.index && after.phase.kind === 'begun')
      throw hasBegun(driver.view.self, open.index);
    const ended = after?.index === open.index ? after : open;
    return { schedule: scheduleDocument(ended), alreadyDone: false };
  }
}

function dueAtOf(when: ScheduleOrder['when'], wallMs: number): number {
  const dueAt = Math.round(when.kind === 'at' ? when.ms : wallMs + when.ms);
  if (dueAt <= wallMs) {
    const now = new Date(wallMs).toISOString();
    throw new QuorateError('usage', `that time is past: it is ${now} by the clock of the leader`);
  }
  if (!(dueAt - wallMs <= MAX_AHEAD_MS))
    throw new QuorateError(
      'usage',
      `a switchover is scheduled for the next ${MAX_AHEAD_MS / 86_400_000} days`,
    );
  return dueAt;
}

function hasBegun(self: NodeId, index: LogIndex): QuorateError {
  return refusedCancel(self, `the switchover of entry ${index} has begun`);
}
