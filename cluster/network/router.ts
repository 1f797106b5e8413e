/**
 * The VPC controller's backend: makes the world true in a router of real kernel parts.
 *
 * - Elastic IP: stateless one-to-one NAT, by two nft maps that change in one transaction, and no connection tracking. As in
 *   EC2 the address is a property of the moment: from the change on, every packet goes to the new holder, and none from the
 *   old one gets out under the public address. (Connection tracking would carry established flows on to the old holder
 *   until each entry is found and deleted: `conntrack -D` is a second step, with a gap before it, and a program more.)
 * - A private address without an elastic IP never reaches the outside, as behind an internet gateway.
 * - VPC routes: one kernel table for each route table, chosen by the segment that a packet comes from. A blackhole is a
 *   `blackhole` route: EC2 drops such packets too.
 * - Source/destination check: an interface gets and sends only packets of its own addresses, unless it is switched off.
 *
 * Applied before the API's answer goes out (3 ms). Real EC2 is slower and later; the controller's faults make that.
 */
import type { Backend, World } from '../local/controller/index.ts';
import { routeState } from '../local/controller/index.ts';
import { runNow } from './commands.ts';

type Forwards = ReturnType<Backend['forwards']>;

export interface RouterOptions {
  /** Network interface id to the router's device of its segment. */
  readonly devices: Readonly<Record<string, string>>;
  /** Subnet id to the router's device of its segment. */
  readonly subnets: Readonly<Record<string, string>>;
  /** The device that leads outside. */
  readonly outside: string;
}

const FIRST_TABLE = 100;
const RULE_PRIORITY = 1_000;

export class Router implements Backend {
  readonly #options: RouterOptions;
  #world: World;
  #rules = '';
  #routes: ReadonlyMap<string, string> = new Map();

  constructor(options: RouterOptions, world: World) {
    this.#options = options;
    this.#world = world;
  }

  async start(): Promise<void> {
    runNow(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    const { subnets } = this.#options;
    const tables = [...this.#world.routeTables.values()];
    const lines = tables.flatMap((table, index) =>
      table.subnetIds.flatMap((id) =>
        subnets[id] === undefined
          ? []
          : [`rule add pref ${RULE_PRIORITY} iif ${subnets[id]} table ${FIRST_TABLE + index}`],
      ),
    );
    if (lines.length > 0) runNow(['ip', '-batch', '-'], `${lines.join('\n')}\n`);
    this.apply(this.#world);
  }

  /** The namespace goes with everything in it. */
  async stop(): Promise<void> {}

  apply(world: World): void {
    this.#world = world;
    const rules = natRules(world, this.#options);
    if (rules !== this.#rules) runNow(['nft', '-f', '-'], rules);
    this.#rules = rules;
    const routes = routesOf(world, this.#options);
    const lines = routeChanges(this.#routes, routes);
    if (lines.length > 0) runNow(['ip', '-batch', '-'], `${lines.join('\n')}\n`);
    this.#routes = routes;
  }

  forwards(): Forwards {
    return [...this.#world.addresses.values()].map(({ allocationId, publicIp, ports, association }) => ({
      allocationId,
      publicIp,
      ports,
      target:
        association === null
          ? null
          : { interfaceId: association.interfaceId, privateIp: association.privateIp, isLive: true },
      connections: 0,
    }));
  }
}

/** The whole table in one transaction: packets see the old one or the new one. Pure. */
export function natRules(world: World, { devices, outside }: RouterOptions): string {
  const held = [...world.addresses.values()].flatMap(({ publicIp, association }) =>
    association === null ? [] : [{ publicIp, privateIp: association.privateIp }],
  );
  const plugged = [...world.interfaces.values()].flatMap((one) => {
    const device = devices[one.id];
    return device === undefined ? [] : [{ device, one }];
  });
  const own = plugged.flatMap(({ device, one }) => one.privateIps.map((ip) => `"${device}" . ${ip}`));
  const checked = plugged.filter(({ one }) => one.sourceDestCheck).map(({ device }) => `"${device}"`);
  return `table ip vpc
delete table ip vpc
table ip vpc {
  map inward {
    type ipv4_addr : ipv4_addr
    ${elements(held.map(({ publicIp, privateIp }) => `${publicIp} : ${privateIp}`))}
  }
  map outward {
    type ipv4_addr : ipv4_addr
    ${elements(held.map(({ publicIp, privateIp }) => `${privateIp} : ${publicIp}`))}
  }
  set own {
    type ifname . ipv4_addr
    ${elements(own)}
  }
  set checked {
    type ifname
    ${elements(checked)}
  }
  chain arriving {
    type filter hook prerouting priority raw
    iifname "${outside}" ip daddr set ip daddr map @inward
  }
  chain crossing {
    type filter hook forward priority filter
    iifname @checked iifname . ip saddr != @own drop
    oifname @checked oifname . ip daddr != @own drop
  }
  chain leaving {
    type filter hook postrouting priority srcnat
    oifname "${outside}" ip saddr set ip saddr map @outward
    oifname "${outside}" ip saddr { 10.0.0.0/8 } drop
  }
}
`;
}

const elements = (list: readonly string[]): string =>
  list.length === 0 ? '' : `elements = { ${list.join(', ')} }`;

/** What `ip route` is to know: `DESTINATION table N` to the way there. Only routes that are not the VPC's own. Pure. */
export function routesOf(world: World, { devices }: RouterOptions): ReadonlyMap<string, string> {
  const routes = [...world.routeTables.values()].flatMap((table, index) =>
    table.routes.flatMap((route): (readonly [string, string])[] => {
      if (route.target.kind !== 'interface') return [];
      const key = `${route.destination} table ${FIRST_TABLE + index}`;
      const one = world.interfaces.get(route.target.id);
      const device = one === undefined ? undefined : devices[one.id];
      if (one === undefined || device === undefined || routeState(world, route) === 'blackhole')
        return [[key, 'blackhole']];
      return [[key, `via ${one.privateIps[0]} dev ${device} onlink`]];
    }),
  );
  return new Map(routes);
}

/** Lines of `ip -batch`. A route that goes elsewhere is replaced in one step, as ReplaceRoute does. Pure. */
export function routeChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const gone = [...before.keys()].filter((key) => !after.has(key)).map((key) => `route del ${key}`);
  const changed = [...after].filter(([key, way]) => before.get(key) !== way);
  const now = changed.map(([key, way]) =>
    way === 'blackhole' ? `route replace blackhole ${key}` : `route replace ${key} ${way}`,
  );
  return [...gone, ...now];
}
