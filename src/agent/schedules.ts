/**
 * Switchovers at a later time: ordering and cancelling one, and beginning the one that is due, by whoever leads then.
 *
 * 1. What is to be done stands in the log (core/schedule.ts); here is only when. Nothing is begun before the log says so, and that
 *    it says once.
 * 2. Never late: past the grace that was ordered it has expired, and so it has where this host's clock was set by more than that
 *    between two looks. Wall clocks decide nothing else (T3): what is begun is a switchover like any other (R3).
 * 3. Only a leader that has applied everything of before looks at it, once a second and after each commit, while one is open.
 */
import type { CancelOrder, CancelOutcome, ScheduleOrder, ScheduleOutcome } from '../admin/index.ts';
import type { Clock, Timer } from '../clock.ts';
import {
  assertNever,
  durationMs,
  type LogIndex,
  type NodeId,
  openSchedule,
  type Schedule,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Driver } from './driver.ts';
import { reasonOf } from './reason.ts';
import { refusedFor, requireHeldEpoch } from './refusals.ts';
import { scheduleDocument } from './schedule-document.ts';
import { requireAll, type Switchover } from './switchover.ts';
import { holdsAfterTransfer } from './transfer-end.ts';

/** Stated in the entry, so that every leader goes by the same. */
export const SCHEDULE_GRACE_MS = 60_000;
const MAX_AHEAD_MS = 30 * 86_400_000;
const LOOK_EVERY_MS = 1_000;
/** Characters of the log's sentence about an end. */
const MAX_WHY = 1_000;
/** What is wrong now and will not be better then. The rest is for the operator to see to before that. */
const LASTING_CHECKS: ReadonlySet<string> = new Set(['leader', 'data node', 'other node', 'not paused']);

export interface SchedulesOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly switchover: Pick<Switchover, 'target' | 'checks' | 'checksOfBest' | 'move'>;
  readonly limitMs: number;
}

export class Schedules {
  readonly #options: SchedulesOptions;
  #timer: Timer | null = null;
  /** The one whose move this process has under way. */
  #running: LogIndex | null = null;
  /** The entry that ends one, until it is committed. */
  #ending: LogIndex | null = null;
  /** At the last look: when it is due by the clock that nobody sets. */
  #seen: { readonly index: LogIndex; readonly dueNow: number } | null = null;
  #isOver = false;

  /** Orders are of whoever leads: `not-leader` is the caller's to say. */
  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  /** Not in the step that has committed something. */
  onCommitted(): void {
    if (openSchedule(this.#options.driver.view.state) !== null) this.#lookAfter(0);
  }

  // --- orders ---

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
    await driver.commit(
      {
        ...{ kind: 'switchover-ended', of: open.index, outcome: 'cancelled', who: order.who },
        ...{ why: reasonOf(order.why), request: order.requestId || null, at: clock.wallMs() },
      },
      limitMs,
    );
    const after = driver.view.state.schedule;
    if (after?.index === open.index && after.phase.kind === 'begun')
      throw refusedCancel(driver.view.self, `the switchover of entry ${open.index} has begun`);
    const ended = after?.index === open.index ? after : open;
    return { schedule: scheduleDocument(ended), alreadyDone: false };
  }

  // --- carrying it out ---

  #lookAfter(ms: number): void {
    this.#timer?.cancel();
    if (!this.#isOver) this.#timer = this.#options.clock.after(ms, () => this.#look());
  }

  #look(): void {
    this.#timer = null;
    const { view } = this.#options.driver;
    const schedule = openSchedule(view.state);
    const { leadership, commitIndex, isWitness } = view;
    const isSettled =
      leadership !== null && !leadership.renounced && commitIndex >= leadership.firstIndex && !isWitness;
    if (schedule === null || !isSettled || this.#isOver) return;
    this.#lookAfter(LOOK_EVERY_MS);
    if (this.#running !== null || (this.#ending !== null && this.#ending > commitIndex)) return;
    const { phase } = schedule;
    switch (phase.kind) {
      case 'void':
        return this.#end(schedule, 'cancelled', phase.why);
      case 'begun':
        return this.#settle(schedule, phase.to);
      case 'waiting':
        return this.#wait(schedule);
      case 'ended':
        return;
      default:
        return assertNever(phase);
    }
  }

  #wait(schedule: Schedule): void {
    const { clock } = this.#options;
    const why = this.#whyLate(schedule);
    if (why !== null) return this.#end(schedule, 'expired', why);
    const leftMs = schedule.dueAt - clock.wallMs();
    if (leftMs > 0) return this.#lookAfter(Math.min(leftMs, LOOK_EVERY_MS));
    this.#running = schedule.index;
    void this.#begin(schedule).finally(() => {
      this.#running = null;
      this.#lookAfter(0);
    });
  }

  /** A clock that was set is not believed before or after: what is planned can be ordered again. */
  #whyLate({ index, dueAt, graceMs }: Schedule): string | null {
    const { clock, driver } = this.#options;
    const leftMs = dueAt - clock.wallMs();
    const dueNow = clock.now() + leftMs;
    const setByMs = this.#seen?.index === index ? dueNow - this.#seen.dueNow : 0;
    this.#seen = { index, dueNow };
    if (Math.abs(setByMs) > graceMs)
      return `the clock of ${driver.view.self} was set by ${Math.round(-setByMs / 1000)} s`;
    if (leftMs >= -graceMs) return null;
    return `it was ${Math.round(-leftMs / 1000)} s late when a leader could have begun it, and ${graceMs / 1000} s are allowed`;
  }

  /** Never rejects. */
  async #begin(schedule: Schedule): Promise<void> {
    const { driver, clock, switchover, limitMs } = this.#options;
    try {
      const to = schedule.to ?? switchover.target();
      requireAll(`switchover to ${to}`, to, switchover.checks(to));
      await driver.commit({ kind: 'switchover-begun', of: schedule.index, to, at: clock.wallMs() }, limitMs);
      const now = driver.view.state.schedule;
      // Called off by an entry before it, which the next look sees.
      if (now?.index !== schedule.index || now.phase.kind !== 'begun') return;
      const why = this.#whyLate(schedule);
      if (why !== null) return this.#end(schedule, 'expired', why);
      requireHeldEpoch(driver.view, schedule.epoch);
      await switchover.move(to, []);
    } catch (error) {
      const isKnown = error instanceof QuorateError;
      // Whether it is committed is for the next look, or the next leader, to see in the log.
      if (driver.view.state.schedule?.phase.kind === 'begun' && !(await holdsAfterTransfer(driver, clock)))
        return;
      if (
        isKnown &&
        error.code === 'timed-out-unknown' &&
        openSchedule(driver.view.state)?.phase.kind === 'waiting'
      )
        return;
      this.#end(schedule, 'refused', isKnown ? error.message : String(error));
    }
  }

  /** What became of one that another process has begun, as the log tells it. */
  #settle(schedule: Schedule, to: NodeId): void {
    const { view } = this.#options.driver;
    const { tenure } = view.state;
    if (tenure === null) return;
    if (tenure.epoch === schedule.epoch) {
      if (tenure.released || view.hold.kind !== 'held' || view.leadership?.transfer !== null) return;
      return this.#end(schedule, 'refused', `${tenure.node} holds as before: the move was not finished`);
    }
    if (tenure.node !== to)
      return this.#end(schedule, 'refused', `it did not reach ${to}: ${tenure.node} holds`);
    if (tenure.isTaken) this.#end(schedule, 'done', `${to} holds, epoch ${tenure.epoch}`);
  }

  /** Refused (a voter of an older version answers, say), it is said again at the next look. */
  #end(schedule: Schedule, outcome: 'done' | 'cancelled' | 'expired' | 'refused', why: string): void {
    const { driver, clock } = this.#options;
    const result = driver.propose({
      ...{ kind: 'switchover-ended', of: schedule.index, outcome, who: null, why: why.slice(0, MAX_WHY) },
      ...{ request: null, at: clock.wallMs() },
    });
    this.#ending = 'refused' in result ? null : result.index;
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

function refusedCancel(self: NodeId, detail: string): QuorateError {
  return refusedFor('cancelling was', [{ name: 'scheduled', ok: false, detail }], self, 'refused-unsafe');
}
