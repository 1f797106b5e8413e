/** Each kind of resource: from what the file says to what this node works with. */
import { isIP } from 'node:net';
import { durationMs } from '../core/index.ts';
import type { PortResourceConfig, ResourceConfig, ServiceResourceConfig } from './config.ts';
import { checkPerNode, checkUniquePerNode, ownValue, type ResourceContext } from './per-node.ts';
import type { Path, Problems } from './problems.ts';
import type { PerNode, ResourceKind, ResourceSection } from './resource-schema.ts';

export interface NormaliseContext extends ResourceContext {
  /** All names of the list, also of resources with an error; null where there is none. */
  readonly names: readonly (string | null)[];
  /** All sections without an error: some kinds take defaults from others. */
  readonly sections: readonly ResourceSection[];
  /** Names of everything that this resource comes after, however deep. */
  readonly foundations: ReadonlySet<string>;
}

type Section<Kind extends ResourceKind> = Extract<ResourceSection, { kind: Kind }>;

/** A place in the file's list, with what every kind has. */
interface Place {
  readonly common: { readonly name: string; readonly after: readonly string[] };
  readonly path: Path;
  readonly context: NormaliseContext;
}

export function normalise(
  section: ResourceSection,
  path: Path,
  after: readonly string[],
  context: NormaliseContext,
): ResourceConfig {
  const common = { name: section.name, after };
  const place = { common, path, context };
  switch (section.kind) {
    case 'drbd':
      return { ...common, kind: 'drbd', resource: section.resource };
    case 'mount': {
      const { device, mount_point: mountPoint, fstype = null, options = null } = section;
      return { ...common, kind: 'mount', device, mountPoint, fstype, options };
    }
    case 'zfs-pool':
      return zfsPoolOf(section, place);
    case 'replicated-pool': {
      const { pool, load_keys: loadKeys } = section;
      return { ...common, kind: 'replicated-pool', pool, loadKeys };
    }
    case 'port':
      return portOf(section, place);
    case 'route-table':
      return routeTableOf(section, place);
    case 'virtual-ip': {
      const { address, announce } = section;
      return { ...common, kind: 'virtual-ip', address, interface: interfaceOf(section, place), announce };
    }
    case 'elastic-ip': {
      const privateIp = ownIp(section.private_ip, 'private_ip', place);
      return { ...cloud(section, place), kind: 'elastic-ip', allocation: section.allocation, privateIp };
    }
    case 'vpc-route': {
      const { tables, destination } = section;
      return { ...cloud(section, place), kind: 'vpc-route', tables, destination };
    }
    case 'private-ip':
      checkOneZone(place);
      return { ...cloud(section, place), kind: 'private-ip', address: section.address };
    case 'target-group': {
      const { group, mode, targets, port = null } = section;
      checkUniquePerNode(targets, [...path, 'targets'], 'target', 'i-...', context);
      return { ...common, kind: 'target-group', group, mode, targets, port, via: viaOf(section.via, place) };
    }
    case 'service':
      return { ...common, kind: 'service', service: serviceOf(section, path, context.problems) };
    case 'hook': {
      const { script, environment } = section;
      return { ...common, kind: 'hook', script: hookOf(script, place), environment };
    }
    case 'port-block': {
      const { ports, addresses, reset_connections: resetConnections } = section;
      return { ...common, kind: 'port-block', ports, addresses, resetConnections };
    }
    case 'inbound': {
      const { within, required } = section;
      const name = interfaceOf(section, place);
      const given = ownValue(section.addresses, [...path, 'addresses'], 'addresses', '[10.0.1.11]', context);
      const addresses = given ?? servedOn(name, place);
      return {
        ...common,
        kind: 'inbound',
        interface: name,
        addresses,
        withinMs: durationMs(within),
        required,
      };
    }
  }
}

// ---- storage

function zfsPoolOf(section: Section<'zfs-pool'>, place: Place): ResourceConfig {
  const { common, path, context } = place;
  const { pool, load_keys: loadKeys } = section;
  const at = [...path, 'devices'];
  const devices = ownValue(section.devices, at, 'devices', '[/dev/disk/by-id]', context);
  const drbd = context.sections.find(({ kind, name }) => kind === 'drbd' && context.foundations.has(name));
  if (drbd === undefined && section.devices === undefined)
    context.problems.add(
      path,
      'needs "devices": it stands on no resource of kind "drbd"',
      'as "devices: [/dev/disk/by-id]", or put it behind the DRBD resource that the pool is on',
    );
  // The labels of the pool are on the disk below as well, and who writes there goes past the replication.
  const beside =
    drbd === undefined ? undefined : devices?.find((device) => !/^\/dev\/drbd(\d+$|\/)/.test(device));
  if (drbd !== undefined && beside !== undefined)
    context.problems.add(
      at,
      `${beside} may lead to the disk below "${drbd.name}": a pool that stands on DRBD is imported from nothing else`,
      `leave "devices" out; or, if the pool is not on "${drbd.name}", write "after: []"`,
    );
  if (section.hosts !== undefined)
    checkUniquePerNode(section.hosts, [...path, 'hosts'], 'host name', 'nas-1', context);
  const holders = context.members.filter(({ witness }) => !witness);
  const hosts = section.hosts ?? Object.fromEntries(holders.map(({ id }) => [id, id]));
  return { ...common, kind: 'zfs-pool', pool, devices, loadKeys, hosts };
}

// ---- interfaces and addresses

function portOf(section: Section<'port'>, place: Place): PortResourceConfig {
  const { common, path, context } = place;
  const at = [...path, 'addresses'];
  return {
    ...common,
    kind: 'port',
    interface: interfaceOf(section, place),
    addresses: ownValue(section.addresses, at, 'addresses', '[10.0.1.11/24]', context) ?? [],
    gateway: ownIp(section.gateway, 'gateway', place),
  };
}

function routeTableOf(section: Section<'route-table'>, place: Place): ResourceConfig {
  const { common, path, context } = place;
  const name = interfaceOf(section, place);
  const given = ownValue(section.from, [...path, 'from'], 'addresses', '[10.0.1.11]', context);
  const routes = section.routes.map(({ to, via }, index) => ({
    to,
    via: ownValue(via, [...path, 'routes', index, 'via'], 'router', '10.0.1.1', context),
  }));
  const gateway = ownIp(section.gateway, 'gateway', place);
  if (section.gateway === undefined && routes.length === 0)
    context.problems.add(path, 'a route table needs a "gateway", or "routes"', 'as "gateway: 10.0.1.1"');
  const { table, priority } = section;
  const from = given ?? sourcesOn(name, place);
  checkFamilies(from ?? [], [gateway, ...routes.map(({ to, via }) => (to === 'default' ? via : to))], place);
  for (const [index, { to, via }] of routes.entries()) {
    const at = [...path, 'routes', index];
    if (to === 'default' && section.routes[index]?.via === undefined)
      context.problems.add(at, 'a default route needs a "via"', 'as "{to: default, via: 10.0.1.1}"');
    if (to !== 'default' && via !== null && isIP(via) !== isIP(withoutPrefix(to)))
      context.problems.add([...at, 'via'], `${via} and ${to} are of two families`);
  }
  return { ...common, kind: 'route-table', table, interface: name, gateway, from, routes, priority };
}

/** A rule for IPv4 packets leads to no IPv6 route. */
function checkFamilies(
  from: readonly string[],
  targets: readonly (string | null)[],
  { path, context }: Place,
): void {
  const family = (address: string): number => isIP(withoutPrefix(address));
  const known = new Set(from.map(family));
  for (const target of targets) {
    if (target === null || known.size === 0 || known.has(family(target))) continue;
    context.problems.add(
      [...path, 'from'],
      `has no address of the family of ${target}`,
      'one of each family that the routes have',
    );
  }
}

/** This node's interface. A witness has none, and needs none. */
function interfaceOf(section: { readonly interface: PerNode<string> }, { path, context }: Place): string {
  return ownValue(section.interface, [...path, 'interface'], 'interface', 'eth1', context) ?? '';
}

function ownIp(given: PerNode<string> | undefined, key: string, { path, context }: Place): string | null {
  return ownValue(given, [...path, key], 'address', '10.0.1.1', context);
}

/**
 * The addresses of the `port` on this interface; null where it has none here: whatever the interface has then. Not beside a virtual address,
 * which comes later and would have no rule.
 */
function sourcesOn(name: string, place: Place): readonly string[] | null {
  const ports = addressesOn(name, place, ['port']);
  if (ports.length > 0) return ports;
  if (addressesOn(name, place, ['virtual-ip']).length === 0) return null;
  place.context.problems.add(
    place.path,
    'needs "from": a resource of kind "virtual-ip" puts an address on this interface, and none of kind "port" says what it has before that',
    'as "from: [10.0.1.11]"',
  );
  return [];
}

/** What `inbound` is for, where it does not say so itself. */
function servedOn(name: string, place: Place): readonly string[] {
  const found = addressesOn(name, place, ['port', 'virtual-ip']);
  const { members, self, problems } = place.context;
  const isWitness = members.some(({ id, witness }) => witness && id === self);
  if (found.length === 0 && !isWitness)
    problems.add(
      place.path,
      'needs "addresses": no resource of kind "port" or "virtual-ip" puts an address on this interface',
      'as "addresses: [10.0.1.11]"',
    );
  return found;
}

/** What other resources put on this interface of this node, without prefix lengths. */
function addressesOn(
  name: string,
  { context }: Place,
  kinds: readonly ('port' | 'virtual-ip')[],
): readonly string[] {
  const silent = { ...context, problems: null };
  return context.sections
    .flatMap((section): readonly string[] => {
      if (section.kind !== 'port' && section.kind !== 'virtual-ip') return [];
      if (!kinds.includes(section.kind) || pick(section.interface, silent) !== name) return [];
      return section.kind === 'virtual-ip' ? [section.address] : (pick(section.addresses, silent) ?? []);
    })
    .map(withoutPrefix);
}

function pick<Value>(
  given: PerNode<Value> | undefined,
  { self }: Pick<ResourceContext, 'self'>,
): Value | null {
  if (given === undefined) return null;
  if (given.kind === 'all') return given.value;
  return self === null ? null : (given.values[self] ?? null);
}

const withoutPrefix = (address: string): string => address.replace(/\/\d+$/, '');

// ---- the cloud

function cloud(
  section: Section<'elastic-ip' | 'vpc-route' | 'private-ip'>,
  place: Place,
): Place['common'] & { interfaces: Readonly<Record<string, string>>; via: string | null } {
  const { common, path, context } = place;
  checkUniquePerNode(section.interfaces, [...path, 'interfaces'], 'interface', 'eni-...', context);
  return { ...common, interfaces: section.interfaces, via: viaOf(section.via, place) };
}

/** An address, or the name of a `port`: its first address, or where it has none here the interface, for what that has then. */
function viaOf(given: PerNode<string> | undefined, { path, context }: Place): string | null {
  if (given === undefined) return null;
  const { names, sections, problems } = context;
  const at = [...path, 'via'];
  if (given.kind === 'each') {
    checkPerNode(given.values, at, 'address', 'ADDRESS', context);
    for (const [id, value] of Object.entries(given.values))
      if (isIP(value) === 0) problems.add([...at, id], `"${value}" is not an IP address`, 'as "10.0.9.10"');
    return pick(given, context);
  }
  if (isIP(given.value) !== 0) return given.value;
  const hint = 'write the local address that cloud calls leave from, or {a: 10.0.9.10, b: 10.0.9.11}';
  const port = sections.find(({ kind, name }) => kind === 'port' && name === given.value);
  if (port?.kind !== 'port') {
    const why = names.includes(given.value)
      ? `"${given.value}" is not a resource of kind "port"`
      : `"${given.value}" is neither an IP address nor the name of a resource`;
    problems.add(at, why, hint);
    return null;
  }
  if (port.addresses === undefined) return pick(port.interface, context);
  const first = pick(port.addresses, context)?.[0];
  return first === undefined ? null : withoutPrefix(first);
}

/** A private address lives in one subnet, and a subnet in one zone. */
function checkOneZone({ path, context }: Place): void {
  const zones = new Set(
    context.members.flatMap(({ witness, zone }) => (witness || zone === null ? [] : [zone])),
  );
  if (zones.size > 1)
    context.problems.add(
      [...path, 'kind'],
      `a private address cannot move between zones, and the data nodes are in ${[...zones].join(' and ')}`,
      'use "elastic-ip", or "vpc-route" with an address outside the network',
    );
}

// ---- commands

function serviceOf(
  section: Section<'service'>,
  path: Path,
  problems: Problems,
): ServiceResourceConfig['service'] {
  const { unit, start, stop, probe } = section;
  const commands = { start, stop, probe };
  if (unit !== undefined) {
    for (const [key, command] of Object.entries(commands))
      if (command !== undefined)
        problems.add([...path, key], 'cannot stand beside "unit"', 'use one or the other');
    return { kind: 'unit', unit };
  }
  const missing = Object.entries(commands).filter(([, command]) => command === undefined);
  if (missing.length === 3) problems.add(path, 'a service needs "unit", or "start", "stop" and "probe"');
  else
    for (const [key] of missing)
      problems.add([...path, key], 'is missing', 'start, stop and probe go together');
  return {
    kind: 'commands',
    start: argumentsOf(start),
    stop: argumentsOf(stop),
    probe: argumentsOf(probe),
  };
}

function argumentsOf(command: string | readonly string[] | undefined): readonly string[] {
  if (command === undefined) return [];
  return typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
}

/** A hook's text is for the shell too, which hands on the action that is added behind it: so it must be one command. */
function hookOf(script: string | readonly string[], { path, context }: Place): readonly string[] {
  if (typeof script !== 'string') return script;
  const text = script.trim();
  if (text === '' || /[\n\r#]|[;&|\\]$/.test(text))
    context.problems.add(
      [...path, 'script'],
      'as a text must be one command, without a line break or "#", and not end in ";", "&", "|" or "\\": the action is added behind it',
      'write a list, as [/etc/quorate/hook, argument], or put it into a script file',
    );
  return ['/bin/sh', '-c', `${text} "$@"`, 'hook'];
}
