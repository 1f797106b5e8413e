/** The agents' configs and the first state of the cloud, for each topology. Pure. */
import type { ControllerStateInput } from '../local/controller/index.ts';
import type { RouterOptions } from './router.ts';
import {
  ADMIN_PORT,
  CONTROLLER_ADDRESS,
  CONTROLLER_PORT,
  DATA_NODES,
  ELASTIC_IP,
  FLAT_VIP,
  HTTP_PORT,
  NODES,
  type NodeName,
  OVERLAY,
  PEER_PORT,
  SERVICE_PORT,
  type Topology,
  zoneOf,
} from './topology.ts';

export const ALLOCATION = 'eipalloc-0a10c001';
export const ROUTE_TABLE = 'rtb-0a10c001';
const REGION = 'us-east-1';
const INTERFACES = { a: 'eni-0000000a', b: 'eni-0000000b' } as const;
const INSTANCES = { a: 'i-0000000a', b: 'i-0000000b', w: 'i-0000000c' } as const;
/** The kernel's table of the second port; the next number is used too. */
const PORT_TABLE = 200;

export const instanceOf = (node: NodeName): string => INSTANCES[node];
export const interfaceOf = (node: 'a' | 'b'): string => INTERFACES[node];

export interface TimingPlan {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly releaseMs: number;
  readonly watchdogMs: number;
}

/** "Address only": design.md's H, L and D, and the local cluster's stand-in for a watchdog. */
export const ADDRESS_TIMING: TimingPlan = {
  heartbeatMs: 100,
  leaseMs: 400,
  releaseMs: 600,
  watchdogMs: 400,
};

export interface NodeFiles {
  readonly dataDir: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly watchdog: string;
}

export function planConfig(
  cluster: string,
  topology: Topology,
  timing: TimingPlan,
  node: NodeName,
  files: NodeFiles,
): Record<string, unknown> {
  const member = (id: NodeName) => ({
    zone: zoneOf(id),
    peer: `${topology.peerAddress[id]}:${PEER_PORT}`,
    ...(id === 'w' ? { witness: true } : {}),
  });
  return {
    cluster,
    node,
    data_dir: files.dataDir,
    members: Object.fromEntries(NODES.map((id) => [id, member(id)])),
    timing: {
      heartbeat: `${timing.heartbeatMs}ms`,
      lease: `${timing.leaseMs}ms`,
      release: `${timing.releaseMs}ms`,
    },
    tls: { ca: files.ca, cert: files.cert, key: files.key },
    admin: { listen: `127.0.0.1:${ADMIN_PORT}` },
    http: { listen: `127.0.0.1:${HTTP_PORT}` },
    watchdog: { device: files.watchdog, mode: 'required', timeout: `${timing.watchdogMs}ms` },
    fencing: { ec2_stop: 'off' },
    ...(topology.kind === 'cloud'
      ? { cloud: { region: REGION, endpoint: `http://${CONTROLLER_ADDRESS}:${CONTROLLER_PORT}` } }
      : {}),
    resources: topology.kind === 'cloud' ? cloudResources(topology) : FLAT_RESOURCES,
  };
}

/** What keepalived holds, and nothing else: the two are compared. */
const FLAT_RESOURCES = [
  { name: 'vip', kind: 'virtual-ip', address: `${FLAT_VIP}/24`, interface: 'eth1' },
] as const;

function cloudResources({ arrival }: Topology): readonly Record<string, unknown>[] {
  const gateway = { a: '10.0.1.1', b: '10.0.2.1' };
  return [
    {
      name: 'port2',
      kind: 'port',
      interface: 'eth1',
      addresses: each((node) => [`${arrival[node]}/24`, `${OVERLAY}/32`]),
      gateway,
    },
    {
      name: 'routes',
      kind: 'route-table',
      table: PORT_TABLE,
      interface: 'eth1',
      gateway,
      from: each((node) => [arrival[node], OVERLAY]),
    },
    {
      name: 'eip',
      kind: 'elastic-ip',
      allocation: ALLOCATION,
      interfaces: INTERFACES,
      via: 'port2',
      after: ['routes'],
    },
    {
      name: 'overlay',
      kind: 'vpc-route',
      tables: [ROUTE_TABLE],
      destination: `${OVERLAY}/32`,
      interfaces: INTERFACES,
      via: 'port2',
      after: ['routes'],
    },
    {
      name: 'gate',
      kind: 'port-block',
      ports: [`${SERVICE_PORT.udp}/udp`, `${SERVICE_PORT.tcp}/tcp`],
      after: ['eip', 'overlay'],
    },
  ];
}

function each<Value>(of: (node: 'a' | 'b') => Value): Readonly<Record<string, Value>> {
  return Object.fromEntries(DATA_NODES.map((node) => [node, of(node)]));
}

/** Nobody has the address at first; the overlay's route leads nowhere. */
export function planController({ arrival }: Topology): ControllerStateInput {
  return {
    region: REGION,
    subnets: [
      ...NODES.map((node) => ({ id: `subnet-${node}0`, zone: zoneOf(node) })),
      ...DATA_NODES.map((node) => ({ id: `subnet-${node}1`, zone: zoneOf(node) })),
      { id: 'subnet-net', zone: zoneOf('a') },
    ],
    instances: NODES.map((node) => ({ id: INSTANCES[node], zone: zoneOf(node), tags: { Name: node } })),
    interfaces: DATA_NODES.map((node) => ({
      id: INTERFACES[node],
      instance: INSTANCES[node],
      subnet: `subnet-${node}1`,
      privateIps: [arrival[node]],
      // An overlay address is none of its own.
      sourceDestCheck: false,
      description: `port 2 of ${node}`,
    })),
    addresses: [{ allocationId: ALLOCATION, publicIp: ELASTIC_IP }],
    routeTables: [
      {
        id: ROUTE_TABLE,
        main: true,
        subnets: ['subnet-net'],
        routes: [{ destination: `${OVERLAY}/32`, interface: INTERFACES.a }],
      },
    ],
  };
}

export const ROUTER: RouterOptions = {
  devices: { [INTERFACES.a]: 'a1', [INTERFACES.b]: 'b1' },
  subnets: { 'subnet-net': 'net' },
  outside: 'net',
};
