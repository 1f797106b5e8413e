/**
 * A network of real kernels, with its hosts, a client that asks without pause, and a sampler that reads the kernels. What
 * runs on the hosts is up to whoever makes it: our agents (cluster.ts) or a peer (peers/).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HelperProcess, LocalNode, type NodeProgram } from '../local/node/index.ts';
import { inside } from './commands.ts';
import { Cuts } from './cuts.ts';
import type { KeeperCommand } from './keeper.ts';
import { Namespaces, type Place, removeLeftovers } from './namespaces.ts';
import type { Answer, ClientCommand, ClientNews, Target } from './probes/client.ts';
import { now } from './probes/clock.ts';
import type { ResponderOptions } from './probes/responder.ts';
import type { Sample, SamplerCommand, SamplerNews } from './probes/sampler.ts';
import type { SlowCommand } from './slow-cable.ts';
import {
  ADMIN_PORT,
  DATA_NODES,
  type NodeName,
  OVERLAY,
  SERVICE_PORT,
  TOPOLOGIES,
  type Topology,
  type TopologyKind,
} from './topology.ts';

const POLL_MS = 20;

export interface TestNetworkOptions {
  readonly kind: TopologyKind;
  /** Where the bundles are. */
  readonly dist: string;
  /** A new one, removed again, when not given. */
  readonly directory?: string;
}

/** What runs on a host besides the responder of a data node, started after it. */
export type Programs = (node: NodeName, directory: string) => readonly NodeProgram[];

export class TestNetwork {
  readonly topology: Topology;
  readonly namespaces: Namespaces;
  readonly cuts: Cuts;
  readonly directory: string;
  readonly dist: string;
  readonly nodes: ReadonlyMap<NodeName, LocalNode>;
  readonly #isOwnDirectory: boolean;
  readonly #helpers: { kill(): void }[] = [];
  readonly #anchors: ChildProcess[] = [];
  readonly #onExit = (): void => this.#endNow();
  #slowCable: HelperProcess<SlowCommand> | null = null;
  #answers: Answer[] = [];
  #samples: Sample[] = [];
  #readings = 0;
  #isStopped = false;

  constructor(options: TestNetworkOptions, names: readonly NodeName[], programs: Programs) {
    removeLeftovers();
    this.topology = TOPOLOGIES[options.kind];
    this.dist = options.dist;
    this.namespaces = new Namespaces(this.topology);
    this.cuts = new Cuts(this.namespaces);
    this.#isOwnDirectory = options.directory === undefined;
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), 'quorate-net-'));
    this.nodes = new Map(names.map((name) => [name, this.#makeNode(name, programs)]));
    process.once('exit', this.#onExit);
  }

  /** The wires, and what watches them; nothing runs on the nodes yet. */
  async build(): Promise<void> {
    const keeper = this.helper<KeeperCommand>('keeper');
    await keeper.request({
      kind: 'keep',
      tags: [...this.nodes.values()].map(({ tag }) => tag),
      directory: this.#isOwnDirectory ? this.directory : null,
    });
    await this.namespaces.build();
    const client = this.helper<ClientCommand>('client', {
      at: 'client',
      onEvent: (event) => this.#answers.push(...(event as ClientNews).answers),
    });
    await client.request({ kind: 'ask', targets: this.targets });
    const sampler = this.helper<SamplerCommand>('sampler', {
      onEvent: (event) => {
        const { samples, readings } = event as SamplerNews;
        this.#samples.push(...samples);
        this.#readings = readings;
      },
    });
    const nodes = DATA_NODES.map((node) => ({
      pid: this.#anchor(node),
      addresses: this.ownedAddresses(node),
    }));
    // An anchor is in its namespace once it is `cat`.
    await this.waitFor('anchors in the namespaces', () => nodes.every(({ pid }) => isCat(pid)), 5_000);
    await sampler.request({ kind: 'watch', nodes });
  }

  get targets(): readonly Target[] {
    const { kind, service } = this.topology;
    const { udp, tcp } = SERVICE_PORT;
    return [
      { name: 'udp', protocol: 'udp', address: service, port: udp },
      { name: 'tcp', protocol: 'tcp', address: service, port: tcp },
      ...(kind === 'cloud'
        ? [{ name: 'overlay', protocol: 'udp', address: OVERLAY, port: udp } as const]
        : []),
    ];
  }

  /** Addresses that only the holder may have in its kernel. */
  ownedAddresses(node: 'a' | 'b'): readonly string[] {
    const { kind, arrival } = this.topology;
    return [arrival[node], ...(kind === 'cloud' ? [OVERLAY] : [])];
  }

  get answers(): readonly Answer[] {
    return this.#answers;
  }

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  /** How often the sampler has looked. */
  get readings(): number {
    return this.#readings;
  }

  /** Keeps memory and sums small between events; the last sample stays true. */
  forget(): void {
    const limit = now() - 1_000;
    this.#answers = this.#answers.filter(({ answeredAt }) => answeredAt > limit);
    this.#samples = this.#samples.slice(-1);
  }

  /** Who answered every target within the last moments, alone; null when nobody or several did. */
  answering(withinMs = 60): string | null {
    const since = now() - withinMs;
    const recent = this.#answers.filter(({ askedAt }) => askedAt >= since);
    const nodes = new Set(recent.map(({ node }) => node));
    const targets = new Set(recent.map(({ target }) => target));
    const [node = null] = nodes;
    return nodes.size === 1 && targets.size === this.targets.length ? node : null;
  }

  node(name: NodeName): LocalNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new RangeError(`no node ${name}`);
    return node;
  }

  /** A helper process; `at` names its namespace. A network without one of them proves nothing. */
  helper<Command>(
    name: string,
    options: { readonly at?: Place; readonly onEvent?: (event: unknown) => void } = {},
  ): HelperProcess<Command> {
    const helper = new HelperProcess<Command>(
      join(this.dist, 'network-helper.mjs'),
      name,
      options.onEvent ?? (() => undefined),
      () => {
        if (!this.#isStopped) throw new Error(`the ${name} process of the test network ended`);
      },
      options.at === undefined ? [] : inside(this.namespaces.name(options.at)),
    );
    this.#helpers.push(helper);
    return helper;
  }

  /** Every frame of this cable is held back from now on, each way. Ends with `cuts.heal`. */
  async slow(host: NodeName, port: string, delayMs: number): Promise<void> {
    await this.cuts.prepareDetour();
    this.#slowCable ??= this.helper<SlowCommand>('slow-cable', { at: 'far' });
    await this.#slowCable.request({ kind: 'slow', delayMs });
    await this.cuts.detour(host, port);
  }

  /** Nothing of the node runs and its kernel has forgotten everything when it resolves. */
  async powerOff(name: NodeName): Promise<void> {
    // The cables first: a dying host says nothing.
    await this.cuts.unplug(name);
    this.node(name).powerOff();
    this.namespaces.forget(name);
  }

  async boot(name: NodeName): Promise<void> {
    await this.namespaces.bringUp(name);
    await this.cuts.plug(name);
    await this.node(name).boot();
  }

  /** Asks again every 20 ms; a condition that throws counts as not yet. */
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
      await new Promise((next) => setTimeout(next, POLL_MS));
    }
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    process.off('exit', this.#onExit);
    this.#endNow();
  }

  #endNow(): void {
    this.#isStopped = true;
    for (const node of this.nodes.values()) node.powerOff();
    for (const helper of this.#helpers) helper.kill();
    for (const anchor of this.#anchors) anchor.kill('SIGKILL');
    this.namespaces.remove();
    if (this.#isOwnDirectory) rmSync(this.directory, { recursive: true, force: true });
  }

  #makeNode(name: NodeName, programs: Programs): LocalNode {
    const directory = join(this.directory, name);
    mkdirSync(directory, { recursive: true });
    return new LocalNode({
      id: name,
      tag: `network-${process.pid}/${name}`,
      directory,
      programs: [this.#responder(name, directory), ...programs(name, directory)],
      environment: {
        PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: directory,
        TMPDIR: directory,
        // Any key will do for the embedded controller; nothing of the user's own account may be read.
        AWS_ACCESS_KEY_ID: `NETWORK${name.toUpperCase()}`,
        AWS_SECRET_ACCESS_KEY: 'network',
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_CONFIG_FILE: '/dev/null',
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      },
      launcher: inside(this.namespaces.name(name)),
    });
  }

  /** The witness's answers nobody; it only leads to the admin service. */
  #responder(name: NodeName, directory: string): NodeProgram {
    const options: ResponderOptions = {
      name,
      addresses: name === 'w' ? [] : this.ownedAddresses(name),
      udp: SERVICE_PORT.udp,
      tcp: SERVICE_PORT.tcp,
      admin: { socket: this.adminSocket(name), port: ADMIN_PORT },
    };
    const file = join(directory, 'responder.json');
    writeFileSync(file, JSON.stringify(options));
    const script = join(this.dist, 'network-helper.mjs');
    return { name: 'responder', script, args: ['responder', file], saysReady: true, isRespawned: false };
  }

  adminSocket(name: NodeName): string {
    return join(this.directory, name, 'admin.sock');
  }

  /** A process in the namespace that does nothing, and ends with this one: its pipe closes. */
  #anchor(name: NodeName): number {
    const words = [...inside(this.namespaces.name(name)), 'cat'];
    const anchor = spawn(words[0] ?? '', words.slice(1), { stdio: ['pipe', 'ignore', 'ignore'] });
    this.#anchors.push(anchor);
    if (anchor.pid === undefined) throw new Error(`no process in the namespace of ${name}`);
    return anchor.pid;
  }
}

function isCat(pid: number): boolean {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'cat';
}
