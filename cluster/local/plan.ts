/** What a local cluster consists of: names, addresses, files. Pure. */
import type { ControllerStateInput } from './controller/index.ts';
import { linkHost, port1, port2 } from './node/network.ts';

export const PORT = {
  peer: 7400,
  admin: 7401,
  http: 7402,
  store: 7410,
  controller: 7420,
  replication: 7788,
  drbdControl: 7790,
  device: 7791,
  storeControl: 7792,
} as const;

export const ALLOCATION = 'eipalloc-0a10c001';
export const DRBD_RESOURCE = 'r0';
const REGION = 'us-east-1';

export interface MemberPlan {
  readonly id: string;
  readonly zone: string;
  readonly isWitness: boolean;
  /** Off until somebody boots it, and no member: the node that it is there to replace. */
  readonly spareFor?: string;
}

export const DEFAULT_MEMBERS: readonly MemberPlan[] = [
  { id: 'a', zone: `${REGION}a`, isWitness: false },
  { id: 'b', zone: `${REGION}b`, isWitness: false },
  { id: 'w', zone: `${REGION}c`, isWitness: true },
];

export interface TimingPlan {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly releaseMs: number;
}

export interface NodePlan extends MemberPlan {
  readonly number: number;
  readonly host1: string;
  readonly host2: string;
  readonly instance: string;
  readonly interface: string;
}

export function planNodes(network: number, members: readonly MemberPlan[]): NodePlan[] {
  return members.map((member, index) => {
    const number = index + 1;
    const hex = number.toString(16).padStart(8, '0');
    return {
      ...member,
      number,
      host1: port1(network, number),
      host2: port2(network, number),
      instance: `i-${hex}`,
      interface: `eni-${hex}`,
    };
  });
}

export const controllerHost = (network: number): string => `127.${network}.0.1`;
export const elasticIp = (network: number): string => `127.${network}.80.1`;

export interface LinkRoute {
  readonly from: string;
  readonly to: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly target: { readonly host: string; readonly port: number };
}

/** Every way from one node to another: the agents' for all, the replication's for data nodes. */
export function planRoutes(network: number, nodes: readonly NodePlan[]): LinkRoute[] {
  return nodes.flatMap((from) =>
    nodes
      .filter((to) => to.id !== from.id)
      .flatMap((to) => {
        const ports: number[] = [PORT.peer];
        if (!from.isWitness && !to.isWitness) ports.push(PORT.replication);
        return ports.map((port) => ({
          from: from.id,
          to: to.id,
          listen: { host: linkHost(network, from.number, to.number), port },
          target: { host: to.host1, port },
        }));
      }),
  );
}

export function planController(network: number, nodes: readonly NodePlan[]): ControllerStateInput {
  const data = nodes.filter((node) => !node.isWitness);
  const [first] = data;
  return {
    region: REGION,
    instances: nodes.map(({ instance, zone, id }) => ({ id: instance, zone, tags: { Name: id } })),
    interfaces: data.map((node) => ({
      id: node.interface,
      instance: node.instance,
      privateIps: [node.host2],
      description: `port 2 of ${node.id}`,
    })),
    addresses: [
      {
        allocationId: ALLOCATION,
        publicIp: elasticIp(network),
        ports: [PORT.store],
        ...(first === undefined ? {} : { associatedWith: { interface: first.interface } }),
      },
    ],
  };
}

export interface NodeFiles {
  readonly dataDir: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly watchdog: string;
  readonly store: { readonly start: string; readonly stop: string; readonly probe: string };
}

export interface ConfigPlan {
  readonly cluster: string;
  readonly network: number;
  readonly nodes: readonly NodePlan[];
  readonly timing: TimingPlan;
  readonly watchdogMode: 'required' | 'automatic' | 'off';
  readonly watchdogMs: number;
  readonly controller: string;
  /** When the old holder's instance is stopped. */
  readonly fencing: 'off' | 'after' | 'before';
}

/** Whom a node's file lists: what the cluster begins with; a spare's, itself in the place of whom it replaces. */
export function listedBy(nodes: readonly NodePlan[], self: NodePlan): readonly NodePlan[] {
  return nodes.filter(
    ({ id, spareFor }) => (spareFor === undefined || id === self.id) && id !== self.spareFor,
  );
}

/** The config document of one node (design.md's contract). It reaches the others through their links. */
export function planConfig(plan: ConfigPlan, self: NodePlan, files: NodeFiles): Record<string, unknown> {
  const { network, timing } = plan;
  const nodes = listedBy(plan.nodes, self);
  const data = nodes.filter((node) => !node.isWitness);
  const reach = (node: NodePlan): string =>
    node.id === self.id ? self.host1 : linkHost(network, self.number, node.number);
  return {
    cluster: plan.cluster,
    node: self.id,
    data_dir: files.dataDir,
    members: Object.fromEntries(
      nodes.map((node) => [
        node.id,
        {
          zone: node.zone,
          peer: `${reach(node)}:${PORT.peer}`,
          ...(node.isWitness ? { witness: true } : {}),
        },
      ]),
    ),
    timing: {
      heartbeat: `${timing.heartbeatMs}ms`,
      lease: `${timing.leaseMs}ms`,
      release: `${timing.releaseMs}ms`,
    },
    tls: { ca: files.ca, cert: files.cert, key: files.key },
    admin: { listen: `${self.host1}:${PORT.admin}` },
    http: { listen: `${self.host1}:${PORT.http}` },
    watchdog: { device: files.watchdog, mode: plan.watchdogMode, timeout: `${plan.watchdogMs}ms` },
    fencing: {
      ec2_stop: plan.fencing,
      instances: Object.fromEntries(data.map(({ id, instance }) => [id, instance])),
    },
    cloud: { region: REGION, endpoint: plan.controller },
    resources: [
      { name: 'block', kind: 'drbd', resource: DRBD_RESOURCE },
      {
        name: 'eip',
        kind: 'elastic-ip',
        allocation: ALLOCATION,
        interfaces: Object.fromEntries(data.map((node) => [node.id, node.interface])),
        via: Object.fromEntries(data.map((node) => [node.id, node.host2])),
        after: ['block'],
      },
      {
        name: 'store',
        kind: 'service',
        start: [files.store.start],
        stop: [files.store.stop],
        probe: [files.store.probe],
        after: ['block'],
      },
    ],
  };
}
