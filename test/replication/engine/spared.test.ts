/** What is not sent because the other side would destroy it at once, and what is sent all the same. */
import { describe, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { epoch } from '../../../src/core/index.ts';
import { Completion } from '../../../src/replication/engine/completion.ts';
import { newSnapshotName } from '../../../src/replication/engine/names.ts';
import { unneededThere } from '../../../src/replication/engine/pruning.ts';
import type { Keep } from '../../../src/replication/engine/retention.ts';
import { parsePool } from '../../../src/replication/list-text.ts';
import type { Guid } from '../../../src/replication/pool.ts';
import { planOf } from '../perform.ts';

const E = epoch(7);
const START = Date.UTC(2026, 10, 27, 19, 0);
const KEEP: Keep = { last: 2, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const nameAt = (minute: number): string => newSnapshotName(START + minute * 60_000, E, () => false);

/** A snapshot each minute, of which the copy has the first `common`; `by-hand` after the fifth. */
function world(common: number, count = 12) {
  const guids = new Guids();
  const [a, b] = [new ModelPool('tank', guids), new ModelPool('tank', guids)];
  a.create('tank/home');
  for (let minute = 0; minute < count; minute++) {
    a.snapshot('tank/home', nameAt(minute));
    if (minute < common)
      b.receive(
        'tank/home',
        a.send('tank/home', nameAt(minute), minute === 0 ? null : `@${nameAt(minute - 1)}`, false),
        false,
      );
    if (minute === 5) a.snapshot('tank/home', 'by-hand');
  }
  return { a, b };
}

function unneeded({ a, b }: ReturnType<typeof world>, keep: Keep): readonly string[] {
  const task = planOf(a, b).tasks.find(({ dataset }) => dataset === 'tank/home');
  if (task === undefined) throw new Error('no task');
  const copy = parsePool('tank', b.texts()).datasets.find(({ name }) => name === 'tank/home') ?? null;
  const guids: ReadonlySet<Guid> = unneededThere(task, copy, keep);
  return a.get('tank/home').snapshots.flatMap(({ guid, name }) => (guids.has(guid as Guid) ? [name] : []));
}

describe('what the copy would not keep', () => {
  it('is of our own, of what is to come, and never the newest', () => {
    const minutes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    expect(unneeded(world(1), KEEP)).toEqual(minutes.map(nameAt));
    expect(unneeded(world(0), KEEP)).toEqual([0, ...minutes].map(nameAt));
  });

  it('is less where the copy keeps more: the newest of an hour', () => {
    expect(unneeded(world(1, 70), { ...KEEP, hourly: 2 })).not.toContain(nameAt(59));
    expect(unneeded(world(1, 70), { ...KEEP, hourly: 2 })).toHaveLength(66);
    expect(unneeded(world(1), { ...KEEP, last: 100 })).toEqual([]);
  });

  it('is nothing where something is held here only: there it would go', () => {
    const { a, b } = world(1);
    a.hold('tank/home', nameAt(3), 'quorate');
    expect(unneeded({ a, b }, KEEP)).toContain(nameAt(3));
  });

  it('is nothing of a stream that goes on, or in a conflict', () => {
    const broken = world(1);
    broken.b.receive('tank/home', broken.a.send('tank/home', nameAt(1), `@${nameAt(0)}`, false), true);
    expect(unneeded(broken, KEEP)).toEqual([]);
    const other = world(1);
    other.b.snapshot('tank/home', 'there');
    expect(unneeded(other, KEEP)).toEqual([]);
  });
});

it('a snapshot that the word is about is awaited, also where its own dataset has newer ones by then', () => {
  const { a, b } = world(1);
  a.create('tank/slow');
  a.snapshot('tank/slow', nameAt(0));
  b.receive('tank/slow', a.send('tank/slow', nameAt(0), null, false), false);
  a.snapshot('tank/slow', nameAt(3));
  const plan = planOf(a, b);
  const byName = (pool: ModelPool) =>
    new Map(parsePool('tank', pool.texts()).datasets.map((one) => [one.name, one]));
  const nothing = { order: async () => undefined, onFailure: () => undefined, takesLeftOut: () => true };
  const completion = new Completion({ epoch: E, ...nothing });
  const isIncluded = (dataset: string): boolean => dataset !== 'tank';
  completion.plan({ plan, source: byName(a), target: byName(b), isIncluded });
  const awaited = a
    .get('tank/home')
    .snapshots.filter(({ guid }) => completion.isAwaited(guid as Guid))
    .map(({ name }) => name);
  expect(awaited).toEqual([nameAt(3)]);
});
