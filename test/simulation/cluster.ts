/** A whole simulated cluster: hosts, networks, devices, a cloud, a client, and the checks that watch all of them. */
import type { Config } from '../../src/config/index.ts';
import {
  deriveTiming,
  durationMs,
  type Message,
  nodeId,
  openSchedule,
  type Timing,
} from '../../src/core/index.ts';
import { checkAction, checkOneLease } from './checks/actions.ts';
import { checkAudit, type SeenTenure } from './checks/audit.ts';
import { ConsensusCheck } from './checks/consensus.ts';
import { ForcedCheck } from './checks/forced.ts';
import { checkAtTheEnd, checkOneHolder, holdersOf } from './checks/holders.ts';
import { checkMessage } from './checks/messages.ts';
import { checkRoleAnswers } from './checks/role-answers.ts';
import { ScheduledCheck } from './checks/scheduled.ts';
import { Host } from './engine/host.ts';
import { World } from './engine/world.ts';
import { Client } from './models/client.ts';
import { Cloud, FINE } from './models/cloud.ts';
import { HostPrograms } from './models/commands.ts';
import { DrbdPair } from './models/drbd-pair.ts';
import { Network, type NetworkWeather } from './models/network.ts';
import { addressOf, SimulatedNode } from './node/node.ts';
import type { Shape } from './profiles.ts';

const CLOCK_ERROR = 0.005;
const H = 100;
const L = 400;
const D = 250;
const G = 25;
export const SPARE_WITNESS = 'v';

export class Cluster {
  readonly world: World;
  readonly shape: Shape;
  readonly timing: Timing;
  readonly network: Network;
  readonly cloud: Cloud;
  readonly nodes = new Map<string, SimulatedNode>();
  readonly pairs: DrbdPair[] = [];
  readonly client: Client;
  readonly consensus: ConsensusCheck;
  readonly #forced: ForcedCheck;
  readonly #tenures: SeenTenure[] = [];

  constructor(seed: number, shape: Shape, weather: NetworkWeather) {
    this.world = new World(seed);
    this.shape = shape;
    this.timing = deriveTiming({
      heartbeatMs: H,
      leaseMs: L,
      releaseMs: D,
      guardMs: G,
      watchdogTimeoutMs: shape.watchdogMs,
      clockErrorRate: CLOCK_ERROR,
    });
    this.network = new Network(this.world, weather);
    this.cloud = new Cloud(this.world);
    this.consensus = new ConsensusCheck(this.world);
    const hosts = new Map(
      [...shape.members.map(({ id }) => id), SPARE_WITNESS].map((id) => [
        id,
        new Host(this.world, id, CLOCK_ERROR),
      ]),
    );
    this.#makeDevices(hosts);
    for (const { id } of shape.members) this.#addNode(hosts, id, shape.members);
    this.#addNode(hosts, SPARE_WITNESS, [...shape.members, { id: SPARE_WITNESS, witness: true }]);
    this.client = new Client(
      this.world,
      this.cloud,
      new Map([...this.nodes].map(([id, { host, options }]) => [id, { host, programs: options.programs }])),
      shape.devices,
    );
    this.#forced = new ForcedCheck(this.world, this.client);
    const scheduled = new ScheduledCheck(this.world);
    this.consensus.onEntry = (entry) => {
      this.#forced.onEntry(entry);
      scheduled.onEntry(entry);
    };
    this.#watch();
  }

  #makeDevices(hosts: ReadonlyMap<string, Host>): void {
    const [first, second] = this.shape.members.filter(({ witness }) => !witness);
    const [one, other] = [hosts.get(first?.id ?? ''), hosts.get(second?.id ?? '')];
    if (one === undefined || other === undefined) throw new Error('a shape has two data nodes');
    for (const name of this.shape.devices) {
      this.pairs.push(
        new DrbdPair(name, [one, other], this.network, {
          onPrimary: (end) => this.#forced.onPrimary(end),
          onResynced: (source, target) => this.#forced.onResynced(source, target),
          onSplitBrain: (pair) => this.#forced.onSplitBrain(pair),
        }),
      );
    }
  }

  #addNode(hosts: ReadonlyMap<string, Host>, id: string, members: Shape['members']): void {
    const host = hosts.get(id);
    if (host === undefined) throw new Error(`no host ${id}`);
    const isWitness = members.some((member) => member.id === id && member.witness);
    const devices = isWitness
      ? new Map()
      : new Map(this.pairs.map((pair) => [pair.name, pair.end(id)] as const));
    const programs = new HostPrograms(host, devices);
    const node = new SimulatedNode({
      host,
      config: configOf(id, members, this.shape),
      timing: this.timing,
      network: this.network,
      cloud: this.cloud,
      programs,
      peers: this.nodes,
      watchdogMs: isWitness ? null : this.shape.watchdogMs,
      clockErrorRate: CLOCK_ERROR,
      onMessage: (message) => this.#onMessage(message),
    });
    programs.onAcquire = (what) => checkAction(this.world, this.consensus, node, what);
    programs.onForce = (what) => this.#forced.onForce(node, what);
    this.nodes.set(id, node);
  }

  #onMessage(message: Message): void {
    this.world.marks.add(`message-${message.kind}`);
    const sender = this.nodes.get(message.from);
    if (sender === undefined) return;
    this.consensus.claimed(sender, message);
    checkMessage(this.world, sender, message);
  }

  #watch(): void {
    const { world } = this;
    this.cloud.onMutation = ({ by, what }) => {
      const node = this.nodes.get(by);
      if (node !== undefined) checkAction(world, this.consensus, node, what);
    };
    this.client.onWrong = (what) => world.fail('acknowledged-writes', what);
    this.consensus.nodes = [...this.nodes.values()];
    world.everyEvent = () => {
      for (const node of this.consensus.nodes) {
        this.consensus.look(node);
        this.#seeTenure(node);
      }
      checkRoleAnswers(world, this.consensus.nodes);
    };
    world.checks.push(() => checkOneHolder(world, this.nodes));
  }

  /** A tenure counts as seen when its guard has begun it. */
  #seeTenure(node: SimulatedNode): void {
    const epoch = node.executor?.lease.epoch ?? 0;
    if (epoch === 0 || this.#tenures.some((tenure) => tenure.epoch === epoch && tenure.node === node.id))
      return;
    this.#tenures.push({ epoch, node: node.id });
    this.world.say(node.id, `holds under epoch ${epoch}`);
    checkOneLease(this.world, this.nodes, node);
    const last = this.#tenures.at(-2);
    if (last !== undefined && last.epoch >= epoch)
      this.world.fail('epoch', `${node.id} begins epoch ${epoch} after ${last.node} began ${last.epoch}`);
  }

  // --- life ---

  node(id: string): SimulatedNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }
  get leader(): SimulatedNode | null {
    const leaders = [...this.nodes.values()].filter(
      (node) => node.view?.role.kind === 'leader' && !node.agentThread?.isFrozen,
    );
    return (
      leaders.sort((left, right) => (right.view?.hard.term ?? 0) - (left.view?.hard.term ?? 0))[0] ?? null
    );
  }
  /** A node's id, whether it is called by that or by its role of the moment. */
  resolve(name: string): string {
    if (!name.startsWith('$')) return name;
    const ids = this.shape.members.map(({ id }) => id);
    const leader = this.leader?.id;
    const first = leader !== undefined && ids.includes(leader) ? leader : (ids[0] ?? '');
    const others = ids.filter((id) => id !== first);
    return (name === '$leader' ? first : name === '$second' ? others[0] : others[1]) ?? first;
  }
  get holders(): string[] {
    return holdersOf(this.nodes.values());
  }
  /** Who votes now, by the newest committed config. */
  get members(): readonly string[] {
    const config = this.consensus.committed.findLast(({ body }) => body.kind === 'config')?.body;
    return config?.kind === 'config' ? config.members.map(({ id }) => id) : [];
  }

  /** Starts everything, names the in-sync set, and waits: for the first holder, or only until the operator is told `done`. */
  async begin(until: 'serving' | 'bootstrapped' = 'serving'): Promise<boolean> {
    const { world } = this;
    const first = this.shape.members.map(({ id }) => this.node(id));
    this.node(SPARE_WITNESS).mayStart = false;
    for (const node of first) node.startAgent();
    const inSync = this.shape.members.filter(({ witness }) => !witness).map(({ id }) => nodeId(id));
    let isBegun = false;
    const bootstrap = (): void => {
      const backend = this.node(inSync[0] ?? '').backend;
      const again = (): void => void world.after(200, bootstrap);
      if (isBegun) return;
      if (backend === null) return again();
      backend.bootstrap({ inSync, who: 'operator' }).then(() => {
        isBegun = true;
      }, again);
    };
    world.after(500, bootstrap);
    const isUp = await world.runUntil(() => (until === 'serving' ? this.isServing : isBegun), 30_000);
    this.client.start();
    return isUp;
  }

  /** One holder with everything, the address at it. */
  get isServing(): boolean {
    const holders = this.holders;
    const [holder] = holders;
    if (holders.length !== 1 || holder === undefined || this.cloud.owner !== holder) return false;
    const { devices, isServing } = this.node(holder).options.programs;
    return isServing && [...devices.values()].every((device) => device.canWrite);
  }

  /** No more faults: whatever was taken away is there again. */
  heal(): void {
    this.network.heal();
    this.network.weather = { delayMs: [0.2, 2], loss: 0, duplicate: 0 };
    this.cloud.trouble = FINE;
    for (const node of this.nodes.values()) {
      node.disk.healthy();
      node.lostReplies = 0;
      const { programs } = node.options;
      programs.trouble.hangs.clear();
      programs.trouble.fails.clear();
      if (!this.members.includes(node.id) && node.id === SPARE_WITNESS) continue;
      node.mayStart = true;
      if (!node.host.isOn) node.host.powerOn();
      else if ([...programs.devices.values()].some(({ view }) => view.disk === 'Diskless'))
        node.powerCycle(100);
      else if (node.agent === null) node.startAgent();
    }
  }

  /** Null when all is well again; otherwise what is not. */
  whatIsMissing(): string | null {
    if (!this.isServing) return `no holder with everything: ${this.holders.join(' ') || 'nobody'} can write`;
    const stray = [...this.nodes.values()].find(({ options }) => options.programs.isStray);
    if (stray !== undefined) return `${stray.id} runs a service without its devices`;
    if (this.world.now - this.client.lastServedAt > 500) return 'the client is not served';
    const views = this.members.map((id) => [id, this.nodes.get(id)?.view] as const);
    const down = views.find(([, view]) => view == null);
    if (down !== undefined) return `${down[0]} does not run`;
    const damaged = views.find(([, view]) => view?.hard.damaged !== null);
    if (damaged !== undefined) return `${damaged[0]} is damaged`;
    const chains = new Set(views.map(([, view]) => view?.log.lastHash));
    if (chains.size > 1) return 'the logs differ';
    const outOfSync = this.pairs.find((pair) => pair.ends.some((end) => end.view.disk !== 'UpToDate'));
    if (outOfSync !== undefined) return `${outOfSync.name} is not in sync`;
    const state = this.leader?.view?.state;
    const dataNodes = this.shape.members.filter(({ witness }) => !witness);
    const open = state === undefined ? null : openSchedule(state);
    if (open !== null) return `the switchover of entry ${open.index} is ${open.phase.kind}`;
    const missing = dataNodes.find(({ id }) => !state?.inSync.some((inSync) => inSync === id));
    return missing === undefined ? null : `${missing.id} is not in the in-sync set`;
  }

  finalChecks(): void {
    const [holder] = this.holders;
    if (holder !== undefined) checkAtTheEnd(this.world, this.client, this.pairs, holder);
    checkAudit(this.world, this.nodes.values(), this.#tenures);
  }
}

function configOf(id: string, members: Shape['members'], shape: Shape): Config {
  const blocks = shape.devices.map((name) => ({ name, kind: 'drbd' as const, resource: name, after: [] }));
  const dataNodes = members.filter(({ witness }) => !witness);
  return {
    file: `${id}.yaml`,
    cluster: 'simulated',
    node: nodeId(id),
    dataDir: `/${id}`,
    replication: null,
    alerts: null,
    members: members.map((member) => ({
      id: nodeId(member.id),
      zone: member.id,
      peer: addressOf(member.id),
      witness: member.witness,
    })),
    timing: {
      heartbeatMs: durationMs(H),
      leaseMs: durationMs(L),
      releaseMs: durationMs(D),
      guardMs: durationMs(G),
      clockErrorRate: CLOCK_ERROR,
      promiseMs: null,
    },
    tls: { ca: '', cert: '', key: '' },
    admin: { listen: '' },
    http: null,
    watchdog: {
      device: 'watchdog',
      mode: shape.watchdogMs === null ? 'off' : 'required',
      timeoutMs: null,
    },
    fencing: { ec2Stop: 'off', instances: {}, isolationGroup: null },
    maxDataLossMs: durationMs(0),
    cloud: { region: 'simulated', endpoint: null },
    resources: [
      ...blocks,
      {
        name: 'eip',
        kind: 'elastic-ip',
        allocation: 'eipalloc-1',
        interfaces: Object.fromEntries(dataNodes.map((member) => [member.id, `eni-${member.id}`])),
        privateIp: null,
        via: null,
        after: blocks.map(({ name }) => name),
      },
      {
        name: 'store',
        kind: 'service',
        service: {
          kind: 'commands',
          start: ['svc', 'start'],
          stop: ['svc', 'stop'],
          probe: ['svc', 'probe'],
        },
        after: blocks.map(({ name }) => name),
      },
    ],
  };
}
