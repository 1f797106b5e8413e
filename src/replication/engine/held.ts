/** What keeps a chain's common snapshot from vanishing, on both sides, while its steps are performed. */
import type { NamedSnapshot } from '../channel.ts';
import type { Dataset, Snapshot } from '../pool.ts';
import { isCursor } from './names.ts';

/** Of one order; the rest is let go by the next. */
const MAX_LET_GO = 64;

export interface Held {
  here: readonly Snapshot[];
  there: readonly Snapshot[];
  cursors: readonly string[];
  /** Why of those here some are held that need not be; null: none is. */
  why: string | null;
}

export const heldNow = (source: Dataset, copy: Dataset | null): Held => ({
  here: source.snapshots.filter(({ holds }) => holds > 0),
  there: (copy?.snapshots ?? []).filter(({ holds }) => holds > 0),
  cursors: source.bookmarks.filter(({ name }) => isCursor(name)).map(({ name }) => name),
  why: null,
});

/** The newest of them: the rest goes with the next one. */
export const letGoThere = (dataset: string, keep: Snapshot, { there }: Held): readonly NamedSnapshot[] =>
  there
    .filter(({ guid }) => guid !== keep.guid)
    .slice(-MAX_LET_GO)
    .map((one) => namedOf(dataset, one));

export const namedOf = (dataset: string, { name, guid }: Snapshot): NamedSnapshot => ({
  dataset,
  name,
  guid,
});
