/** Which dataset of the other side is the copy of which: by name, or by the snapshots that both have, where a name has changed. */
import type { Dataset, Guid } from './pool.ts';

export type Match =
  | { readonly kind: 'none' }
  | { readonly kind: 'same-name'; readonly copy: Dataset }
  /** Nothing of that name is there, and exactly this one has its snapshots. */
  | { readonly kind: 'renamed'; readonly copy: Dataset }
  /** Its snapshots are there, and no rename would be certain to be right. */
  | { readonly kind: 'unclear'; readonly names: readonly string[] };

/** By the name of the source's dataset. */
export function matchDatasets(
  sources: readonly Dataset[],
  targets: readonly Dataset[],
): ReadonlyMap<string, Match> {
  const byName = new Map(targets.map((target) => [target.name, target]));
  const byGuid = new Map<Guid, Dataset[]>();
  for (const target of targets)
    for (const { guid } of target.snapshots) byGuid.set(guid, [...(byGuid.get(guid) ?? []), target]);
  const related = (source: Dataset): Set<Dataset> =>
    new Set([...source.snapshots, ...source.bookmarks].flatMap(({ guid }) => byGuid.get(guid) ?? []));
  /** What is the copy of its own name is nobody else's: after "zfs promote" it has snapshots of two. */
  const settled = new Set<Dataset>();
  const wanted = new Map<string, ReadonlySet<Dataset>>();
  for (const source of sources) {
    const copies = related(source);
    const copy = byName.get(source.name);
    if (copy !== undefined && copies.has(copy)) settled.add(copy);
    wanted.set(source.name, copies);
  }
  return new Map(
    sources.map(({ name }) => {
      const copy = byName.get(name);
      if (copy !== undefined) return [name, { kind: 'same-name', copy }];
      const candidates = [...(wanted.get(name) ?? [])].filter((one) => !settled.has(one));
      return [name, judge(name, candidates, wanted)];
    }),
  );
}

function judge(
  name: string,
  candidates: readonly Dataset[],
  wanted: ReadonlyMap<string, ReadonlySet<Dataset>>,
): Match {
  const [copy, ...more] = candidates;
  if (copy === undefined) return { kind: 'none' };
  const others = [...wanted].filter(([other, copies]) => other !== name && copies.has(copy));
  // A name that the source gave to something else may not be taken from it.
  return more.length === 0 && others.length === 0 && !wanted.has(copy.name)
    ? { kind: 'renamed', copy }
    : { kind: 'unclear', names: candidates.map((one) => one.name) };
}
