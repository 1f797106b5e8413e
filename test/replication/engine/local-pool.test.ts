/** What replication destroys on its own side is what the plan has read, and nothing that has its name since. */
import { expect, it } from 'vitest';
import { LocalPool } from '../../../src/replication/engine/index.ts';
import { guid } from '../../../src/replication/pool.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { ZfsCommand } from '../zfs-command.ts';
import { Guids, ModelPool } from '../zfs-model.ts';

it('prunes by GUID: a snapshot that has been made anew under the name stays', async () => {
  const pool = new ModelPool('tank', new Guids());
  pool.create('tank/home');
  for (const name of ['s1', 's2', 's3', 's4']) pool.snapshot('tank/home', name);
  const names = () => pool.get('tank/home').snapshots.map(({ name }) => name);
  const read = pool
    .get('tank/home')
    .snapshots.slice(0, 3)
    .map(({ name, guid: id }) => {
      const known = guid(id);
      if (known === null) throw new Error('a model with a wrong GUID');
      return { name, guid: known };
    });
  pool.destroySnapshot('tank/home', 's2');
  pool.snapshot('tank/home', 's2');
  pool.destroySnapshot('tank/home', 's3');
  const local = new LocalPool({
    pools: ['tank'],
    commands: new ZfsCommand(pool),
    kernel: { read: () => null, list: () => null } as never,
    clock: new VirtualClock(),
    signal: new AbortController().signal,
  });
  await local.prune([{ dataset: 'tank/home', snapshots: read }]);
  expect(names()).toEqual(['s4', 's2']);
  await local.prune([{ dataset: 'tank/home', snapshots: read }]);
  expect(names()).toEqual(['s4', 's2']);
});
