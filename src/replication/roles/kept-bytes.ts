/**
 * What only the other node had, once it is kept there: how much it is, as the sender reads it. Pure.
 *
 * After `promote` a kept dataset is a clone of the common snapshot, and every snapshot that it has itself is newer (aside.ts): what
 * they say they have written is what was on that node only.
 */
import { KEPT } from '../../resources/index.ts';
import type { Pool } from '../pool.ts';

export interface KeptThere {
  readonly pool: string;
  readonly datasets: number;
  readonly bytes: number;
  /** The one with the most of it. */
  readonly largest: string;
}

/** Of one tenure, the one in which it was set aside. Null: nothing is kept of it. */
export function keptThere({ name: pool, datasets }: Pool, epoch: number): KeptThere | null {
  const folders = new RegExp(`^${epoch}(\\.\\d+)?$`);
  const kept = datasets.flatMap(({ name, origin, snapshots, written }) => {
    const [top, folder, place = ''] = name.slice(pool.length + 1).split('/');
    // Without an origin it is a folder, or on its way still.
    if (top !== KEPT || folder === undefined || place === '' || !folders.test(folder) || origin === null)
      return [];
    const bytes = snapshots.reduce((sum, one) => sum + one.written, written ?? 0);
    return [{ name, bytes }];
  });
  const [largest] = kept.toSorted((left, right) => right.bytes - left.bytes);
  if (largest === undefined) return null;
  const bytes = kept.reduce((sum, one) => sum + one.bytes, 0);
  return { pool, datasets: kept.length, bytes, largest: largest.name };
}
