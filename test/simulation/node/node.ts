/**
 * One node: its host, disk, devices and programs, and the two processes on it, the real ones.
 *
 * Modelled: an agent that ends or is killed is started again by its supervisor; a host that boots starts its agent; DRBD's
 * handler asks the agent of its host and may lose the reply.
 */
import type { Logger } from 'pino';
import { Agent } from '../../../src/agent/agent.ts';
import type { Backend } from '../../../src/agent/backend.ts';
import { otherMembers } from '../../../src/agent/roster.ts';
import type { Config } from '../../../src/config/index.ts';
import {
  type Entry,
  instant,
  type Message,
  type NodeId,
  type Released,
  type Timing,
} from '../../../src/core/index.ts';
import { EXIT, QuorateError } from '../../../src/errors.ts';
import { ResumeWatch, SuspendCheck } from '../../../src/executor/index.ts';
import { LogStore, sha256 } from '../../../src/log/index.ts';
import { type Fitness, FORMAT } from '../../../src/peer/index.ts';
import type { Host, HostPart, Thread } from '../engine/host.ts';
import { between } from '../engine/world.ts';
import type { Cloud } from '../models/cloud.ts';
import type { HostPrograms } from '../models/commands.ts';
import { Disk } from '../models/disk.ts';
import type { Network } from '../models/network.ts';
import { WatchdogDevice } from '../models/watchdog.ts';
import { SimulatedExecutorClient } from './executor-client.ts';
import { ExecutorProcess } from './executor-process.ts';
import { fencePeer } from './fence-handler.ts';

const BOOT_MS = [300, 1_500] as const;
const RESTART_MS = [100, 1_000] as const;
const COME_BACK_MS = [50, 600] as const;
const LOG_OPEN_MS = [5, 50] as const;

export interface NodeOptions {
  readonly host: Host;
  readonly config: Config;
  readonly timing: Timing;
  readonly network: Network;
  readonly cloud: Cloud;
  readonly programs: HostPrograms;
  readonly peers: ReadonlyMap<string, SimulatedNode>;
  readonly watchdogMs: number | null;
  readonly clockErrorRate: number;
  /** Every message that an agent sends, for marks and checks. */
  readonly onMessage: (message: Message) => void;
}

interface Handlers {
  onMessage(message: Message): void;
  onStatement(released: Released): void;
  onBootstrap(entry: Entry): Promise<void>;
  fitness(): Fitness | null;
}

interface AgentLife {
  readonly thread: Thread;
  readonly pid: number;
  readonly agent: Agent;
  readonly client: SimulatedExecutorClient;
  handlers: Handlers | null;
  backend: Backend | null;
}

export class SimulatedNode implements HostPart {
  readonly id: string;
  readonly options: NodeOptions;
  readonly disk: Disk;
  readonly watchdog: WatchdogDevice | null;
  executor: ExecutorProcess | null = null;
  #life: AgentLife | null = null;
  #pids = 100;
  readonly #random: () => number;
  /** False: what ends stays down (a fault that lasts, or a node that is not part of the cluster yet). */
  mayStart = true;
  /** What its agent says that it understands; null: one of an older version, which says nothing. */
  saysFormat: number | null = FORMAT;
  /** The next replies of DRBD's handler are lost. */
  lostReplies = 0;
  /** How long its supervisor takes to start the agent again after a planned restart (L7). */
  comeBackMs: readonly [number, number] = COME_BACK_MS;
  #orders = 0;
  /** How often an agent ended, by exit code. */
  readonly exits = new Map<number, number>();

  constructor(options: NodeOptions) {
    const { host, watchdogMs, clockErrorRate, programs } = options;
    this.options = options;
    this.id = host.id;
    this.disk = new Disk(host);
    this.#random = host.world.random(`node ${host.id}`);
    this.watchdog =
      watchdogMs === null
        ? null
        : new WatchdogDevice(host, watchdogMs, clockErrorRate, () =>
            this.powerCycle(between(this.#random, BOOT_MS)),
          );
    host.parts.push(this);
    for (const device of programs.devices.values()) device.handler = (peer) => fencePeer(this, peer);
  }

  get host(): Host {
    return this.options.host;
  }
  get agent(): Agent | null {
    return this.#life?.agent ?? null;
  }
  get backend(): Backend | null {
    return this.#life?.backend ?? null;
  }
  get agentThread(): Thread | null {
    return this.#life?.thread ?? null;
  }
  /** The core's state, while an agent runs. */
  get view() {
    return this.#life?.agent.driver?.view ?? null;
  }

  // --- power ---

  powerOff(): void {
    this.#life = null;
    this.executor = null;
  }
  powerOn(): void {
    this.#startSoon(between(this.#random, BOOT_MS));
  }
  powerCycle(offMs: number): void {
    this.host.powerOff();
    this.host.world.after(offMs, () => this.host.powerOn());
  }

  #startSoon(delayMs: number): void {
    const { boots } = this.host;
    this.host.world.after(delayMs, () => {
      if (this.mayStart && this.host.isOn && this.host.boots === boots && this.#life === null)
        this.startAgent();
    });
  }

  // --- the agent's process ---

  startAgent(): void {
    const { host, config, timing } = this.options;
    this.#pids += 1;
    const pid = this.#pids;
    const thread = host.thread('agent');
    const others = otherMembers(config);
    const client = new SimulatedExecutorClient(thread, pid, config, others, timing, {
      current: () => this.executor,
      spawn: (mayReplace) => this.#spawnExecutor(mayReplace),
    });
    const resumes = new ResumeWatch(
      new SuspendCheck(
        () => thread.clock.now(),
        () => host.bootMs,
      ),
      () => thread.clock.now(),
    );
    const agent = new Agent(config, this.#logger(), {
      clock: thread.clock,
      seed: Math.floor(this.#random() * 2 ** 31),
      timing,
      executor: client,
      openLog: async () => {
        await thread.clock.sleep(between(this.#random, LOG_OPEN_MS));
        // LevelDB's lock: a process that was killed is gone only when its last write has returned.
        while (this.disk.isBusy) await thread.clock.sleep(1);
        return LogStore.over(this.disk.medium(thread), this.disk.log, {
          digest: sha256,
          directory: config.dataDir,
          clock: thread.clock,
        });
      },
      diskMarks: this.disk.diskMarks(thread),
      resumedAt: () => resumes.look(),
      bootPromiseStart: async () => {
        const isFirstOfBoot = this.disk.bootRecord !== null && this.disk.bootRecord !== host.boots;
        this.disk.bootRecord = host.boots;
        return isFirstOfBoot ? instant(0) : thread.clock.now();
      },
      transport: (handlers) => {
        life.handlers = handlers;
        return {
          start: async () => undefined,
          setPeers: () => undefined,
          send: (message) => this.#send(message),
          isUp: (peer) => this.#isReachable(peer),
          formatOf: (peer) => this.options.peers.get(peer)?.saysFormat ?? null,
          sendBootstrap: (address, entry) => this.#sendBootstrap(nodeOf(address), entry),
          close: async () => undefined,
        };
      },
      askFitness: (peer) => this.#askFitness(peer, thread),
      serve: async (backend) => {
        life.backend = backend;
        return { close: async () => undefined };
      },
    });
    const life: AgentLife = { thread, pid, agent, client, handlers: null, backend: null };
    this.#life = life;
    agent.run().then(
      (code) => this.#onExit(life, code),
      (error: unknown) => this.#onExit(life, error instanceof QuorateError ? error.exitCode : EXIT.invariant),
    );
  }

  /** SIGKILL. */
  killAgent(): boolean {
    const life = this.#life;
    if (life === null) return false;
    this.#endAgent(life);
    this.#startSoon(between(this.#random, RESTART_MS));
    return true;
  }

  /** SIGTERM; its supervisor starts it again. */
  shutdownAgent(): void {
    this.ask((_backend, agent) => void agent.shutdown());
  }

  /** An operator's command: it waits where the agent stands still, and meets nobody where none runs. */
  ask(act: (backend: Backend, agent: Agent) => void): void {
    const life = this.#life;
    life?.thread.post(0.5, () => {
      if (life.backend !== null) act(life.backend, life.agent);
    });
  }

  switchover(
    to: NodeId | null,
    onEnd: (outcome: string) => void = () => undefined,
    order = this.#order(),
  ): void {
    this.ask((backend) =>
      backend.switchover({ to, dryRun: false, ...order }).then(
        (done) => onEnd(`done, to ${done.to}`),
        (error: unknown) => onEnd(error instanceof Error ? error.message : String(error)),
      ),
    );
  }

  /** Every order has an id of its own. */
  #order() {
    this.#orders += 1;
    return { who: 'operator', requestId: `${this.id}-order-${this.#orders}`, expectedEpoch: null };
  }

  /** H7. `on`: the data node that is put on standby or made active. */
  order(
    what: 'pause' | 'resume' | 'standby' | 'activate',
    on: NodeId,
    onEnd: (outcome: string) => void = () => undefined,
  ): void {
    const request = { node: on, why: '', ...this.#order() };
    this.ask((backend) =>
      backend[what](request).then(
        (done) => onEnd('moved' in done && done.moved !== null ? `done, to ${done.moved.to}` : 'done'),
        (error: unknown) => onEnd(error instanceof Error ? error.message : String(error)),
      ),
    );
  }

  /** L7: of this very agent. */
  restart(withinMs: number | null, onEnd: (outcome: string) => void = () => undefined): void {
    const { expectedEpoch: _, ...order } = this.#order();
    this.ask((backend) =>
      backend.restart({ withinMs, dryRun: false, ...order }).then(
        ({ epoch }) => onEnd(epoch === null ? 'done, nothing is kept' : `done, epoch ${epoch} is kept`),
        (error: unknown) => onEnd(error instanceof Error ? error.message : String(error)),
      ),
    );
  }

  /** O3: an operator who accepts whatever is lost. */
  failover(to: NodeId, onEnd: (outcome: string) => void = () => undefined): void {
    const order = { to, why: 'its peer is gone', acceptDataLoss: true, dryRun: false, ...this.#order() };
    this.ask((backend) =>
      backend.failover(order).then(
        (done) => onEnd(`done, ${done.to} holds; given up: ${done.mayLose}`),
        (error: unknown) => onEnd(error instanceof Error ? error.message : String(error)),
      ),
    );
  }

  #onExit(life: AgentLife, code: number): void {
    if (this.#life !== life) return;
    this.exits.set(code, (this.exits.get(code) ?? 0) + 1);
    this.host.say(`the agent ends with code ${code}`);
    if (code === EXIT.invariant)
      this.host.world.fail('invariant', `${this.id}: an invariant of its own code broke`);
    this.#endAgent(life);
    if (code === EXIT.hardState) return;
    this.#startSoon(between(this.#random, code === EXIT.restart ? this.comeBackMs : RESTART_MS));
  }

  #endAgent(life: AgentLife): void {
    life.thread.end();
    life.client.drop();
    if (this.#life === life) this.#life = null;
  }

  #logger(): Logger {
    const { host } = this;
    const fatal = (fields: { error?: string; code?: number }): void => {
      if (fields.code === EXIT.invariant) host.say(String(fields.error));
    };
    const tell = (fields: { event?: string; why?: string }): void => {
      if (fields.event === 'stepped-down') host.world.marks.add(`stepped-down-${fields.why}`);
      if (host.world.isVerbose) host.say(`agent ${JSON.stringify(fields)}`);
    };
    // The agent uses these four alone.
    return { info: tell, warn: tell, error: tell, fatal } as unknown as Logger;
  }

  // --- the executor's process ---

  #spawnExecutor(mayReplace: boolean): ExecutorProcess | null {
    if (this.executor?.isAlive === true) {
      if (!mayReplace) return null;
      this.executor.end();
    }
    const { host, config, programs, cloud } = this.options;
    const process: ExecutorProcess = new ExecutorProcess({
      host,
      config,
      disk: this.disk,
      programs,
      watchdog: this.watchdog,
      cloud,
      sendStatement: (to, statement) => this.#sendStatement(to, statement),
      isRunning: (pid) => this.#life?.pid === pid,
      killAgent: async (pid) => {
        if (this.#life?.pid === pid) this.killAgent();
        return true;
      },
      onEnd: (ended) => {
        if (this.executor === ended) this.executor = null;
      },
    });
    this.executor = process;
    return process;
  }

  killExecutor(): boolean {
    if (this.executor === null) return false;
    this.executor.end();
    return true;
  }

  // --- messages ---

  #isReachable(peer: string): boolean {
    const { network, peers } = this.options;
    return (
      network.isOpen(this.id, peer) &&
      network.isOpen(peer, this.id) &&
      peers.get(peer)?.agentThread?.isFrozen === false
    );
  }

  #send(message: Message): void {
    const { network, peers, onMessage } = this.options;
    const target = peers.get(message.to);
    if (target === undefined) return;
    onMessage(message);
    network.send(this.id, message.to, () => target.receive((handlers) => handlers.onMessage(message)));
  }

  /** To whichever agent runs now; lost where none does. */
  receive(act: (handlers: Handlers) => void): void {
    const life = this.#life;
    life?.thread.post(0, () => {
      if (life.handlers !== null) act(life.handlers);
    });
  }

  #sendStatement(to: NodeId, statement: Released): Promise<void> {
    const target = this.options.peers.get(to);
    return this.options.network.call(this.id, to, (done) =>
      target?.receive((handlers) => {
        this.host.world.marks.add('statement-arrives');
        handlers.onStatement({ ...statement, to });
        done();
      }),
    );
  }

  /** The answer is heard by the agent that asked, when it runs: not by a dead one, later by one that stands still. */
  #askFitness(peer: NodeId, thread: Thread): Promise<Fitness | null> {
    const target = this.options.peers.get(peer);
    const answer = this.options.network.call<Fitness | null>(this.id, peer, (done) =>
      target?.receive((handlers) => done(handlers.fitness())),
    );
    return new Promise((resolve, reject) => {
      answer.then(
        (fitness) => thread.post(0, () => resolve(fitness)),
        (error: unknown) => thread.post(0, () => reject(error)),
      );
    });
  }

  #sendBootstrap(to: string, entry: Entry): Promise<void> {
    const target = this.options.peers.get(to);
    return this.options.network.call(this.id, to, (done, fail) =>
      target?.receive((handlers) => void handlers.onBootstrap(entry).then(done, fail)),
    );
  }
}

export const addressOf = (id: string): string => `${id}:7400`;
const nodeOf = (address: string): string => address.split(':')[0] ?? '';
