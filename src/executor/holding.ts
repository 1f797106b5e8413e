/**
 * What is held: taken, given up, and taken back where it could not be given up. One plan at a time; whether one may go on is the guard's
 * word, and after every wait the tenure may have ended.
 */
import { type Epoch, type Instant, instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { lastSnapshotEvidence } from '../state/index.ts';
import { type Plan, type PlanReport, planRelease, planTakeover } from '../takeover/index.ts';
import type { ConnectedAgent, ExecutorOptions, Tenure } from './executor-options.ts';
import type { Released } from './guard-protocol.ts';
import type { Duty, Lookout } from './lookout.ts';
import { type PlanOrder, PlanPerformer } from './plan-performer.ts';
import { clip, type Order, words } from './protocol.ts';

/** A planned release has two minutes for everything (`PLANNED_RELEASE_LIMIT_MS` of the core). */
const LAST_SNAPSHOT_LIMIT_MS = 60_000;
/** As the step of a release that failed is called. */
const LAST_SNAPSHOT = 'last snapshot';
/** The cloud has answered, and said no for good. */
const REFUSALS: ReadonlySet<string> = new Set(['cloud-refused', 'address-held-elsewhere']);

export class Holding {
  readonly #options: ExecutorOptions;
  readonly #lookout: Pick<Lookout, 'setHolding' | 'look'>;
  readonly #plans: PlanPerformer;
  #tenure: Tenure | null = null;
  /** What the other side has said to have before the planned release of this epoch ended. */
  #lastSent: { readonly epoch: Epoch; readonly snapshot: string } | null = null;

  constructor(options: ExecutorOptions, lookout: Pick<Lookout, 'setHolding' | 'look'>) {
    this.#options = options;
    this.#lookout = lookout;
    this.#plans = new PlanPerformer(options);
  }

  get tenure(): Tenure | null {
    return this.#tenure;
  }

  /** A takeover, a release or a repair runs. */
  get isBusy(): boolean {
    return this.#plans.isBusy;
  }

  /** Only what was taken, and is not being given up, is looked after. */
  dutyOf(tenure: Tenure): Duty {
    if (!tenure.isTaken || tenure.isReleasing || tenure.isKept) return { kind: 'none' };
    return {
      kind: 'tenure',
      epoch: tenure.epoch,
      repair: (plan, signal) => this.#run(plan, tenure, laterIn(tenure), signal),
    };
  }

  /** The watchdog, before there is anything to hold (H2). */
  async arm(id: number): Promise<void> {
    try {
      await this.#options.guard.ask({ op: 'arm' });
      this.#options.send({ kind: 'armed', id });
    } catch (error) {
      this.#options.send({ kind: 'arm-failed', id, why: words(error) });
    }
  }

  async take(agent: ConnectedAgent, order: Extract<Order, { kind: 'take' }>): Promise<void> {
    const { epoch, term, until, previousReleased, hasProof, isForced } = order;
    const startedAt = this.#options.clock.now();
    const fail = (step: string, why: string, report: PlanReport | null = null): void =>
      this.#options.send({
        kind: 'take-failed',
        epoch,
        step,
        why: clip(why),
        mayPass: report !== null && this.#mayPass(report),
        steps: clipped(report?.steps ?? []),
        totalMs: rounded(this.#options.clock.now() - startedAt),
      });
    if (!agent.isReady) return fail('gate', 'the executor has not verified yet that nothing is held');
    if (this.#tenure !== null) return fail('gate', `epoch ${this.#tenure.epoch} has not ended`);
    const tenure: Tenure = {
      epoch,
      abort: new AbortController(),
      hasProof,
      isForced,
      isTaken: false,
      isReleasing: false,
      isKept: false,
    };
    this.#tenure = tenure;
    agent.lastTake = { epoch, term };
    agent.isPreparing = false;
    try {
      await this.#options.guard.ask({ op: 'begin', epoch, term, until });
    } catch (error) {
      if (this.#tenure === tenure) this.#tenure = null;
      return fail('gate', words(error));
    }
    // Everything local was just verified as released; an acquire of the cloud looks for itself.
    const plan = planTakeover(this.#options.graph, new Map());
    const report = await this.#run(plan, tenure, { previousReleased, proof: hasProof ? 'fresh' : 'none' });
    if (report.outcome !== 'done' || this.#tenure !== tenure) {
      const step = report.failure?.step ?? 'lease';
      return fail(
        step,
        report.failure?.why ?? 'called off: the lease ended or a release was ordered',
        report,
      );
    }
    tenure.isTaken = true;
    this.#lookout.setHolding(true);
    const { steps, totalMs } = report;
    this.#options.log('info', { event: 'taken', epoch, totalMs, steps });
    this.#options.send({ kind: 'taken', epoch, steps: clipped(steps), totalMs });
    this.#options.prepareStatement?.(agent.members);
    this.#options.replicator?.send(epoch);
    this.#lookout.look();
  }

  /** Complaints 1 and 2: throttling and outages of the cloud's interface are not this node's failure. */
  #mayPass({ failure }: PlanReport): boolean {
    if (failure === null || !this.#options.cloud.has(failure.step)) return false;
    return !(failure.error instanceof QuorateError && REFUSALS.has(failure.error.code));
  }

  async release(epoch: Epoch, mode: 'planned' | 'abrupt'): Promise<void> {
    const tenure = this.#tenure;
    if (mode === 'abrupt' || tenure === null || tenure.epoch !== epoch) {
      if (tenure !== null && tenure.epoch <= epoch) this.end();
      const released = await this.#options.guard.ask({ op: 'abrupt', epoch, why: 'ordered' });
      // A release that took place now is reported by the guard itself; one of the past is told again.
      if (released.isRepeat) this.sendReleased(released);
      return;
    }
    if (tenure.isReleasing) return;
    tenure.isReleasing = true;
    this.#lastSent = null;
    const startedAt = this.#options.clock.now();
    const sendingEnds = this.#options.replicator?.stop();
    // mark: release-calls-off
    // A takeover or repair that runs is called off first: one plan at a time.
    tenure.abort.abort();
    await this.#plans.settled();
    if (sendingEnds !== undefined) await sendingEnds;
    if (this.#tenure !== tenure) return;
    void this.#options.guard
      .ask({ op: 'call-off', epoch })
      .catch((error) => this.#warn('call-off-failed', error));
    const going: Tenure = { ...tenure, abort: new AbortController(), isReleasing: true };
    this.#tenure = going;
    const report = await this.#run(planRelease(this.#options.graph, new Map(), 'planned'), going);
    this.#options.log('info', {
      event: 'planned-release',
      epoch,
      outcome: report.outcome,
      steps: report.steps,
    });
    if (this.#tenure !== going) return;
    const last = report.outcome === 'done' ? await this.#sendLast(going) : null;
    if (this.#tenure !== going) return;
    if (report.outcome === 'done' && last?.why === undefined) {
      this.#lastSent = last === null ? null : { epoch, snapshot: last.snapshot };
      await this.#options.guard.ask({ op: 'finish', epoch });
      return;
    }
    const failure =
      last?.why === undefined ? report.failure : { step: LAST_SNAPSHOT, why: last.why, error: null };
    await this.#takeBack(going, { ...report, failure }, startedAt);
  }

  /** Null where nothing is replicated by snapshots; or why the other node would lack what was written last: then the role stays (R1). */
  async #sendLast({
    epoch,
    abort,
  }: Tenure): Promise<{ snapshot: string; why?: undefined } | { why: string } | null> {
    const { graph, lastSnapshot, clock } = this.#options;
    if (!graph.some(({ kind }) => kind === 'replicated-pool')) return null;
    if (lastSnapshot === undefined)
      return { why: 'nothing sends snapshots here: the other node lacks what was written last' };
    const deadline = instant(clock.now() + LAST_SNAPSHOT_LIMIT_MS);
    const over = new AbortController();
    const signal = AbortSignal.any([abort.signal, over.signal]);
    const late = clock.sleep(LAST_SNAPSHOT_LIMIT_MS, signal).then((): never => {
      throw new QuorateError('command-timed-out', `was not sent within ${LAST_SNAPSHOT_LIMIT_MS} ms`);
    });
    try {
      return { snapshot: await Promise.race([lastSnapshot({ epoch, deadline, signal }), late]) };
    } catch (error) {
      return { why: `the last snapshot: ${words(error)}` };
    } finally {
      over.abort();
      late.catch(() => undefined);
    }
  }

  /** R1: if a step cannot end (a busy mount), what was given up is acquired again, and that is reported. */
  async #takeBack(tenure: Tenure, report: PlanReport, startedAt: Instant): Promise<void> {
    const { epoch } = tenure;
    const again = await this.#run(planTakeover(this.#options.graph, new Map()), tenure);
    if (this.#tenure !== tenure) return;
    tenure.isReleasing = false;
    // mark: taken-back
    // Whatever could not be taken back is for the reconcile loop, also in a tenure whose takeover had failed (H4).
    tenure.isTaken = true;
    this.#lookout.setHolding(true);
    if (again.outcome === 'done') this.#options.replicator?.send(epoch);
    const step = report.failure?.step ?? 'lease';
    const outcome =
      again.outcome === 'done' ? 'everything is held again' : `and ${again.failure?.why ?? again.outcome}`;
    const why = `${report.failure?.why ?? 'called off'}; ${outcome}`;
    this.#options.log('error', {
      event: 'release-failed',
      epoch,
      step,
      why,
      ms: this.#options.clock.now() - startedAt,
    });
    this.#options.send({ kind: 'release-failed', epoch, step, why: clip(why) });
  }

  /** H6: what a failed takeover has got stays; the reconcile loop tries the rest, again and again. */
  keep(epoch: Epoch): void {
    const tenure = this.#tenure;
    if (tenure === null || tenure.epoch !== epoch || tenure.isReleasing || tenure.isTaken) return;
    tenure.isTaken = true;
    this.#lookout.setHolding(true);
    this.#options.log('warn', { event: 'degraded', epoch });
    this.#lookout.look();
  }

  end(): void {
    const tenure = this.#tenure;
    if (tenure === null) return;
    this.#tenure = null;
    void this.#options.replicator?.stop();
    tenure.abort.abort();
    this.#lookout.setHolding(false);
    // An abrupt release leaves the cloud's side to the next holder: the association is no longer ours.
    const context = { mode: 'abrupt' as const, deadline: instant(0), signal: AbortSignal.abort() };
    for (const resource of this.#options.cloud.values()) void resource.release(context);
  }

  sendReleased({ epoch, evidence, ms, mode }: Released): void {
    const last = this.#lastSent;
    // The next holder may take over by itself only because of this, and only of this very release.
    const isLast = mode === 'planned' && last !== null && last.epoch === epoch;
    const begin = isLast ? lastSnapshotEvidence(last.snapshot) : '';
    this.#options.send({ kind: 'released', epoch, evidence: clip(begin + evidence), ms, mode });
  }

  #run(
    plan: Plan,
    tenure: Tenure,
    known: Pick<PlanOrder, 'previousReleased' | 'proof'> = laterIn(tenure),
    signal: AbortSignal = tenure.abort.signal,
  ): Promise<PlanReport> {
    const { epoch, abort, isForced } = tenure;
    return this.#plans.run(plan, {
      epoch,
      signal: AbortSignal.any([abort.signal, signal]),
      ...known,
      isForced,
    });
  }

  #warn(event: string, error: unknown): void {
    this.#options.log('warn', { event, why: words(error) });
  }
}

/** Never blindly, once the takeover is over: what a stranger has got meanwhile is his (d.0), and the proof grows old. */
function laterIn({ hasProof }: Tenure): Pick<PlanOrder, 'previousReleased' | 'proof'> {
  return { previousReleased: true, proof: hasProof ? 'stale' : 'none' };
}

function clipped(steps: PlanReport['steps']): { name: string; ms: number; result: string }[] {
  return steps.map(({ name, ms, result }) => ({ name, ms, result: clip(result, steps.length) }));
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
