/** From commands to a reading, through its packed form, to a pool: what is not known stays so. */
import { expect, it } from 'vitest';
import { Guids, ModelPool } from '../../cluster/zfs-model/index.ts';
import { systemClock } from '../../src/clock.ts';
import {
  type PoolsReading,
  packReading,
  readPools,
  sideOf,
  unpackReading,
} from '../../src/replication/index.ts';
import { COMMANDS } from '../../src/replication/list-text.ts';
import type { CommandResult } from '../../src/resources/index.ts';

const texts = new ModelPool('tank', new Guids()).texts();
const KSTAT = '/proc/spl/kstat/zfs';

function host(state: string | null, answers: Readonly<Record<string, CommandResult>> = {}) {
  const ran: string[] = [];
  const parts = {
    clock: systemClock,
    signal: new AbortController().signal,
    kernel: {
      read: (path: string) => {
        if (state !== null && path === `${KSTAT}/tank/state`) return state;
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      },
      has: (path: string) => path === KSTAT,
    },
    commands: {
      run: async (command: readonly string[]): Promise<CommandResult> => {
        const line = command.join(' ');
        ran.push(line);
        const name = Object.entries(COMMANDS).find(([, words]) => words('tank').join(' ') === line)?.[0];
        return (
          answers[name ?? ''] ?? {
            kind: 'exited',
            code: 0,
            stdout: texts[name as keyof typeof texts] ?? '',
            stderr: '',
          }
        );
      },
    },
  };
  return { ran, read: () => readPools(['tank'], parts) };
}

it('what the commands print comes out on the other node as a pool', async () => {
  const unpacked = await unpackReading(await packReading(await host('ONLINE\n').read()));
  expect(unpacked).not.toBeNull();
  expect(sideOf(unpacked as PoolsReading, 'tank')).toMatchObject({ kind: 'read', pool: { name: 'tank' } });
  expect(sideOf(unpacked as PoolsReading, 'bank')).toMatchObject({ kind: 'unknown' });
});

it.each([
  ['no pool', null, {}, 'absent', 'the pool is not imported', 0],
  ['a pool that waits for its disk', 'SUSPENDED\n', {}, 'unknown', 'SUSPENDED', 0],
  ['no zfs', 'ONLINE\n', { datasets: { kind: 'missing' } }, 'unknown', 'zfs is not installed', 3],
  [
    'a command that hangs',
    'ONLINE\n',
    { status: { kind: 'timed-out', limitMs: 10_000 } },
    'unknown',
    'killed after its limit of 10000 ms',
    2,
  ],
  [
    'more than is read',
    'ONLINE\n',
    { points: { kind: 'died', why: 'more than 4096 KiB of output' } },
    'unknown',
    'more than 4096 KiB',
    4,
  ],
  [
    'an error',
    'ONLINE\n',
    { pool: { kind: 'exited', code: 1, stdout: '', stderr: "cannot open 'tank': no such pool\n" } },
    'unknown',
    'no such pool',
    1,
  ],
] as const)('%s', async (_what, state, answers, kind, why, count) => {
  const { ran, read } = host(state, answers);
  expect(sideOf(await read(), 'tank')).toMatchObject({ kind, why: expect.stringContaining(why) });
  expect(ran).toHaveLength(count);
});

it('what is too large for one answer is unknown, with its size', async () => {
  let seed = 1;
  const noise = Array.from({ length: 200_000 }, () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed;
  }).join(' ');
  const large: PoolsReading = {
    version: 1,
    pools: [{ kind: 'read', name: 'tank', texts: { ...texts, points: noise } }],
  };
  const unpacked = await unpackReading(await packReading(large));
  expect(unpacked?.pools).toMatchObject([
    { kind: 'unknown', why: expect.stringMatching(/takes \d+ KiB packed, more than the 768 KiB/) },
  ]);
});

it.each(['', 'AAAA', 'not base64', Buffer.from('{}').toString('base64')])(
  '%j is no reading',
  async (text) => {
    expect(await unpackReading(text)).toBeNull();
  },
);
