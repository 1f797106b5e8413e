/** Which of what is seen a viewer wants; applied before anything is kept for it. */
import { QuorateError } from '../errors.ts';
import { CHANNELS, CLOUD_CALL, DIRECTIONS, type Direction, KINDS } from './kinds.ts';
import type { Observation } from './observation.ts';

/** As a viewer asks for it. Empty lists, null and 0 ask for everything. */
export interface FilterRequest {
  /** Node ids: then only what passes between this node and these. */
  readonly peers: readonly string[];
  /** Kinds, or whole channels. */
  readonly kinds: readonly string[];
  readonly direction: string | null;
  /** Only answers that took longer, ms. */
  readonly slowerThanMs: number;
}

/** Names of each that a filter may have. */
const MOST_NAMES = 64;

export interface Filter {
  readonly peers: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
  readonly direction: Direction | null;
  readonly slowerThanMs: number;
}

const KNOWN: ReadonlySet<string> = new Set([...CHANNELS, ...KINDS.peer, ...KINDS.orders, ...KINDS.reports]);

/** Throws `usage` with what is not known and what is: a typing error must not look like silence. */
export function filterOf(request: FilterRequest, others: readonly string[]): Filter {
  const { peers, kinds, direction, slowerThanMs } = request;
  if (peers.length > MOST_NAMES || kinds.length > MOST_NAMES)
    throw new QuorateError('usage', `a filter has at most ${MOST_NAMES} names`);
  for (const peer of peers) {
    if (!others.includes(peer))
      throw new QuorateError('usage', `--peer ${clip(peer)}: the other nodes are ${others.join(', ')}`);
  }
  for (const kind of kinds) {
    if (!KNOWN.has(kind) && !CLOUD_CALL.test(kind)) throw new QuorateError('usage', unknownKind(kind));
  }
  const wanted = DIRECTIONS.find((one) => one === direction) ?? null;
  if (direction !== null && wanted === null)
    throw new QuorateError('usage', `--direction ${clip(direction)}: write ${DIRECTIONS.join(' or ')}`);
  if (!(slowerThanMs >= 0 && Number.isFinite(slowerThanMs)))
    throw new QuorateError('usage', `--slower-than ${slowerThanMs}: a time from 0 on is needed`);
  return { peers: new Set(peers), kinds: new Set(kinds), direction: wanted, slowerThanMs };
}

export function matches(filter: Filter, seen: Observation): boolean {
  const { peers, kinds, direction, slowerThanMs } = filter;
  if (direction !== null && seen.direction !== direction) return false;
  if (kinds.size > 0 && !kinds.has(seen.kind) && !kinds.has(seen.channel)) return false;
  if (peers.size > 0 && (seen.peer === null || !peers.has(seen.peer))) return false;
  return slowerThanMs === 0 || (seen.latencyMs !== null && seen.latencyMs > slowerThanMs);
}

function unknownKind(kind: string): string {
  const all = [...new Set([...KINDS.peer, ...KINDS.orders, ...KINDS.reports])].join(', ');
  return `--kind ${clip(kind)}: known are ${CHANNELS.join(', ')} for everything of one channel, a call of the cloud by its own name (AssociateAddress), and ${all}`;
}

const clip = (text: string): string => JSON.stringify(text.slice(0, 80));
