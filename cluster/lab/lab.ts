/**
 * A lab: three guests with the product inside, the router with the EC2 controller, the client host. Its process runs in the
 * namespace of the switch, where the guests' taps and the management network are.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AdminClient, type StatusDocument } from '../../src/admin/index.ts';
import { type Entry, nodeId } from '../../src/core/index.ts';
import type { TlsMaterial } from '../../src/peer/index.ts';
import type { Acknowledgement } from '../local/demo/writer.ts';
import { HelperProcess } from '../local/node/index.ts';
import { inside, type RouterCommand, type RouterNews } from '../network/index.ts';
import { type Ran, runIn } from './channel.ts';
import type { ClientCommand, ClientNews } from './client.ts';
import { writeLabFiles } from './disks.ts';
import type { Engine, Machine } from './engine.ts';
import {
  CONTROLLER,
  type CuttableLink,
  DATA_NODES,
  type DataNode,
  isDataNode,
  managementAddress,
  NODES,
  type NodeName,
  PORT,
} from './hosts.ts';
import { installData, startServices } from './install.ts';
import { now } from './now.ts';
import {
  ALLOCATION,
  type ChannelName,
  instanceOf,
  nodeOfInterface,
  PACES,
  planController,
  ROUTER,
  type ServiceName,
  type StorageName,
  TIMINGS,
  type TimingName,
  type WatchdogName,
} from './plan.ts';
import { cutLink, healLink, namespaceOf } from './wires.ts';

/** For the slower engine, on a machine that does other things too. */
const BOOT_LIMIT_MS = 120_000;
const ANSWER_LIMIT_MS = 10_000;
const HEALTHY_LIMIT_MS = 240_000;
const STATUS_LIMIT_MS = 3_000;
const SWITCHOVER_LIMIT_MS = 60_000;
const QUICK_ANSWERS = 5;
/** A machine takes a while before its kernel runs again. */
const FIRMWARE_MS = 500;

export interface LabOptions {
  /** Owner of the namespaces. */
  readonly owner: number;
  /** Logs, which stay; and in `run` what goes with the lab. */
  readonly folder: string;
  readonly dist: string;
  readonly checkout: string;
  readonly engine: Engine;
  readonly timing: TimingName;
  readonly storage: StorageName;
  readonly services: ServiceName;
  readonly watchdog: WatchdogName;
  readonly channel: ChannelName;
  readonly seed: number;
  /** DRBD alone, Secondary on both nodes, and nothing of the product. */
  readonly isBare: boolean;
  readonly say: (text: string) => void;
}

export interface Holder {
  readonly node: DataNode;
  readonly epoch: number;
}

export class Lab {
  readonly options: LabOptions;
  readonly #machines = new Map<NodeName, Machine>();
  readonly #admin = new Map<NodeName, AdminClient>();
  readonly #helpers: HelperProcess<unknown>[] = [];
  #operator: TlsMaterial | null = null;
  #router: HelperProcess<RouterCommand> | null = null;
  #client: HelperProcess<ClientCommand> | null = null;
  #truth: RouterNews | null = null;
  #acknowledgements: Acknowledgement[] = [];
  #verified: Extract<ClientNews, { kind: 'verified' }> | null = null;
  readonly #resets = new Map<NodeName, number>();
  #isClosed = false;

  private constructor(options: LabOptions) {
    this.options = options;
  }

  /** Resolves when the cluster is bootstrapped and has a holder; a bare one, when DRBD is set up. */
  static async create(options: LabOptions): Promise<Lab> {
    const lab = new Lab(options);
    await lab.#start();
    return lab;
  }

  async #start(): Promise<void> {
    const { folder, checkout, engine, dist, say } = this.options;
    const run = join(folder, 'run');
    const cluster = `lab-${this.options.owner}`;
    const { timing, storage, services, watchdog, channel } = this.options;
    const files = await writeLabFiles({ cluster, timing, storage, services, watchdog, channel }, run);
    this.#operator = files.operator;
    const shared = { folder: run, dist, checkout };
    await engine.prepare(shared);
    await this.#startHelpers();
    for (const node of NODES) {
      const plan = {
        ...shared,
        node,
        stateDisk: files.stateDisk(node),
        dataDisks: files.dataDisks(node),
        consoleLog: this.logFile(node, 'console'),
        agentLog: this.logFile(node, 'agent'),
        watchdogS: TIMINGS[timing].watchdogS,
        onReset: () => void this.#afterReset(node),
      };
      for (const log of [plan.consoleLog, plan.agentLog]) writeFileSync(log, '');
      this.#machines.set(node, engine.machine(plan));
    }
    await Promise.all(NODES.map((node) => this.powerOn(node)));
    say('three guests are up');
    await installData(this, storage, services);
    say(`DRBD is set up, with ${storage} on it`);
    if (this.options.isBare) return;
    // One after the other where they would be in each other's way.
    for (const node of NODES) {
      await startServices(this, node);
      await this.#settled([node]);
    }
    await this.#settled(NODES);
    say('three agents run');
    await this.waitFor(
      'bootstrap',
      async () => {
        await this.admin('a').bootstrap(DATA_NODES.map((id) => nodeId(id)));
        return true;
      },
      HEALTHY_LIMIT_MS,
    );
    const { node } = await this.healthy();
    say(`${node} holds`);
  }

  /** These agents are through with their start, which takes a guest's whole processor: they answer quickly, time after time. */
  async #settled(nodes: readonly NodeName[]): Promise<void> {
    let quick = 0;
    await this.waitFor(
      'the agents run',
      async () => {
        const from = now();
        await Promise.all(nodes.map((node) => this.status(node)));
        quick = now() - from < PACES[this.options.timing].quickMs ? quick + 1 : 0;
        return quick >= QUICK_ANSWERS;
      },
      HEALTHY_LIMIT_MS,
    );
  }

  async #startHelpers(): Promise<void> {
    this.#router = this.#helper<RouterCommand>('router', 'router', (event) => {
      this.#truth = event as RouterNews;
    });
    this.#client = this.#helper<ClientCommand>('client', 'client', (event) => {
      const news = event as ClientNews;
      if (news.kind === 'acknowledged') this.#acknowledgements.push(...news.acknowledgements);
      else this.#verified = news;
    });
    await this.#router.request({
      kind: 'start',
      state: planController(),
      listen: CONTROLLER,
      seed: this.options.seed,
      router: ROUTER,
    });
  }

  #helper<Command>(
    name: string,
    place: 'router' | 'client',
    onEvent: (event: unknown) => void,
  ): HelperProcess<Command> {
    const helper = new HelperProcess<Command>(
      join(this.options.dist, 'lab-helper.mjs'),
      name,
      onEvent,
      () => {
        if (!this.#isClosed) throw new Error(`the ${name} process of the lab ended`);
      },
      inside(namespaceOf(this.options.owner, place)),
    );
    this.#helpers.push(helper as HelperProcess<unknown>);
    return helper;
  }

  logFile(node: NodeName, what: 'console' | 'agent'): string {
    return join(this.options.folder, `${node}-${what}.log`);
  }

  machine(node: NodeName): Machine {
    const machine = this.#machines.get(node);
    if (machine === undefined) throw new RangeError(`no guest ${node}`);
    return machine;
  }

  /** Resolves when commands work in the guest; its agent may still be starting. */
  async powerOn(node: NodeName): Promise<void> {
    await this.#router?.request({ kind: 'power', instance: instanceOf(node), action: 'start' });
    this.machine(node).start();
    await this.waitFor(
      `${node} is up`,
      async () => (await runIn(node, 'true', ANSWER_LIMIT_MS)).exit === 0,
      BOOT_LIMIT_MS,
    );
  }

  /** How often the node has been reset by its own kernel. */
  resets(node: NodeName): number {
    return this.#resets.get(node) ?? 0;
  }

  /** As firmware would. */
  async #afterReset(node: NodeName): Promise<void> {
    if (this.#isClosed) return;
    this.#resets.set(node, this.resets(node) + 1);
    this.options.say(`${node} was reset`);
    await new Promise((next) => setTimeout(next, FIRMWARE_MS));
    if (!this.#isClosed && this.machine(node).power === 'off') this.machine(node).start();
  }

  async powerOff(node: NodeName): Promise<void> {
    await this.machine(node).powerOff();
    await this.#router?.request({ kind: 'power', instance: instanceOf(node), action: 'crash' });
  }

  cut(node: NodeName, link: CuttableLink): Promise<void> {
    return cutLink(node, link);
  }

  heal(node: NodeName, link: CuttableLink): Promise<void> {
    return healLink(node, link);
  }

  /** Rejects when the command fails. */
  async must(node: NodeName, command: string, limitMs?: number): Promise<string> {
    const { exit, output } = await runIn(node, command, limitMs);
    if (exit !== 0) throw new Error(`${node}: ${command} ended with code ${exit}: ${output.trim()}`);
    return output;
  }

  run(node: NodeName, command: string, limitMs?: number): Promise<Ran> {
    return runIn(node, command, limitMs);
  }

  admin(node: NodeName): AdminClient {
    const known = this.#admin.get(node);
    if (known !== undefined) return known;
    if (this.#operator === null) throw new Error('the lab is not started');
    const address = `${managementAddress(node)}:${PORT.admin}`;
    const client = new AdminClient({ address, tls: this.#operator, who: 'lab' });
    this.#admin.set(node, client);
    return client;
  }

  async status(node: NodeName): Promise<StatusDocument> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${node} does not answer`)), STATUS_LIMIT_MS);
    });
    return Promise.race([this.admin(node).status(), tooLate]).finally(() => clearTimeout(timer));
  }

  /** The longest log that a running agent has committed. */
  async entries(): Promise<readonly Entry[]> {
    const answers = await Promise.allSettled(
      NODES.filter((node) => this.machine(node).power === 'on').map((node) => this.admin(node).entries()),
    );
    const logs = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    return logs.toSorted((one, other) => other.length - one.length)[0] ?? [];
  }

  /** The tenure whose takeover is complete, as the best informed agent says; null while there is none. */
  async holder(): Promise<Holder | null> {
    const answers = await Promise.allSettled(NODES.map((node) => this.status(node)));
    const [best] = answers
      .flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
      .toSorted((left, right) => right.term - left.term || right.commitIndex - left.commitIndex);
    if (best?.epoch == null || best.holder === null || !isDataNode(best.holder)) return null;
    const { lastTakeover, holder: node, epoch } = best;
    return lastTakeover?.epoch === epoch && lastTakeover.totalMs !== null ? { node, epoch } : null;
  }

  /** All agents know one holder and have its whole log, and both data nodes are in sync. */
  async healthy(limitMs = HEALTHY_LIMIT_MS): Promise<Holder> {
    let found: Holder | null = null;
    await this.waitFor(
      'a healthy cluster',
      async () => {
        const seen = await Promise.all(NODES.map((node) => this.status(node)));
        const complaint = complaintAbout(seen);
        if (complaint !== null) throw new Error(complaint);
        found = await this.holder();
        return found !== null;
      },
      limitMs,
    );
    if (found === null) throw new Error('no holder');
    return found;
  }

  async switchover(from: DataNode): Promise<void> {
    await this.admin(from).switchover({ to: null, dryRun: false, timeoutMs: SWITCHOVER_LIMIT_MS });
  }

  /** Where the elastic IP leads, by the controller's own word. */
  async addressLeadsTo(): Promise<DataNode | null> {
    await this.#router?.request({ kind: 'look' });
    return nodeOfInterface(this.#truth?.addresses[ALLOCATION]);
  }

  get acknowledgements(): readonly Acknowledgement[] {
    return this.#acknowledgements;
  }

  async startWriting(): Promise<void> {
    this.#acknowledgements = [];
    const { seed, timing } = this.options;
    const { writePauseMs: pauseMs, patience } = PACES[timing];
    await this.#client?.request({ kind: 'write', seed, pauseMs, patience });
  }

  async stopWriting(): Promise<void> {
    await this.#client?.request({ kind: 'stop' });
  }

  /** Reads back through the elastic IP. The writing must have stopped. */
  async verifyRecords(): Promise<{ readonly acknowledged: number; readonly lost: readonly number[] }> {
    this.#verified = null;
    await this.#client?.request({ kind: 'verify' });
    const verified = this.#verified as Extract<ClientNews, { kind: 'verified' }> | null;
    if (verified === null) throw new Error('the client did not say what it read');
    return verified;
  }

  /** Asks again every 300 ms; a condition that throws counts as not yet. */
  async waitFor(what: string, condition: () => Promise<boolean> | boolean, limitMs: number): Promise<void> {
    const deadline = now() + limitMs;
    for (;;) {
      let last = '';
      try {
        if (await condition()) return;
      } catch (error) {
        last = ` (last: ${error instanceof Error ? error.message : String(error)})`;
      }
      if (now() >= deadline) throw new Error(`not in ${limitMs} ms: ${what}${last}`);
      await new Promise((next) => setTimeout(next, PACES[this.options.timing].waitPauseMs));
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const client of this.#admin.values()) client.close();
    await Promise.allSettled([...this.#machines.values()].map((machine) => machine.powerOff()));
    for (const helper of this.#helpers) helper.kill();
  }
}

/** Null when all agree and nobody lags. */
function complaintAbout(seen: readonly StatusDocument[]): string | null {
  const holders = new Set(seen.map(({ holder }) => holder));
  if (holders.size !== 1) return `the agents know different holders: ${[...holders].join(', ')}`;
  const leader = seen.find(({ observer, leader: named }) => observer === named);
  if (leader === undefined) return 'nobody leads';
  const late = leader.nodes.find(
    ({ reachable, matchIndex }) => reachable !== true || matchIndex !== leader.commitIndex,
  );
  if (late !== undefined) return `${late.id} is not reachable, or lags`;
  const out = leader.nodes.find(({ inSync }) => inSync === false);
  return out === undefined ? null : `${out.id} is not in the in-sync set`;
}
