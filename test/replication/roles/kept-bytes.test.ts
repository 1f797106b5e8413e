/** What the other node keeps of a tenure, told from what its pool lists. */
import { expect, it } from 'vitest';
import { parsePool } from '../../../src/replication/list-text.ts';
import { keptThere } from '../../../src/replication/roles/index.ts';
import { Guids, ModelPool } from '../zfs-model.ts';

it('counts what the kept snapshots say, of that tenure only, and no folder', () => {
  const pool = new ModelPool('tank', new Guids());
  const of = (epoch: number) => keptThere(parsePool('tank', pool.texts()), epoch);
  pool.create('tank/home');
  pool.write('tank/home', 'common,');
  pool.snapshot('tank/home', 's1');
  expect(of(20)).toBeNull();
  pool.write('tank/home', 'only here,');
  pool.snapshot('tank/home', 's2');
  pool.create('tank/.diverged');
  pool.create('tank/.diverged/20');
  pool.rename('tank/home', 'tank/.diverged/20/home');
  // Its successor is not there yet: still on its way.
  expect(of(20)).toBeNull();
  pool.clone('tank/.diverged/20/home', 's1', 'tank/home');
  pool.promote('tank/home');
  const kept = of(20);
  expect(kept).toMatchObject({ pool: 'tank', datasets: 1, largest: 'tank/.diverged/20/home' });
  expect(kept?.bytes).toBeGreaterThan(0);
  expect(of(2)).toBeNull();
  expect(of(200)).toBeNull();
});
