/**
 * Switchovers at a later time: beginning the one that is due, by whoever leads then, and writing down what came of it.
 *
 * 1. What is to be done stands in the log (core/schedule.ts); here is only when. Nothing is begun before the log says so, and that
 *    it says once.
 * 2. Never late: past the grace that was ordered it has expired, and so it has where this host's clock was set by more than that
 *    between two looks. Wall clocks decide nothing else (T3): what is begun is a switchover like any other (R3).
 * 3. Only a leader that has applied everything of before looks at it, once a second and after each commit, while one is open. What
 *    was refused is tried again after a pause, so that nothing here keeps the event loop from what is urgent.
 * 4. Due while its leader is between two states (L7, another move) it waits for the end of that, within its grace.
 */
import type { Clock, Timer } from '../clock.ts';
import { assertNever, type LogIndex, type NodeId, openSchedule, type Schedule } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Driver } from './driver.ts';
import { requireHeldEpoch } from './refusals.ts';
import { Calm, endOf, isSteady } from './schedule-end.ts';
import { requireAll, type Switchover } from './switchover.ts';
import { holdsAfterTransfer } from './transfer-end.ts';

const LOOK_EVERY_MS = 1_000;
/** After a beginning that did not take place: doubled each time up to the usual look. */
const FIRST_PAUSE_MS = 250;
/** Characters of the log's sentence about an end. */
const MAX_WHY = 1_000;

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
  /** Beginnings in a row of one that were tried, for the pause after each. */
  #tried: { readonly index: LogIndex; readonly times: number } | null = null;
  readonly #calm: Calm;
  #isOver = false;

  constructor(options: SchedulesOptions) {
    this.#options = options;
    this.#calm = new Calm(options.clock);
  }

  end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  /** Not in the step that has committed something. */
  onCommitted(): void {
    if (openSchedule(this.#options.driver.view.state) !== null) this.#lookAfter(0);
  }

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
    if (!isSteady(this.#options.driver.view, schedule)) return;
    this.#running = schedule.index;
    const pauseMs = this.#pauseAfter(schedule.index);
    void this.#begin(schedule).finally(() => {
      this.#running = null;
      this.#lookAfter(pauseMs);
    });
  }

  #pauseAfter(index: LogIndex): number {
    const times = this.#tried?.index === index ? this.#tried.times : 0;
    this.#tried = { index, times: times + 1 };
    return Math.min(FIRST_PAUSE_MS * 2 ** times, LOOK_EVERY_MS);
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

  /** What became of one that another process has begun, as the log tells it, or as it stays. */
  #settle(schedule: Schedule, to: NodeId): void {
    const { view } = this.#options.driver;
    const end = endOf(view, schedule, to) ?? this.#calm.endOf(view, schedule, to);
    if (end !== null) this.#end(schedule, end.outcome, end.why);
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
