/** What the other node keeps of a tenure, told from what its pool lists. */
import { expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { parsePool } from '../../../src/replication/list-text.ts';
import { keptThere } from '../../../src/replication/roles/index.ts';

it('counts what the kept snapshots say, of that tenure only, and no folder', () => {
  const pool = new ModelPool('tank', new Guids());
  const of = (epoch: number) => keptThere(parsePool('tank', pool.texts()), epoch);
  pool.create('tank/home');
  pool.write('tank/home', 'common,');
  pool.snapshot('tank/home', 's1');
  expect(of(20)).toBeNull();
  pool.write('tank/home', 'only here,');
  pool.snapshot('tank/home', 's2');
  pool.write('tank/home', 'here too,');
  pool.snapshot('tank/home', 'quorate-diverged-20');
  pool.create('tank/.diverged');
  pool.create('tank/.diverged/20');
  pool.rename('tank/home', 'tank/.diverged/20/home');
  // Its successor is not there yet: still on its way.
  expect(of(20)).toBeNull();
  pool.clone('tank/.diverged/20/home', 's1', 'tank/home');
  pool.promote('tank/home');
  const kept = of(20);
  expect(kept).toMatchObject({ pool: 'tank', datasets: 1, largest: 'tank/.diverged/20/home' });
  // The model does not know what the first snapshot of a clone goes on from.
  expect(kept?.bytes).toBe('common,only here,here too,'.length);
  // What somebody does with it since changes nothing of it.
  pool.write('tank/.diverged/20/home', 'work');
  pool.snapshot('tank/.diverged/20/home', 'mine');
  pool.write('tank/.diverged/20/home', 'more work');
  expect(of(20)).toEqual(kept);
  pool.create('tank/other');
  pool.snapshot('tank/other', 'quorate-diverged-20');
  pool.rename('tank/other', 'tank/.diverged/20/other');
  pool.clone('tank/.diverged/20/other', 'quorate-diverged-20', 'tank/other');
  // A further tail, of not a byte.
  const more = pool.get('tank/.diverged/20/other');
  more.origin = pool.get('tank/home').snapshots[0] ?? null;
  expect(of(20)).toMatchObject({ datasets: 2, bytes: kept?.bytes, upTo: more.snapshots[0]?.txg });
  expect(more.snapshots[0]?.txg).toBeGreaterThan(kept?.upTo ?? 0);
  expect(of(2)).toBeNull();
  expect(of(200)).toBeNull();
});
