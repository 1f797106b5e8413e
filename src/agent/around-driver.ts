/**
 * What works around a driver: each part looks at what the core has decided and at what the executor says, and does what is neither's.
 * They are there together, from the instant at which there is a driver.
 */
import type { Logger } from 'pino';
import { type Config, memberOf } from '../config/index.ts';
import type { CoreEvent, Entry, NodeId } from '../core/index.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import type { AgentFacts } from './agent-facts.ts';
import type { AgentParts, Transport } from './agent-parts.ts';
import { Backend } from './backend.ts';
import { CopyView } from './copy-view.ts';
import type { DataLook } from './data-look.ts';
import type { DataLoss } from './data-loss.ts';
import type { Driver } from './driver.ts';
import { Failures } from './failures.ts';
import { Fencing } from './fencing.ts';
import type { Heard } from './heard.ts';
import { KeptTails } from './kept-tails.ts';
import { NewCluster } from './new-cluster.ts';
import { Restart } from './restart.ts';
import { otherMembers, rosterOf } from './roster.ts';
import { StandAlone } from './stand-alone.ts';
import { Upkeep } from './upkeep.ts';
import type { Waiting } from './waiting.ts';

export interface AroundDriverOptions {
  readonly config: Config;
  readonly parts: AgentParts;
  readonly log: Logger;
  readonly driver: Driver;
  readonly transport: Transport;
  readonly facts: AgentFacts;
  readonly heard: Heard;
  readonly dataLook: DataLook;
  /** Null: no pool is replicated by snapshots. */
  readonly dataLoss: DataLoss | null;
  readonly waiting: Waiting;
  /** Voters that answer and have not said that they know what this version does. */
  readonly lacking: () => readonly NodeId[];
  /** Told before the first entry is written; throws where a leader's log has come first (D2). */
  readonly onFirst: () => void;
  /** L7: this process is to be started again at once. `kept`: without a release. */
  readonly leave: (how: 'kept' | 'plain') => void;
  readonly shutdownLimitMs: number;
}

export class AroundDriver {
  readonly fencing: Fencing;
  readonly failures: Failures;
  readonly upkeep: Upkeep;
  readonly restart: Restart;
  readonly newCluster: NewCluster;
  readonly backend: Backend;
  /** Null: no pool of this node is replicated by snapshots. */
  readonly copies: CopyView | null;
  readonly #standAlone: StandAlone;
  readonly #keptTails: KeptTails;
  readonly #dataLoss: DataLoss | null;

  constructor(options: AroundDriverOptions) {
    const { config, parts, log, driver, transport, facts, heard, waiting, dataLoss } = options;
    const { executor, clock, timing } = parts;
    const until = (isDone: () => boolean, limitMs: number) => waiting.until(isDone, limitMs);
    this.#dataLoss = dataLoss;
    this.fencing = new Fencing(config.fencing, driver, executor, clock, log);
    this.failures = new Failures({
      driver,
      executor,
      clock,
      log,
      fitnessOf: (peer) =>
        parts.askFitness(peer, rosterOf(config, driver.view.state).peers.get(peer) ?? null),
    });
    const upkeep = new Upkeep(driver, executor, clock, log);
    this.upkeep = upkeep;
    this.#standAlone = new StandAlone(driver, clock, log);
    this.#keptTails = new KeptTails({ config, driver });
    const restart = new Restart({
      driver,
      executor,
      clock,
      instance: parts.seed.toString(36),
      isComplete: (epoch) => heard.completeness.isComplete(epoch),
      openBusiness: () => upkeep.openBusiness,
      isUp: (peer) => transport.isUp(peer),
      lacking: options.lacking,
      until,
      leave: options.leave,
      limitMs: options.shutdownLimitMs,
    });
    this.restart = restart;
    const newCluster = new NewCluster({
      config,
      timing,
      driver,
      transport,
      others: otherMembers(config),
      probes: () => heard.probes,
      onFirst: options.onFirst,
      until,
    });
    this.newCluster = newCluster;
    this.backend = new Backend({
      config,
      driver,
      clock,
      timing,
      status: () => facts.status(),
      roleFacts: () => facts.role(),
      metricFacts: () => facts.metrics(),
      statusFacts: () => facts.statusPage(),
      bootstrap: (request) => newCluster.bootstrap(request.inSync),
      replication: heard.replication,
      restart: (order) => restart.run(order),
      hasWholeData: () => options.dataLook.isWhole(),
      dataLoss,
      fence: { begins: (peer) => upkeep.fenceBegins(peer), ends: () => upkeep.fenceEnds() },
    });
    const isWitness = memberOf(config, config.node)?.witness === true;
    this.copies =
      dataLoss === null || isWitness
        ? null
        : new CopyView({
            ...{ driver, clock, read: () => dataLoss.losses() },
            onChanged: () => this.backend.onChanged(),
          });
    this.copies?.start();
  }

  /** After the core has heard it. */
  onExecutorEvent(event: ExecutorEvent): void {
    this.copies?.onExecutorEvent(event);
    switch (event.kind) {
      case 'taken':
        void this.fencing.after(event.epoch);
        this.upkeep.onTaken();
        this.#dataLoss?.onTaken(event.epoch);
        return this.failures.onTaken(event);
      case 'fence-ended':
        return this.fencing.onFenceEnded(event);
      case 'repair-failed':
        return this.failures.onRepairFailed(event);
      case 'take-failed':
        return this.failures.onTakeFailed(event);
      case 'probes':
        this.upkeep.onProbes(event);
        this.#standAlone.onProbes(event);
        return this.failures.onProbes(event);
      case 'release-failed':
        return this.failures.onReleaseFailed(event);
      case 'data-read':
        return this.upkeep.onDataRead(event);
      case 'io-resumed':
        return this.upkeep.onIoResumed(event);
      case 'replication':
        return this.#keptTails.onReport(event.report);
      case 'gone':
        return this.fencing.onExecutorGone();
      default:
        return;
    }
  }

  onCommitted(entry: Entry): void {
    this.fencing.onCommitted();
    this.copies?.onCommitted(entry);
    this.backend.onCommitted(entry);
  }

  onCoreEvent(event: CoreEvent): void {
    this.backend.onCoreEvent(event);
    if (event.event === 'restart' && event.phase === 'adopted') this.upkeep.onTaken();
  }

  end(): void {
    this.failures.end();
    this.fencing.end();
    this.backend.end();
    this.copies?.end();
  }
}
