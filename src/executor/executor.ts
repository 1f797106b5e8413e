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
import { assert, assertNever, type Epoch, type NodeId, type Timing } from '../core/index.ts';
import { endOfAgent } from './agent-end.ts';
import { arrivalOf } from './arrival.ts';
import { DataOrders } from './data-orders.ts';
import type { ConnectedAgent, ExecutorOptions } from './executor-options.ts';
import type { GuardReport } from './guard-protocol.ts';
import { Holding } from './holding.ts';
import { Keeper } from './keeper.ts';
import { type Duty, Lookout } from './lookout.ts';
import { clip, type Hello, type Order, words } from './protocol.ts';

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #lookout: Lookout;
  readonly #holding: Holding;
  readonly #keeper: Keeper;
  readonly #data: DataOrders;
  #agent: ConnectedAgent | null = null;
  /** The guard gives up what a tenure held: until it has ended, that may read as held. */
  #isLettingGo = false;
  #failedChecks: string[] = [];
  #ending: Promise<void> = Promise.resolve();

  constructor(given: ExecutorOptions) {
    const options: ExecutorOptions = {
      ...given,
      log: (level, fields) => given.log(level, { node: given.node, ...fields }),
    };
    this.#options = options;
    this.#lookout = new Lookout({
      ...options,
      duty: () => this.#duty(),
      agent: () => this.#agent,
      onStuck: (name, count, why) => this.#onStuck(name, count, why),
    });
    this.#holding = new Holding(options, this.#lookout);
    this.#data = new DataOrders(options);
    this.#keeper = new Keeper({
      ...options,
      holding: this.#holding,
      connected: () => this.#agent,
      makeReady: (agent, session) => this.#makeReady(agent, session),
      onAdopted: (agent) => {
        this.#tellChecks();
        options.prepareStatement?.(agent.members);
        this.#lookout.look();
      },
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
    const arrival = arrivalOf(hello, this.#options, this.#keeper);
    if ('refusal' in arrival) return arrival;
    const { agent, keptEpoch } = arrival;
    const session = randomBytes(16).toString('hex');
    this.#agent = agent;
    this.#options.log('info', { event: 'agent-connected', pid: hello.pid });
    void (keptEpoch === null
      ? this.#makeReady(agent, session)
      : this.#keeper.comeBack(agent, session, keptEpoch));
    return { session };
  }

  async #makeReady(agent: ConnectedAgent, session: string): Promise<void> {
    const released = await this.#options.guard.ask({ op: 'hello', session, timing: agent.timing });
    if (this.#agent !== agent) return;
    agent.isReady = true;
    this.#options.send({ kind: 'ready', evidence: clip(released.evidence) });
    this.#tellChecks();
    this.#lookout.look();
  }

  #tellChecks(): void {
    if (this.#failedChecks.length > 0) this.#options.send({ kind: 'doctor', failed: this.#failedChecks });
  }

  /** The epoch that waits for a new agent (L7); null: none does. */
  get kept(): Epoch | null {
    return this.#keeper.kept;
  }

  keepNoMore(why: string): void {
    this.#keeper.keepNoMore(why);
  }

  onOrder(
    order: Exclude<
      Order,
      { kind: 'hello' | 'features' | 'knows' | 'read-pools' | 'read-copies' | 'follow-resync' }
    >,
  ): void {
    const agent = this.#agent;
    assert(agent !== null, 'orders come from a connected agent');
    switch (order.kind) {
      case 'arm':
        agent.isPreparing = true;
        return void this.#holding.arm(order.id);
      case 'disarm':
        agent.isPreparing = false;
        return void this.#options.guard
          .ask({ op: 'disarm' })
          .catch((error) => this.#warn('disarm-failed', error));
      case 'take':
        return void this.#holding.take(agent, order);
      case 'release':
        return void this.#holding.release(order.epoch, order.mode);
      case 'keep':
        return this.#holding.keep(order.epoch);
      case 'fence':
        return void this.#fence(agent, order);
      case 'resume-io':
        return void this.#data.resumeIo(order.epoch);
      case 'look':
        return void this.#data.look();
      case 'replicate':
        return this.#options.replicator?.run(order.dataset);
      case 'hand-over':
        return void this.#keeper.handOver(agent, order);
      case 'bind':
        return void this.#keeper.bind(agent, order);
      case 'adopt':
        return void this.#keeper.adopt(agent, order);
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
    this.#data.setOthers(ids);
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
    const { pid } = agent.process;
    this.#agent = null;
    if (this.#keeper.isKeptFor(agent)) {
      // mark: agent-restarts
      this.#options.log('info', { event: 'agent-restarts', pid, epoch: this.#keeper.kept });
      this.#options.fences.callOff();
      this.#ending = this.#keeper.over;
      return;
    }
    this.#options.log(agent.saidBye ? 'info' : 'warn', { event: 'agent-gone', pid });
    this.#ending = this.#onAgentGone(agent).catch((error: unknown) => this.#warn('agent-end-failed', error));
  }

  async #onAgentGone(agent: ConnectedAgent): Promise<void> {
    this.#options.fences.callOff();
    // Whoever had come for what was kept speaks for it from here on.
    if (agent.isAdopting) this.#keeper.drop();
    this.#holding.end();
    const releasing = this.#options.guard.ask({ op: 'abrupt', epoch: null, why: 'the agent is gone' });
    if (agent.saidBye) await releasing;
    else await endOfAgent({ ...this.#options, agent, releasing });
    if (this.#agent === null) this.#options.endStatements?.();
  }

  // ---- orders

  async #fence(agent: ConnectedAgent, order: Extract<Order, { kind: 'fence' }>): Promise<void> {
    const { id, node } = order;
    this.#options.log('warn', { event: 'fencing', target: node });
    const ended = await this.#options.fences.fence(order);
    const { outcome, detail, ms } = ended;
    this.#options.log(outcome === 'unconfirmed' ? 'error' : 'info', {
      event: 'fence-ended',
      target: node,
      ...ended,
    });
    // Another agent's orders have numbers of their own.
    if (this.#agent === agent)
      this.#options.send({ kind: 'fence-ended', id, node, outcome, detail: clip(detail), ms });
  }

  #onStuck(name: string, count: number, why: string): void {
    const { tenure } = this.#holding;
    if (tenure === null) return;
    this.#options.log('error', { event: 'repair-failed', epoch: tenure.epoch, name, count, why });
    this.#options.send({ kind: 'repair-failed', epoch: tenure.epoch, name, count, why: clip(why) });
  }

  /** What stands in the way of a takeover here, as the own checks see it. */
  onDoctor(failed: readonly string[]): void {
    this.#failedChecks = failed.map((one) => clip(one, failed.length));
    this.#options.send({ kind: 'doctor', failed: this.#failedChecks });
  }

  // ---- the guard

  onGuardReport(report: GuardReport): void {
    const { tenure } = this.#holding;
    switch (report.kind) {
      case 'revoked':
        this.#isLettingGo = true;
        if (tenure !== null && tenure.epoch <= report.epoch) this.#holding.end();
        this.#keeper.onRevoked(report.epoch, this.#agent);
        if (this.#agent !== null)
          this.#options.send({ kind: 'revoked', epoch: report.epoch, why: clip(report.why) });
        return;
      case 'released':
        this.#isLettingGo = false;
        this.#keeper.adoptsNoMore();
        if (report.released.epoch !== null) this.#holding.sendReleased(report.released);
        // What was read while it was given up says nothing any more.
        if (this.#holding.tenure === null) this.#lookout.setHolding(false);
        this.#lookout.probeSoon();
        return;
      case 'data':
        return this.#lookout.onData(report);
      case 'network':
        return this.#lookout.onNetwork();
      case 'log':
        return this.#options.log(report.level, report.fields);
      case 'answer':
      case 'refusal':
      case 'loaded':
      case 'listening':
        return;
      default:
        return assertNever(report);
    }
  }

  #duty(): Duty {
    const { tenure } = this.#holding;
    if (tenure === null) {
      const isIdle = this.#agent?.isReady === true && !this.#agent.isPreparing && !this.#isLettingGo;
      return { kind: isIdle ? 'idle' : 'none' };
    }
    return this.#holding.dutyOf(tenure);
  }

  #warn(event: string, error: unknown): void {
    this.#options.log('warn', { event, why: words(error) });
  }
}
