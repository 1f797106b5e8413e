/**
 * The lab's hosts and wires. Pure.
 *
 * Three guests with three network cards each: eth0 for replication and the agents, eth1 for clients, eth2 for management
 * (the lab's own commands, never cut). Every card of a guest has a segment of its own, as a subnet in each of three zones;
 * a router, which the EC2 controller programs, joins them. The client is outside, and so is the second card of the witness,
 * which serves nobody: its kernel is the client of NFS and iSCSI.
 */
export const DATA_NODES = ['a', 'b'] as const;
export const NODES = ['a', 'b', 'w'] as const;
export type NodeName = (typeof NODES)[number];
export type DataNode = (typeof DATA_NODES)[number];
export const LINKS = ['repl', 'svc', 'mgmt'] as const;
export type Link = (typeof LINKS)[number];
/** Those that may be cut. */
export type CuttableLink = Exclude<Link, 'mgmt'>;
export type Place = 'switch' | 'router' | 'client';
export const PLACES: readonly Place[] = ['switch', 'router', 'client'];

const NUMBERS: Readonly<Record<NodeName, number>> = { a: 1, b: 2, w: 3 };
const EIGHT_BITS = 256;

export const isDataNode = (node: string): node is DataNode => node === 'a' || node === 'b';
export const isNode = (node: string): node is NodeName => isDataNode(node) || node === 'w';
export const peerOf = (node: DataNode): DataNode => (node === 'a' ? 'b' : 'a');
export const zoneOf = (node: NodeName): string => `us-east-1${node === 'w' ? 'c' : node}`;

/** RFC 5737's and RFC 1918's; all of it stays inside the namespaces. */
export const ELASTIC_IP = '203.0.113.10';
export const CLIENT_ADDRESS = '198.51.100.100';
/** Of the witness's kernel. */
export const SECOND_CLIENT_ADDRESS = '198.51.100.101';
export const CLIENT_GATEWAY = '198.51.100.1';
export const CONTROLLER = { host: '10.0.0.2', port: 7420 } as const;
export const LAB_ADDRESS = '10.0.9.100';
export const PORT = {
  command: 7,
  store: 7440,
  storeControl: 7430,
  peer: 7400,
  admin: 7401,
  drbd: 7789,
} as const;

export const replAddress = (node: NodeName): string => `10.0.1${NUMBERS[node]}.10`;
export const serviceAddress = (node: DataNode): string => `10.0.${NUMBERS[node]}.11`;
export const managementAddress = (node: NodeName): string => `10.0.9.${NUMBERS[node]}`;
/** The router's address in a segment; the second card of the witness is outside, behind CLIENT_GATEWAY. */
export const gatewayOf = (link: CuttableLink, node: NodeName): string =>
  link === 'repl' ? `10.0.1${NUMBERS[node]}.1` : `10.0.${NUMBERS[node]}.1`;

export const tapOf = (link: Link, node: NodeName): string => `${link}-${node}`;
export function bridgeOf(link: Link, node: NodeName): string {
  if (link === 'mgmt') return 'br-mgmt';
  return link === 'svc' && !isDataNode(node) ? 'br-net' : `br-${link}-${node}`;
}
/** The router's end. */
export const routerPort = (link: CuttableLink, node: NodeName): string => `${link}-${node}`;

/** Locally administered, and the same in every run. */
export function macOf(link: Link, node: NodeName): string {
  const bytes = [0x52, 0x54, 0x00, 0x77, LINKS.indexOf(link) + 1, NUMBERS[node]];
  return bytes.map((byte) => (byte % EIGHT_BITS).toString(16).padStart(2, '0')).join(':');
}

/** Lines of `ip -batch`. */
export interface WiringPlan {
  /** In no namespace of its own: makes the cables between two others. */
  readonly cables: (nameOf: (place: Place) => string) => readonly string[];
  readonly inside: Readonly<Record<Place, readonly string[]>>;
}

const SEGMENTS = NODES.flatMap((node) =>
  (isDataNode(node) ? (['repl', 'svc'] as const) : (['repl'] as const)).map((link) => ({ node, link })),
);
/** Both ends of a cable get different indexes: see Namespaces of the test network. */
const FIRST_INDEX = { near: 100, far: 1000 } as const;

function cableLines(nameOf: (place: Place) => string): readonly string[] {
  const line = (place: Place, port: string, far: string, index: number): string => {
    const near = `${port} netns ${nameOf(place)} index ${FIRST_INDEX.near + index}`;
    return `link add ${near} type veth peer name ${far} netns ${nameOf('switch')} index ${FIRST_INDEX.far + index}`;
  };
  return [
    ...SEGMENTS.map(({ node, link }, index) =>
      line('router', routerPort(link, node), `r-${link}-${node}`, index),
    ),
    line('router', 'net', 'r-net', SEGMENTS.length),
    line('client', 'eth0', 'c-net', SEGMENTS.length + 1),
  ];
}

const bridge = (name: string): readonly string[] => [
  // No spanning tree: a port forwards as soon as its cable is in.
  `link add ${name} type bridge stp_state 0 forward_delay 0`,
  `link set ${name} up`,
];

const SWITCH: readonly string[] = [
  'link set lo up',
  ...['br-net', 'br-mgmt', ...SEGMENTS.map(({ node, link }) => bridgeOf(link, node))].flatMap(bridge),
  ...SEGMENTS.map(({ node, link }) => `link set r-${link}-${node} master ${bridgeOf(link, node)} up`),
  'link set r-net master br-net up',
  'link set c-net master br-net up',
  ...NODES.flatMap((node) =>
    LINKS.flatMap((link) => [
      `tuntap add dev ${tapOf(link, node)} mode tap`,
      `link set ${tapOf(link, node)} master ${bridgeOf(link, node)} up`,
    ]),
  ),
  `addr add ${LAB_ADDRESS}/24 dev br-mgmt`,
];

const ROUTER: readonly string[] = [
  'link set lo up',
  `addr add ${CONTROLLER.host}/32 dev lo`,
  ...SEGMENTS.flatMap(({ node, link }) => [
    `addr add ${gatewayOf(link, node)}/24 dev ${routerPort(link, node)}`,
    `link set ${routerPort(link, node)} up`,
  ]),
  `addr add ${CLIENT_GATEWAY}/24 dev net`,
  'link set net up',
];

const CLIENT: readonly string[] = [
  'link set lo up',
  `addr add ${CLIENT_ADDRESS}/24 dev eth0`,
  'link set eth0 up',
  `route add default via ${CLIENT_GATEWAY}`,
];

export const WIRING: WiringPlan = {
  cables: cableLines,
  inside: { switch: SWITCH, router: ROUTER, client: CLIENT },
};

/** As a host boots: what is configured for good. A data node's second port is the cluster's business: it stays down. */
export function bootNetwork(node: NodeName): readonly string[] {
  return [
    'link set lo up',
    `addr add ${replAddress(node)}/24 dev eth0`,
    'link set eth0 up',
    // Clients are elsewhere: the way to them comes and goes with the second port.
    `route add 10.0.0.0/8 via ${gatewayOf('repl', node)}`,
    ...(isDataNode(node) ? [] : [`addr add ${SECOND_CLIENT_ADDRESS}/24 dev eth1`, 'link set eth1 up']),
    `addr add ${managementAddress(node)}/24 dev eth2`,
    'link set eth2 up',
  ];
}
