/**
 * Failures other than a node's death (H6): a takeover that fails half-way, a resource that is lost in spite of its repairs. The
 * tenure moves on to a node that may do better, with a back-off and a bound; otherwise it stays, and is called degraded.
 *
 * Whether the other node's executor can hold is not known before it tries: one that cannot hands the leadership back by itself.
 */
import type { Logger } from 'pino';
import type { Clock, Timer } from '../clock.ts';
import type { Epoch, NodeId } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import type { Driver } from './driver.ts';

type Event<Kind extends ExecutorEvent['kind']> = Extract<ExecutorEvent, { kind: Kind }>;

/** A failed takeover is moved away at once the first time, then no sooner than this after the last one. */
const FAILURE_BACK_OFF_MS = { first: 1_000, most: 60_000 } as const;

/** H6: so many moves because of failures in an hour, of all nodes together. Beyond it a cluster only goes round in circles. */
const MAX_MOVES = 4;
const MOVES_WITHIN_MS = 3_600_000;
/** The step of a takeover at which an executor refuses the epoch as a whole. */
const GATE = 'gate';
const TELL_EVERY_MS = 3_600_000;
const MAX_NOTE = 2_000;
/** Limit of the log for what a step has said; the whole text is in the text log. */
const MAX_RESULT = 500;

interface Failure {
  /** Of the resource. */
  readonly name: string;
  readonly why: string;
  /** False: the executor has refused the epoch, so there is nothing that it could keep. */
  readonly isBegun: boolean;
  /** The cloud's failure more likely than this node's: one other node shall try, and then the one that has it stays. */
  readonly mayPass: boolean;
}

export class Failures {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #executor: Pick<ExecutorClient, 'keep'>;
  readonly #log: Logger;
  #failures = 0;
  /** The tenure whose takeover failed: it is moved away until that is done, or until everything is held after all. */
  #failedEpoch: Epoch | null = null;
  /** After a release that failed too, the executor looks after what it has taken back; before it, nobody does. */
  #isReconciled = false;
  #retry: Timer | null = null;
  /** The tenure that goes on although something is missing, and about which resources the log was told. */
  #degraded: { readonly epoch: Epoch; readonly told: Map<string, number> } | null = null;
  #lastFailureAt = Number.NEGATIVE_INFINITY;

  constructor(driver: Driver, executor: Pick<ExecutorClient, 'keep'>, clock: Clock, log: Logger) {
    this.#driver = driver;
    this.#executor = executor;
    this.#clock = clock;
    this.#log = log;
  }

  end(): void {
    this.#retry?.cancel();
  }

  onProbes({ resources }: Event<'probes'>): void {
    if (!resources.every(({ probe }) => probe === 'held')) return;
    if (this.#isReconciled) this.#settle();
  }

  onTaken({ epoch, steps, totalMs }: Event<'taken'>): void {
    this.#settle();
    this.#log.info(
      { event: 'taken', epoch, totalMs, steps },
      `holds everything after ${totalMs.toFixed(0)} ms`,
    );
    this.#driver.propose({
      kind: 'takeover-done',
      epoch,
      node: this.#driver.view.self,
      ok: true,
      totalMs,
      steps: steps.map(shortened),
      at: this.#clock.wallMs(),
    });
  }

  /** H6: release, and let an eligible node try; without one this node keeps what it has got, and goes on trying. */
  onTakeFailed({ epoch, step, why, mayPass, steps, totalMs }: Event<'take-failed'>): void {
    const { view } = this.#driver;
    this.#log.error({ event: 'take-failed', epoch, step, why }, `takeover failed at ${step}: ${why}`);
    if (!view.mayHold || view.hold.kind !== 'held' || view.hold.epoch !== epoch) return;
    this.#driver.propose({
      kind: 'takeover-done',
      epoch,
      node: view.self,
      ok: false,
      totalMs,
      steps: steps.map(shortened),
      at: this.#clock.wallMs(),
    });
    // mark: takeover-failed
    this.#failedEpoch = epoch;
    this.#isReconciled = false;
    const isBegun = step !== GATE;
    const failure = { name: step, why: `the takeover failed at ${step}: ${why}`, isBegun, mayPass };
    this.#moveAway(epoch, this.#nextDelayMs(), failure);
  }

  /** H6: something is lost again and again. Where another node may do better it gets the tenure; otherwise this one stays. */
  onRepairFailed({ epoch, name, count, why }: Event<'repair-failed'>): void {
    const { view } = this.#driver;
    if (!view.mayHold || view.hold.kind !== 'held' || view.hold.epoch !== epoch) return;
    if (this.#failedEpoch === epoch) return;
    const what = `${name} is lost in spite of ${count} repairs: ${why}`;
    const whyNot = this.#whyNotMove(MAX_MOVES);
    if (whyNot !== null) return this.#stay(epoch, { name, why: `${what}; ${whyNot}` });
    // mark: moved-for-a-failure
    this.#log.error({ event: 'move-away', epoch, why: what }, `${what}: another node shall try`);
    const refused = this.#driver.transfer({ kind: 'transfer', to: null, reason: 'failure' });
    if (refused !== null) this.#stay(epoch, { name, why: `${what}; ${refused}` });
  }

  #whyNotMove(mostMoves: number): string | null {
    const { view } = this.#driver;
    const isThere = (id: NodeId): boolean =>
      view.leadership?.lease.heardFrom(id, view.now - view.timing.leaseMs) ?? false;
    if (!view.voters.some((id) => id !== view.self && view.isEligible(id) && isThere(id)))
      return 'there is no other node that may hold';
    return this.#movesLately() < mostMoves ? null : `${mostMoves} moves within an hour are enough`;
  }

  /** Wall-clock times of all nodes: for this bound people's time is good enough (T3). */
  #movesLately(): number {
    const since = this.#clock.wallMs() - MOVES_WITHIN_MS;
    return this.#driver.view.log.all.filter(
      ({ body }) =>
        body.kind === 'tenure-released' && body.reason === 'failure' && (body.at ?? Infinity) >= since,
    ).length;
  }

  /** H6: "degraded". The log is told once an hour for each resource (D4); what a tenure lacks is in every status besides. */
  #stay(epoch: Epoch, { name, why }: Pick<Failure, 'name' | 'why'>): void {
    this.#log.error({ event: 'degraded', epoch, name, why }, `degraded: ${why}`);
    if (this.#degraded?.epoch !== epoch) this.#degraded = { epoch, told: new Map() };
    const now = this.#clock.now();
    if (now < (this.#degraded.told.get(name) ?? Number.NEGATIVE_INFINITY) + TELL_EVERY_MS) return;
    // mark: degraded
    this.#degraded.told.set(name, now);
    this.#driver.propose({ kind: 'note', text: `degraded (epoch ${epoch}): ${why}`.slice(0, MAX_NOTE) });
  }

  /** R1: the move away from a failed takeover could not release here either: again, later and later. */
  onReleaseFailed({ epoch }: Event<'release-failed'>): void {
    if (this.#failedEpoch !== epoch) return;
    // mark: release-failed-too
    this.#isReconciled = true;
    const why = 'it could not be released for a move';
    this.#moveAway(epoch, this.#nextDelayMs(), {
      name: 'release',
      why,
      isBegun: true,
      mayPass: false,
    });
  }

  #settle(): void {
    this.#failures = 0;
    this.#failedEpoch = null;
    this.#isReconciled = false;
  }

  #nextDelayMs(): number {
    const waitMs = Math.min(FAILURE_BACK_OFF_MS.first * 2 ** this.#failures, FAILURE_BACK_OFF_MS.most);
    const sinceLast = this.#clock.now() - this.#lastFailureAt;
    const delayMs = this.#failures === 0 ? 0 : Math.max(0, waitMs - sinceLast);
    this.#failures += 1;
    this.#lastFailureAt = this.#clock.now();
    return delayMs;
  }

  /** Until it is done: a transfer that is under way may yet be given up, with everything still not taken. */
  #moveAway(epoch: Epoch, delayMs: number, failure: Failure): void {
    this.#retry?.cancel();
    this.#retry = this.#clock.after(delayMs, () => {
      const { hold } = this.#driver.view;
      if (hold.kind !== 'held' || hold.epoch !== epoch || this.#failedEpoch !== epoch) return;
      const whyNot = this.#whyNotMove(failure.mayPass ? 1 : MAX_MOVES);
      if (whyNot !== null && failure.isBegun) {
        this.#settle();
        this.#stay(epoch, { ...failure, why: `${failure.why}; ${whyNot}` });
        return this.#executor.keep(epoch);
      }
      const refused = this.#driver.transfer({ kind: 'transfer', to: null, reason: 'failure' });
      if (refused !== null) this.#moveAway(epoch, FAILURE_BACK_OFF_MS.first, failure);
    });
  }
}

function shortened<Step extends { readonly result: string }>(step: Step): Step {
  const { result } = step;
  return result.length <= MAX_RESULT ? step : { ...step, result: `${result.slice(0, MAX_RESULT - 1)}…` };
}
