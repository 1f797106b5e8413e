/** Streams from one side to the other, whole or cut off. Most of them must be taken, as far as the model knows. */
import type { ModelDataset } from '../zfs-model/index.ts';
import { type Chance, COPIES, dataset, hasSnapshots, SENSIBLE, SNAPSHOTS, snapshotOf } from './chance.ts';
import type { ModelPools } from './on-model.ts';
import { type Cut, other, type Send, type Side, type Step } from './step.ts';

/** Of the streams so many are those that must be taken. */
const TAKEN = 0.75;

export function drawSend(pools: ModelPools, random: Chance): Step {
  const side: Side = random.isTrue(0.85) ? 'b' : 'a';
  const mayBe = random.isTrue(TAKEN) ? takenFrom(pools, side) : [];
  const taken = random.of<Send | null>(mayBe, null);
  if (taken !== null) return { ...taken, cut: cutOf(random, taken.isRun) };
  const [source, receiver] = [pools[other(side)], pools[side]];
  const from = dataset(source, random, hasSnapshots);
  const target = random.isTrue(SENSIBLE) ? from : random.of(COPIES, 'copy');
  const have = source.datasets.get(`${source.name}/${from}`);
  const there = receiver.datasets.get(`${receiver.name}/${target}`);
  const newest = have?.snapshots.at(-1)?.name;
  const snapshot = random.isTrue(0.6) && newest !== undefined ? newest : snapshotOf(source, from, random);
  const stream = { kind: 'send', side, dataset: from, snapshot, target } as const;
  const isFull = there === undefined ? random.isTrue(0.9) : random.isTrue(0.1);
  if (isFull) return { ...stream, base: null, isRun: false, cut: cutOf(random, false) };
  const base = baseFor(have, there, random);
  const isRun = base.startsWith('@') && random.isTrue(0.4);
  return { ...stream, base, isRun, cut: cutOf(random, isRun) };
}

/** Of a run it is not told from outside in which of its streams the middle is. */
function cutOf(random: Chance, isRun: boolean): Cut {
  if (!random.isTrue(0.25)) return 'no';
  return isRun ? 'end' : random.of(['middle', 'end'] as const, 'end');
}

/** All that the model would take under the same name: first copies, and what is newer than the receiver's newest. */
function takenFrom(pools: ModelPools, side: Side): readonly Send[] {
  const [source, receiver] = [pools[other(side)], pools[side]];
  return [...source.datasets.values()].flatMap((from): readonly Send[] => {
    const dataset = from.name.slice(source.name.length + 1);
    const there = receiver.datasets.get(`${receiver.name}/${dataset}`);
    const send = (snapshot: string, base: string | null, isRun: boolean): Send => ({
      ...{ kind: 'send', side, dataset, target: dataset, cut: 'no' },
      ...{ snapshot, base, isRun },
    });
    if (there === undefined) {
      const parent = `${receiver.name}/${dataset}`.replace(/\/[^/]*$/, '');
      return receiver.datasets.has(parent) ? from.snapshots.map(({ name }) => send(name, null, false)) : [];
    }
    const newest = there.snapshots.at(-1);
    if (newest === undefined || there.partial !== null || there.content !== newest.content) return [];
    const base = from.snapshots.find(({ guid }) => guid === newest.guid);
    const mark = from.bookmarks.find(({ guid }) => guid === newest.guid);
    return from.snapshots.flatMap(({ name, txg }) => [
      ...(base !== undefined && txg > base.txg
        ? [send(name, `@${base.name}`, false), send(name, `@${base.name}`, true)]
        : []),
      ...(mark !== undefined && txg > mark.txg ? [send(name, `#${mark.name}`, false)] : []),
    ]);
  });
}

/** What both have, mostly, and of that mostly the newest of the receiver. */
function baseFor(have: ModelDataset | undefined, there: ModelDataset | undefined, random: Chance): string {
  const points = [
    ...(have?.snapshots ?? []).map(({ name, guid }) => ({ text: `@${name}`, guid })),
    ...(have?.bookmarks ?? []).map(({ name, guid }) => ({ text: `#${name}`, guid })),
  ];
  const known = new Set(there?.snapshots.map(({ guid }) => guid));
  const newest = there?.snapshots.at(-1)?.guid;
  const best = points.filter(({ guid }) => guid === newest);
  const common = points.filter(({ guid }) => known.has(guid));
  const from = random.isTrue(0.7) ? best : random.isTrue(0.5) ? common : points;
  return random.of(
    from.map(({ text }) => text),
    `@${random.of(SNAPSHOTS, 's0')}`,
  );
}

/** Null: nothing is unfinished. */
export function drawResume(pools: ModelPools, random: Chance): Step | null {
  const unfinished = (['a', 'b'] as const).flatMap((side) =>
    [...pools[side].datasets.values()].flatMap(({ name, partial }) =>
      partial === null ? [] : [{ side, target: name.slice(pools[side].name.length + 1) }],
    ),
  );
  const one = random.of<Pick<Send, 'side' | 'target'> | null>(unfinished, null);
  if (one === null) return null;
  return {
    kind: 'resume',
    ...one,
    cut: random.isTrue(0.3) ? random.of(['middle', 'end'] as const, 'end') : 'no',
  };
}
