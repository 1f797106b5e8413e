/** `quorate replication diverged`: what is kept, and what is different in it. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../cluster/zfs-model/index.ts';
import { ExitWith } from '../../src/cli/exit-with.ts';
import { diff, list } from '../../src/cli/replication-diverged.ts';
import { lookFor, requireConfirmed } from '../../src/cli/replication-drop.ts';
import { type Config, parseConfig } from '../../src/config/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { setAside } from '../../src/replication/index.ts';
import type { CommandResult } from '../../src/resources/index.ts';
import { configDirectory, GOOD } from '../config/fixture.ts';
import { ZfsCommand } from '../replication/zfs-command.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';
import { type Captured, captured } from './captured.ts';

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await configDirectory());
});
afterAll(() => remove());

const said = (work: () => Promise<void>): Promise<Captured> =>
  captured(async () => {
    try {
      await work();
      return 0;
    } catch (error) {
      if (error instanceof ExitWith) return error.exitCode;
      if (!(error instanceof QuorateError)) throw error;
      process.stderr.write(error.message);
      return error.exitCode;
    }
  });

function configOf(): Config {
  const { config, problems } = parseConfig(
    `${GOOD}replication: {pools: [tank]}\n`,
    join(directory, 'q.yaml'),
  );
  if (config === null) throw new Error(problems.join('\n'));
  return config;
}

async function kept(
  answer: (command: readonly string[]) => CommandResult | null = () => null,
  hasDevice = true,
) {
  const pool = new ModelPool('tank', new Guids());
  pool.get('tank').properties.set('quorate:written', '10');
  pool.create('tank/home');
  pool.create('tank/disk', false, 'volume');
  for (const name of ['tank/home', 'tank/disk']) {
    pool.snapshot(name, 'p1');
    pool.write(name, 'tail');
  }
  const zfs = new ZfsCommand(pool);
  const run = async (command: readonly string[]) => answer(command) ?? zfs.run(command);
  const parts = { commands: { run }, clock: new VirtualClock(), signal: new AbortController().signal };
  const tails = ['tank/home', 'tank/disk'].map((dataset) => ({
    dataset,
    common: pool.get(dataset).snapshots[0]?.guid as never,
  }));
  await setAside(
    { pool: 'tank', epoch: 20, tails },
    { ...parts, mayChange: () => true, hasDevice: async () => hasDevice },
  );
  return parts;
}

it('lists what is kept, of what, since when, and how much it is', async () => {
  const parts = await kept();
  const { out: stdout } = await said(() => list(configOf(), {}, parts));
  expect(stdout).toBe(
    `tank:
  tank/.diverged/20/disk  4 bytes  of tank/disk since tank/disk@p1: @quorate-diverged-20
  tank/.diverged/20/home  4 bytes  of tank/home since tank/home@p1: @quorate-diverged-20
`,
  );
  const json = await said(() => list(configOf(), { json: true }, parts));
  expect(JSON.parse(json.out).pools[0].kept[0]).toEqual({
    ...{ dataset: 'tank/.diverged/20/disk', kind: 'volume', original: 'tank/disk', epoch: 20 },
    ...{ common: 'tank/disk@p1', snapshots: ['quorate-diverged-20'], usedBytes: 4, isDone: true },
    isUnreplayed: false,
  });
});

it('says of what could not be replayed that it is in no snapshot, with the remedy; drop says so too', async () => {
  const locked = { kind: 'exited', code: 32, stdout: '', stderr: 'mount: Permission denied' } as const;
  const parts = await kept((command) => (command[0] === 'unshare' ? locked : null), false);
  const perhaps = 'what was written last is perhaps in its intent log alone';
  const { out } = await said(() => list(configOf(), {}, parts));
  expect(out).toContain(
    `@quorate-diverged-20-unreplayed; ${perhaps}: load its key and mount tank/.diverged/20/home once\n`,
  );
  expect(out).toContain(
    `@quorate-diverged-20-unreplayed; ${perhaps}: give it its device (key, volmode) once\n`,
  );
  const found = await lookFor('20', configOf(), parts);
  expect(() => requireConfirmed('20', found, {})).toThrow(
    'tank/.diverged/20/home, 4 bytes, and perhaps what was written last, in its intent log alone: @quorate-diverged-20-unreplayed',
  );
});

it('a pool that cannot be read is not known, and not empty', async () => {
  const parts = await kept();
  const silent = { ...parts, commands: { run: async () => ({ kind: 'timed-out', limitMs: 1 }) as const } };
  const { out: stdout, code } = await said(() => list(configOf(), {}, silent));
  expect([stdout.startsWith('tank: not known: '), code]).toEqual([true, 1]);
});

it('compares file systems by names, volumes by bytes', async () => {
  const asked: string[] = [];
  const parts = await kept((command) => {
    if (command[1] !== 'diff') return null;
    asked.push(command.join(' '));
    return { kind: 'exited', code: 0, stdout: 'M\t/mnt/a\n+\t/mnt/b\n', stderr: '' };
  });
  const files = await said(() => diff(configOf(), 'tank/.diverged/20/home', {}, parts));
  expect(files.out).toBe('M\t/mnt/a\n+\t/mnt/b\n');
  expect(asked).toEqual(['zfs diff -H tank/home@p1 tank/.diverged/20/home@quorate-diverged-20']);
  const volume = await said(() => diff(configOf(), 'tank/.diverged/20/disk', {}, parts));
  expect(volume.out).toBe('tank/.diverged/20/disk is a volume: 4 bytes are other than in tank/disk@p1\n');
});

it('says how to mount what zfs does not compare, and what is not kept', async () => {
  const stderr = 'Cannot diff an unmounted snapshot\n';
  const parts = await kept((command) =>
    command[1] === 'diff' ? { kind: 'exited', code: 1, stdout: '', stderr } : null,
  );
  const unmounted = await said(() => diff(configOf(), 'tank/.diverged/20/home', {}, parts));
  expect(unmounted.err).toContain('mount -t zfs -o ro,zfsutil tank/.diverged/20/home /mnt/kept');
  const stranger = await said(() => diff(configOf(), 'tank/home', {}, parts));
  expect([stranger.code, stranger.err]).toEqual([2, expect.stringContaining('nothing is kept by the name')]);
});
