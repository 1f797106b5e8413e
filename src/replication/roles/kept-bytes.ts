/**
 * What only the other node had, once it is kept there: how much it is, as the sender reads it. Pure.
 *
 * After `promote` a kept dataset is a clone of the common snapshot, and every snapshot that it has itself is newer (aside.ts): what
 * they say they have written, up to the one that the set-aside has taken, is what was on that node only. What somebody there writes
 * to it since, or takes snapshots of, is not.
 */
import { KEPT } from '../../resources/index.ts';
import type { Pool } from '../pool.ts';
import { TAKEN } from './aside.ts';

export interface KeptThere {
  readonly pool: string;
  readonly datasets: number;
  readonly bytes: number;
  /** The one with the most of it. */
  readonly largest: string;
  /** The newest snapshot that a set-aside has taken of any of them, as that pool counts: it grows by a new tail, and by nothing else. */
  readonly upTo: number;
}

/** Of one tenure, the one in which it was set aside. Null: nothing is kept of it. */
export function keptThere({ name: pool, datasets }: Pool, epoch: number): KeptThere | null {
  const folders = new RegExp(`^${epoch}(\\.\\d+)?$`);
  const kept = datasets.flatMap(({ name, origin, snapshots }) => {
    const [top, folder, place = ''] = name.slice(pool.length + 1).split('/');
    // Without an origin it is a folder, or on its way still.
    if (top !== KEPT || folder === undefined || place === '' || !folders.test(folder) || origin === null)
      return [];
    const last = snapshots.findLastIndex((one) => TAKEN.test(one.name));
    const taken = snapshots.slice(0, last + 1);
    const bytes = taken.reduce((sum, one) => sum + one.written, 0);
    return [{ name, bytes, upTo: snapshots[last]?.createtxg ?? 0 }];
  });
  const [largest] = kept.toSorted((left, right) => right.bytes - left.bytes);
  if (largest === undefined) return null;
  const bytes = kept.reduce((sum, one) => sum + one.bytes, 0);
  const upTo = Math.max(...kept.map((one) => one.upTo));
  return { pool, datasets: kept.length, bytes, largest: largest.name, upTo };
}
