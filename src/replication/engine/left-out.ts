/**
 * What the other side has and the sender does not send, so that no takeover there opens it as if it were part of the last holder's data. Pure.
 *
 * 1. What is excluded here or by its property, and what is only there, a dataset that was destroyed here among it: copies that have become
 *    old.
 * 2. Only what has ever been replicated, in whichever direction: what a node has beside that is its own, by whatever name, and nobody's copy.
 * 3. Nothing is said of what this side leaves out itself, or has only part of a first copy of: nobody has written to it here, so that the other
 *    side's is not the older one.
 */
import { isKept } from '../../resources/index.ts';
import type { LeftOutThere } from '../channel.ts';
import { type Dataset, isFirstPart, parentsOf } from '../pool.ts';
import { mayBeNamed } from '../receiver/index.ts';
import { readOwnName } from './names.ts';

export interface BothSides {
  readonly pool: string;
  readonly source: ReadonlyMap<string, Dataset>;
  readonly target: ReadonlyMap<string, Dataset>;
}

export function leftOutThere(
  { pool, source, target }: BothSides,
  isSent: (dataset: string) => boolean,
): readonly LeftOutThere[] {
  const isOlderHere = (name: string): boolean =>
    (source.get(name)?.leftOut ?? null) !== null ||
    [name, ...parentsOf(name)].some((at) => {
      const own = source.get(at);
      return own !== undefined && isFirstPart(own);
    });
  return [...target.values()]
    .filter(
      (copy) =>
        copy.name !== pool &&
        !isKept(pool, copy.name) &&
        !isSent(copy.name) &&
        !isOlderHere(copy.name) &&
        wasReplicated(copy, source.get(copy.name)) &&
        mayBeNamed(copy.name),
    )
    .map(({ name, snapshots }) => ({ dataset: name, since: sinceOf(snapshots) }));
}

/** (2) A copy has a snapshot of ours, or at least one of this side's. That one is held says nothing: anybody holds. */
function wasReplicated({ snapshots }: Dataset, own: Dataset | undefined): boolean {
  const ours = new Set([...(own?.snapshots ?? []), ...(own?.bookmarks ?? [])].map(({ guid }) => guid));
  return snapshots.some(({ name, guid }) => readOwnName(name) !== null || ours.has(guid));
}

function sinceOf(snapshots: Dataset['snapshots']): number | null {
  const times = snapshots.flatMap(({ name }) => readOwnName(name)?.takenAtMs ?? []);
  const newest = times.at(-1);
  // Whoever made the name: no order may have another time.
  return newest === undefined || newest < 0 ? null : Math.floor(newest / 1000);
}
