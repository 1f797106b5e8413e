/**
 * Draws the next step of a history from a seed. Most of it can be done, as far as the model knows; the rest must be refused.
 *
 * Unlike the events of the property tests (test/replication/history.ts), which are drawn without a look at the pools: there a history
 * costs a millisecond, and half of it may be refused; on real ZFS in an emulated guest a step costs seconds.
 *
 * Not drawn: a promotion while a stream is unfinished on that side, encryption, and writes into volumes.
 */
import type { ModelDataset, ModelPool } from '../zfs-model/index.ts';
import type { ModelPools } from './on-model.ts';
import { type Cut, other, PROPERTIES, type Send, type Side, type Step } from './step.ts';

const FILE_SYSTEMS = ['a', 'a/x', 'b', 'c', 'c/y'] as const;
const VOLUME = 'v';
const CLONES = ['k', 'a/k', 'b/k'] as const;
const COPIES = ['a', 'a/x', 'b', 'c', 'copy', 'a/copy'] as const;
/** Few: names come back. */
const SNAPSHOTS = ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'] as const;
const TAGS = ['quorate', 'mine'] as const;
/** Of a choice that the model would take. */
const SENSIBLE = 0.9;
/** Of the streams so many are those that must be taken. */
const TAKEN = 0.75;

type Kind = Step['kind'];

const WEIGHTS: Readonly<Record<Kind, number>> = {
  create: 4,
  destroy: 3,
  write: 14,
  snapshot: 20,
  'snapshot-below': 5,
  'destroy-snapshots': 9,
  hold: 5,
  release: 4,
  bookmark: 6,
  'destroy-bookmark': 2,
  'rename-snapshot': 2,
  rename: 3,
  rollback: 5,
  clone: 3,
  promote: 3,
  set: 4,
  inherit: 3,
  send: 28,
  resume: 13,
  abandon: 3,
};

/** What is drawn from: a number in [0, 1). */
export class Chance {
  readonly #next: () => number;

  constructor(next: () => number) {
    this.#next = next;
  }

  isTrue(chance: number): boolean {
    return this.#next() < chance;
  }

  below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  of<Value>(values: readonly Value[], otherwise: Value): Value {
    return values[this.below(values.length)] ?? otherwise;
  }

  /** One of those that are there, mostly; else one of all. */
  sensible(there: readonly string[], all: readonly string[]): string {
    return there.length > 0 && this.isTrue(SENSIBLE) ? this.of(there, '') : this.of(all, 'a');
  }

  kind(): Kind {
    const kinds = Object.entries(WEIGHTS) as [Kind, number][];
    let left = this.#next() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [kind, weight] of kinds) {
      left -= weight;
      if (left < 0) return kind;
    }
    return 'snapshot';
  }
}

/** What both sides begin with, so that there is something to send: not drawn. */
export const BEGINNING: readonly Step[] = [
  ...FILE_SYSTEMS.slice(0, 3).map(
    (dataset): Step => ({ kind: 'create', side: 'a', dataset, isVolume: false }),
  ),
  { kind: 'create', side: 'a', dataset: VOLUME, isVolume: true },
  { kind: 'write', side: 'a', dataset: 'a', text: 'first,' },
  { kind: 'snapshot', side: 'a', datasets: ['a', 'a/x', 'b', VOLUME], name: 's0' },
];

export function drawStep(pools: ModelPools, random: Chance, count: number): Step {
  const kind = random.kind();
  // Mostly the sender lives and the receiver receives; everything may happen on either.
  const side: Side = random.isTrue(0.75) ? 'a' : 'b';
  switch (kind) {
    case 'send':
      return drawSend(pools, random);
    case 'resume':
      return drawResume(pools, random) ?? drawSend(pools, random);
    case 'write':
      return { kind, side, dataset: dataset(pools[side], random, isFileSystem), text: `${count},` };
    default:
      return DRAWS[kind](pools[side], side, random);
  }
}

const isFileSystem = ({ kind }: ModelDataset): boolean => kind === 'filesystem';
const hasSnapshots = ({ snapshots }: ModelDataset): boolean => snapshots.length > 0;

type Simple = Exclude<Kind, 'send' | 'resume' | 'write'>;
const DRAWS: { readonly [K in Simple]: (pool: ModelPool, side: Side, random: Chance) => Step } = {
  create: (pool, side, random) => {
    const free = FILE_SYSTEMS.filter((name) => !pool.datasets.has(`${pool.name}/${name}`));
    return { kind: 'create', side, dataset: random.sensible(free, FILE_SYSTEMS), isVolume: false };
  },
  destroy: (pool, side, random) => ({
    kind: 'destroy',
    side,
    dataset: dataset(
      pool,
      random,
      ({ snapshots, name }) => snapshots.length === 0 && pool.below(name).length === 1,
    ),
  }),
  snapshot: (pool, side, random) => {
    const name = freshName(pool, random);
    const first = dataset(pool, random);
    const more = random.isTrue(0.4) ? [dataset(pool, random)] : [];
    return { kind: 'snapshot', side, datasets: [...new Set([first, ...more])], name };
  },
  'snapshot-below': (pool, side, random) => ({
    kind: 'snapshot-below',
    side,
    dataset: dataset(pool, random),
    name: freshName(pool, random),
  }),
  'destroy-snapshots': (pool, side, random) => {
    const one = dataset(pool, random, hasSnapshots);
    const names = [
      snapshotOf(pool, one, random),
      ...(random.isTrue(0.3) ? [snapshotOf(pool, one, random)] : []),
    ];
    return { kind: 'destroy-snapshots', side, dataset: one, names: [...new Set(names)] };
  },
  hold: (pool, side, random) => held('hold', pool, side, random, hasSnapshots),
  release: (pool, side, random) =>
    held('release', pool, side, random, ({ snapshots }) => snapshots.some(({ holds }) => holds > 0)),
  bookmark: (pool, side, random) => {
    const one = dataset(pool, random, hasSnapshots);
    const snapshot = snapshotOf(pool, one, random);
    return {
      kind: 'bookmark',
      side,
      dataset: one,
      snapshot,
      to: random.isTrue(0.7) ? snapshot : random.of(SNAPSHOTS, 's0'),
    };
  },
  'destroy-bookmark': (pool, side, random) => {
    const one = dataset(pool, random, ({ bookmarks }) => bookmarks.length > 0);
    const there = pool.datasets.get(`${pool.name}/${one}`)?.bookmarks.map(({ name }) => name) ?? [];
    return { kind: 'destroy-bookmark', side, dataset: one, name: random.sensible(there, SNAPSHOTS) };
  },
  'rename-snapshot': (pool, side, random) => {
    const one = dataset(pool, random, hasSnapshots);
    return {
      kind: 'rename-snapshot',
      side,
      dataset: one,
      snapshot: snapshotOf(pool, one, random),
      to: freshName(pool, random),
    };
  },
  rename: (pool, side, random) => {
    const names = [...FILE_SYSTEMS, ...CLONES, ...COPIES];
    const free = names.filter((name) => !pool.datasets.has(`${pool.name}/${name}`));
    return { kind: 'rename', side, dataset: dataset(pool, random), to: random.sensible(free, names) };
  },
  rollback: (pool, side, random) => {
    const one = dataset(pool, random, hasSnapshots);
    const newest = pool.datasets.get(`${pool.name}/${one}`)?.snapshots.at(-1);
    return {
      kind: 'rollback',
      side,
      dataset: one,
      snapshot: random.sensible(newest === undefined ? [] : [newest.name], SNAPSHOTS),
    };
  },
  clone: (pool, side, random) => {
    const one = dataset(pool, random, hasSnapshots);
    return {
      kind: 'clone',
      side,
      dataset: one,
      snapshot: snapshotOf(pool, one, random),
      to: random.of(CLONES, 'k'),
    };
  },
  promote: (pool, side, random) => {
    const isCalm = [...pool.datasets.values()].every(({ partial }) => partial === null);
    const one = dataset(pool, random, ({ origin }) => origin !== null);
    return isCalm ? { kind: 'promote', side, dataset: one } : DRAWS.snapshot(pool, side, random);
  },
  set: (pool, side, random) => ({
    kind: 'set',
    side,
    dataset: dataset(pool, random),
    property: random.of(PROPERTIES, 'readonly'),
    // A pool that can be written to goes on.
    value: random.isTrue(side === 'a' ? 0.3 : 0.6) ? 'on' : 'off',
  }),
  inherit: (pool, side, random) => ({
    kind: 'inherit',
    side,
    dataset: dataset(pool, random),
    property: random.of(PROPERTIES, 'readonly'),
  }),
  abandon: (pool, side, random) => {
    const one = dataset(pool, random, ({ partial }) => partial !== null);
    return { kind: 'abandon', side, dataset: one };
  },
};

function held(
  kind: 'hold' | 'release',
  pool: ModelPool,
  side: Side,
  random: Chance,
  isSensible: (one: ModelDataset) => boolean,
): Step {
  const one = dataset(pool, random, isSensible);
  const names = [
    snapshotOf(pool, one, random),
    ...(random.isTrue(0.3) ? [snapshotOf(pool, one, random)] : []),
  ];
  return { kind, side, dataset: one, names: [...new Set(names)], tag: random.of(TAGS, 'quorate') };
}

/** Without its pool; never the pool itself. */
function dataset(
  pool: ModelPool,
  random: Chance,
  isSensible: (one: ModelDataset) => boolean = () => true,
): string {
  const there = [...pool.datasets.values()].filter((one) => one.name !== pool.name && isSensible(one));
  return random.sensible(
    there.map(({ name }) => name.slice(pool.name.length + 1)),
    FILE_SYSTEMS,
  );
}

function snapshotOf(pool: ModelPool, name: string, random: Chance): string {
  const there = pool.datasets.get(`${pool.name}/${name}`)?.snapshots ?? [];
  return random.sensible(
    there.map((one) => one.name),
    SNAPSHOTS,
  );
}

/** One that no dataset of the pool has, while there is one. */
function freshName(pool: ModelPool, random: Chance): string {
  const used = new Set(
    [...pool.datasets.values()].flatMap(({ snapshots }) => snapshots.map(({ name }) => name)),
  );
  return random.sensible(
    SNAPSHOTS.filter((name) => !used.has(name)),
    SNAPSHOTS,
  );
}

// ---- streams

function drawSend(pools: ModelPools, random: Chance): Step {
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

function drawResume(pools: ModelPools, random: Chance): Step | null {
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
