/**
 * The agent process: puts log, core, peers, executor and admin service together, and takes them down in the order that
 * keeps one holder.
 *
 * Start: log, then an executor that verifies that nothing is held, then the boot promise; no vote before both (L4).
 * End: hand over and release while the lease still runs; what cannot end in time is left to the executor, which
 * releases by itself when its channel closes (O1).
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import { type Config, memberDifferences, replicatedPools } from '../config/index.ts';
import type { CoreEvent, Entry, Instant, Message, NodeId, Proposal, Timing } from '../core/index.ts';
import {
  type Adoptable,
  adoptable,
  InvariantError,
  isToBeForced,
  logIndex,
  newestTiming,
} from '../core/index.ts';
import { EXIT, type ExitCode, QuorateError } from '../errors.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import { type LogStore, type RecoveredLog, sha256 } from '../log/index.ts';
import type { Fitness, PeerTransport, PeerTransportOptions } from '../peer/index.ts';
import { Backend } from './backend.ts';
import { Completeness } from './completeness.ts';
import { DataLook } from './data-look.ts';
import { DataLoss } from './data-loss.ts';
import { DiskLossCheck } from './disk-loss.ts';
import { Driver, type ProposeResult } from './driver.ts';
import { Failures } from './failures.ts';
import { FENCE_BEFORE_MS, Fencing } from './fencing.ts';
import { fitnessOf } from './fitness.ts';
import { lackingVoters, RESTART_FORMAT } from './format.ts';
import { handOver } from './hand-over.ts';
import { MetricCounts, metricFactsOf } from './metrics.ts';
import { NewCluster } from './new-cluster.ts';
import { PoolsQuestion } from './pools-question.ts';
import { ReplicationView } from './replication-view.ts';
import { Restart } from './restart.ts';
import { roleFactsOf } from './role-facts.ts';
import { rosterOf } from './roster.ts';
import { StandAlone } from './stand-alone.ts';
import { statusOf } from './status.ts';
import { statusFactsOf } from './status-facts.ts';
import { TakeoverHistory } from './takeover-history.ts';
import { whyNotUnwatched } from './unwatched.ts';
import { Upkeep } from './upkeep.ts';

/** A SIGTERM must end: after this the executor's abrupt release does what the hand-over could not. */
const SHUTDOWN_LIMIT_MS = 20_000;
/** How long a node that has handed over waits to hear of the new leader: its vote may be needed. */
const FAREWELL_LIMIT_MS = 1_500;
/** A release that cannot be verified must not keep the agent from answering: it goes on, and votes for nobody (L3). */
const READY_PATIENCE_MS = 3_000;
const REPLACE_RETRY_MS = 500;

type Probes = Extract<ExecutorEvent, { kind: 'probes' }>;
type Store = Pick<LogStore, 'persist' | 'close'>;
type Transport = Pick<
  PeerTransport,
  'start' | 'setPeers' | 'send' | 'isUp' | 'formatOf' | 'sendBootstrap' | 'close'
>;

/** Everything outside that an agent is put together from: the real things in production, models in a simulation. */
export interface AgentParts {
  readonly clock: Clock;
  /** Spreads the election windows of the nodes; nothing depends on its quality. */
  readonly seed: number;
  /** What the config says, for a node without a log and for `bootstrap`; afterwards the log's timing rules (L8). */
  readonly timing: Timing;
  readonly executor: ExecutorClient;
  openLog(): Promise<{ readonly store: Store; readonly recovered: RecoveredLog }>;
  /** T3: when the host last went on after a suspend, as far as can be seen now; −∞ for never. */
  resumedAt(): number;
  /** Sentences for the status: what ends soon, or is not used. */
  certificateWarnings?(): readonly string[];
  /** L4; durable before it resolves. */
  bootPromiseStart(): Promise<Instant>;
  transport(
    handlers: Pick<
      PeerTransportOptions,
      'onMessage' | 'onStatement' | 'onBootstrap' | 'onLink' | 'onRemoved'
    > & {
      /** Asked by a peer (H6). */
      fitness(): Fitness | null;
      /** What the pools hold, packed; rejects with why that is not known. */
      pools(): Promise<string>;
    },
  ): Transport;
  /** H6: what a peer says of itself; null where its version does not say it. Rejects when it does not answer in time. */
  askFitness(peer: NodeId, address: string | null): Promise<Fitness | null>;
  /** Lets operators and DRBD's handlers ask; resolves with how that ends. */
  serve(backend: Backend): Promise<{ close(): Promise<void> }>;
}

export class Agent {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #parts: AgentParts;
  readonly #executor: ExecutorClient;
  readonly #timing: Timing;
  readonly #takeovers = new TakeoverHistory();
  readonly #completeness = new Completeness();
  readonly #counts = new MetricCounts();
  #store: Store | null = null;
  #driver: Driver | null = null;
  #transport: Transport | null = null;
  #service: { close(): Promise<void> } | null = null;
  #backend: Backend | null = null;
  #upkeep: Upkeep | null = null;
  #failures: Failures | null = null;
  #standAlone: StandAlone | null = null;
  #fencing: Fencing | null = null;
  #newCluster: NewCluster | null = null;
  readonly #dataLook: DataLook;
  /** Null: no pool is replicated by snapshots. */
  #dataLoss: DataLoss | null = null;
  readonly #pools: PoolsQuestion;
  readonly #replication: ReplicationView;
  #diskLoss: DiskLossCheck | null = null;
  #restart: Restart | null = null;
  /** L7: what the executor has kept over the restart of its agent. */
  #kept: Extract<ExecutorEvent, { kind: 'kept' }> | null = null;
  /** With which an orderly end ends. */
  #endCode: ExitCode = EXIT.done;
  #probes: Probes | null = null;
  /** Null: it has not told of any yet. */
  #failedChecks: readonly string[] | null = null;
  #onReady: (() => void) | null = null;
  #isEnding = false;
  #isFatal = false;
  #isReplacing = false;
  #waiting: { isDone: () => boolean; resolve: () => void }[] = [];
  #resolveExit: (code: number) => void = () => {};
  readonly #exit = new Promise<number>((resolve) => {
    this.#resolveExit = resolve;
  });

  constructor(config: Config, log: Logger, parts: AgentParts) {
    this.#config = config;
    this.#log = log;
    this.#parts = parts;
    this.#executor = parts.executor;
    this.#timing = parts.timing;
    this.#dataLook = new DataLook(parts.executor, parts.clock);
    this.#pools = new PoolsQuestion(parts.executor, parts.clock);
    this.#replication = new ReplicationView(config, parts.executor);
  }

  /** Null until the log is open and the executor was asked (L4). */
  get driver(): Driver | null {
    return this.#driver;
  }

  /** At once; the place in the log, or why not. */
  propose(proposal: Proposal): ProposeResult {
    return this.#driver?.propose(proposal) ?? { refused: 'the agent is still starting' };
  }

  /** Resolves with the exit code when the agent has ended; rejects where it could not start. */
  async run(): Promise<number> {
    try {
      await this.#start();
    } catch (error) {
      await this.#takeDown();
      throw error;
    }
    const code = await this.#exit;
    // After a fatal error nothing is worth waiting for: the executor releases when the process is gone (O1).
    if (!this.#isFatal) await this.#takeDown();
    return code;
  }

  // --- start ---

  async #start(): Promise<void> {
    const config = this.#config;
    const parts = this.#parts;
    const { store, recovered } = await parts.openLog();
    this.#store = store;
    for (const problem of recovered.problems) this.#log.warn({ event: 'log-problem', problem }, problem);
    const transport = parts.transport({
      onMessage: (message) => this.#onMessage(message),
      onStatement: (message) => this.#onMessage(message),
      onBootstrap: async (entry) => {
        if (this.#newCluster === null) throw new QuorateError('peer-refused', 'the agent is still starting');
        await this.#newCluster.accept(entry);
      },
      onLink: () => {}, // a hint, never a reason to act (H5)
      onRemoved: (by, why) => this.#onFatal(nodeRemoved(config.node, `${by} says: ${why}`)),
      fitness: () =>
        this.#driver === null ? null : fitnessOf(this.#roleFacts(this.#driver), this.#failedChecks ?? []),
      pools: async () => {
        if (config.replication === null)
          throw new QuorateError('peer-refused', `${config.node} has no "replication" in its config`);
        return this.#pools.ask();
      },
    });
    this.#transport = transport;
    // Before anything is answered: a port in use or a wrong certificate must not cost a release.
    await transport.start();
    // L8: the executor may hold or release at this moment. It hears of the cluster's timing first, and never goes by the file's.
    this.#executor.setTiming(newestTiming(recovered.entries) ?? this.#timing);
    const isReady = await this.#startExecutor(adoptable(config.node, recovered));
    this.#diskLoss = new DiskLossCheck(config.node, recovered.status === 'empty');
    if (replicatedPools(config).length > 0)
      this.#dataLoss = new DataLoss({
        config,
        driver: () => this.#driver,
        executor: this.#executor,
        clock: parts.clock,
      });
    const driver = new Driver({
      core: {
        self: config.node,
        digest: sha256,
        seed: parts.seed,
        timing: this.#timing,
        recovered,
        waitsToBegin: recovered.entries.length <= 1,
        kept: this.#kept,
        ...(config.fencing.ec2Stop === 'before' ? { preparationMs: FENCE_BEFORE_MS } : {}),
        bootedAt: await parts.bootPromiseStart(),
      },
      clock: parts.clock,
      executor: this.#executor,
      store: { persist: (persists) => this.#counts.timed(store.persist(persists), () => parts.clock.now()) },
      send: (message) => transport.send(message),
      onCommitted: (entry) => this.#onCommitted(entry),
      lacking: (format) => this.#lacking(format),
      whyNotUnwatched: ({ state, self }) => whyNotUnwatched(config, state, isToBeForced(state, self)),
      whyLoss: this.#dataLoss?.why ?? null,
      fence:
        config.fencing.ec2Stop === 'before' && config.watchdog.mode === 'automatic'
          ? async () => (await this.#fencing?.before()) ?? false
          : null,
      onRefusedToHold: (why) => {
        this.#counts.refusalsToHold += 1;
        this.#log.error({ event: 'cannot-hold', why }, `cannot hold: ${why}`);
      },
      onEvent: (event) => this.#onCoreEvent(event),
      onStep: () => this.#wake(),
      onFatal: (error) => this.#onFatal(error),
    });
    for (const entry of driver.view.log.slice(logIndex(1), driver.view.commitIndex)) {
      this.#takeovers.onCommitted(entry);
      this.#counts.onRecovered(entry);
    }
    this.#driver = driver;
    if (!isReady() || (this.#kept !== null && !this.#executor.connected))
      driver.input({ kind: 'executor-lost' });
    this.#executor.setTiming(driver.view.timing);
    this.#fencing = new Fencing(config.fencing, driver, this.#executor, parts.clock, this.#log);
    this.#failures = new Failures({
      driver,
      executor: this.#executor,
      clock: parts.clock,
      log: this.#log,
      fitnessOf: (peer) =>
        parts.askFitness(peer, rosterOf(config, driver.view.state).peers.get(peer) ?? null),
    });
    this.#upkeep = new Upkeep(driver, this.#executor, parts.clock, this.#log);
    this.#standAlone = new StandAlone(driver, parts.clock, this.#log);
    const restart = new Restart({
      driver,
      executor: this.#executor,
      clock: parts.clock,
      instance: parts.seed.toString(36),
      isComplete: (epoch) => this.#completeness.isComplete(epoch),
      openBusiness: () => this.#upkeep?.openBusiness ?? null,
      isUp: (peer) => transport.isUp(peer),
      lacking: () => this.#lacking(RESTART_FORMAT),
      until: (isDone, limitMs) => this.#until(isDone, limitMs),
      leave: (how) => this.#leave(how),
      limitMs: SHUTDOWN_LIMIT_MS,
    });
    this.#restart = restart;
    const newCluster = new NewCluster({
      config,
      timing: this.#timing,
      driver,
      transport,
      others: otherMembers(config),
      probes: () => this.#probes,
      onFirst: () => this.#diskLoss?.bootstrapped(),
      until: (isDone, limitMs) => this.#until(isDone, limitMs),
    });
    this.#newCluster = newCluster;
    this.#backend = new Backend({
      config,
      driver,
      clock: parts.clock,
      timing: this.#timing,
      status: () => this.#status(),
      roleFacts: () => this.#roleFacts(driver),
      metricFacts: () => this.#metricFacts(driver),
      statusFacts: () =>
        statusFactsOf({
          driver,
          status: this.#status(),
          metrics: this.#metricFacts(driver),
          failedChecks: this.#failedChecks,
          takeovers: this.#takeovers.kept,
          wallMs: parts.clock.wallMs(),
        }),
      bootstrap: (request) => newCluster.bootstrap(request.inSync),
      replication: this.#replication,
      restart: (order) => restart.run(order),
      hasWholeData: () => this.#dataLook.isWhole(),
      dataLoss: this.#dataLoss,
      fence: { begins: (peer) => this.#upkeep?.fenceBegins(peer), ends: () => this.#upkeep?.fenceEnds() },
    });
    this.#service = await parts.serve(this.#backend);
    this.#followMembers(driver);
    this.#log.info(
      { event: 'started', node: config.node, log: recovered.status, term: recovered.hardState.term },
      `node ${config.node} runs`,
    );
  }

  /** E5: with every change, and once at the start. */
  #followMembers({ view }: Driver): void {
    const { peers, removed, dataNodes } = rosterOf(this.#config, view.state);
    if (removed.includes(view.self))
      return this.#onFatal(nodeRemoved(view.self, `so says its own log (entry ${view.commitIndex})`));
    this.#transport?.setPeers(peers, removed);
    this.#executor.setMembers(peers, dataNodes);
    for (const what of memberDifferences(this.#config, view.state))
      this.#log.warn({ event: 'members-differ', what }, `the config file and the log differ: ${what}`);
  }

  /**
   * L4: no vote before the executor has verified that nothing is held. Where that takes long (a tool is missing or hangs),
   * the agent starts as one that has lost its executor: it answers operators, and votes for nobody until it is ready.
   */
  async #startExecutor(adopt: Adoptable | null): Promise<() => boolean> {
    let isReady = false;
    const ready = new Promise<void>((resolve) => {
      this.#onReady = () => {
        isReady = true;
        resolve();
      };
    });
    await this.#executor.start((event) => this.#onExecutor(event), adopt?.epoch ?? null);
    const isWaited = new AbortController();
    await Promise.race([ready, this.#parts.clock.sleep(READY_PATIENCE_MS, isWaited.signal)]);
    isWaited.abort();
    if (!isReady) {
      const why =
        'it cannot be shown that nothing is held here: this node votes for nobody until it can (L3)';
      this.#log.error({ event: 'release-unverified' }, why);
    }
    return () => isReady;
  }

  // --- what comes in ---

  #onMessage(message: Message): void {
    const lost = this.#diskLoss?.isLost(message) ?? false;
    if (lost)
      return this.#onFatal(
        new QuorateError(
          'disk-lost',
          `${this.#config.dataDir} is empty, but ${message.from} has a log in which ${this.#config.node} votes`,
        ),
      );
    this.#driver?.input({ kind: 'message', message });
  }

  #onExecutor(event: ExecutorEvent): void {
    if (event.kind === 'kept' || event.kind === 'ready') {
      // L8: one that was started meanwhile must say that it goes by it.
      if (this.#driver !== null) this.#executor.setTiming(this.#driver.view.timing);
      // L7: nothing was released, and nothing need be: this start is not one of L4 while that is so.
      this.#kept = event.kind === 'kept' ? event : null;
      this.#onReady?.();
      this.#onReady = null;
    }
    if (event.kind === 'handed-over') this.#restart?.onHandOver('done');
    if (event.kind === 'hand-over-refused') this.#restart?.onHandOver({ refused: event.why });
    if (event.kind === 'released') {
      const { releaseMs } = this.#driver?.view.timing ?? this.#timing;
      this.#log.info(
        { event: 'released', epoch: event.epoch, ms: event.ms, mode: event.mode },
        `released in ${event.ms.toFixed(0)} ms (${event.mode}; D is ${releaseMs} ms)`,
      );
    }
    if (event.kind === 'probes') this.#probes = event;
    if (event.kind === 'doctor') this.#failedChecks = event.failed;
    // What its predecessor has found is told again by it, or not at all.
    if (event.kind === 'gone') this.#failedChecks = null;
    this.#completeness.onExecutorEvent(event);
    this.#replication.onExecutorEvent(event);
    this.#counts.onExecutorEvent(event, (this.#driver?.view.timing ?? this.#timing).releaseMs);
    this.#driver?.onExecutorEvent(event);
    switch (event.kind) {
      case 'taken':
        void this.#fencing?.after(event.epoch);
        this.#upkeep?.onTaken();
        this.#dataLoss?.onTaken(event.epoch);
        return this.#failures?.onTaken(event);
      case 'fence-ended':
        return this.#fencing?.onFenceEnded(event);
      case 'repair-failed':
        return this.#failures?.onRepairFailed(event);
      case 'take-failed':
        return this.#failures?.onTakeFailed(event);
      case 'probes':
        this.#upkeep?.onProbes(event);
        this.#standAlone?.onProbes(event);
        return this.#failures?.onProbes(event);
      case 'release-failed':
        this.#log.error({ ...event }, `the planned release could not end: ${event.why}`);
        // Leaving all the same: the closing channel makes the executor release by force (O1, R1).
        if (this.#isEnding) return this.#resolveExit(EXIT.failed);
        return this.#failures?.onReleaseFailed(event);
      case 'data-read':
        this.#dataLook.onDataRead(event);
        return this.#upkeep?.onDataRead(event);
      case 'io-resumed':
        return this.#upkeep?.onIoResumed(event);
      case 'copies-read':
        return this.#dataLoss?.onCopiesRead(event);
      case 'pools-read':
      case 'pools-unread':
        return this.#pools.onHeard(event);
      case 'gone':
        this.#fencing?.onExecutorGone();
        return void this.#replaceExecutor();
      default:
        return;
    }
  }

  /** O1: a new executor that releases. Until it has, this node votes for nobody; its watchdog is not petted either. */
  async #replaceExecutor(): Promise<void> {
    if (this.#isReplacing) return;
    this.#isReplacing = true;
    // Until one is connected: it may die as soon as it is there.
    while (this.#needsExecutor() && !this.#executor.connected) {
      this.#log.error({ event: 'executor-lost' }, 'the executor is gone; starting one that releases (O1)');
      try {
        // mark: executor-replaced
        await this.#executor.replace();
      } catch (error) {
        this.#log.error({ event: 'executor-replace-failed', error: String(error) }, 'no new executor yet');
        await this.#parts.clock.sleep(REPLACE_RETRY_MS);
      }
    }
    this.#isReplacing = false;
  }

  /** Also an agent that is ending owes a release, as long as it does not know that nothing is held. */
  #needsExecutor(): boolean {
    return !this.#isEnding || (this.#driver !== null && this.#driver.view.hold.kind !== 'none');
  }

  #onCommitted(entry: Entry): void {
    this.#takeovers.onCommitted(entry);
    this.#counts.onCommitted(entry);
    this.#fencing?.onCommitted();
    this.#backend?.onCommitted(entry);
    if (entry.body.kind === 'elected' && (this.#driver?.view.state.pause ?? null) !== null)
      this.#log.warn(
        { event: 'paused', leader: entry.body.leader },
        'the cluster is paused: nobody holds until "quorate resume" (H7)',
      );
    if (entry.body.kind === 'config') {
      this.#executor.setTiming(entry.body.timing);
      if (this.#driver !== null) this.#followMembers(this.#driver);
    }
    if (entry.body.kind !== 'note') {
      this.#log.info(
        { event: 'committed', index: entry.index, term: entry.term, entry: entry.body },
        `${entry.index} ${entry.body.kind}`,
      );
    }
  }

  #onCoreEvent(event: CoreEvent): void {
    this.#counts.onCoreEvent(event);
    this.#backend?.onCoreEvent(event);
    if (event.event === 'restart' && event.phase === 'adopted') this.#upkeep?.onTaken();
    this.#log.info({ node: this.#config.node, ...event }, event.event);
  }

  // --- what is told ---

  #status() {
    if (this.#driver === null) throw new QuorateError('not-bootstrapped', 'the agent is still starting');
    return statusOf({
      config: this.#config,
      driver: this.#driver,
      isUp: (peer) => this.#transport?.isUp(peer) ?? false,
      resources: this.#probes?.resources ?? [],
      lastTakeover: this.#takeovers.last,
      degraded: new Map([...(this.#failures?.degraded ?? []), ...(this.#dataLoss?.refusals ?? [])]),
      warnings: this.#parts.certificateWarnings?.() ?? [],
    });
  }

  #roleFacts(driver: Driver) {
    return roleFactsOf({
      driver,
      // The suspend first: what is found to have ended must not be newer than the lease that is judged by it.
      resumedAt: this.#parts.resumedAt(),
      now: this.#parts.clock.now(),
      isExecutorConnected: this.#executor.connected,
      disk: this.#probes?.disk ?? null,
      isComplete: (epoch) => this.#completeness.isComplete(epoch),
      degraded: [...(this.#failures?.degraded.values() ?? [])],
      isEnding: this.#isEnding,
    });
  }

  #metricFacts(driver: Driver) {
    return metricFactsOf({
      driver,
      role: this.#roleFacts(driver),
      counted: this.#counts,
      isUp: (peer) => this.#transport?.isUp(peer) ?? false,
      probes: this.#probes,
      failedChecks: this.#failedChecks,
      replication: this.#replication.facts.datasets,
      wallMs: this.#parts.clock.wallMs(),
    });
  }

  // --- end ---

  /** SIGTERM: hand over, release, leave. A second signal does not wait. */
  async shutdown(): Promise<void> {
    if (this.#isEnding) return this.#resolveExit(EXIT.failed);
    this.#isEnding = true;
    this.#log.info({ event: 'shutdown' }, 'handing over');
    const driver = this.#driver;
    if (driver === null) return this.#resolveExit(EXIT.done);
    driver.holdNoMore();
    const { hasLed, isReleased } = await handOver({
      ...{ driver, clock: this.#parts.clock, limitMs: SHUTDOWN_LIMIT_MS },
      until: (isDone, limitMs) => this.#until(isDone, limitMs),
    });
    if (hasLed && isReleased) {
      await this.#until(
        () => driver.view.role.kind === 'follower' && driver.view.role.leader !== null,
        FAREWELL_LIMIT_MS,
      );
    }
    this.#resolveExit(isReleased ? this.#endCode : EXIT.failed);
  }

  /** L7: to be started again at once. `kept`: the executor has everything, and needs no agent until its deadline. */
  #leave(how: 'kept' | 'plain'): void {
    this.#endCode = EXIT.restart;
    if (how === 'plain') return void this.shutdown();
    this.#isEnding = true;
    this.#log.info({ event: 'restart' }, 'leaving everything to the executor until the next agent adopts it');
    this.#resolveExit(EXIT.restart);
  }

  #lacking(format: number): readonly NodeId[] {
    const { driver } = this;
    const transport = this.#transport;
    if (driver === null || transport === null) return [];
    const others = driver.view.voters.filter((id) => id !== driver.view.self);
    return lackingVoters(
      others,
      (peer) => transport.isUp(peer),
      (peer) => transport.formatOf(peer),
      format,
    );
  }

  #onFatal(error: unknown): void {
    const isBroken = error instanceof InvariantError;
    const code = isBroken ? EXIT.invariant : error instanceof QuorateError ? error.exitCode : EXIT.storage;
    this.#log.fatal(
      {
        event: 'fatal',
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        code,
      },
      String(error),
    );
    this.#isEnding = true;
    this.#isFatal = true;
    this.#resolveExit(code);
  }

  /** Resolves true once the condition holds after some step, false when the time is over. */
  #until(isDone: () => boolean, limitMs: number): Promise<boolean> {
    if (isDone()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(limitMs, () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        resolve(false);
      });
      const waiter = {
        isDone,
        resolve: () => {
          timer.cancel();
          resolve(true);
        },
      };
      this.#waiting.push(waiter);
    });
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const done = this.#waiting.filter(({ isDone }) => isDone());
    this.#waiting = this.#waiting.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) waiter.resolve();
  }

  async #takeDown(): Promise<void> {
    this.#isEnding = true;
    const isReleased = this.#driver === null || this.#driver.view.hold.kind === 'none';
    this.#driver?.end();
    this.#failures?.end();
    this.#fencing?.end();
    this.#backend?.end();
    await this.#service?.close().catch(() => {});
    // An executor that may still hold is not told goodbye: the closing channel makes it release and say so (R4).
    if (isReleased) await this.#executor.close().catch(() => {});
    // L7: it waits for the next one, which is let in when this process has gone.
    if (this.#driver?.view.hold.kind === 'handed-over') await this.#executor.close('abandon').catch(() => {});
    await Promise.allSettled([this.#transport?.close(), this.#store?.close()]);
  }
}

/** E5: it has nothing to do here any more, and must not try: its log would say that it may. */
function nodeRemoved(node: NodeId, why: string): QuorateError {
  return new QuorateError('node-removed', `${node} is no member any more: ${why}`);
}

export function otherMembers({ members, node }: Config): Map<NodeId, string> {
  return new Map(members.filter(({ id }) => id !== node).map(({ id, peer }) => [id, peer]));
}
