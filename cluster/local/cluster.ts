/**
 * A whole cluster on one machine, without root: agents, VPC controller, elastic IP, links, watchdogs, and stand-ins for
 * DRBD and for a service. Everything listens on 127.0.0.0/8.
 *
 * Nothing is left behind: `stop` and the end of this process cut every node's power; if this process is killed
 * outright, its helper processes do it.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { AdminClient, type StatusDocument } from '../../src/admin/index.ts';
import { createAuthority, issueClient, issueNode, type TlsMaterial } from '../../src/peer/index.ts';
import type { ControllerStateInput } from './controller/index.ts';
import type { ControllerCommand, PowerNews } from './controller-process.ts';
import {
  createReplica,
  type DaemonOptions,
  type DrbdSnapshot,
  drbdSnapshot,
  newGeneration,
  probeWrite,
  writeShims,
} from './drbd/index.ts';
import type { CutMode, LinksCommand } from './links/index.ts';
import {
  freeNetwork,
  HelperProcess,
  LocalNode,
  linkHost,
  type NodeProgram,
  releaseNetwork,
} from './node/index.ts';
import {
  controllerHost,
  DEFAULT_MEMBERS,
  DRBD_RESOURCE,
  elasticIp,
  type MemberPlan,
  type NodePlan,
  PORT,
  planConfig,
  planController,
  planNodes,
  planRoutes,
  type TimingPlan,
} from './plan.ts';
import { type StandbyOptions, StoreClient, writeStoreScripts } from './store/index.ts';
import type { WatchdogCommand, WatchdogFired } from './watchdog/index.ts';

const DEFAULT_DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const COMMAND_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 30_000;

export interface LocalClusterOptions {
  readonly seed: number;
  /** Where the bundles are; `dist` of the checkout by default. */
  readonly dist?: string;
  /** Made, and removed again by `stop`, when not given. */
  readonly directory?: string;
  readonly members?: readonly MemberPlan[];
  readonly timing?: Partial<TimingPlan>;
  /** `bootMs`: how long a node stays off after its watchdog fired. */
  readonly watchdog?: {
    readonly timeoutMs?: number;
    readonly bootMs?: number;
    readonly mode?: 'required' | 'automatic' | 'off';
  };
  readonly drbd?: { readonly blocks?: number; readonly pingTimeoutMs?: number };
  /** Merged over the planned state of the controller: its timing, faults, how dead links look. */
  readonly controller?: Partial<ControllerStateInput>;
  /** False: no agents, so nothing to bootstrap; for tests of the machine alone. */
  readonly agents?: boolean;
  /** False: agents run, and the caller bootstraps. */
  readonly bootstrap?: boolean;
}

export type ClusterEvent =
  | { readonly kind: 'watchdog-fired'; readonly node: string }
  | { readonly kind: 'booted'; readonly node: string }
  | { readonly kind: 'powered-off'; readonly node: string };

export interface CommandResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Settings {
  readonly dist: string;
  readonly directory: string;
  readonly isOwnDirectory: boolean;
  readonly network: number;
  readonly name: string;
  readonly nodes: readonly NodePlan[];
  readonly timing: TimingPlan;
  readonly options: LocalClusterOptions;
}

export class LocalCluster {
  readonly name: string;
  readonly directory: string;
  readonly network: number;
  readonly nodes: ReadonlyMap<string, LocalNode>;
  readonly #settings: Settings;
  readonly #plans: ReadonlyMap<string, NodePlan>;
  readonly #links: HelperProcess<LinksCommand>;
  readonly #watchdogs: HelperProcess<WatchdogCommand>;
  readonly #controller: HelperProcess<ControllerCommand>;
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  readonly #admin = new Map<string, AdminClient>();
  readonly #onExit = (): void => this.#powerOffAll();
  #operatorTls: TlsMaterial | null = null;
  #isStopped = false;

  private constructor(settings: Settings) {
    this.#settings = settings;
    this.name = settings.name;
    this.directory = settings.directory;
    this.network = settings.network;
    this.#plans = new Map(settings.nodes.map((node) => [node.id, node]));
    const script = join(settings.dist, 'local-cluster.mjs');
    const helper = <Command>(name: string, onEvent: (event: unknown) => void): HelperProcess<Command> =>
      new HelperProcess<Command>(script, name, onEvent, () => {
        // A cluster without its links or watchdogs proves nothing.
        if (!this.#isStopped) throw new Error(`the ${name} process of the local cluster ended`);
      });
    this.#links = helper('links', () => undefined);
    this.#watchdogs = helper('watchdogs', (event) => {
      // Only `runWatchdogs` sends on this channel.
      const { node } = event as WatchdogFired;
      this.#onWatchdogFired(node);
    });
    this.#controller = helper('controller', (event) => this.#onPower(event as PowerNews));
    this.nodes = new Map(settings.nodes.map((node) => [node.id, this.#makeNode(node)]));
    process.once('exit', this.#onExit);
  }

  /** Resolves when every node is up and, unless told otherwise, the cluster is bootstrapped with all data nodes in sync. */
  static async create(options: LocalClusterOptions): Promise<LocalCluster> {
    const network = await freeNetwork();
    const name = `local-${process.pid}-${network}`;
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'quorate-'));
    const cluster = new LocalCluster({
      dist: options.dist ?? DEFAULT_DIST,
      directory,
      isOwnDirectory: options.directory === undefined,
      network,
      name,
      nodes: planNodes(network, options.members ?? DEFAULT_MEMBERS),
      timing: { heartbeatMs: 100, leaseMs: 400, releaseMs: 600, ...options.timing },
      options,
    });
    try {
      await cluster.#start();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get dataNodes(): string[] {
    return this.#settings.nodes.filter((node) => !node.isWitness).map((node) => node.id);
  }

  /** Where clients connect: the elastic IP. */
  get serviceAddress(): { readonly host: string; readonly port: number } {
    return { host: elasticIp(this.network), port: PORT.store };
  }

  get controllerUrl(): string {
    return `http://${controllerHost(this.network)}:${PORT.controller}`;
  }

  onEvent(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  node(id: string): LocalNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new RangeError(`no node ${id}`);
    return node;
  }

  plan(id: string): NodePlan {
    const plan = this.#plans.get(id);
    if (plan === undefined) throw new RangeError(`no node ${id}`);
    return plan;
  }

  configFile(id: string): string {
    return join(this.directory, id, 'config.yaml');
  }

  // ---- faults

  /** Withholds what flows from one node to the other; the way back is its own. */
  cut(from: string, to: string, mode: CutMode = 'stall'): Promise<void> {
    return this.#links.request({ kind: 'cut', from, to, mode });
  }

  heal(from: string, to: string): Promise<void> {
    return this.#links.request({ kind: 'heal', from, to });
  }

  healAll(): Promise<void> {
    return this.#links.request({ kind: 'heal-all' });
  }

  /** Cuts a node off from all others, both ways. Its port 2 stays up: see `setPort2`. */
  async isolate(id: string): Promise<void> {
    const others = [...this.#plans.keys()].filter((other) => other !== id);
    await Promise.all(others.flatMap((other) => [this.cut(id, other), this.cut(other, id)]));
  }

  /** Plugs or cuts a data node's port 2: its way to the clients and to the cloud's API. */
  async setPort2(id: string, up: boolean): Promise<void> {
    await this.controllerCall('PUT', `interfaces/${this.plan(id).interface}/link`, { up });
  }

  /** A power cut: nothing says goodbye, neither the processes nor their connections. */
  async powerOff(id: string): Promise<void> {
    await this.#links.request({ kind: 'darken', node: id });
    this.node(id).powerOff();
    await this.#watchdogs.request({ kind: 'disarm', node: id });
    await this.#tellPower(id, 'crash');
    this.#emit({ kind: 'powered-off', node: id });
  }

  async boot(id: string): Promise<void> {
    await this.#links.request({ kind: 'lighten', node: id });
    await this.#tellPower(id, 'start');
    if (await this.node(id).boot()) this.#emit({ kind: 'booted', node: id });
  }

  freeze(id: string): void {
    this.node(id).freeze();
  }

  thaw(id: string): void {
    this.node(id).thaw();
  }

  killAgent(id: string): void {
    this.node(id).kill('agent');
  }

  startAgent(id: string): Promise<void> {
    return this.node(id).start('agent');
  }

  /** SIGTERM: the agent hands over and releases. Its exit code, null when it took longer. */
  stopAgent(id: string, timeoutMs = 10_000): Promise<number | null> {
    return this.node(id).stop('agent', timeoutMs);
  }

  // ---- observing

  /** What the agent of a node says. Rejects when it does not answer. */
  async status(id: string): Promise<StatusDocument> {
    let client = this.#admin.get(id);
    if (client === undefined) {
      if (this.#operatorTls === null) throw new Error('the cluster is not started');
      const address = `${this.plan(id).host1}:${PORT.admin}`;
      client = new AdminClient({ address, tls: this.#operatorTls, who: 'local-cluster' });
      this.#admin.set(id, client);
    }
    return client.status();
  }

  /** Runs the command line against a node's config. */
  quorate(id: string, words: readonly string[], timeoutMs = COMMAND_TIMEOUT_MS): Promise<CommandResult> {
    const script = join(this.#settings.dist, 'quorate.mjs');
    const args = [script, ...words, '--config', this.configFile(id)];
    return new Promise((resolve) => {
      execFile(process.execPath, args, { timeout: timeoutMs }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ exit: code, stdout, stderr });
      });
    });
  }

  drbd(id: string, timeoutMs = 500): Promise<DrbdSnapshot> {
    return drbdSnapshot({ host: this.plan(id).host1, port: PORT.drbdControl }, timeoutMs);
  }

  /** Whether both data nodes see each other, and each sees both disks up to date. */
  async isReplicating(): Promise<boolean> {
    const views = await Promise.all(this.dataNodes.map((id) => this.drbd(id)));
    return views.every(
      ({ connection, disk, peerDisk }) =>
        connection === 'Connected' && disk === 'UpToDate' && peerDisk === 'UpToDate',
    );
  }

  /** Whether a new write would complete on this node now: a real write to the observer's own block. */
  canWrite(id: string, timeoutMs = 100): Promise<boolean> {
    return probeWrite({ host: this.plan(id).host1, port: PORT.drbdControl }, timeoutMs);
  }

  /** A client of the service, through the elastic IP. */
  client(timeoutMs = 1_000): Promise<StoreClient> {
    const { host, port } = this.serviceAddress;
    return StoreClient.open(host, port, timeoutMs);
  }

  /** The controller's own interface (`/_local/…`): the truth about the cloud, and its faults. */
  async controllerCall(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.controllerUrl}/_local/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(5_000),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`controller: ${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Asks again every 20 ms; a condition that throws counts as not yet. */
  async waitFor(what: string, condition: () => Promise<boolean> | boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    let last: unknown = null;
    for (;;) {
      try {
        if (await condition()) return;
        last = null;
      } catch (error) {
        last = error;
      }
      if (performance.now() >= deadline) {
        throw new Error(`not in ${timeoutMs} ms: ${what}${last === null ? '' : ` (last: ${String(last)})`}`);
      }
      await new Promise((next) => setTimeout(next, 20));
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    process.off('exit', this.#onExit);
    this.#powerOffAll();
    for (const client of this.#admin.values()) client.close();
    releaseNetwork(this.network);
    if (this.#settings.isOwnDirectory) rmSync(this.directory, { recursive: true, force: true });
  }

  #powerOffAll(): void {
    for (const node of this.nodes.values()) node.powerOff();
    this.#links.kill();
    this.#watchdogs.kill();
    this.#controller.kill();
  }

  // ---- making it

  async #start(): Promise<void> {
    const { nodes, options, network } = this.#settings;
    await this.#writeFiles();
    await Promise.all([
      this.#links.request({ kind: 'listen', routes: planRoutes(network, nodes) }),
      this.#controller.request({
        kind: 'start',
        state: { ...planController(network, nodes), ...options.controller },
        listen: { host: controllerHost(network), port: PORT.controller },
        seed: options.seed,
        tags: Object.fromEntries(nodes.map(({ instance, id }) => [instance, this.node(id).tag])),
      }),
      ...nodes.map(({ id }) =>
        this.#watchdogs.request({
          kind: 'add',
          node: id,
          tag: this.node(id).tag,
          socket: join(this.directory, id, 'watchdog.sock'),
          timeoutMs: options.watchdog?.timeoutMs ?? 400,
        }),
      ),
    ]);
    await Promise.all([...this.nodes.values()].map((node) => node.boot()));
    await this.waitFor('the DRBD stand-ins are in sync', () => this.isReplicating(), START_TIMEOUT_MS);
    if (options.agents === false || options.bootstrap === false) return;
    await this.bootstrap();
  }

  /** `quorate bootstrap` with every data node in sync, tried until the agents are there. */
  async bootstrap(): Promise<void> {
    const [first = ''] = this.dataNodes;
    let last = '';
    await this.waitFor(
      'quorate bootstrap succeeds',
      async () => {
        const result = await this.quorate(first, ['bootstrap', '--in-sync', ...this.dataNodes]);
        if (result.exit !== 0) last = result.stderr.trim();
        if (result.exit !== 0) throw new Error(last);
        return true;
      },
      START_TIMEOUT_MS,
    );
  }

  async #writeFiles(): Promise<void> {
    const { nodes, options, timing, network, name } = this.#settings;
    const authority = await createAuthority(name);
    const operator = await issueClient(authority, 'admin', 'local-cluster');
    this.#operatorTls = { ca: authority.certificate, cert: operator.certificate, key: operator.key };
    const generation = newGeneration();
    writeFileSync(join(this.directory, 'ca.pem'), authority.certificate);
    writeFileSync(join(this.directory, 'operator.pem'), operator.certificate);
    writeFileSync(join(this.directory, 'operator.key'), operator.key, { mode: 0o600 });
    for (const node of nodes) {
      const at = (file: string): string => join(this.directory, node.id, file);
      const pair = await issueNode(authority, node.id, { hosts: [node.host1] });
      mkdirSync(at('data'), { recursive: true });
      mkdirSync(at('drbd'), { recursive: true });
      writeFileSync(at('node.pem'), pair.certificate);
      writeFileSync(at('node.key'), pair.key, { mode: 0o600 });
      const storeControl = { host: node.host1, port: PORT.storeControl };
      const store = writeStoreScripts(at('bin'), storeControl, this.node(node.id).pidFile('store'));
      const config = planConfig(
        {
          cluster: name,
          network,
          nodes,
          timing,
          watchdogMode: options.watchdog?.mode ?? 'required',
          controller: this.controllerUrl,
        },
        node,
        {
          dataDir: at('data'),
          ca: join(this.directory, 'ca.pem'),
          cert: at('node.pem'),
          key: at('node.key'),
          watchdog: at('watchdog.sock'),
          store,
        },
      );
      writeFileSync(this.configFile(node.id), stringify(config));
      if (node.isWitness) continue;
      createReplica(at('drbd'), generation);
      const drbd = this.#drbdOptions(node);
      writeShims(at('bin'), drbd.control);
      writeFileSync(at('drbd.json'), JSON.stringify(drbd));
      writeFileSync(
        at('store.json'),
        JSON.stringify({
          control: storeControl,
          device: drbd.device,
          service: { host: node.host2, port: PORT.store },
        } satisfies StandbyOptions),
      );
    }
  }

  #drbdOptions(node: NodePlan): DaemonOptions {
    const { nodes, options, dist, network } = this.#settings;
    const peer = nodes.find((other) => !other.isWitness && other.id !== node.id);
    if (peer === undefined) throw new RangeError('the DRBD stand-in needs two data nodes');
    const { host1: host } = node;
    const quorate = `${process.execPath} ${join(dist, 'quorate.mjs')}`;
    return {
      node: node.id,
      peerNode: peer.id,
      resource: DRBD_RESOURCE,
      minor: 0,
      directory: join(this.directory, node.id, 'drbd'),
      blocks: options.drbd?.blocks ?? 4_096,
      listen: { host, port: PORT.replication },
      peer: { host: linkHost(network, node.number, peer.number), port: PORT.replication },
      fencing: 'resource-and-stonith',
      fencePeerCommand: `${quorate} fence-peer --config ${this.configFile(node.id)}`,
      pingTimeoutMs: options.drbd?.pingTimeoutMs ?? 500,
      connectIntervalMs: 100,
      control: { host, port: PORT.drbdControl },
      device: { host, port: PORT.device },
    };
  }

  #makeNode(plan: NodePlan): LocalNode {
    const { dist, options } = this.#settings;
    const directory = join(this.directory, plan.id);
    const script = (name: string): string => join(dist, `${name}.mjs`);
    const programs: NodeProgram[] = [];
    if (!plan.isWitness) {
      programs.push(
        {
          name: 'drbd',
          script: script('local-drbd'),
          args: [join(directory, 'drbd.json')],
          saysReady: true,
          isRespawned: false,
        },
        {
          name: 'store',
          script: script('local-store'),
          args: [join(directory, 'store.json')],
          saysReady: false,
          isRespawned: true,
        },
      );
    }
    if (options.agents !== false) {
      programs.push({
        name: 'agent',
        script: script('quorate'),
        args: ['agent', '--config', this.configFile(plan.id)],
        saysReady: false,
        isRespawned: false,
      });
    }
    return new LocalNode({
      id: plan.id,
      tag: `${this.name}/${plan.id}`,
      directory,
      programs,
      environment: {
        PATH: `${join(directory, 'bin')}:${process.env.PATH ?? '/usr/bin:/bin'}`,
        HOME: directory,
        TMPDIR: directory,
        // Any key will do for the embedded controller; nothing of the user's own account may be read.
        AWS_ACCESS_KEY_ID: `LOCAL${plan.id.toUpperCase()}`,
        AWS_SECRET_ACCESS_KEY: 'local',
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_CONFIG_FILE: '/dev/null',
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      },
    });
  }

  // ---- power

  #emit(event: ClusterEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** The node is dead already; here it is made official, and booted again after a while. */
  #onWatchdogFired(id: string): void {
    if (this.#isStopped) return;
    this.#emit({ kind: 'watchdog-fired', node: id });
    const node = this.node(id);
    node.powerOff();
    const { life } = node;
    const bootMs = this.#settings.options.watchdog?.bootMs ?? 1_000;
    const reboot = async (): Promise<void> => {
      await this.#links.request({ kind: 'darken', node: id });
      await this.#tellPower(id, 'crash');
      await new Promise((next) => setTimeout(next, bootMs));
      const isOvertaken = this.#isStopped || node.life !== life || node.power !== 'off';
      if (!isOvertaken) await this.boot(id);
    };
    reboot().catch((error) => {
      if (!this.#isStopped) throw error;
    });
  }

  #onPower({ instance, action }: PowerNews): void {
    const plan = this.#settings.nodes.find((node) => node.instance === instance);
    if (plan === undefined || this.#isStopped) return;
    const node = this.node(plan.id);
    const follow = async (): Promise<void> => {
      if (action === 'stop') {
        node.powerOff();
        await this.#links.request({ kind: 'darken', node: plan.id });
        await this.#watchdogs.request({ kind: 'disarm', node: plan.id });
        this.#emit({ kind: 'powered-off', node: plan.id });
        return;
      }
      await this.#links.request({ kind: 'lighten', node: plan.id });
      if (node.power === 'off' && (await node.boot())) this.#emit({ kind: 'booted', node: plan.id });
    };
    follow().catch((error) => {
      if (!this.#isStopped) throw error;
    });
  }

  /** What happened to the machine outside the cloud's API: the hook must not do it again. */
  async #tellPower(id: string, action: 'crash' | 'start'): Promise<void> {
    await this.controllerCall('POST', `instances/${this.plan(id).instance}/power`, { action, hook: false });
  }
}
