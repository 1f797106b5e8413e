/**
 * Dropping what is kept below `.diverged`: the only thing here that destroys what somebody wrote, by an operator's word.
 *
 * 1. Only a dataset that a set-aside has finished: it is a clone of the common snapshot, which its successor has. So what both nodes
 *    have, the newest too, is never among what goes.
 * 2. Not while something else needs it: a hold that is not the set-aside's own, a clone, a dataset below that is not dropped with it.
 * 3. By name and GUID: `mayDrop` asks again before the first change of each, and what has changed since is left.
 * 4. No -r, -R or -d: ZFS refuses what is more than was said.
 */
import { QuorateError } from '../../errors.ts';
import type { Guid } from '../pool.ts';
import type { AsideDataset, AsidePool } from './aside-reading.ts';
import { keptIn } from './kept.ts';
import { ASIDE_TAG, type AsideParts, changeAside, readAside, said } from './set-aside.ts';

export interface Dropped {
  readonly pool: string;
  readonly dataset: string;
  readonly guid: Guid;
  /** Without the dataset, oldest first. */
  readonly snapshots: readonly string[];
  /** That will be free. */
  readonly usedBytes: number;
}

/** Names in one command. */
const AT_ONCE = 100;

/**
 * `what`: a dataset as `list` names it, or an epoch. What lies below others comes first. Throws `usage` where nothing of that name is
 * kept, `refused-unsafe` where it may not go.
 */
export function toDrop(what: string, pools: ReadonlyMap<string, AsidePool>): readonly Dropped[] {
  const all = [...pools].flatMap(([pool, datasets]) =>
    keptIn(datasets).flatMap((kept) => {
      const found = datasets.get(kept.dataset);
      return found === undefined ? [] : [{ pool, datasets, kept, found }];
    }),
  );
  const chosen = all.filter(({ kept }) => kept.dataset === what || String(kept.epoch) === what);
  if (chosen.length === 0)
    throw new QuorateError(
      'usage',
      `nothing is kept by the name, or of the epoch, of ${what}: see "quorate replication diverged list"`,
    );
  const names = new Set(chosen.map(({ kept }) => kept.dataset));
  for (const { datasets, kept, found } of chosen) {
    const why = whyNot(found, kept.isDone, datasets, names);
    if (why !== null) throw new QuorateError('refused-unsafe', `${kept.dataset} ${why}`);
  }
  return chosen
    .map(({ pool, found }) => ({
      pool,
      dataset: found.name,
      guid: found.guid,
      snapshots: found.snapshots.map(({ name }) => name),
      usedBytes: found.used,
    }))
    .toSorted((left, right) => right.dataset.length - left.dataset.length);
}

function whyNot(
  { name, mark, isKept, origin, snapshots }: AsideDataset,
  isDone: boolean,
  pool: AsidePool,
  dropped: ReadonlySet<string>,
): string | null {
  // (1)
  if (mark === null || !isKept || !isDone) return 'is not set aside whole: that goes on with the next round';
  if (origin === null || snapshots.some(({ guid }) => guid === mark.common))
    return 'has the snapshot that the other node goes on from: it is not what a set-aside leaves';
  // (2)
  const all = [...pool.values()];
  const below = all.find((one) => one.name.startsWith(`${name}/`) && !dropped.has(one.name));
  if (below !== undefined) return `has ${below.name} below it`;
  const clone = all.find((one) => one.origin?.startsWith(`${name}@`) === true);
  return clone === undefined ? null : `is what ${clone.name} is a clone of`;
}

/** (2) Throws `refused-unsafe`. */
export async function requireOnlyOwnHolds(
  dropped: Dropped,
  parts: Omit<AsideParts, 'mayChange'>,
): Promise<void> {
  for (const names of pieces(dropped)) {
    const text = await said(['zfs', 'holds', '-H', ...names], parts);
    for (const line of text.split('\n').filter((one) => one !== '')) {
      const [snapshot = '', tag = ''] = line.split('\t');
      if (tag === ASIDE_TAG) continue;
      const remedy = `"zfs release ${tag} ${snapshot}", if you know what it is for`;
      throw new QuorateError('refused-unsafe', `${snapshot} is held by "${tag}": ${remedy}`);
    }
  }
}

/** Rejects with what ZFS said, in the middle of it: what has gone is gone, and the rest is as it was. */
export async function drop(dropped: Dropped, parts: AsideParts): Promise<void> {
  const { pool, dataset, guid } = dropped;
  const now = toDrop(dataset, new Map([[pool, await readAside(pool, parts)]]));
  const same = now.find((one) => one.dataset === dataset);
  if (same?.guid !== guid || same.snapshots.join() !== dropped.snapshots.join())
    throw new QuorateError('refused-unsafe', `${dataset} has changed meanwhile: look at it again`);
  await requireOnlyOwnHolds(dropped, parts);
  for (const names of pieces(dropped)) {
    const held = await said(['zfs', 'holds', '-H', ...names], parts);
    const own = held.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0] ?? '']));
    if (own.length > 0) await changeAside(['zfs', 'release', ASIDE_TAG, ...own], parts);
    for (const name of names) await changeAside(['zfs', 'destroy', name], parts);
  }
  await changeAside(['zfs', 'destroy', dataset], parts);
}

function pieces({ dataset, snapshots }: Dropped): readonly (readonly string[])[] {
  const names = snapshots.map((name) => `${dataset}@${name}`);
  return Array.from({ length: Math.ceil(names.length / AT_ONCE) }, (_, at) =>
    names.slice(at * AT_ONCE, (at + 1) * AT_ONCE),
  );
}
