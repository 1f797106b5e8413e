/** What replication changes on its own side is done in batches, and understood item by item; what it destroys on its own side is what the plan has read, and nothing that has its name since. */
import { expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { LocalPool } from '../../../src/replication/engine/index.ts';
import { guid } from '../../../src/replication/pool.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { ZfsCommand } from '../zfs-command.ts';

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

const held = (name: string, holds = 0) => ({ name, holds });

it('holds and lets go of a few by one command, whatever of it was done before', async () => {
  const { pool, commands, local, holdsOf } = poolOf('tank/home');
  pool.hold('tank/home', 's2', 'quorate');
  pool.hold('tank/home', 's3', 'backup');
  const asRead = [held('s1'), held('s2', 1), held('s3', 1)];
  expect(await local.hold('tank/home', asRead)).toBe(3);
  expect(commands.calls).toEqual(['zfs hold quorate tank/home@s1 tank/home@s3']);
  expect(holdsOf('tank/home')).toEqual(['quorate', 'quorate', 'backup,quorate', '']);
  pool.release('tank/home', 's1', 'quorate');
  await local.letGo('tank/home', ['s1', 's2', 's3', 'gone']);
  expect(holdsOf('tank/home')).toEqual(['', '', 'backup', '']);
  expect(commands.calls).toHaveLength(2);
});

it('one that cannot be held is no success because another was held before', async () => {
  const { pool, local } = poolOf('tank/home');
  pool.hold('tank/home', 's2', 'quorate');
  await expect(local.hold('tank/home', [held('s1'), held('s2'), held('gone')])).rejects.toThrow(
    /does not exist/,
  );
});

/** Each name of a hold or of a release waits for a transaction group, held or not; a command ends at its limit (OpenZFS 2.1). */
function busyPool(txgMs: number) {
  const clock = new VirtualClock();
  const tagged = new Set<string>();
  const calls: string[] = [];
  const run = async (command: readonly string[], { deadline }: { readonly deadline: number }) => {
    const [, verb = '', ...words] = command;
    const names = words.slice(1);
    calls.push(`${verb} ${names.length}`);
    if (verb === 'holds') {
      const said = names.filter((name) => tagged.has(name)).map((name) => `${name}\tquorate\tFri Nov 27\n`);
      return { kind: 'exited', code: 0, stdout: said.join(''), stderr: '' } as const;
    }
    let stderr = '';
    for (const name of names) {
      if (clock.now() + txgMs > deadline) {
        clock.advance(deadline - clock.now());
        return { kind: 'timed-out', limitMs: 60_000 } as const;
      }
      clock.advance(txgMs);
      const isHeld = tagged.has(name);
      if (verb === 'hold' && isHeld) stderr += `cannot hold snapshot '${name}': tag already exists\n`;
      if (verb === 'release' && !isHeld) stderr += `cannot release '${name}': no such tag\n`;
      if (verb === 'hold') tagged.add(name);
      else tagged.delete(name);
    }
    return { kind: 'exited', code: stderr === '' ? 0 : 1, stdout: '', stderr } as const;
  };
  const kernel = { read: () => null, list: () => null } as never;
  const signal = new AbortController().signal;
  const local = new LocalPool({ pools: ['tank'], commands: { run }, kernel, clock, signal });
  const names = Array.from({ length: 64 }, (_, at) => `s${at}`);
  const asRead = () => names.map((name) => held(name, tagged.has(`tank/home@${name}`) ? 1 : 0));
  return { clock, calls, tagged, local, names, asRead };
}

it.each([
  { txgMs: 10, first: 64, rounds: 1 },
  { txgMs: 1000, first: 24, rounds: 3 },
  { txgMs: 9000, first: 6, rounds: 20 },
  { txgMs: 50_000, first: 1, rounds: 64 },
])(
  'of a run whose holds take $txgMs ms each the first $first are held, and no more is begun',
  async ({ txgMs, first, rounds }) => {
    const { clock, calls, tagged, local, asRead } = busyPool(txgMs);
    const took: (number | null)[] = [];
    for (let round = 0; round < 100 && tagged.size < 64; round++) {
      const beganAt = clock.now();
      took.push(await local.hold('tank/home', asRead()).catch(() => null));
      expect(clock.now() - beganAt).toBeLessThanOrEqual(20_000 + 60_000);
      const names = asRead().map(({ holds }) => holds);
      expect(names.slice(0, took.at(-1) ?? 0)).not.toContain(0);
    }
    expect(took.find((count) => count !== null)).toBe(first);
    expect(took.length).toBeLessThanOrEqual(rounds);
    expect(tagged.size).toBe(64);
    expect(Math.max(...calls.flatMap((call) => (/^hold \d/.test(call) ? [Number(call.slice(5))] : [])))).toBe(
      8,
    );
    // What is held is not held again.
    const before = clock.now();
    expect(await local.hold('tank/home', asRead())).toBe(64);
    expect([clock.now() - before, calls.at(-1)]).toEqual([0, 'holds 64']);
  },
);

it('lets go of a few at a time, so that one that is killed has done some', async () => {
  const { calls, tagged, local, names } = busyPool(1000);
  for (const name of names) tagged.add(`tank/home@${name}`);
  await local.letGo('tank/home', names);
  expect([tagged.size, calls]).toEqual([0, Array.from({ length: 8 }, () => 'release 8')]);
});

it('one that cannot be let go of keeps none of the others', async () => {
  const { pool, commands, local, holdsOf } = poolOf('tank/home');
  for (let at = 5; at <= 12; at++) pool.snapshot('tank/home', `s${at}`);
  const names = pool.get('tank/home').snapshots.map(({ name }) => name);
  for (const name of names) pool.hold('tank/home', name, 'quorate');
  const { run } = commands;
  Object.assign(commands, {
    run: (command: readonly string[]) =>
      command.includes('tank/home@s1')
        ? { kind: 'exited', code: 1, stdout: '', stderr: 'cannot release: I/O error\n' }
        : run(command),
  });
  await expect(local.letGo('tank/home', names)).rejects.toThrow(/I\/O error/);
  expect(holdsOf('tank/home')).toEqual(names.map((_, at) => (at < 8 ? 'quorate' : '')));
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
