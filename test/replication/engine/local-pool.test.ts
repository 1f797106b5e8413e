/** What replication changes on its own side is done in batches, and understood item by item; what it destroys on its own side is what the plan has read, and nothing that has its name since. */
import { expect, it } from 'vitest';
import { LocalPool } from '../../../src/replication/engine/index.ts';
import { guid } from '../../../src/replication/pool.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { ZfsCommand } from '../zfs-command.ts';
import { Guids, ModelPool } from '../zfs-model.ts';

function poolOf(...datasets: string[]) {
  const pool = new ModelPool('tank', new Guids());
  for (const dataset of datasets) {
    pool.create(dataset);
    for (const name of ['s1', 's2', 's3', 's4']) pool.snapshot(dataset, name);
  }
  const commands = new ZfsCommand(pool);
  const local = new LocalPool({
    pools: ['tank'],
    commands,
    kernel: { read: () => null, list: () => null } as never,
    clock: new VirtualClock(),
    signal: new AbortController().signal,
  });
  const toPrune = (dataset: string, ...names: string[]) => ({
    dataset,
    snapshots:
      pool.datasets.get(dataset)?.snapshots.flatMap(({ name, guid: id }) => {
        const known = guid(id);
        return known === null || !names.includes(name) ? [] : [{ name, guid: known }];
      }) ?? [],
  });
  const holdsOf = (dataset: string) => pool.get(dataset).snapshots.map(({ tags = [] }) => tags.join());
  return { pool, commands, local, toPrune, holdsOf };
}

it('holds and lets go of many by one command, whatever of it was done before', async () => {
  const { pool, commands, local, holdsOf } = poolOf('tank/home');
  pool.hold('tank/home', 's2', 'quorate');
  pool.hold('tank/home', 's3', 'backup');
  await local.hold('tank/home', ['s1', 's2', 's3']);
  expect(holdsOf('tank/home')).toEqual(['quorate', 'quorate', 'backup,quorate', '']);
  pool.release('tank/home', 's1', 'quorate');
  await local.letGo('tank/home', ['s1', 's2', 's3', 'gone']);
  expect(holdsOf('tank/home')).toEqual(['', '', 'backup', '']);
  expect(commands.calls).toHaveLength(2);
});

it('one that cannot be held is no success because another was held before', async () => {
  const { pool, local } = poolOf('tank/home');
  pool.hold('tank/home', 's2', 'quorate');
  await expect(local.hold('tank/home', ['s1', 's2', 'gone'])).rejects.toThrow(/does not exist/);
});

it('looks at many datasets by one command, and one that is gone or busy keeps none of the others', async () => {
  const { pool, commands, local, toPrune } = poolOf('tank/a', 'tank/b', 'tank/c', 'tank/d');
  const left = (dataset: string) => pool.get(dataset).snapshots.map(({ name }) => name);
  let lists = 0;
  const { run } = commands;
  Object.assign(commands, {
    run: (command: readonly string[]) => {
      if (command[1] === 'list') lists += 1;
      return run(command);
    },
  });
  expect([...(await local.prune([toPrune('tank/a', 's1'), toPrune('tank/b', 's1', 's2')]))]).toEqual([]);
  expect([lists, left('tank/a'), left('tank/b')]).toEqual([1, ['s2', 's3', 's4'], ['s3', 's4']]);
  const all = [
    toPrune('tank/a', 's2'),
    toPrune('tank/b', 's3'),
    toPrune('tank/c', 's1'),
    toPrune('tank/d', 's1'),
  ];
  pool.hold('tank/a', 's2', 'backup');
  pool.clone('tank/d', 's1', 'tank/clone');
  for (const name of ['s3', 's4']) pool.destroySnapshot('tank/b', name);
  pool.destroyDataset('tank/b');
  const failed = await local.prune(all);
  expect([...failed].map(([dataset, error]) => `${dataset}: ${error}`)).toEqual([
    expect.stringMatching(/^tank\/a: .*is busy/),
    expect.stringMatching(/^tank\/b: .*does not exist/),
  ]);
  expect([left('tank/a'), left('tank/c'), left('tank/d')]).toEqual([
    ['s2', 's3', 's4'],
    ['s2', 's3', 's4'],
    ['s1', 's2', 's3', 's4'],
  ]);
});

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
