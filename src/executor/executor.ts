/**
 * The executor's main thread: orders of one agent, plans, the cloud, the reconcile loop, and what follows when the agent
 * goes away. Whether anything may be done is the guard's word.
 *
 * 1. One plan at a time: a release calls off a takeover or a repair and waits until it has ended.
 * 2. The cloud is called only with a valid lease, read from the guard's memory right before (O2).
 * 3. When the channel closes: everything is released at once, the agent is made sure to be gone, and only then the
 *    members are told (R4).
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import {
  assert,
  assertNever,
  type Epoch,
  type Instant,
  instant,
  type NodeId,
  type Term,
  type Timing,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Resource } from '../resources/index.ts';
import { lastSnapshotEvidence } from '../state/index.ts';
import {
  type Plan,
  type PlanReport,
  type PlanResource,
  planRelease,
  planTakeover,
} from '../takeover/index.ts';
import { type EndedAgent, endOfAgent } from './agent-end.ts';
import type { FenceOrders } from './fence-orders.ts';
import type { GuardReport, LogLevel, Released } from './guard-protocol.ts';
import type { Guard } from './guard-proxy.ts';
import { Keeper } from './keeper.ts';
import { type Duty, Lookout, PROBE_LIMIT_MS } from './lookout.ts';
import { type PlanOrder, PlanPerformer } from './plan-performer.ts';
import { type ProcessId, startTimeOf } from './processes.ts';
import { clip, type Hello, type Order, type SentEvent, words } from './protocol.ts';
import type { Replicator } from './replicator.ts';
import type { SharedLease } from './shared-lease.ts';
import type { SendStatement } from './statement.ts';

const RESUME_LIMIT_MS = 10_000;
/** A planned release has two minutes for everything (`PLANNED_RELEASE_LIMIT_MS` of the core). */
const LAST_SNAPSHOT_LIMIT_MS = 60_000;
/** As the step of a release that failed is called. */
const LAST_SNAPSHOT = 'last snapshot';
/** The command has ended by itself and said no. */
const KNOWN_FAILURES: ReadonlySet<string> = new Set([
  'drbd-refused',
  'command-failed',
  'command-missing',
  'drbd-tools-missing',
]);
/** The cloud has answered, and said no for good. */
const REFUSALS: ReadonlySet<string> = new Set(['cloud-refused', 'address-held-elsewhere']);

export interface ExecutorOptions {
  readonly node: NodeId;
  readonly cluster: string;
  readonly graph: readonly (PlanResource & { readonly kind: Resource['kind'] })[];
  readonly cloud: ReadonlyMap<string, Resource>;
  readonly otherDataNodes: readonly NodeId[];
  readonly hasReplication: boolean;
  readonly guard: Guard;
  readonly fences: Pick<FenceOrders, 'fence' | 'callOff'>;
  readonly lease: SharedLease;
  readonly clock: Clock;
  readonly send: (event: SentEvent) => void;
  readonly sendStatement: SendStatement;
  /** Loads what sending needs, and connects. Only a holder needs it, so not before a takeover has ended. */
  readonly prepareStatement?: (members: ReadonlyMap<NodeId, string>) => void;
  /** The agent has gone, and everything that there was to say is said. */
  readonly endStatements?: () => void;
  /** Sends snapshots to the other data node; absent where none are sent. */
  readonly replicator?: Pick<Replicator, 'send' | 'run' | 'stop'>;
  /** The system's own where absent. */
  readonly isRunning?: (id: ProcessId) => boolean;
  /** False if the process cannot be killed; the system's own where absent. */
  readonly killProcess?: (id: ProcessId) => Promise<boolean>;
  /** Of pools that are replicated by snapshots; asked only where there are any. */
  readonly lastSnapshot?: LastSnapshot;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

/**
 * In a planned release, when everything is shut and before anybody else may hold: takes a last snapshot, sends it, and has the
 * other side say that it has all of it (`markComplete`, final). Resolves with the snapshot's name, which no other attempt may have had;
 * rejects where that did not succeed by the deadline.
 */
export type LastSnapshot = (order: {
  readonly epoch: Epoch;
  readonly deadline: Instant;
  readonly signal: AbortSignal;
}) => Promise<string>;

interface Agent extends EndedAgent {
  members: ReadonlyMap<NodeId, string>;
  timing: Timing;
  lastTake: { readonly epoch: Epoch; readonly term: Term } | null;
  isReady: boolean;
  /** It has asked for the watchdog: a tenure may be about to begin. */
  isPreparing: boolean;
  saidBye: boolean;
  /** L7: it has come for a tenure that was kept, and has not adopted it yet. */
  isAdopting: boolean;
}

interface Tenure {
  readonly epoch: Epoch;
  readonly abort: AbortController;
  /** When it was granted: the log shows of everybody before that they let go or were stopped (R4, R5). */
  readonly hasProof: boolean;
  /** O3: an operator's override began it. */
  readonly isForced: boolean;
  isTaken: boolean;
  isReleasing: boolean;
  /** L7: no agent may order anything: the one before goes, and no other one has adopted it. */
  isKept: boolean;
}

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #lookout: Lookout;
  #otherDataNodes: readonly NodeId[];
  #agent: Agent | null = null;
  #tenure: Tenure | null = null;
  /** What the other side has said to have before the planned release of this epoch ended. */
  #lastSent: { readonly epoch: Epoch; readonly snapshot: string } | null = null;
  /** The guard gives up what a tenure held: until it has ended, that may read as held. */
  #isLettingGo = false;
  readonly #plans: PlanPerformer;
  #failedChecks: string[] = [];
  #ending: Promise<void> = Promise.resolve();
  readonly #keeper: Keeper;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#otherDataNodes = options.otherDataNodes;
    this.#plans = new PlanPerformer(options);
    this.#keeper = new Keeper(options);
    this.#lookout = new Lookout({
      ...options,
      duty: () => this.#duty(),
      agent: () => this.#agent,
      onStuck: (name, count, why) => this.#onStuck(name, count, why),
      log: (level, fields) => this.#log(level, fields),
    });
  }

  /** Resolves when the last agent's end has been dealt with. */
  get ending(): Promise<void> {
    return this.#ending;
  }

  get saidBye(): boolean {
    return this.#agent?.saidBye ?? false;
  }

  /** What the cluster runs with (L8), as the connected agent says; null without one. */
  get timing(): Timing | null {
    return this.#agent?.timing ?? null;
  }

  start(): void {
    this.#lookout.start();
  }

  close(): void {
    this.#lookout.close();
  }

  // ---- the agent

  onHello(hello: Hello): { session: string } | { refusal: string } {
    const { node, cluster } = this.#options;
    if (hello.node !== node || hello.cluster !== cluster) {
      return { refusal: `this is the executor of node ${node} of cluster ${cluster}` };
    }
    const { isRunning = (id: ProcessId) => startTimeOf(id.pid) === id.startTime } = this.#options;
    if (!isRunning(hello)) return { refusal: 'there is no such process' };
    const kept = hello.adopt === undefined ? null : this.#keeper.of(hello.adopt, isRunning);
    if (kept !== null && 'refusal' in kept) return kept;
    const session = randomBytes(16).toString('hex');
    const agent: Agent = {
      process: { pid: hello.pid, startTime: hello.startTime },
      members: hello.members,
      timing: hello.timing,
      lastTake: kept?.agent.lastTake ?? null,
      isReady: false,
      isPreparing: false,
      saidBye: false,
      isAdopting: kept !== null,
    };
    this.#agent = agent;
    this.#log('info', { event: 'agent-connected', pid: hello.pid });
    void (kept === null ? this.#makeReady(agent, session) : this.#comeBack(agent, session, kept.epoch));
    return { session };
  }

  async #makeReady(agent: Agent, session: string): Promise<void> {
    const released = await this.#options.guard.ask({ op: 'hello', session, timing: agent.timing });
    if (this.#agent !== agent) return;
    agent.isReady = true;
    this.#options.send({ kind: 'ready', evidence: clip(released.evidence) });
    if (this.#failedChecks.length > 0) this.#options.send({ kind: 'doctor', failed: this.#failedChecks });
    this.#lookout.look();
  }

  // ---- restart of the agent (L7)

  /** The epoch that waits for a new agent; null: none does. */
  get kept(): Epoch | null {
    return this.#keeper.kept;
  }

  /** What is kept for nobody any more is released. */
  keepNoMore(why: string): void {
    const { kept } = this;
    if (kept !== null && this.#agent === null)
      void this.#options.guard
        .ask({ op: 'abrupt', epoch: kept, why })
        .catch((error) => this.#warn('release-failed', error));
  }

  async #handOver(agent: Agent, { epoch, until }: Extract<Order, { kind: 'hand-over' }>): Promise<void> {
    const tenure = this.#tenure;
    const refuse = (why: string): void =>
      this.#options.send({ kind: 'hand-over-refused', epoch, why: clip(why) });
    if (tenure?.epoch !== epoch || !tenure.isTaken || tenure.isReleasing || tenure.isKept)
      return refuse(`epoch ${epoch} is not held with everything`);
    // How it ends must be heard by an agent that knows what it was about.
    if (this.#plans.isBusy) return refuse('something is just being repaired: ask again in a moment');
    tenure.isKept = true;
    try {
      await this.#options.guard.ask({ op: 'hand-over', epoch, until });
    } catch (error) {
      tenure.isKept = false;
      return refuse(words(error));
    }
    if (this.#tenure !== tenure || this.#agent !== agent) return;
    this.#keeper.keep(epoch, agent);
    this.#options.send({ kind: 'handed-over', epoch });
  }

  /** Instead of `ready`. Where the guard has let go meanwhile, this is an agent like any other. */
  async #comeBack(agent: Agent, session: string, epoch: Epoch): Promise<void> {
    try {
      const until = await this.#options.guard.ask({ op: 'come-back', session, timing: agent.timing, epoch });
      if (this.#agent === agent) this.#options.send({ kind: 'kept', epoch, until });
    } catch (error) {
      this.#warn('come-back-refused', error);
      agent.isAdopting = false;
      if (this.#agent === agent) await this.#makeReady(agent, session);
    }
  }

  async #bind(agent: Agent, { epoch, term, until }: Extract<Order, { kind: 'bind' }>): Promise<void> {
    let ok = false;
    try {
      if (!agent.isAdopting) throw new QuorateError('order-refused', 'this agent adopts nothing (L7)');
      await this.#options.guard.ask({ op: 'bind', epoch, term, until });
      // From here on the agent speaks for it, also where it goes (R4).
      agent.lastTake = { epoch, term };
      this.#keeper.drop();
      ok = true;
    } catch (error) {
      this.#warn('bind-refused', error);
    }
    if (this.#agent === agent) this.#options.send({ kind: 'bound', epoch, ok });
  }

  async #adopt(agent: Agent, { epoch, until }: Extract<Order, { kind: 'adopt' }>): Promise<void> {
    try {
      await this.#options.guard.ask({ op: 'adopt', epoch, until });
    } catch (error) {
      // It lets go of it, and has said so.
      return this.#warn('adopt-refused', error);
    }
    const tenure = this.#tenure;
    if (this.#agent !== agent || tenure?.epoch !== epoch) return;
    tenure.isKept = false;
    agent.isAdopting = false;
    agent.isReady = true;
    if (this.#failedChecks.length > 0) this.#options.send({ kind: 'doctor', failed: this.#failedChecks });
    this.#options.prepareStatement?.(agent.members);
    this.#lookout.look();
  }

  /** What an agent had come for is released and verified: as with any other agent, nothing is held now (L4). */
  #adoptsNoMore(): void {
    const agent = this.#agent;
    if (agent?.isAdopting !== true) return;
    // mark: adopts-no-more
    agent.isAdopting = false;
    agent.isReady = true;
  }

  onOrder(order: Exclude<Order, { kind: 'hello' | 'features' | 'read-pools' | 'read-copies' }>): void {
    const agent = this.#agent;
    assert(agent !== null, 'orders come from a connected agent');
    switch (order.kind) {
      case 'arm':
        agent.isPreparing = true;
        return void this.#arm(order.id);
      case 'disarm':
        agent.isPreparing = false;
        return void this.#options.guard
          .ask({ op: 'disarm' })
          .catch((error) => this.#warn('disarm-failed', error));
      case 'take':
        return void this.#take(agent, order);
      case 'release':
        return void this.#release(order.epoch, order.mode);
      case 'keep':
        return this.#keep(order.epoch);
      case 'fence':
        return void this.#fence(agent, order);
      case 'resume-io':
        return void this.#resumeIo(order.epoch);
      case 'look':
        return void this.#look();
      case 'replicate':
        return this.#options.replicator?.run(order.dataset);
      case 'hand-over':
        return void this.#handOver(agent, order);
      case 'bind':
        return void this.#bind(agent, order);
      case 'adopt':
        return void this.#adopt(agent, order);
      case 'members':
        agent.members = order.members;
        if (order.dataNodes !== undefined) this.#setOthers(order.dataNodes);
        return;
      case 'timing':
        agent.timing = order.timing;
        return void this.#setTiming(order.timing);
      case 'bye':
        agent.saidBye = true;
        return;
      default:
        return assertNever(order);
    }
  }

  /** E5: who may be in sync is the log's to say, not the config file's of when this process began. */
  #setOthers(ids: readonly NodeId[]): void {
    this.#otherDataNodes = ids;
    this.#lookout.setOthers(ids);
    void this.#options.guard
      .ask({ op: 'others', ids })
      .catch((error: unknown) => this.#warn('others-failed', error));
  }

  /** L8: said only when the guard works with it. */
  async #setTiming(timing: Timing): Promise<void> {
    const agent = this.#agent;
    try {
      await this.#options.guard.ask({ op: 'timing', timing });
      if (this.#agent === agent) this.#options.send({ kind: 'timing-applied', timing });
    } catch (error) {
      this.#warn('timing-failed', error);
    }
  }

  onClosed(): void {
    const agent = this.#agent;
    assert(agent !== null, 'only a connected agent can go');
    this.#agent = null;
    if (this.#keeper.isKeptFor(agent)) {
      // mark: agent-restarts
      this.#log('info', { event: 'agent-restarts', pid: agent.process.pid, epoch: this.#keeper.kept });
      this.#options.fences.callOff();
      this.#ending = this.#keeper.over;
      return;
    }
    this.#log(agent.saidBye ? 'info' : 'warn', { event: 'agent-gone', pid: agent.process.pid });
    this.#ending = this.#onAgentGone(agent).catch((error: unknown) => this.#warn('agent-end-failed', error));
  }

  async #onAgentGone(agent: Agent): Promise<void> {
    this.#options.fences.callOff();
    // Whoever had come for what was kept speaks for it from here on.
    if (agent.isAdopting) this.#keeper.drop();
    this.#endTenure();
    const releasing = this.#options.guard.ask({ op: 'abrupt', epoch: null, why: 'the agent is gone' });
    if (agent.saidBye) await releasing;
    else await endOfAgent({ ...this.#options, agent, releasing });
    if (this.#agent === null) this.#options.endStatements?.();
  }

  // ---- orders

  async #arm(id: number): Promise<void> {
    try {
      await this.#options.guard.ask({ op: 'arm' });
      this.#options.send({ kind: 'armed', id });
    } catch (error) {
      this.#options.send({ kind: 'arm-failed', id, why: words(error) });
    }
  }

  async #take(agent: Agent, order: Extract<Order, { kind: 'take' }>): Promise<void> {
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
    this.#log('info', { event: 'taken', epoch, totalMs, steps });
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

  async #release(epoch: Epoch, mode: 'planned' | 'abrupt'): Promise<void> {
    const tenure = this.#tenure;
    if (mode === 'abrupt' || tenure === null || tenure.epoch !== epoch) {
      if (tenure !== null && tenure.epoch <= epoch) this.#endTenure();
      const released = await this.#options.guard.ask({ op: 'abrupt', epoch, why: 'ordered' });
      // A release that took place now is reported by the guard itself; one of the past is told again.
      if (released.isRepeat) this.#sendReleased(released);
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
    this.#log('info', { event: 'planned-release', epoch, outcome: report.outcome, steps: report.steps });
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
    this.#log('error', {
      event: 'release-failed',
      epoch,
      step,
      why,
      ms: this.#options.clock.now() - startedAt,
    });
    this.#options.send({ kind: 'release-failed', epoch, step, why: clip(why) });
  }

  /** H6: what a failed takeover has got stays; the reconcile loop tries the rest, again and again. */
  #keep(epoch: Epoch): void {
    const tenure = this.#tenure;
    if (tenure === null || tenure.epoch !== epoch || tenure.isReleasing || tenure.isTaken) return;
    tenure.isTaken = true;
    this.#lookout.setHolding(true);
    this.#log('warn', { event: 'degraded', epoch });
    this.#lookout.look();
  }

  async #fence(agent: Agent, order: Extract<Order, { kind: 'fence' }>): Promise<void> {
    const { id, node } = order;
    this.#log('warn', { event: 'fencing', target: node });
    const ended = await this.#options.fences.fence(order);
    const { outcome, detail, ms } = ended;
    this.#log(outcome === 'unconfirmed' ? 'error' : 'info', { event: 'fence-ended', target: node, ...ended });
    // Another agent's orders have numbers of their own.
    if (this.#agent === agent)
      this.#options.send({ kind: 'fence-ended', id, node, outcome, detail: clip(detail), ms });
  }

  #onStuck(name: string, count: number, why: string): void {
    const tenure = this.#tenure;
    if (tenure === null) return;
    this.#log('error', { event: 'repair-failed', epoch: tenure.epoch, name, count, why });
    this.#options.send({ kind: 'repair-failed', epoch: tenure.epoch, name, count, why: clip(why) });
  }

  /** H3: what a probe has cached may be from before the decision that it is wanted for. */
  async #look(): Promise<void> {
    const { guard, clock, hasReplication } = this.#options;
    try {
      const data = hasReplication
        ? await guard.ask({ op: 'look', limitMs: PROBE_LIMIT_MS })
        : {
            readAt: clock.now(),
            peers: Object.fromEntries(this.#otherDataNodes.map((id) => [id, 'in-sync' as const])),
            disk: 'up-to-date' as const,
            isWhole: true,
          };
      this.#options.send({ kind: 'data-read', ...data });
    } catch (error) {
      this.#warn('look-failed', error);
    }
  }

  async #resumeIo(epoch: Epoch): Promise<void> {
    try {
      const result = await this.#options.guard.ask({ op: 'resume-io', epoch, limitMs: RESUME_LIMIT_MS });
      this.#log('info', { event: 'io-resumed', epoch, result });
      this.#options.send({ kind: 'io-resumed', epoch, outcome: 'done' });
    } catch (error) {
      this.#warn('resume-io-failed', error);
      const isRefused = error instanceof QuorateError && KNOWN_FAILURES.has(error.code);
      this.#options.send({ kind: 'io-resumed', epoch, outcome: isRefused ? 'failed' : 'unknown' });
    }
  }

  /** What stands in the way of a takeover here, as the own checks see it. */
  onDoctor(failed: readonly string[]): void {
    this.#failedChecks = failed.map(clip);
    this.#options.send({ kind: 'doctor', failed: this.#failedChecks });
  }

  // ---- the guard

  onGuardReport(report: GuardReport): void {
    switch (report.kind) {
      case 'revoked':
        this.#isLettingGo = true;
        if (this.#tenure !== null && this.#tenure.epoch <= report.epoch) this.#endTenure();
        this.#keeper.onRevoked(report.epoch, this.#agent);
        if (this.#agent !== null)
          this.#options.send({ kind: 'revoked', epoch: report.epoch, why: clip(report.why) });
        return;
      case 'released':
        this.#isLettingGo = false;
        this.#adoptsNoMore();
        if (report.released.epoch !== null) this.#sendReleased(report.released);
        // What was read while it was given up says nothing any more.
        if (this.#tenure === null) this.#lookout.setHolding(false);
        this.#lookout.probeSoon();
        return;
      case 'data':
        return this.#lookout.onData(report);
      case 'network':
        return this.#lookout.onNetwork();
      case 'log':
        return this.#log(report.level, report.fields);
      case 'answer':
      case 'refusal':
      case 'loaded':
      case 'listening':
        return;
      default:
        return assertNever(report);
    }
  }

  #endTenure(): void {
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

  #sendReleased({ epoch, evidence, ms, mode }: Released): void {
    const last = this.#lastSent;
    // The next holder may take over by itself only because of this, and only of this very release.
    const isLast = mode === 'planned' && last !== null && last.epoch === epoch;
    const begin = isLast ? lastSnapshotEvidence(last.snapshot) : '';
    this.#options.send({ kind: 'released', epoch, evidence: clip(begin + evidence), ms, mode });
  }

  // ---- plans

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

  /** Only what was taken, and is not being given up, is looked after. */
  #duty(): Duty {
    const tenure = this.#tenure;
    if (tenure === null) {
      const isIdle = this.#agent?.isReady === true && !this.#agent.isPreparing && !this.#isLettingGo;
      return { kind: isIdle ? 'idle' : 'none' };
    }
    if (!tenure.isTaken || tenure.isReleasing || tenure.isKept) return { kind: 'none' };
    return {
      kind: 'tenure',
      epoch: tenure.epoch,
      repair: (plan, signal) => this.#run(plan, tenure, laterIn(tenure), signal),
    };
  }

  #warn(event: string, error: unknown): void {
    this.#log('warn', { event, why: words(error) });
  }

  #log(level: LogLevel, fields: Readonly<Record<string, unknown>>): void {
    this.#options.log(level, { node: this.#options.node, ...fields });
  }
}

/** Never blindly, once the takeover is over: what a stranger has got meanwhile is his (d.0), and the proof grows old. */
function laterIn({ hasProof }: Tenure): Pick<PlanOrder, 'previousReleased' | 'proof'> {
  return { previousReleased: true, proof: hasProof ? 'stale' : 'none' };
}

function clipped(steps: PlanReport['steps']): { name: string; ms: number; result: string }[] {
  return steps.map(({ name, ms, result }) => ({ name, ms, result: clip(result) }));
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
