/**
 * What the test networks consist of. Pure.
 *
 * A *host* is a network namespace. Its cables end at ports of one switch (a namespace with a bridge for each *segment*),
 * so that everything that can happen to a cable happens outside the host. eth0 is the replication port, eth1 the
 * service port.
 *
 *   flat    one segment for replication, one for service; no router, no cloud. As VMware or bare metal.
 *   cloud   a segment for each port, as a subnet for each zone; a router between them, which the VPC controller
 *           programs; the client is outside.
 */
export type TopologyKind = 'flat' | 'cloud';

export const DATA_NODES = ['a', 'b'] as const;
export const NODES = ['a', 'b', 'w'] as const;
export type NodeName = (typeof NODES)[number];
export type HostName = NodeName | 'client' | 'router';
export type Port = 'eth0' | 'eth1';

export interface Cable {
  readonly host: HostName;
  /** The interface in the host. */
  readonly port: string;
  readonly segment: string;
  /** Given at boot, with prefix length; null where the cluster brings the address. */
  readonly address: string | null;
  readonly gateway: string | null;
  /** Data nodes get eth1 from the `port` resource in the cloud: down until then. */
  readonly isUpAtBoot: boolean;
}

export interface Topology {
  readonly kind: TopologyKind;
  readonly hosts: readonly HostName[];
  readonly segments: readonly string[];
  readonly cables: readonly Cable[];
  /** Where each agent listens and is reached. */
  readonly peerAddress: Readonly<Record<NodeName, string>>;
  /** What clients ask. */
  readonly service: string;
  /** Where the holder sees that arrive. */
  readonly arrival: Readonly<Record<'a' | 'b', string>>;
}

/** RFC 5737's and RFC 1918's addresses; all of it stays inside the namespaces. */
export const FLAT_VIP = '10.0.0.50';
export const ELASTIC_IP = '203.0.113.10';
export const OVERLAY = '192.168.77.77';
export const CONTROLLER_ADDRESS = '10.0.0.2';
export const CONTROLLER_PORT = 7420;
export const SERVICE_PORT = { udp: 7, tcp: 2049 } as const;
export const PEER_PORT = 7400;
export const ADMIN_PORT = 7401;
export const HTTP_PORT = 7402;

const cable = (
  host: HostName,
  port: string,
  segment: string,
  address: string | null,
  options: { readonly gateway?: string; readonly isUpAtBoot?: boolean } = {},
): Cable => ({
  host,
  port,
  segment,
  address,
  gateway: options.gateway ?? null,
  isUpAtBoot: options.isUpAtBoot ?? true,
});

export const FLAT: Topology = {
  kind: 'flat',
  hosts: [...NODES, 'client'],
  segments: ['repl', 'svc'],
  cables: [
    cable('a', 'eth0', 'repl', '10.0.9.11/24'),
    cable('b', 'eth0', 'repl', '10.0.9.12/24'),
    cable('w', 'eth0', 'repl', '10.0.9.13/24'),
    cable('a', 'eth1', 'svc', '10.0.0.11/24'),
    cable('b', 'eth1', 'svc', '10.0.0.12/24'),
    cable('client', 'eth0', 'svc', '10.0.0.100/24'),
  ],
  peerAddress: { a: '10.0.9.11', b: '10.0.9.12', w: '10.0.9.13' },
  service: FLAT_VIP,
  arrival: { a: FLAT_VIP, b: FLAT_VIP },
};

/** The router's side of a segment has the segment's name. */
const routed = (segment: string, address: string): Cable => cable('router', segment, segment, address);

export const CLOUD: Topology = {
  kind: 'cloud',
  hosts: [...NODES, 'client', 'router'],
  segments: ['a0', 'b0', 'w0', 'a1', 'b1', 'net'],
  cables: [
    cable('a', 'eth0', 'a0', '10.0.11.10/24', { gateway: '10.0.11.1' }),
    cable('b', 'eth0', 'b0', '10.0.12.10/24', { gateway: '10.0.12.1' }),
    cable('w', 'eth0', 'w0', '10.0.13.10/24', { gateway: '10.0.13.1' }),
    cable('a', 'eth1', 'a1', null, { isUpAtBoot: false }),
    cable('b', 'eth1', 'b1', null, { isUpAtBoot: false }),
    cable('client', 'eth0', 'net', '198.51.100.100/24', { gateway: '198.51.100.1' }),
    routed('a0', '10.0.11.1/24'),
    routed('b0', '10.0.12.1/24'),
    routed('w0', '10.0.13.1/24'),
    routed('a1', '10.0.1.1/24'),
    routed('b1', '10.0.2.1/24'),
    routed('net', '198.51.100.1/24'),
  ],
  peerAddress: { a: '10.0.11.10', b: '10.0.12.10', w: '10.0.13.10' },
  service: ELASTIC_IP,
  arrival: { a: '10.0.1.11', b: '10.0.2.11' },
};

export const TOPOLOGIES: Readonly<Record<TopologyKind, Topology>> = { flat: FLAT, cloud: CLOUD };

/** The cable's end in the switch. */
export const switchPort = (host: HostName, port: string): string => `${host}-${port}`;
export const bridgeOf = (segment: string): string => `br-${segment}`;
export const zoneOf = (node: NodeName): string => `us-east-1${node === 'w' ? 'c' : node}`;

export function cablesOf(topology: Topology, host: HostName): readonly Cable[] {
  return topology.cables.filter((one) => one.host === host);
}

/** Of a data node, or the other way round. */
export const peerOf = (node: 'a' | 'b'): 'a' | 'b' => (node === 'a' ? 'b' : 'a');
