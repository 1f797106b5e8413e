/** The file systems of a pool: which of them belong into the tree, in which order, and which are there. Pure. */
import { type MountEntry, mountSeenAt } from './mountinfo.ts';

export interface Dataset {
  readonly name: string;
  /** Null: it is not mounted by itself (`canmount` other than `on`, `mountpoint` none or legacy). */
  readonly mountPoint: string | null;
  /** It is encrypted, and its key is not loaded. */
  readonly isLocked: boolean;
  /** In which transaction of this pool it was made: what is received or cloned is younger than what it came from. */
  readonly createdAt: number;
}

/** Something to be mounted. */
export interface Wanted extends Dataset {
  readonly mountPoint: string;
}

const PROPERTIES = 'name,canmount,mountpoint,keystatus,createtxg';
const CANMOUNT = new Set(['on', 'off', 'noauto']);
const KEY_STATUS = new Set(['-', 'available', 'unavailable']);
/** Those of no place in the tree. */
const NO_PLACE = new Set(['none', 'legacy']);

/** Backwards, so that the pool's own line is the last: an output without it at its end was cut off. */
export const listCommand = (pool: string): string[] => [
  ...['zfs', 'list', '-H', '-p', '-r', '-t', 'filesystem', '-S', 'name', '-o', PROPERTIES],
  pool,
];

/** Null where a line is not as documented, or the whole not complete. */
export function parseDatasets(text: string, pool: string): readonly Dataset[] | null {
  if (!text.endsWith('\n')) return null;
  const datasets = text.slice(0, -1).split('\n').map(readLine);
  const sound = datasets.filter((one) => one !== null);
  const names = new Set(sound.map(({ name }) => name));
  const isWhole = sound.length === datasets.length && names.size === sound.length;
  const areOurs = sound.every(({ name }) => isOf(pool, name)) && sound.at(-1)?.name === pool;
  return isWhole && areOurs ? sound : null;
}

function readLine(line: string): Dataset | null {
  const [name = '', canmount = '', mountPoint = '', keyStatus = '', created = '', ...more] = line.split('\t');
  if (name === '' || more.length > 0 || !CANMOUNT.has(canmount) || !KEY_STATUS.has(keyStatus)) return null;
  if (!mountPoint.startsWith('/') && !NO_PLACE.has(mountPoint)) return null;
  if (!/^\d{1,20}$/.test(created)) return null;
  const isPlaced = canmount === 'on' && mountPoint.startsWith('/');
  const isLocked = keyStatus === 'unavailable';
  return { name, mountPoint: isPlaced ? mountPoint : null, isLocked, createdAt: Number(created) };
}

export interface Arrangement {
  /** What belongs into the tree, parents first. */
  readonly wanted: readonly Wanted[];
  /** Whose place belongs to an older one: as a replica that came with the mount point of its original. */
  readonly crowded: readonly Wanted[];
}

export function arrange(datasets: readonly Dataset[]): Arrangement {
  const placed = datasets
    .flatMap((one): Wanted[] => (one.mountPoint === null ? [] : [{ ...one, mountPoint: one.mountPoint }]))
    .toSorted(byPlace);
  // A locked one keeps its place: what came later is not shown instead.
  const oldest = new Map(placed.toReversed().map((one) => [one.mountPoint, one]));
  const isOldest = (one: Wanted): boolean => oldest.get(one.mountPoint) === one;
  const unlocked = placed.filter(({ isLocked }) => !isLocked);
  return { wanted: unlocked.filter(isOldest), crowded: unlocked.filter((one) => !isOldest(one)) };
}

/** A path sorts before everything below it; of one place the oldest first. */
function byPlace(left: Wanted, right: Wanted): number {
  if (left.mountPoint === right.mountPoint) return left.createdAt - right.createdAt;
  return left.mountPoint < right.mountPoint ? -1 : 1;
}

/** Those of the same depth do not lie below each other: they can be mounted side by side. */
export function byDepth(wanted: readonly Wanted[]): readonly (readonly Wanted[])[] {
  const depths = new Map<number, Wanted[]>();
  for (const one of wanted) {
    const depth = one.mountPoint === '/' ? 0 : one.mountPoint.split('/').length;
    depths.set(depth, [...(depths.get(depth) ?? []), one]);
  }
  return [...depths].toSorted(([left], [right]) => left - right).map(([, group]) => group);
}

/** Every mount of the pool's, snapshots and bind mounts too, in the order in which they were made. */
export function mountsOf(entries: readonly MountEntry[], pool: string): readonly MountEntry[] {
  return entries.filter(({ fstype, source }) => fstype === 'zfs' && isOf(pool, source));
}

/** Only what no other mount covers can be unmounted. */
export function reachable(
  entries: readonly MountEntry[],
  mounts: readonly MountEntry[],
): readonly MountEntry[] {
  return mounts.filter((entry) => mountSeenAt(entries, entry.mountPoint) === entry);
}

/** It is what is seen at its place. */
export function isInPlace(entries: readonly MountEntry[], { name, mountPoint }: Wanted): boolean {
  const seen = mountSeenAt(entries, mountPoint);
  return seen?.mountPoint === mountPoint && seen.fstype === 'zfs' && seen.source === name;
}

/** What is in the way of mounting it: another mount at its place, or its own elsewhere. */
export function obstacleTo(entries: readonly MountEntry[], { name, mountPoint }: Wanted): string | null {
  const seen = mountSeenAt(entries, mountPoint);
  if (seen?.mountPoint === mountPoint) return `${seen.source} (${seen.fstype}) is mounted on ${mountPoint}`;
  const elsewhere = entries.find(({ fstype, source }) => fstype === 'zfs' && source === name);
  if (elsewhere === undefined) return null;
  return elsewhere.mountPoint === mountPoint
    ? `${name} on ${mountPoint} is covered by another mount`
    : `${name} is mounted on ${elsewhere.mountPoint}, not on ${mountPoint}`;
}

const isOf = (pool: string, name: string): boolean =>
  name === pool || name.startsWith(`${pool}/`) || name.startsWith(`${pool}@`);
