/**
 * Dropping what is kept below `.diverged`: the only thing here that destroys what somebody wrote, by an operator's word.
 *
 * 1. Only a dataset that a set-aside has finished: it is a clone of the common snapshot, which its successor has. So what both nodes
 *    have, the newest too, is never among what goes.
 * 2. Not while something else needs it: a hold that is not Quorate's own (the set-aside's, or the replication's, of what it had before it was a
 *    tail), a clone, a dataset below that is not dropped with it.
 * 3. By name and GUID: everything is compared with what was shown before the first change (`requireSame`), and the GUID of each dataset and
 *    snapshot once more right before its own destroy: ZFS destroys by name only.
 * 4. No -r, -R or -d: ZFS refuses what is more than was said.
 * 5. A snapshot's holds go right before its own destroy, and are taken again where that is refused: what is left is held as it was.
 */
import { createHash } from 'node:crypto';
import { QuorateError } from '../../errors.ts';
import { batchesOf, HOLD_TAG, HOLDS } from '../holds.ts';
import type { Guid } from '../pool.ts';
import type { AsideDataset, AsidePool } from './aside-reading.ts';
import { keptIn } from './kept.ts';
import { ASIDE_TAG, type AsideParts, changeAside, readAside, said } from './set-aside.ts';

export interface Dropped {
  readonly pool: string;
  readonly dataset: string;
  readonly guid: Guid;
  /** Without the dataset in their names, oldest first. */
  readonly snapshots: readonly { readonly name: string; readonly guid: Guid }[];
  /** Bytes since the newest of them: what somebody has written to it since it was set aside. Null where ZFS does not say. */
  readonly written: number | null;
  /** As of `Kept`. */
  readonly isUnreplayed: boolean;
  /** That will be free. */
  readonly usedBytes: number;
}

const OWN_TAGS: readonly string[] = [ASIDE_TAG, HOLD_TAG];

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
    .map(({ pool, found, kept }) => ({
      pool,
      dataset: found.name,
      guid: found.guid,
      snapshots: found.snapshots.map(({ name, guid }) => ({ name, guid })),
      written: found.written,
      isUnreplayed: kept.isUnreplayed,
      usedBytes: found.used,
    }))
    .toSorted((left, right) => right.dataset.length - left.dataset.length);
}

const WORD_CHARACTERS = 12;

/** What confirms it: `what`, and a hash of all that was shown. Another dataset, snapshot or byte makes another word. */
export function dropWord(what: string, found: readonly Dropped[]): string {
  const shown = found.map(({ dataset, guid, snapshots, written }) => [
    ...[dataset, guid, written],
    snapshots.map((one) => [one.name, one.guid]),
  ]);
  const hash = createHash('sha256').update(JSON.stringify(shown)).digest('hex');
  return `${what}:${hash.slice(0, WORD_CHARACTERS)}`;
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
  const { dataset, snapshots } = dropped;
  const names = snapshots.map(({ name }) => `${dataset}@${name}`);
  for (const some of batchesOf(names, HOLDS.asked))
    for (const [snapshot, tag] of await holdsOf(some, parts)) {
      if (OWN_TAGS.includes(tag)) continue;
      const remedy = `"zfs release ${tag} ${snapshot}", if you know what it is for`;
      throw new QuorateError('refused-unsafe', `${snapshot} is held by "${tag}": ${remedy}`);
    }
}

async function holdsOf(
  names: readonly string[],
  parts: Omit<AsideParts, 'mayChange'>,
): Promise<readonly (readonly [snapshot: string, tag: string])[]> {
  const text = await said(['zfs', 'holds', '-H', ...names], parts);
  const lines = text.split('\n').filter((one) => one !== '');
  return lines.map((line) => {
    const [snapshot = '', tag = ''] = line.split('\t');
    return [snapshot, tag];
  });
}

/** Rejects with what ZFS said, in the middle of it: what has gone is gone, and the rest is as it was. */
export async function drop(dropped: Dropped, parts: AsideParts): Promise<void> {
  const { dataset, guid, snapshots } = dropped;
  await requireSame(dropped, parts);
  await requireOnlyOwnHolds(dropped, parts);
  for (const one of snapshots) await destroySnapshot(`${dataset}@${one.name}`, one.guid, parts);
  await requireGuid(dataset, guid, 'filesystem,volume', parts);
  await changeAside(['zfs', 'destroy', dataset], parts);
}

/** (3) */
async function requireSame(dropped: Dropped, parts: AsideParts): Promise<void> {
  const { pool, dataset } = dropped;
  const now = toDrop(dataset, new Map([[pool, await readAside(pool, parts)]]));
  const same = now.find((one) => one.dataset === dataset);
  if (same === undefined || dropWord('', [same]) !== dropWord('', [dropped])) throw changed(dataset);
}

const changed = (name: string): QuorateError =>
  new QuorateError('refused-unsafe', `${name} has changed meanwhile: look at it again`);

async function requireGuid(name: string, guid: Guid, types: string, parts: AsideParts): Promise<void> {
  const text = await said(['zfs', 'list', '-H', '-p', '-t', types, '-o', 'guid', name], parts);
  if (text !== `${guid}\n`) throw changed(name);
}

/** (5) */
async function destroySnapshot(name: string, guid: Guid, parts: AsideParts): Promise<void> {
  await requireGuid(name, guid, 'snapshot', parts);
  const held = (await holdsOf([name], parts)).map(([, tag]) => tag);
  const own = OWN_TAGS.filter((tag) => held.includes(tag));
  const gone: string[] = [];
  try {
    for (const tag of own) {
      await changeAside(['zfs', 'release', tag, name], parts);
      gone.push(tag);
    }
    if (gone.length > 0) await requireGuid(name, guid, 'snapshot', parts);
    await changeAside(['zfs', 'destroy', name], parts);
  } catch (error) {
    if (gone.length > 0 && error instanceof QuorateError) throw await heldAgain(name, gone, error, parts);
    throw error;
  }
}

/** The error with which the destroy has failed, with that of each hold that could not be taken again. */
async function heldAgain(
  name: string,
  tags: readonly string[],
  error: QuorateError,
  parts: AsideParts,
): Promise<QuorateError> {
  // Not the caller's signal: who gives up meanwhile has destroyed nothing.
  const { signal } = new AbortController();
  const lost: string[] = [];
  for (const tag of tags)
    try {
      await changeAside(['zfs', 'hold', tag, name], { ...parts, signal });
    } catch (cause) {
      if (!(cause instanceof QuorateError)) throw cause;
      lost.push(`; and its hold "${tag}" is gone: ${cause.message}`);
    }
  return lost.length === 0
    ? error
    : new QuorateError(error.code, `${error.message}${lost.join('')}`, { cause: error });
}
