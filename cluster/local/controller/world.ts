/**
 * The true state of the little cloud, as immutable values: every change makes a new `World`, so "what a describe
 * sees X ms later than the truth" is just an older value, and the property test can keep every world it has seen.
 *
 * Invariants (checked by `checkWorld`):
 * 1. an address has at most one association, and it names an existing private address of an existing interface;
 * 2. a private address belongs to one interface, and holds at most one elastic IP;
 * 3. a route table has one route per destination;
 * 4. a target group has a target once per port.
 */
export type InstanceState = 'pending' | 'running' | 'shutting-down' | 'terminated' | 'stopping' | 'stopped';

export const STATE_CODES: Readonly<Record<InstanceState, number>> = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

export type Tags = Readonly<Record<string, string>>;

export interface Instance {
  readonly id: string;
  readonly zone: string;
  readonly state: InstanceState;
  /** Whether the machine really runs. Not visible to EC2 clients: `stopping` may still be alive. */
  readonly powered: boolean;
  readonly tags: Tags;
}

export interface Subnet {
  readonly id: string;
  readonly zone: string;
  readonly cidr: string | null;
}

export interface SecurityGroup {
  readonly id: string;
  readonly name: string;
  /** `none` admits no new connection: the group that a fencer assigns. */
  readonly ingress: 'open' | 'none';
}

export interface Interface {
  readonly id: string;
  readonly instanceId: string | null;
  readonly deviceIndex: number;
  readonly subnetId: string;
  /** The first is the primary. Real loopback addresses, where the node's services listen. */
  readonly privateIps: readonly string[];
  readonly sourceDestCheck: boolean;
  readonly groups: readonly string[];
  readonly description: string;
  readonly tags: Tags;
  /** The cable of our model; EC2 does not know it. */
  readonly linkUp: boolean;
}

export interface Association {
  readonly id: string;
  readonly interfaceId: string;
  readonly privateIp: string;
}

export interface Address {
  readonly allocationId: string;
  readonly publicIp: string;
  /** TCP ports that are forwarded, public port = private port, as with a real elastic IP. */
  readonly ports: readonly number[];
  readonly association: Association | null;
  readonly tags: Tags;
}

export type RouteTarget =
  | { readonly kind: 'interface'; readonly id: string }
  | { readonly kind: 'gateway'; readonly id: string };

export interface Route {
  readonly destination: string;
  readonly target: RouteTarget;
  readonly origin: 'CreateRouteTable' | 'CreateRoute';
}

export interface RouteTable {
  readonly id: string;
  readonly main: boolean;
  readonly subnetIds: readonly string[];
  readonly routes: readonly Route[];
  readonly tags: Tags;
}

export interface HealthCheck {
  readonly protocol: 'TCP' | 'HTTP';
  /** Null: the port of the target. */
  readonly port: number | null;
  readonly path: string;
  /** HTTP statuses that pass. */
  readonly codes: { readonly least: number; readonly most: number };
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

export interface RegisteredTarget {
  /** An instance, or an address, as the group's type says. */
  readonly id: string;
  readonly port: number;
  readonly state: 'initial' | 'healthy' | 'unhealthy' | 'unused' | 'draining';
  /** ELB's code, '' for a healthy one. */
  readonly reason: string;
  readonly description: string;
  /** Another one after each registration, so that checks of an earlier one end. */
  readonly registration: number;
}

export interface TargetGroup {
  readonly arn: string;
  readonly protocol: 'TCP' | 'HTTP';
  readonly port: number;
  readonly targetType: 'instance' | 'ip';
  readonly healthCheck: HealthCheck;
  readonly deregistrationDelayMs: number;
  readonly targets: readonly RegisteredTarget[];
}

export interface World {
  readonly region: string;
  readonly ownerId: string;
  readonly vpcId: string;
  readonly zones: readonly string[];
  readonly subnets: ReadonlyMap<string, Subnet>;
  readonly securityGroups: ReadonlyMap<string, SecurityGroup>;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly interfaces: ReadonlyMap<string, Interface>;
  readonly addresses: ReadonlyMap<string, Address>;
  readonly routeTables: ReadonlyMap<string, RouteTable>;
  readonly targetGroups: ReadonlyMap<string, TargetGroup>;
}

type Collection = 'instances' | 'interfaces' | 'addresses' | 'routeTables' | 'targetGroups';
type ItemOf<Name extends Collection> = World[Name] extends ReadonlyMap<string, infer Item> ? Item : never;

/** A world with one item replaced or added; with null, removed. */
export function withItem<Name extends Collection>(
  world: World,
  collection: Name,
  id: string,
  item: ItemOf<Name> | null,
): World {
  const items = new Map<string, unknown>(world[collection]);
  if (item === null) items.delete(id);
  else items.set(id, item);
  return { ...world, [collection]: items };
}

export function interfacesOf(world: World, instanceId: string): Interface[] {
  return [...world.interfaces.values()]
    .filter((one) => one.instanceId === instanceId)
    .sort((a, b) => a.deviceIndex - b.deviceIndex);
}

export function addressOn(world: World, interfaceId: string, privateIp: string): Address | null {
  for (const address of world.addresses.values()) {
    const { association } = address;
    if (association?.interfaceId === interfaceId && association.privateIp === privateIp) return address;
  }
  return null;
}

export function interfaceWithIp(world: World, privateIp: string): Interface | null {
  for (const one of world.interfaces.values()) if (one.privateIps.includes(privateIp)) return one;
  return null;
}

/** Packets pass: the cable is in and the machine runs. An unattached interface passes nothing. */
export function isLive(world: World, one: Interface): boolean {
  const instance = one.instanceId === null ? undefined : world.instances.get(one.instanceId);
  return one.linkUp && instance?.powered === true;
}

export function admitsConnections(world: World, one: Interface): boolean {
  return one.groups.length === 0 || one.groups.some((id) => world.securityGroups.get(id)?.ingress !== 'none');
}

/** A route leads nowhere when its interface is gone or detached, or its instance does not run. */
export function routeState(world: World, { target }: Route): 'active' | 'blackhole' {
  if (target.kind === 'gateway') return 'active';
  const one = world.interfaces.get(target.id);
  if (one === undefined || one.instanceId === null) return 'blackhole';
  const state = world.instances.get(one.instanceId)?.state;
  return state === 'stopped' || state === 'terminated' || state === undefined ? 'blackhole' : 'active';
}

/** The broken invariants of this world, as sentences; empty when sound. */
export function checkWorld(world: World): string[] {
  const problems: string[] = [];
  const owners = new Map<string, string>();
  for (const one of world.interfaces.values()) {
    for (const ip of one.privateIps) {
      const owner = owners.get(ip);
      if (owner !== undefined) problems.push(`${ip} is on ${owner} and on ${one.id}`);
      owners.set(ip, one.id);
    }
  }
  const held = new Map<string, string>();
  for (const { association, publicIp } of world.addresses.values()) {
    if (association === null) continue;
    if (owners.get(association.privateIp) !== association.interfaceId) {
      problems.push(
        `${publicIp} is associated with ${association.privateIp}, not an address of ${association.interfaceId}`,
      );
    }
    const other = held.get(association.privateIp);
    if (other !== undefined) problems.push(`${publicIp} and ${other} are both on ${association.privateIp}`);
    held.set(association.privateIp, publicIp);
  }
  for (const table of world.routeTables.values()) {
    const destinations = table.routes.map((route) => route.destination);
    if (new Set(destinations).size !== destinations.length)
      problems.push(`${table.id} has a destination twice`);
  }
  for (const { arn, targets } of world.targetGroups.values()) {
    const places = targets.map(({ id, port }) => `${id}:${port}`);
    if (new Set(places).size !== places.length) problems.push(`${arn} has a target twice`);
  }
  return problems;
}
