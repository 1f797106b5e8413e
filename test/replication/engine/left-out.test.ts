/** What the other side has and the holder does not send, as the holder finds it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { epoch } from '../../../src/core/index.ts';
import { leftOutThere } from '../../../src/replication/engine/left-out.ts';
import { newSnapshotName } from '../../../src/replication/engine/names.ts';
import { type Filters, whyNotReplicated } from '../../../src/replication/filters.ts';
import { parsePool } from '../../../src/replication/list-text.ts';
import { isFirstPart } from '../../../src/replication/pool.ts';

const START = Date.UTC(2026, 10, 27, 19, 0);
const nameAt = (minute: number): string => newSnapshotName(START + minute * 60_000, epoch(7), () => false);

let a: ModelPool;
let b: ModelPool;
beforeEach(() => {
  const guids = new Guids();
  a = new ModelPool('tank', guids);
  b = new ModelPool('tank', guids);
  for (const name of ['tank/home', 'tank/old', 'tank/old/deep']) {
    a.create(name);
    a.snapshot(name, nameAt(1));
    b.receive(name, a.send(name, nameAt(1), null, false), false);
    a.snapshot(name, nameAt(2));
    b.receive(name, a.send(name, nameAt(2), `@${nameAt(1)}`, false), false);
  }
});

function named({ exclude = [] }: Partial<Filters> = {}, leftOut = '') {
  const byName = (pool: ModelPool, more = {}) =>
    new Map(parsePool('tank', { ...pool.texts(), ...more }).datasets.map((one) => [one.name, one]));
  const [source, target] = [byName(a, { leftOut }), byName(b)];
  const filters = { include: [], exclude };
  const isSent = (name: string): boolean => {
    const own = source.get(name);
    const isReplicated = own && whyNotReplicated(own, { pool: 'tank', from: 'a', filters }) === null;
    return own !== undefined && isReplicated === true && !isFirstPart(own);
  };
  return leftOutThere({ pool: 'tank', source, target }, isSent);
}
const since = (START + 120_000) / 1000;

describe('what is no part of what is sent', () => {
  it('is nothing, where everything is', () => {
    expect(named()).toEqual([]);
  });

  it('is what is excluded, by the config or by its property, with when its copy was of use for the last time', () => {
    const both = ['tank/old', 'tank/old/deep'].map((dataset) => ({ dataset, since }));
    expect(named({ exclude: ['tank/old'] })).toEqual(both);
    a.setProperty('tank/old', 'quorate:replicate', 'off');
    expect(named()).toEqual(both);
    a.setProperty('tank/old/deep', 'quorate:replicate', 'on');
    expect(named().map(({ dataset }) => dataset)).toEqual(['tank/old']);
  });

  it('is what was destroyed here', () => {
    a.datasets.delete('tank/old/deep');
    expect(named()).toEqual([{ dataset: 'tank/old/deep', since }]);
  });

  it("is what somebody has copied by hand, and not the node's own that was never replicated", () => {
    for (const pool of [a, b]) pool.create('tank/scratch');
    b.create('tank/cache');
    b.snapshot('tank/cache', 'by-hand');
    b.snapshot('tank/scratch', 'by-hand');
    a.create('tank/seeded');
    a.snapshot('tank/seeded', 'seed');
    b.receive('tank/seeded', a.send('tank/seeded', 'seed', null, false), false);
    expect(named({ exclude: ['tank/scratch', 'tank/seeded'] })).toEqual([
      { dataset: 'tank/seeded', since: null },
    ]);
    // Whoever holds it.
    b.hold('tank/cache', 'by-hand', 'backup');
    expect(named({ exclude: ['tank/scratch'] })).toEqual([]);
  });

  it('is not what is left out here: nobody has written to that, and the other one may be newer', () => {
    expect(named({}, 'tank/old\t1:1790000000\n').map(({ dataset }) => dataset)).toEqual([]);
    expect(named({ exclude: ['tank/old'] }, 'tank/old\t1:7\n')).toEqual([
      { dataset: 'tank/old/deep', since },
    ]);
  });

  it('nor what is here only part of a first copy, or would lie in that', () => {
    for (const name of ['tank/late', 'tank/late/deep']) {
      b.create(name);
      b.snapshot(name, nameAt(3));
    }
    a.receive('tank/late', b.send('tank/late', nameAt(3), null, false), true);
    expect(named()).toEqual([]);
    a.abandon('tank/late');
    expect(named().map(({ dataset }) => dataset)).toEqual(['tank/late', 'tank/late/deep']);
  });

  it('nor what is kept of a former tenure, or what no order may name', () => {
    for (const name of ['tank/.diverged', 'tank/.diverged/7', 'tank/.d', 'tank/ blank']) {
      b.create(name);
      b.snapshot(name, nameAt(3));
    }
    expect(named()).toEqual([]);
  });
});

describe('what is left out here', () => {
  it('is not sent, and it is said why', () => {
    const texts = { ...a.texts(), leftOut: 'tank/old\t1:1790000000\n' };
    const old = parsePool('tank', texts).datasets.find(({ name }) => name === 'tank/old');
    const filters = { include: [], exclude: [] };
    expect(old && whyNotReplicated(old, { pool: 'tank', from: 'b', filters })).toBe(
      'is left out on b (not replicated since 2026-09-21T14:13:20Z), and what the other node has may be newer: "zfs inherit quorate:left-out tank/old" on b takes it up as it is',
    );
  });

  it.each(['tank/gone\t1:7\n', 'tank/old\t1:7', 'tank/old\n'])(
    'or nothing of the pool is known: %j',
    (leftOut) => {
      expect(() => parsePool('tank', { ...a.texts(), leftOut })).toThrow();
    },
  );
});
