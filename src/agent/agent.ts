/**
 * The agent process: puts log, core, peers, executor and admin service together, and takes them down in the order that
 * keeps one holder.
 *
 * Start: log, then an executor that verifies that nothing is held, then the boot promise; no vote before both (L4).
 * End: hand over and release while the lease still runs; what cannot end in time is left to the executor, which
 * releases by itself when its channel closes (O1).
 */
import type { Logger } from 'pino';
import { type Config, memberDifferences, replicatedPools } from '../config/index.ts';
import type { CoreEvent, Entry, Message, NodeId, Proposal, Timing } from '../core/index.ts';
import { adoptable, logIndex, newestTiming } from '../core/index.ts';
import { EXIT, type ExitCode, QuorateError } from '../errors.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import { AgentFacts } from './agent-facts.ts';
import { logCommitted, logFatal, logReleased } from './agent-log.ts';
import type { AgentParts, Store, Transport } from './agent-parts.ts';
import { AroundDriver } from './around-driver.ts';
import { DataLook } from './data-look.ts';
import { DataLoss } from './data-loss.ts';
import { DiskLossCheck } from './disk-loss.ts';
import type { Driver, ProposeResult } from './driver.ts';
import { ExecutorCare } from './executor-care.ts';
import { fitnessOf } from './fitness.ts';
import { lackingVoters, RESTART_FORMAT } from './format.ts';
import { handOver } from './hand-over.ts';
import { Heard } from './heard.ts';
import { newDriver } from './new-driver.ts';
import { PoolsQuestion } from './pools-question.ts';
import { rosterOf } from './roster.ts';
import { Waiting } from './waiting.ts';

/** A SIGTERM must end: after this the executor's abrupt release does what the hand-over could not. */
const SHUTDOWN_LIMIT_MS = 20_000;
/** How long a node that has handed over waits to hear of the new leader: its vote may be needed. */
const FAREWELL_LIMIT_MS = 1_500;

export class Agent {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #parts: AgentParts;
  readonly #executor: ExecutorClient;
  readonly #timing: Timing;
  readonly #waiting: Waiting;
  readonly #heard: Heard;
  readonly #executorCare: ExecutorCare;
  readonly #dataLook: DataLook;
  readonly #pools: PoolsQuestion;
  /** Null: no pool is replicated by snapshots. */
  #dataLoss: DataLoss | null = null;
  #diskLoss: DiskLossCheck | null = null;
  #store: Store | null = null;
  #transport: Transport | null = null;
  #driver: Driver | null = null;
  #facts: AgentFacts | null = null;
  #around: AroundDriver | null = null;
  #service: { close(): Promise<void> } | null = null;
  /** L7: what the executor has kept over the restart of its agent. */
  #kept: Extract<ExecutorEvent, { kind: 'kept' }> | null = null;
  /** With which an orderly end ends. */
  #endCode: ExitCode = EXIT.done;
  #isEnding = false;
  #isFatal = false;
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
    this.#waiting = new Waiting(parts.clock);
    this.#heard = new Heard(config, parts.executor, parts.clock);
    this.#executorCare = new ExecutorCare({
      executor: parts.executor,
      clock: parts.clock,
      log,
      onEvent: (event) => this.#onExecutor(event),
      isNeeded: () => !this.#isEnding || (this.#driver !== null && this.#driver.view.hold.kind !== 'none'),
    });
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
    this.#diskLoss = await DiskLossCheck.open(recovered, {
      ...{ self: config.node, dataDir: config.dataDir, marks: parts.diskMarks, log: this.#log },
      onFatal: (error) => this.#onFatal(error),
    });
    const transport = parts.transport({
      onMessage: (message) => this.#onMessage(message),
      onStatement: (message) => this.#onMessage(message),
      onBootstrap: async (entry) => {
        if (this.#around === null) throw new QuorateError('peer-refused', 'the agent is still starting');
        await this.#around.newCluster.accept(entry);
      },
      onLink: () => {}, // a hint, never a reason to act (H5)
      onRemoved: (by, why) => this.#onFatal(nodeRemoved(config.node, `${by} says: ${why}`)),
      fitness: () =>
        this.#facts === null ? null : fitnessOf(this.#facts.role(), this.#heard.failedChecks ?? []),
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
    const isReady = await this.#executorCare.start(adoptable(config.node, recovered));
    if (replicatedPools(config).length > 0)
      this.#dataLoss = new DataLoss({
        config,
        driver: () => this.#driver,
        executor: this.#executor,
        clock: parts.clock,
      });
    const driver = await newDriver({
      ...{ config, parts, timing: this.#timing, recovered, kept: this.#kept, store, transport },
      ...{ executor: this.#executor, heard: this.#heard, dataLoss: this.#dataLoss },
      fenceBefore: async () => (await this.#around?.fencing.before()) ?? false,
      lacking: (format) => this.#lacking(format),
      onCommitted: (entry) => this.#onCommitted(entry),
      onRefusedToHold: (why) => {
        this.#heard.counts.refusalsToHold += 1;
        this.#log.error({ event: 'cannot-hold', why }, `cannot hold: ${why}`);
      },
      onEvent: (event) => this.#onCoreEvent(event),
      onStep: () => this.#waiting.wake(),
      onFatal: (error) => this.#onFatal(error),
    });
    for (const entry of driver.view.log.slice(logIndex(1), driver.view.commitIndex)) {
      this.#heard.onRecovered(entry);
    }
    this.#driver = driver;
    const facts = new AgentFacts({
      config,
      driver,
      parts,
      executor: this.#executor,
      heard: this.#heard,
      isUp: (peer) => transport.isUp(peer),
      degraded: () => this.#around?.failures.degraded ?? new Map(),
      refusals: () => this.#dataLoss?.refusals ?? new Map(),
      copies: () => this.#around?.copies?.known ?? null,
      isEnding: () => this.#isEnding,
    });
    this.#facts = facts;
    if (!isReady() || (this.#kept !== null && !this.#executor.connected))
      driver.input({ kind: 'executor-lost' });
    this.#executor.setTiming(driver.view.timing);
    const around = new AroundDriver({
      config,
      parts,
      log: this.#log,
      driver,
      transport,
      facts,
      heard: this.#heard,
      dataLook: this.#dataLook,
      dataLoss: this.#dataLoss,
      waiting: this.#waiting,
      lacking: () => this.#lacking(RESTART_FORMAT),
      onFirst: () => this.#diskLoss?.bootstrapped(),
      leave: (how) => this.#leave(how),
      shutdownLimitMs: SHUTDOWN_LIMIT_MS,
    });
    this.#around = around;
    this.#service = await parts.serve(around.backend);
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

  // --- what comes in ---

  #onMessage(message: Message): void {
    const driver = this.#driver;
    if (driver === null || this.#diskLoss?.mayTake(message, driver.view) !== true) return;
    driver.input({ kind: 'message', message });
  }

  #onExecutor(event: ExecutorEvent): void {
    if (event.kind === 'kept' || event.kind === 'ready') {
      // L8: one that was started meanwhile must say that it goes by it.
      if (this.#driver !== null) this.#executor.setTiming(this.#driver.view.timing);
      // L7: nothing was released, and nothing need be: this start is not one of L4 while that is so.
      this.#kept = event.kind === 'kept' ? event : null;
      this.#executorCare.onReady();
    }
    if (event.kind === 'handed-over') this.#around?.restart.onHandOver('done');
    if (event.kind === 'hand-over-refused') this.#around?.restart.onHandOver({ refused: event.why });
    const { releaseMs } = this.#driver?.view.timing ?? this.#timing;
    if (event.kind === 'released') logReleased(this.#log, event, releaseMs);
    this.#heard.onExecutorEvent(event, releaseMs);
    this.#driver?.onExecutorEvent(event);
    switch (event.kind) {
      case 'release-failed':
        this.#log.error({ ...event }, `the planned release could not end: ${event.why}`);
        // Leaving all the same: the closing channel makes the executor release by force (O1, R1).
        if (this.#isEnding) return this.#resolveExit(EXIT.failed);
        break;
      case 'data-read':
        this.#dataLook.onDataRead(event);
        break;
      case 'copies-read':
        return this.#dataLoss?.onCopiesRead(event);
      case 'pools-read':
      case 'pools-unread':
        return this.#pools.onHeard(event);
      default:
    }
    this.#around?.onExecutorEvent(event);
    if (event.kind === 'gone') void this.#executorCare.replace();
  }

  #onCommitted(entry: Entry): void {
    this.#heard.onCommitted(entry);
    this.#around?.onCommitted(entry);
    this.#diskLoss?.onCommitted(entry);
    if (entry.body.kind === 'config') {
      this.#executor.setTiming(entry.body.timing);
      if (this.#driver !== null) this.#followMembers(this.#driver);
    }
    logCommitted(this.#log, entry, (this.#driver?.view.state.pause ?? null) !== null);
  }

  #onCoreEvent(event: CoreEvent): void {
    this.#heard.onCoreEvent(event);
    this.#around?.onCoreEvent(event);
    this.#log.info({ node: this.#config.node, ...event }, event.event);
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
      until: (isDone, limitMs) => this.#waiting.until(isDone, limitMs),
    });
    if (hasLed && isReleased) {
      await this.#waiting.until(
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
    const code = logFatal(this.#log, error);
    this.#isEnding = true;
    this.#isFatal = true;
    this.#resolveExit(code);
  }

  async #takeDown(): Promise<void> {
    this.#isEnding = true;
    const isReleased = this.#driver === null || this.#driver.view.hold.kind === 'none';
    this.#driver?.end();
    this.#around?.end();
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
