/** What the kernel says of a pool and its mounts, for both kinds of pools: no command is run for it, so that none can hang. */
import { firstWords } from './command-error.ts';
import { type MountEntry, mountSeenAt, readMountTable } from './mountinfo.ts';
import { mountsOf } from './zfs-datasets.ts';
import { type KernelFiles, type PoolState, readPoolState } from './zfs-state.ts';

export interface Found {
  readonly state: PoolState;
  /** The whole table. */
  readonly entries: readonly MountEntry[];
  /** Every mount of the pool. */
  readonly mounts: readonly MountEntry[];
}

export interface PoolMountsOptions {
  readonly pool: string;
  readonly kernel: KernelFiles;
  /** The text of /proc/self/mountinfo. */
  readonly readMounts: () => string;
  /** What this program runs from and writes to. */
  readonly ownPaths: readonly string[];
}

/**
 * A sentence when it cannot be read, or this program itself runs from the pool: such a one is not touched at all, because its release
 * would end everything that runs here. `cannot`: what that pool is no pool for, as "move". The state first: what is mounted is seen only of a
 * pool that is there.
 */
export function findPool(
  { pool, kernel, readMounts, ownPaths }: PoolMountsOptions,
  cannot: string,
): Found | string {
  const state = readPoolState(pool, kernel);
  const entries = readMountTable(readMounts);
  if (typeof entries === 'string') return entries;
  const mounts = mountsOf(entries, pool);
  const own = ownPaths.find((path) => mounts.some((one) => one === mountSeenAt(entries, path)));
  if (own !== undefined) return `${own} is on ${pool}: what Quorate runs from is no pool that can ${cannot}`;
  return { state, entries, mounts };
}

export const placesOf = (mounts: readonly MountEntry[]): string =>
  firstWords(mounts.map(({ mountPoint }) => mountPoint).join(', '));
