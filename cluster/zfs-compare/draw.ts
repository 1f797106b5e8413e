/**
 * Draws the next step of a history from a seed. Most of it can be done, as far as the model knows; the rest must be refused.
 *
 * Unlike the events of the property tests (test/replication/history.ts), which are drawn without a look at the pools: there a history
 * costs a millisecond, and half of it may be refused; on real ZFS in an emulated guest a step costs seconds.
 *
 * Not drawn: a promotion while a stream is unfinished on that side, encryption, and writes into volumes.
 */
import type { ModelDataset, ModelPool } from '../zfs-model/index.ts';
import { type Chance, COPIES, dataset, FILE_SYSTEMS, hasSnapshots, SNAPSHOTS, snapshotOf } from './chance.ts';
import { drawResume, drawSend } from './draw-streams.ts';
import type { ModelPools } from './on-model.ts';
import { other, PROPERTIES, type Side, type Step } from './step.ts';

const VOLUME = 'v';
const CLONES = ['k', 'a/k', 'b/k'] as const;
const TAGS = ['quorate', 'mine'] as const;

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

/** What both sides begin with, so that there is something to send: not drawn. */
export const BEGINNING: readonly Step[] = [
  ...FILE_SYSTEMS.slice(0, 3).map(
    (dataset): Step => ({ kind: 'create', side: 'a', dataset, isVolume: false }),
  ),
  { kind: 'create', side: 'a', dataset: VOLUME, isVolume: true },
  { kind: 'write', side: 'a', dataset: 'a', text: 'first,' },
  { kind: 'snapshot', side: 'a', datasets: ['a', 'a/x', 'b', VOLUME], name: 's0' },
];

function drawKind(random: Chance): Kind {
  const kinds = Object.entries(WEIGHTS) as [Kind, number][];
  let left = random.below(kinds.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [kind, weight] of kinds) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'snapshot';
}

export function drawStep(pools: ModelPools, random: Chance, count: number): Step {
  const kind = drawKind(random);
  // Mostly the sender lives and the receiver receives; everything may happen on either.
  const drawn: Side = random.isTrue(0.75) ? 'a' : 'b';
  const isRare = RARE[kind];
  const hasOne = (one: Side): boolean =>
    isRare !== undefined && [...pools[one].datasets.values()].some(isRare);
  const side = isRare !== undefined && !hasOne(drawn) && hasOne(other(drawn)) ? other(drawn) : drawn;
  switch (kind) {
    case 'send':
      return drawSend(pools, random);
    case 'resume':
      return drawResume(pools, random) ?? drawSend(pools, random);
    case 'write': {
      const name = dataset(pools[side], random, isFileSystem);
      const there = pools[side].datasets.get(`${pools[side].name}/${name}`);
      // Nothing else can be mounted; a volume may have the name of a file system by now.
      if (there !== undefined && !isFileSystem(there)) return DRAWS.snapshot(pools[side], side, random);
      return { kind, side, dataset: name, text: `${count},` };
    }
    default:
      return DRAWS[kind](pools[side], side, random);
  }
}

const isFileSystem = ({ kind }: ModelDataset): boolean => kind === 'filesystem';

/** Where only one side has what it takes, that one is asked. */
const RARE: Partial<Record<Kind, (one: ModelDataset) => boolean>> = {
  abandon: ({ partial }) => partial !== null,
  promote: ({ origin }) => origin !== null,
  'destroy-bookmark': ({ bookmarks }) => bookmarks.length > 0,
  release: ({ snapshots }) => snapshots.some(({ holds }) => holds > 0),
};

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
