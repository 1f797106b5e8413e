import { expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { FEATURES, type Feature } from '../../../src/replication/channel.ts';
import { ChangedCopies } from '../../../src/replication/engine/changed.ts';
import { parsePool } from '../../../src/replication/list-text.ts';
import type { Dataset } from '../../../src/replication/pool.ts';

const WHY =
  'the other node: cannot receive incremental stream: destination tank/a has been modified; since most recent snapshot';

function copyWith(written: number | null): Dataset {
  const pool = new ModelPool('tank', new Guids());
  pool.create('tank/a');
  pool.snapshot('tank/a', 's1');
  const [, copy] = parsePool('tank', pool.texts()).datasets;
  if (copy === undefined) throw new Error('no copy');
  return { ...copy, written };
}
const of = (...features: Feature[]) => new ChangedCopies({ features: new Set(features) });

it.each([
  { written: null, features: [...FEATURES], isChanged: true },
  { written: 0, features: [], isChanged: false },
  { written: 8192, features: [], isChanged: true },
  { written: 8192, features: [...FEATURES], isChanged: false },
])('$written bytes, where the receiver has the features $features: $isChanged', (one) => {
  expect(of(...one.features).isChanged(copyWith(one.written))).toBe(one.isChanged);
});

it('what ZFS has refused is changed, until there is less of it, or something newer', () => {
  const changed = of(...FEATURES);
  const copy = copyWith(8192);
  expect(changed.heard(WHY, copy)).toBe(true);
  expect(changed.isChanged(copy)).toBe(true);
  // By the replay of its log.
  expect(changed.isChanged({ ...copy, written: 20_000 })).toBe(true);
  expect(changed.isChanged({ ...copy, written: 1024 })).toBe(false);
  expect(changed.isChanged({ ...copy, snapshots: [] })).toBe(false);
  // Said once more it is no reason for another round at once.
  expect(changed.heard(WHY, copy)).toBe(false);
});

it('a name may have blanks', () => {
  const why =
    'the other node: cannot receive: destination tank/my data has been modified; since most recent snapshot';
  expect(of(...FEATURES).heard(why, copyWith(8192))).toBe(true);
});

it('another failure says nothing of the copy', () => {
  const changed = of(...FEATURES);
  expect(changed.heard('the other node: out of space', copyWith(8192))).toBe(false);
  expect(changed.heard(WHY, null)).toBe(false);
  expect(changed.isChanged(copyWith(8192))).toBe(false);
});

it('what is refused without a byte that ZFS counts is changed, until it was asked to be set aside and is there still', () => {
  const changed = of(...FEATURES);
  const copy = copyWith(0);
  expect(changed.heard(WHY, copy)).toBe(true);
  expect(changed.isChanged(copy)).toBe(true);
  changed.asked([copy]);
  expect(changed.isChanged(copy)).toBe(false);
  // Refused once more it is set aside in the next round, and there is no reason for one at once.
  expect(changed.heard(WHY, copy)).toBe(false);
  expect(changed.isChanged(copy)).toBe(true);
});
