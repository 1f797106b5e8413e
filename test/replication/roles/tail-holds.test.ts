/** Holding a long tail before it is set aside: a few at a time, and whoever begins anew goes on where the one before was killed. */
import { expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { guid } from '../../../src/replication/pool.ts';
import { setAside } from '../../../src/replication/roles/index.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { ZfsCommand } from '../zfs-command.ts';

function tailOf(count: number) {
  const pool = new ModelPool('tank', new Guids());
  pool.create('tank/a');
  for (let at = 0; at <= count; at++) pool.snapshot('tank/a', `p${at}`);
  pool.get('tank').properties.set('quorate:written', '10');
  const common = guid(pool.get('tank/a').snapshots[0]?.guid ?? '');
  if (common === null) throw new Error('a model with a wrong GUID');
  const zfs = new ZfsCommand(pool);
  const { run } = zfs;
  const order = (stopAt: (name: string) => 'killed' | 'fails' | null) => {
    const parts = {
      commands: {
        run: async (command: readonly string[]) => {
          const [, verb, ...words] = command;
          if (verb !== 'hold') return run(command);
          const [tag = '', ...names] = words;
          // Each of them is a call of its own: what is done before the end stays.
          for (const name of names) {
            const end = stopAt(name);
            if (end === 'killed') return { kind: 'timed-out', limitMs: 30_000 } as const;
            if (end === 'fails')
              return {
                kind: 'exited',
                code: 1,
                stdout: '',
                stderr: `cannot hold '${names[0]}': tag already exists\ncannot hold '${name}': I/O error\n`,
              } as const;
            await run(['zfs', 'hold', tag, name]);
          }
          return { kind: 'exited', code: 0, stdout: '', stderr: '' } as const;
        },
      },
      clock: new VirtualClock(),
      signal: new AbortController().signal,
      mayChange: () => true,
      hasDevice: async () => true,
    };
    return setAside({ pool: 'tank', epoch: 20, tails: [{ dataset: 'tank/a', common }] }, parts);
  };
  const held = () =>
    [...zfs.calls].filter((call) => call.startsWith('zfs hold ')).map((call) => call.slice(26));
  return { pool, order, held };
}

it('holds each once, a few by one command, however often that is killed', async () => {
  const { pool, order, held } = tailOf(20);
  let left = 5;
  for (let times = 0; times < 3; times++) {
    await expect(order(() => (left-- > 0 ? null : 'killed'))).rejects.toMatchObject({
      code: 'command-timed-out',
    });
    left = 5;
  }
  await order(() => null);
  // Those of the tail, and what there was beyond its newest, as a snapshot.
  expect(held()).toEqual([...new Set(held())]);
  expect(held()).toHaveLength(21);
  const kept = pool.get('tank/.diverged/20/a').snapshots;
  expect(kept.map(({ tags }) => tags?.join())).toEqual(kept.map(() => 'quorate-diverged'));
});

it('one that cannot be held is not set aside as if it were, because another is held already', async () => {
  const { pool, order } = tailOf(3);
  await expect(order((name) => (name === 'tank/a@p3' ? 'fails' : null))).rejects.toThrow(/I\/O error/);
  expect([...pool.datasets.keys()]).toEqual(['tank', 'tank/a']);
});
