/**
 * Which snapshots of one dataset may go, on one side. Pure.
 *
 * 1. Only what replication has taken itself, by its name; never the newest of the dataset, nothing that is held, and nothing
 *    that is named in `needed`.
 * 2. The grid: of each of the newest hours (days, weeks, …) that have one, the newest snapshot; and the last N.
 */
import type { Guid, Snapshot } from '../pool.ts';
import { readOwnName } from './names.ts';

export interface Keep {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** 1970 began on a Thursday, a week begins on a Monday. */
const DAYS_TO_MONDAY = 3;

/** UTC: the two nodes may be in different zones, and no hour is there twice. */
const BUCKETS: Readonly<Record<Exclude<keyof Keep, 'last'>, (ms: number) => number>> = {
  hourly: (ms) => Math.floor(ms / HOUR_MS),
  daily: (ms) => Math.floor(ms / DAY_MS),
  weekly: (ms) => Math.floor((Math.floor(ms / DAY_MS) + DAYS_TO_MONDAY) / 7),
  monthly: (ms) => new Date(ms).getUTCFullYear() * 12 + new Date(ms).getUTCMonth(),
  yearly: (ms) => new Date(ms).getUTCFullYear(),
};

/** `snapshots` oldest first, as they were read; so is the answer. */
export function toPrune(
  snapshots: readonly Snapshot[],
  keep: Keep,
  needed: ReadonlySet<Guid>,
): readonly Snapshot[] {
  const newest = snapshots.at(-1);
  const own = snapshots.flatMap((snapshot) => {
    const name = readOwnName(snapshot.name);
    return name === null ? [] : [{ snapshot, atMs: name.takenAtMs }];
  });
  const kept = new Set(own.slice(-keep.last).map(({ snapshot }) => snapshot.guid));
  for (const [rule, bucketOf] of Object.entries(BUCKETS)) {
    const filled = new Set<number>();
    // By the pool's own order, not by the clock: that may have been set back.
    for (const { snapshot, atMs } of own.toReversed()) {
      if (filled.size >= keep[rule as keyof typeof BUCKETS]) break;
      const bucket = bucketOf(atMs);
      if (filled.has(bucket)) continue;
      filled.add(bucket);
      kept.add(snapshot.guid);
    }
  }
  return own
    .map(({ snapshot }) => snapshot)
    .filter((one) => one !== newest && one.holds === 0 && !kept.has(one.guid) && !needed.has(one.guid));
}
