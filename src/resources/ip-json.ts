/**
 * Reads `ip -j` (iproute2 5.x and 6.x). Every function returns null for what it cannot read, and never a guess:
 *
 * - Cut or garbled text is no JSON, or lacks what matters.
 * - What belongs to others may have keys that we do not know; what decides about us may not.
 * - An empty text is no empty list.
 */
import { z } from 'zod';
import { type Cidr, type Family, readCidr, routeForm } from './ip-address.ts';

export interface LinkAddress extends Cidr {
  /** False while duplicate address detection runs or after it found somebody else: then nothing can use it. */
  readonly isUsable: boolean;
  /** IPv4: goes with the primary one of its network, unless the kernel is told to promote it. */
  readonly isSecondary: boolean;
  readonly scope: string;
}

/** An interface of the host, or of those that have an address. */
export interface HostLink {
  readonly interfaceName: string;
  /** Other names of the same interface. */
  readonly otherNames: readonly string[];
  readonly link: LinkState;
}

/** Where an address is. */
export interface AddressPlace {
  readonly interfaceName: string;
  /** Other names of the same interface. */
  readonly otherNames: readonly string[];
  readonly cidr: Cidr;
}

export interface LinkState {
  /** Administratively up. */
  readonly isUp: boolean;
  /** Up, and frames get through as far as this end can tell. */
  readonly isRunning: boolean;
  /** As `ip` prints it, for people. */
  readonly operstate: string;
  readonly addresses: readonly LinkAddress[];
}

export interface RuleState {
  readonly priority: number;
  /** In route form, `default` for all. */
  readonly from: string;
  readonly table: number;
}

export interface RouteState {
  /** In route form. */
  readonly to: string;
  readonly via: string | null;
  readonly interfaceName: string;
  /** An ordinary route, as this program makes them. */
  readonly isPlain: boolean;
}

const addressEntry = z.looseObject({
  family: z.string(),
  local: z.string(),
  prefixlen: z.number().int().min(0).max(128),
  scope: z.string(),
  secondary: z.literal(true).optional(),
  tentative: z.literal(true).optional(),
  dadfailed: z.literal(true).optional(),
  optimistic: z.literal(true).optional(),
});
const linkEntry = z.looseObject({
  ifname: z.string(),
  altnames: z.array(z.string()).optional(),
  flags: z.array(z.string()),
  operstate: z.enum(['UNKNOWN', 'NOTPRESENT', 'DOWN', 'LOWERLAYERDOWN', 'TESTING', 'DORMANT', 'UP']),
  addr_info: z.array(addressEntry),
});

type AddressEntry = z.infer<typeof addressEntry>;
type LinkEntry = z.infer<typeof linkEntry>;
/** Some releases leave an empty object for everything that was not asked for. */
type Nothing = Readonly<Record<string, never>>;
const isAddress = (entry: AddressEntry | Nothing): entry is AddressEntry => 'local' in entry;

/** `ip -j addr show dev NAME` */
export function parseLink(text: string, name: string): LinkState | null {
  const links = parseList(z.union([linkEntry, z.strictObject({})]), text);
  const isLink = (entry: LinkEntry | Nothing): entry is LinkEntry => 'ifname' in entry;
  const [link, ...others] = links?.filter(isLink) ?? [];
  if (link === undefined || others.length > 0) return null;
  if (link.ifname !== name && !link.altnames?.includes(name)) return null;
  return readState(link);
}

function readState(link: Pick<LinkEntry, 'flags' | 'operstate' | 'addr_info'>): LinkState | null {
  const flags = new Set(link.flags);
  const isUp = flags.has('UP');
  // The kernel never says these of an interface that is down: the text must be damaged.
  const isContradictory = link.operstate !== 'DOWN' || flags.has('LOWER_UP') || flags.has('NO-CARRIER');
  if (!isUp && isContradictory) return null;
  const addresses = readAll(link.addr_info, readAddress);
  if (addresses === null) return null;
  const isRunning = isUp && flags.has('LOWER_UP') && ['UP', 'UNKNOWN'].includes(link.operstate);
  return { isUp, isRunning, operstate: link.operstate, addresses };
}

function readAddress(entry: AddressEntry): LinkAddress | null {
  const cidr = readCidr(`${entry.local}/${entry.prefixlen}`);
  if (cidr === null || cidr.family !== entry.family) return null;
  const isUsable =
    entry.dadfailed === undefined && (entry.tentative === undefined || entry.optimistic === true);
  return { ...cidr, isUsable, isSecondary: entry.secondary === true, scope: entry.scope };
}

const placeAddress = z.looseObject({
  family: z.string(),
  local: z.string(),
  prefixlen: z.number().int().min(0).max(128),
});
const placeEntry = z.looseObject({
  ifname: z.string(),
  altnames: z.array(z.string()).optional(),
  // An empty object stands for every address that was not asked for.
  addr_info: z.array(z.union([placeAddress, z.strictObject({})])),
});

/** No host has so many: the text must be damaged. */
const MAX_LINKS = 20_000;

/** `ip -j addr show to ADDRESS`: every interface that has it, with whatever prefix length. */
export function parsePlaces(text: string, address: string): readonly AddressPlace[] | null {
  const links = parseList(z.union([placeEntry, z.strictObject({})]), text);
  if (links === null || links.length > MAX_LINKS) return null;
  const places = links.flatMap((link) => {
    if (!('ifname' in link)) return [];
    const names = { interfaceName: link.ifname, otherNames: link.altnames ?? [] };
    const found = link.addr_info.filter((entry) => 'local' in entry);
    return found.map((entry) => ({ ...names, cidr: readCidr(`${entry.local}/${entry.prefixlen}`) }));
  });
  const read = readAll(places, ({ cidr, ...names }) => (cidr === null ? null : { ...names, cidr }));
  return read?.filter(({ cidr }) => cidr.address === address) ?? null;
}

const holderEntry = linkEntry.extend({ addr_info: z.array(z.union([addressEntry, z.strictObject({})])) });

/** `ip -j addr show to ADDRESS`, with the state of each interface that has it. */
export function parseHolders(text: string, address: string): readonly HostLink[] | null {
  const links = parseList(z.union([holderEntry, z.strictObject({})]), text);
  if (links === null || links.length > MAX_LINKS) return null;
  const holders = readAll(links, (entry): HostLink | { readonly link: null } | null => {
    const { ifname, altnames, flags, operstate, addr_info } = entry;
    if (ifname === undefined) return { link: null };
    const link = readState({ flags, operstate, addr_info: addr_info.filter(isAddress) });
    // Only interfaces that have the address are printed: otherwise the text is damaged.
    if (link === null || link.addresses.length === 0) return null;
    if (!link.addresses.every((one) => one.address === address)) return null;
    return { interfaceName: ifname, otherNames: altnames ?? [], link };
  });
  return holders?.filter((holder): holder is HostLink => holder.link !== null) ?? null;
}

const hostEntry = linkEntry.extend({ ifindex: z.number().int().min(1) });

/** `ip -j addr show`: every interface of the host. */
export function parseHost(text: string): readonly HostLink[] | null {
  const links = parseList(hostEntry, text);
  if (links === null || links.length > MAX_LINKS) return null;
  // No host is without it; a list that lacks it, or has an interface twice, cannot be whole.
  if (!links.some(({ ifindex, flags }) => ifindex === 1 && flags.includes('LOOPBACK'))) return null;
  if (new Set(links.map(({ ifindex }) => ifindex)).size < links.length) return null;
  return readAll(links, (entry): HostLink | null => {
    const link = readState(entry);
    return link === null ? null : { interfaceName: entry.ifname, otherNames: entry.altnames ?? [], link };
  });
}

/** With `-N` a table is never printed by its name. */
const tableNumber = z.string().regex(/^\d{1,10}$/);
const anyRule = z.looseObject({ priority: z.number().int().min(0), table: tableNumber.optional() });
/** No key beyond these: a rule with another selector is not ours, but it is not nothing either. */
const plainRule = z.strictObject({
  priority: z.number().int().min(0),
  src: z.string(),
  srclen: z.number().int().min(0).max(128).optional(),
  table: tableNumber,
  protocol: z.string().optional(),
});

/**
 * `ip -N -j -4|-6 rule`: those at `priority` that look up one of `tables`. Null also when one of them has a selector
 * that this program never writes.
 */
export function parseRules(
  text: string,
  family: Family,
  { priority, tables }: { readonly priority: number; readonly tables: readonly number[] },
): readonly RuleState[] | null {
  const rules = parseList(anyRule, text);
  // The kernel has at least the rule for its local table; a list without any cannot be whole.
  if (rules === null || !rules.some((rule) => rule.priority === 0)) return null;
  // `goto` and `unreachable` have no table.
  if (rules.some((rule) => rule.table === undefined && !('action' in rule) && !('goto' in rule))) return null;
  const ours = rules.filter((rule) => rule.priority === priority && tables.includes(Number(rule.table)));
  return readAll(ours, (rule) => {
    const parsed = plainRule.safeParse(rule);
    if (!parsed.success) return null;
    const { src, srclen, table } = parsed.data;
    const from = src === 'all' ? 'default' : sourceForm(src, srclen, family);
    return from === null ? null : { priority, from, table: Number(table) };
  });
}

function sourceForm(src: string, srclen: number | undefined, family: Family): string | null {
  const cidr = readCidr(srclen === undefined ? src : `${src}/${srclen}`);
  return cidr === null || cidr.family !== family ? null : routeForm(cidr);
}

const route = z.strictObject({
  dst: z.string(),
  dev: z.string().optional(),
  gateway: z.string().optional(),
  flags: z.array(z.string()),
  type: z.string().optional(),
  via: z.unknown().optional(),
  nexthops: z.unknown().optional(),
  nhid: z.unknown().optional(),
  nh_info: z.unknown().optional(),
  encap: z.unknown().optional(),
  src: z.unknown().optional(),
  tos: z.unknown().optional(),
  realms: z.unknown().optional(),
  expires: z.unknown().optional(),
  error: z.unknown().optional(),
  // Harmless: they do not change where a packet goes.
  table: z.unknown().optional(),
  protocol: z.unknown().optional(),
  scope: z.unknown().optional(),
  prefsrc: z.unknown().optional(),
  metric: z.unknown().optional(),
  metrics: z.unknown().optional(),
  pref: z.unknown().optional(),
});
const DECISIVE_KEYS = [
  'via',
  'nexthops',
  'nhid',
  'nh_info',
  'encap',
  'src',
  'tos',
  'realms',
  'error',
] as const;

/** An option of ours, and what says something about the link or the hardware: the port's business, not the table's. */
const HARMLESS_FLAGS = new Set(['onlink', 'linkdown', 'offload', 'rt_offload', 'trap', 'rt_trap']);

/** `ip -j -4|-6 route show table N`, all of it. */
export function parseRoutes(text: string, family: Family): readonly RouteState[] | null {
  const routes = parseList(route, text);
  if (routes === null) return null;
  return readAll(routes, (entry) => {
    const to = entry.dst === 'default' ? 'default' : destinationForm(entry.dst, family);
    const gateway = entry.gateway === undefined ? null : readCidr(entry.gateway);
    if (to === null || (gateway === null && entry.gateway !== undefined)) return null;
    const isPlain =
      (entry.type === undefined || entry.type === 'unicast') &&
      entry.flags.every((flag) => HARMLESS_FLAGS.has(flag)) &&
      DECISIVE_KEYS.every((key) => entry[key] === undefined) &&
      entry.expires === undefined;
    return { to, via: gateway?.address ?? null, interfaceName: entry.dev ?? '', isPlain };
  });
}

function destinationForm(text: string, family: Family): string | null {
  const cidr = readCidr(text);
  return cidr === null || cidr.family !== family ? null : routeForm(cidr);
}

const NEIGHBOUR_STATES: Readonly<Record<string, NeighbourState>> = {
  REACHABLE: 'answers',
  PERMANENT: 'fixed',
  NOARP: 'fixed',
  PROBE: 'asking',
  INCOMPLETE: 'asking',
  FAILED: 'silent',
  STALE: 'old',
  DELAY: 'old',
};
const neighbour = z.looseObject({
  dst: z.string(),
  state: z.array(z.string()).length(1),
});

/** `fixed`: somebody has said its link address, and the kernel never asks. `old`: it has answered, or was heard, some time ago. */
export type NeighbourState = 'answers' | 'fixed' | 'asking' | 'silent' | 'old' | 'none';

/** `ip -j neigh show ADDRESS dev NAME`. */
export function parseNeighbour(text: string, address: string): NeighbourState | null {
  const entries = parseList(neighbour, text);
  if (entries === null || entries.length > 1) return null;
  const [entry] = entries;
  if (entry === undefined) return 'none';
  const [state = ''] = entry.state;
  if (readCidr(entry.dst)?.address !== address) return null;
  return Object.hasOwn(NEIGHBOUR_STATES, state) ? (NEIGHBOUR_STATES[state] ?? null) : null;
}

function parseList<Entry>(entry: z.ZodType<Entry>, text: string): Entry[] | null {
  try {
    const parsed = z.array(entry).safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

function readAll<Entry, Value>(
  entries: readonly Entry[],
  read: (entry: Entry) => Value | null,
): Value[] | null {
  const values = entries.map(read);
  return values.some((value) => value === null) ? null : values.filter((value) => value !== null);
}
