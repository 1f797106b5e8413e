/**
 * The machines of a local cluster: nodes with power, links, watchdogs and the cloud's controller. What they run is in
 * files.ts.
 *
 * Nothing is left behind: `stop` and the end of this process cut every node's power; if this process is killed
 * outright, its helper processes do it.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsMaterial } from '../../src/peer/index.ts';
import type { ControllerStateInput } from './controller/index.ts';
import type { ControllerCommand, PowerNews } from './controller-process.ts';
import {
  agentProgram,
  type Build,
  buildOf,
  type ClusterSettings,
  nodeDirectory,
  nodeEnvironment,
  nodePrograms,
  watchdogSocket,
  writeClusterFiles,
} from './files.ts';
import type { CutMode, LinksCommand } from './links/index.ts';
import { HelperProcess, LocalNode, releaseNetwork } from './node/index.ts';
import { controllerHost, type NodePlan, PORT, planController, planRoutes } from './plan.ts';
import type { WatchdogCommand, WatchdogFired } from './watchdog/index.ts';

export interface MachineSettings extends ClusterSettings {
  readonly seed: number;
  /** How long a node stays off after its watchdog fired. */
  readonly watchdogBootMs: number;
  /** Merged over the planned state of the controller. */
  readonly controller: Partial<ControllerStateInput>;
  readonly isOwnDirectory: boolean;
}

export type ClusterEvent =
  | { readonly kind: 'watchdog-fired'; readonly node: string }
  | { readonly kind: 'booted'; readonly node: string }
  | { readonly kind: 'powered-off'; readonly node: string };

export class LocalMachines {
  readonly nodes: ReadonlyMap<string, LocalNode>;
  readonly settings: MachineSettings;
  readonly #links: HelperProcess<LinksCommand>;
  readonly #watchdogs: HelperProcess<WatchdogCommand>;
  readonly #controller: HelperProcess<ControllerCommand>;
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  readonly #onExit = (): void => this.#powerOffAll();
  readonly #builds = new Map<string, Build>();
  #isStopped = false;

  constructor(settings: MachineSettings) {
    this.settings = settings;
    const script = join(settings.dist, 'local-cluster.mjs');
    const helper = <Command>(name: string, onEvent: (event: unknown) => void): HelperProcess<Command> =>
      new HelperProcess<Command>(script, name, onEvent, () => {
        // A cluster without its links or watchdogs proves nothing.
        if (!this.#isStopped) throw new Error(`the ${name} process of the local cluster ended`);
      });
    this.#links = helper('links', () => undefined);
    // Each helper sends one kind of message on its channel.
    this.#watchdogs = helper('watchdogs', (event) => this.#onWatchdogFired((event as WatchdogFired).node));
    this.#controller = helper('controller', (event) => this.#onPower(event as PowerNews));
    this.nodes = new Map(settings.nodes.map((plan) => [plan.id, makeNode(settings, plan)]));
    process.once('exit', this.#onExit);
  }

  /** Resolves when the programs of every node have been started; returns an operator's identity. */
  protected async startMachines(): Promise<TlsMaterial> {
    const { nodes, network, seed, controller, watchdogTimeoutMs } = this.settings;
    const operator = await writeClusterFiles(this.settings, (id, program) => this.node(id).pidFile(program));
    await Promise.all([
      this.#links.request({ kind: 'listen', routes: planRoutes(network, nodes) }),
      this.#controller.request({
        kind: 'start',
        state: { ...planController(network, nodes), ...controller },
        listen: { host: controllerHost(network), port: PORT.controller },
        seed,
        tags: Object.fromEntries(nodes.map(({ instance, id }) => [instance, this.node(id).tag])),
      }),
      ...nodes.map(({ id }) =>
        this.#watchdogs.request({
          kind: 'add',
          node: id,
          tag: this.node(id).tag,
          socket: watchdogSocket(this.settings, id),
          timeoutMs: watchdogTimeoutMs,
        }),
      ),
    ]);
    const spares = nodes.filter(({ spareFor }) => spareFor !== undefined);
    await Promise.all(spares.map(({ id }) => this.#tellPower(id, 'crash')));
    const regular = nodes.filter(({ spareFor }) => spareFor === undefined);
    await Promise.all(regular.map(({ id }) => this.node(id).boot()));
    return operator;
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    process.off('exit', this.#onExit);
    this.#powerOffAll();
    const { network, isOwnDirectory, directory } = this.settings;
    releaseNetwork(network);
    if (isOwnDirectory) rmSync(directory, { recursive: true, force: true });
  }

  #powerOffAll(): void {
    for (const node of this.nodes.values()) node.powerOff();
    this.#links.kill();
    this.#watchdogs.kill();
    this.#controller.kill();
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
    const plan = this.settings.nodes.find((node) => node.id === id);
    if (plan === undefined) throw new RangeError(`no node ${id}`);
    return plan;
  }

  /** Another version of the product: what runs goes on, and what is started from now on is of that one. */
  install(id: string, build: Build): void {
    this.node(id).replace(agentProgram(this.settings, id, build));
    this.#builds.set(id, build);
  }

  installed(id: string): Build {
    return this.#builds.get(id) ?? buildOf(this.settings, id);
  }

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
    const others = [...this.nodes.keys()].filter((other) => other !== id);
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

  /** Resolves when its programs have been started; the agent may take a second more to answer. */
  async boot(id: string): Promise<void> {
    await this.#links.request({ kind: 'lighten', node: id });
    await this.#tellPower(id, 'start');
    if (await this.node(id).boot()) this.#emit({ kind: 'booted', node: id });
  }

  /** Every process of the node stops; its watchdog ticks on. */
  freeze(id: string): void {
    this.node(id).freeze();
  }

  /** Without effect when the watchdog has cut the power meanwhile. */
  thaw(id: string): void {
    this.node(id).thaw();
  }

  get controllerUrl(): string {
    return this.settings.controllerUrl;
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

  #emit(event: ClusterEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** What follows a change of power. After `stop` nothing matters any more; before, a failure is one of the harness. */
  #follow(work: () => Promise<void>): void {
    work().catch((error) => {
      if (!this.#isStopped) throw error;
    });
  }

  /** The node is dead already; here it is made official, and booted again after a while. */
  #onWatchdogFired(id: string): void {
    if (this.#isStopped) return;
    this.#emit({ kind: 'watchdog-fired', node: id });
    const node = this.node(id);
    node.powerOff();
    const { life } = node;
    this.#follow(async () => {
      await this.#links.request({ kind: 'darken', node: id });
      await this.#tellPower(id, 'crash');
      await new Promise((next) => setTimeout(next, this.settings.watchdogBootMs));
      const isOvertaken = this.#isStopped || node.life !== life || node.power !== 'off';
      if (!isOvertaken) await this.boot(id);
    });
  }

  /** The controller has switched a node; its processes are gone already when it stopped. */
  #onPower({ instance, action }: PowerNews): void {
    const plan = this.settings.nodes.find((node) => node.instance === instance);
    if (plan === undefined || this.#isStopped) return;
    const node = this.node(plan.id);
    this.#follow(async () => {
      if (action === 'stop') {
        node.powerOff();
        await this.#links.request({ kind: 'darken', node: plan.id });
        await this.#watchdogs.request({ kind: 'disarm', node: plan.id });
        this.#emit({ kind: 'powered-off', node: plan.id });
        return;
      }
      await this.#links.request({ kind: 'lighten', node: plan.id });
      if (node.power === 'off' && (await node.boot())) this.#emit({ kind: 'booted', node: plan.id });
    });
  }

  /** What happened to the machine outside the cloud's API: the hook must not do it again. */
  async #tellPower(id: string, action: 'crash' | 'start'): Promise<void> {
    await this.controllerCall('POST', `instances/${this.plan(id).instance}/power`, { action, hook: false });
  }
}

function makeNode(settings: ClusterSettings, plan: NodePlan): LocalNode {
  return new LocalNode({
    id: plan.id,
    tag: `${settings.name}/${plan.id}`,
    directory: nodeDirectory(settings, plan.id),
    programs: nodePrograms(settings, plan),
    environment: nodeEnvironment(settings, plan),
  });
}
