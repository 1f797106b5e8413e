/** What goes into one dataset is missing in what it lies in, and nowhere else. */
import { expect, it } from 'vitest';
import { Guids, ModelPool } from '../../cluster/zfs-model/index.ts';
import { parsePool } from '../../src/replication/list-text.ts';
import { PoolTree } from '../../src/replication/pool-tree.ts';

/** With what each has available. */
function treeOf(all: Readonly<Record<string, number>>): PoolTree {
  const pool = new ModelPool('tank', new Guids());
  for (const name of Object.keys(all)) if (name !== 'tank') pool.create(name);
  const { datasets } = parsePool('tank', pool.texts());
  return new PoolTree(datasets.map((one) => ({ ...one, available: all[one.name] ?? 0 })));
}

it('a large one takes nothing from one with a small quota beside it, and from what both lie in', () => {
  const tree = treeOf({ tank: 1000, 'tank/big': 1000, 'tank/small': 50, 'tank/small/x': 50 });
  tree.spend('tank/big', 960);
  expect(['tank/big', 'tank/small', 'tank'].map((name) => tree.freeFor(name))).toEqual([40, 40, 40]);
  tree.spend('tank/small/x', 30);
  expect(['tank/small/x', 'tank/small', 'tank/big'].map((name) => tree.freeFor(name))).toEqual([10, 10, 10]);
});

it('two below one quota share it', () => {
  const tree = treeOf({ tank: 1000, 'tank/p': 100, 'tank/p/a': 100, 'tank/p/b': 100 });
  tree.spend('tank/p/a', 70);
  expect(['tank/p/b', 'tank/p/new', 'tank/new'].map((name) => tree.freeFor(name))).toEqual([30, 30, 930]);
});

it('what is reserved for one is there for it where the pool has nothing left, and a refquota above it is no limit', () => {
  const tree = treeOf({ tank: 0, 'tank/disk': 80, 'tank/p': 10, 'tank/p/a': 60 });
  expect(['tank/disk', 'tank/p/a', 'tank/new'].map((name) => tree.freeFor(name))).toEqual([80, 60, 0]);
  tree.spend('tank/disk', 80);
  expect(tree.freeFor('tank/disk')).toBe(0);
});

it('what is new has no quota of its own', () => {
  const tree = treeOf({ tank: 1000, 'tank/p': 100 });
  tree.add('tank/p/new');
  tree.spend('tank/p/new', 60);
  expect(['tank/p/new', 'tank/p/new/x', 'tank/p', 'tank'].map((name) => tree.freeFor(name))).toEqual([
    ...[40, 40, 40, 940],
  ]);
  expect(tree.hasParentOf('tank/p/new/x')).toBe(true);
});

it('what is renamed takes along what goes into it', () => {
  const tree = treeOf({ tank: 1000, 'tank/p': 100, 'tank/p/a': 100, 'tank/q': 200 });
  tree.spend('tank/p/a', 70);
  tree.rename('tank/p/a', 'tank/q/b');
  expect(['tank/p', 'tank/q', 'tank/q/b', 'tank'].map((name) => tree.freeFor(name))).toEqual([
    100, 130, 30, 930,
  ]);
});
