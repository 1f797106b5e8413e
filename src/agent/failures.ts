/**
 * Failures other than a node's death (H6): a takeover that fails half-way, a resource that is lost in spite of its repairs. The
 * tenure moves on to a node that may do better, and that says so of itself, with a back-off and a bound; otherwise it stays, and
 * is called degraded.
 */
import type { Logger } from 'pino';
import type { Clock, Timer } from '../clock.ts';
import type { CoreView, Epoch, Instant, NodeId } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import type { Fitness } from '../peer/index.ts';
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

export interface FailuresOptions {
  readonly driver: Driver;
  readonly executor: Pick<ExecutorClient, 'keep'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** What a node says of itself; null where its version does not say it. Rejects when it does not answer. */
  readonly fitnessOf: (node: NodeId) => Promise<Fitness | null>;
}

/** What the log was told: when, and whether it still waits for the end of it. */
interface Told {
  readonly at: Instant;
  isOpen: boolean;
}

/** Where the tenure may go, or why nowhere. */
type Place = { readonly to: NodeId } | { readonly whyNot: string };

export class Failures {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #executor: Pick<ExecutorClient, 'keep'>;
  readonly #log: Logger;
  readonly #fitnessOf: FailuresOptions['fitnessOf'];
  #failures = 0;
  /** The tenure whose takeover failed: it is moved away until that is done, or until everything is held after all. */
  #failedEpoch: Epoch | null = null;
  /** After a release that failed too, the executor looks after what it has taken back; before it, nobody does. */
  #isReconciled = false;
  #retry: Timer | null = null;
  /** Of one tenure: what it goes on without, and when the log was told about which resources. */
  #degraded: {
    readonly epoch: Epoch;
    readonly why: Map<string, string>;
    readonly told: Map<string, Told>;
  } | null = null;
  /** A better place is being looked for. */
  #isAsking = false;
  #lastFailureAt = Number.NEGATIVE_INFINITY;

  constructor({ driver, executor, clock, log, fitnessOf }: FailuresOptions) {
    this.#driver = driver;
    this.#executor = executor;
    this.#clock = clock;
    this.#log = log;
    this.#fitnessOf = fitnessOf;
  }

  /** What the tenure that this node holds goes on without, and why; nothing where all is well, or nothing is held. */
  get degraded(): ReadonlyMap<string, string> {
    const { view } = this.#driver;
    const { hold } = view;
    if (hold.kind !== 'held') return new Map();
    const why = hold.epoch === this.#degraded?.epoch ? this.#degraded.why : new Map<string, string>();
    return staysOutOfSync(view) ? new Map([...why, [OWN_DATA, OUT_OF_SYNC]]) : why;
  }

  end(): void {
    this.#retry?.cancel();
  }

  onProbes({ resources }: Event<'probes'>): void {
    const isWhole = resources.every(({ probe }) => probe === 'held');
    for (const name of this.#degraded?.why.keys() ?? [])
      if (isWhole || resources.some((one) => one.name === name && one.probe === 'held'))
        this.#recovered(name);
    if (isWhole && this.#isReconciled) this.#settle();
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
      steps: endingWith({ name: step, why }, steps).map(shortened),
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
    // The answer to the question that is open will do for this too, and if not: the next repair asks again.
    if (this.#failedEpoch === epoch || this.#isAsking) return;
    const what = `${name} is lost in spite of ${count === 1 ? 'a repair' : `${count} repairs`}: ${why}`;
    this.#isAsking = true;
    void this.#findPlace(MAX_MOVES).then((place) => {
      this.#isAsking = false;
      if (!this.#stillHolds(epoch) || this.#failedEpoch === epoch) return;
      if ('whyNot' in place) return this.#stay(epoch, { name, why: `${what}; ${place.whyNot}` });
      // mark: moved-for-a-failure
      this.#log.error({ event: 'move-away', epoch, why: what }, `${what}: ${place.to} shall try`);
      const refused = this.#driver.transfer({ kind: 'transfer', to: place.to, reason: 'failure' });
      if (refused !== null) this.#stay(epoch, { name, why: `${what}; ${refused}` });
    });
  }

  #stillHolds(epoch: Epoch): boolean {
    const { mayHold, hold } = this.#driver.view;
    return mayHold && hold.kind === 'held' && hold.epoch === epoch;
  }

  /** H6: in sync, there, and able by its own word. Who cannot be asked is not known to be able. Never rejects. */
  async #findPlace(mostMoves: number): Promise<Place> {
    const { view } = this.#driver;
    const isThere = (id: NodeId): boolean =>
      view.leadership?.lease.heardFrom(id, view.now - view.timing.leaseMs) ?? false;
    const others = view.voters.filter((id) => id !== view.self && view.mayTakeOver(id) && isThere(id));
    if (view.isPaused) return { whyNot: 'the cluster is paused: nothing moves by itself (H7)' };
    if (others.length === 0) return { whyNot: 'there is no other node that may hold' };
    if (this.#movesLately() >= mostMoves) return { whyNot: `${mostMoves} moves within an hour are enough` };
    const obstacles: string[] = [];
    for (const id of others) {
      const whyNot = await this.#whyUnfit(id);
      if (whyNot === null) return { to: id };
      obstacles.push(`${id} could not do better: ${whyNot}`);
    }
    // mark: nobody-fit
    return { whyNot: obstacles.join('; ') };
  }

  async #whyUnfit(id: NodeId): Promise<string | null> {
    try {
      const fitness = await this.#fitnessOf(id);
      return fitness === null || fitness.ok ? null : fitness.why;
    } catch (error) {
      return `it does not say how it is: ${error instanceof Error ? error.message : String(error)}`;
    }
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
    if (this.#degraded?.epoch !== epoch) this.#degraded = { epoch, why: new Map(), told: new Map() };
    this.#degraded.why.set(name, why);
    const now = this.#clock.now();
    if (now < (this.#degraded.told.get(name)?.at ?? Number.NEGATIVE_INFINITY) + TELL_EVERY_MS) return;
    const text = `degraded (epoch ${epoch}): ${why}`.slice(0, MAX_NOTE);
    if ('refused' in this.#driver.propose({ kind: 'note', text })) return;
    // mark: degraded
    this.#degraded.told.set(name, { at: now, isOpen: true });
  }

  /** Told where the trouble was told: whoever reads the log wants to know its end. */
  #recovered(name: string): void {
    const { epoch, told } = this.#degraded ?? {};
    if (this.#degraded?.why.delete(name) !== true || epoch === undefined) return;
    const what = `no longer degraded (epoch ${epoch}): ${name} is held again`;
    this.#log.info({ event: 'recovered', epoch, name }, what);
    const last = told?.get(name);
    if (last?.isOpen !== true) return;
    last.isOpen = false;
    this.#driver.propose({ kind: 'note', text: what });
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

  /** Until it is done: a transfer that is under way may yet be given up by the core, with everything still not taken. */
  #moveAway(epoch: Epoch, delayMs: number, failure: Failure): void {
    this.#retry?.cancel();
    this.#retry = this.#clock.after(delayMs, () => {
      if (!failure.isBegun && this.#driver.view.isPaused) return this.#waitForResume(epoch, failure);
      if (!failure.isBegun) return this.#hand(epoch, null, failure);
      void this.#findPlace(failure.mayPass ? 1 : MAX_MOVES).then((place) => {
        if ('to' in place) return this.#hand(epoch, place.to, failure);
        if (!this.#mustMove(epoch)) return;
        this.#settle();
        this.#stay(epoch, { ...failure, why: `${failure.why}; ${place.whyNot}` });
        this.#executor.keep(epoch);
      });
    });
  }

  /** H7: nothing is held, and nobody else may hold. It is said, and asked again until somebody resumes. */
  #waitForResume(epoch: Epoch, failure: Failure): void {
    if (!this.#mustMove(epoch)) return;
    const why = `${failure.why}; the cluster is paused: nothing moves by itself (H7)`;
    if (this.degraded.get(failure.name) !== why) this.#stay(epoch, { ...failure, why });
    this.#moveAway(epoch, FAILURE_BACK_OFF_MS.first, failure);
  }

  #mustMove(epoch: Epoch): boolean {
    const { hold } = this.#driver.view;
    return hold.kind === 'held' && hold.epoch === epoch && this.#failedEpoch === epoch;
  }

  #hand(epoch: Epoch, to: NodeId | null, failure: Failure): void {
    if (!this.#mustMove(epoch)) return;
    const refused = this.#driver.transfer({ kind: 'transfer', to, reason: 'failure' });
    const { promiseMs } = this.#driver.view.timing;
    // A transfer to a node that does not catch up is given up after the promise, without a word: then ask once more.
    this.#moveAway(epoch, FAILURE_BACK_OFF_MS.first + (refused === null ? promiseMs : 0), failure);
  }
}

/** No resource can be called so. */
const OWN_DATA = 'own data';
const OUT_OF_SYNC =
  'this node is not in sync and goes on with the data of another one, which may not take over (standby or pause)';

/** H3: otherwise it would be handing over. */
function staysOutOfSync(view: CoreView): boolean {
  return view.mayHold && !view.isEligible(view.self) && view.leadership?.transfer === null;
}

/** What failed is said last, whatever ended beside it; a refusal of the whole is no step of the plan. */
function endingWith(
  { name, why }: { readonly name: string; readonly why: string },
  steps: Event<'take-failed'>['steps'],
): Event<'take-failed'>['steps'] {
  const failed = steps.find((one) => one.name === name) ?? { name, ms: 0, result: why };
  return [...steps.filter((one) => one !== failed), failed];
}

function shortened<Step extends { readonly result: string }>(step: Step): Step {
  const { result } = step;
  return result.length <= MAX_RESULT ? step : { ...step, result: `${result.slice(0, MAX_RESULT - 1)}…` };
}
