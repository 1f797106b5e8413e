/** What is to be in the route table, and what the tables and rules that are there amount to. Pure. */
import { QuorateError } from '../errors.ts';
import { type Cidr, contains, type Family, isHost, networkOf, parseCidr, routeForm } from './ip-address.ts';
import type { LinkAddress, RouteState, RuleState } from './ip-json.ts';

export interface Route {
  /** In route form. */
  readonly to: string;
  readonly via: string | null;
}

/** One family's share of the config. */
export interface FamilyWish {
  readonly family: Family;
  /** Sources, in route form; null: the interface's own addresses (`sourcesOf`). */
  readonly from: readonly string[] | null;
  readonly gateway: Cidr | null;
  readonly routes: readonly Route[];
}

export interface FamilyState {
  readonly rules: readonly RuleState[];
  /** Both tables. */
  readonly tables: ReadonlyMap<number, readonly RouteState[]>;
  readonly addresses: readonly LinkAddress[];
}

export interface Target {
  readonly interface: string;
  readonly family: FamilyWish;
}

/** Throws `config-invalid` for what can have no effect. */
export function familyWishes(options: {
  readonly name: string;
  readonly gateway: string | null;
  readonly from: readonly string[] | null;
  readonly routes: readonly { readonly to: string; readonly via: string | null }[];
}): readonly FamilyWish[] {
  const from = options.from?.map(parseCidr) ?? null;
  const gateway = options.gateway === null ? null : parseCidr(options.gateway);
  const routes = options.routes.map(({ to, via }) => readRoute(to, via));
  const targets = [gateway, ...routes].filter((item) => item !== null);
  const families = (['inet', 'inet6'] as const).filter((family) =>
    (from ?? targets).some((one) => one.family === family),
  );
  const lost = targets.find((item) => !families.includes(item.family));
  if (families.length === 0 || lost) {
    throw new QuorateError(
      'config-invalid',
      `resource ${options.name}: "from" names no address of the family of its gateway or of one of its routes`,
    );
  }
  const unique = (texts: readonly string[]): string[] => [...new Set(texts)];
  return families.map((family) => ({
    family,
    from: from && unique(from.filter((source) => source.family === family).map(routeForm)),
    gateway: gateway?.family === family ? gateway : null,
    routes: routes.filter((route) => route.family === family).map(({ to, via }) => ({ to, via })),
  }));
}

function readRoute(to: string, via: string | null): Route & { readonly family: Family } {
  const gateway = via === null ? null : parseCidr(via);
  // "default" is of the gateway's family; without one it is written as 0.0.0.0/0 or ::/0.
  const everything = gateway?.family === 'inet6' ? '::/0' : '0.0.0.0/0';
  const destination = parseCidr(to === 'default' ? everything : to);
  if (gateway !== null && gateway.family !== destination.family) {
    throw new QuorateError('config-invalid', `route ${to} cannot go via ${via}: IPv4 and IPv6 are mixed`);
  }
  return { family: destination.family, to: routeForm(destination), via: gateway?.address ?? null };
}

/** Whose packets are to use the table, in route form. Empty where the interface has no address of that family. */
export function sourcesOf(
  { from, family }: FamilyWish,
  addresses: readonly LinkAddress[],
): readonly string[] {
  if (from !== null) return from;
  const own = addresses.filter((address) => address.family === family && address.scope === 'global');
  return [...new Set(own.map(({ address }) => address))];
}

/**
 * The networks of the interface's own addresses, the gateway by itself where none of them contains it, the default
 * route, and what the config adds or replaces. In the order in which the kernel takes them: first what is on the link.
 */
export function wantedRoutes(wish: FamilyWish, addresses: readonly LinkAddress[]): readonly Route[] {
  const networks = addresses.filter(
    (address) => address.family === wish.family && address.scope === 'global' && !isHost(address),
  );
  const wanted = new Map<string, string | null>(
    networks.map((address) => [routeForm({ ...address, address: networkOf(address) }), null]),
  );
  if (wish.gateway !== null) {
    const { gateway } = wish;
    const isOnLink = gateway.address.startsWith('fe80:') || networks.some((net) => contains(net, gateway));
    if (!isOnLink) wanted.set(gateway.address, null);
    wanted.set('default', gateway.address);
  }
  for (const { to, via } of wish.routes) wanted.set(to, via);
  const routes = [...wanted].map(([to, via]) => ({ to, via }));
  return [...routes.filter(({ via }) => via === null), ...routes.filter(({ via }) => via !== null)];
}

/** How many of the wanted routes are there; `isExact` when nothing is missing and nothing is surplus. */
export function compareRoutes(
  present: readonly RouteState[],
  wanted: readonly Route[],
  interfaceName: string,
): { readonly found: number; readonly isExact: boolean } {
  const key = (to: string, via: string | null): string => `${to} via ${via}`;
  const plain = new Set(
    present
      .filter((route) => route.isPlain && route.interfaceName === interfaceName)
      .map((route) => key(route.to, route.via)),
  );
  const found = wanted.filter(({ to, via }) => plain.has(key(to, via))).length;
  const isExact = wanted.length > 0 && found === wanted.length && present.length === wanted.length;
  return { found, isExact };
}

export type Verdict =
  /** Every source looks up `table`, which is exact, and the other table is empty. */
  | { readonly kind: 'whole'; readonly table: number }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'part'; readonly why: string };

export function judge({ family, interface: name }: Target, state: FamilyState): Verdict {
  const { rules, tables } = state;
  const filled = [...tables].filter(([, routes]) => routes.length > 0).map(([table]) => table);
  if (rules.length === 0 && filled.length === 0) return { kind: 'nothing' };
  if (rules.length === 0) return { kind: 'part', why: `no rule leads to table ${filled.join(' and ')}` };
  const used = tablesInUse(state);
  const [table] = used;
  if (table === undefined || used.length > 1) {
    return { kind: 'part', why: `rules lead to tables ${used.join(' and ')}` };
  }
  const sources = rules.map((rule) => rule.from);
  const wantedSources = sourcesOf(family, state.addresses);
  const missing = wantedSources.filter((from) => !sources.includes(from));
  if (missing.length > 0) return { kind: 'part', why: `no rule for ${missing.join(', ')}` };
  const surplus = sources.filter((from) => !wantedSources.includes(from));
  if (surplus.length > 0) return { kind: 'part', why: `a rule for ${surplus.join(', ')} is left` };
  const wanted = wantedRoutes(family, state.addresses);
  const present = tables.get(table) ?? [];
  const { found, isExact } = compareRoutes(present, wanted, name);
  if (!isExact) {
    const why = `table ${table} has ${found} of ${wanted.length} routes and ${present.length - found} others`;
    return { kind: 'part', why };
  }
  if (filled.length > 1) return { kind: 'part', why: 'the previous table is not flushed' };
  return { kind: 'whole', table };
}

export function tablesInUse({ rules }: FamilyState): readonly number[] {
  return [...new Set(rules.map((rule) => rule.table))];
}
