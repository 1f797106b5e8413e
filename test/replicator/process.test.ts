/** The replicator as a process of an executor: killed at random instants, hanging, and without its executor. */
import { randomBytes } from 'node:crypto';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { epoch, instant } from '../../src/core/index.ts';
import { sendLastSnapshot } from '../../src/executor/last-snapshot.ts';
import { processesWith } from '../../src/executor/processes.ts';
import { killReplicator, REPLICATOR_MARK, Replicator } from '../../src/executor/replicator.ts';
import { BoardView, type Report } from '../../src/replication/index.ts';
import { bundle, type StandIn, standIn } from '../replication/support/stand-in.ts';

const NAMES = ['tank/home', 'tank/home/x', 'tank/mail'] as const;
const LIMIT_MS = 120_000;
const WAIT = { timeout: 60_000, interval: 20 };

let world: StandIn;
let program = '';
let mark = '';
let view = new BoardView();
const logged: unknown[] = [];
const running: Replicator[] = [];
const { PATH: path, ...before } = process.env;

const start = (): Replicator => {
  const one = new Replicator({
    program,
    args: [],
    mark,
    clock: systemClock,
    onReport: (report: Report) => view.apply(report),
    log: (_level, fields) => logged.push(fields),
  });
  running.push(one);
  return one;
};

beforeAll(async () => {
  const shared = await standIn();
  program = join(shared.directory, 'replicator.mjs');
  await bundle('test/replicator/support/main.ts', program);
  afterAll(() => shared.remove());
});
beforeEach(async () => {
  world = await standIn();
  mark = `test/${randomBytes(8).toString('hex')}`;
  view = new BoardView();
  logged.length = 0;
  Object.assign(process.env, {
    PATH: `${world.a.bin}${delimiter}${path}`,
    TEST_WORLD: world.directory,
    TEST_PERIOD_MS: '3600000',
    STAND_IN_FILLER: '1000',
  });
  for (const name of NAMES) await world.a.zfs('create', name);
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  for (const name of ['TEST_NO_CHANNEL', 'STAND_IN_PAUSE_MS']) delete process.env[name];
  world.remove();
});
afterAll(() => {
  process.env = { ...before, PATH: path };
});

const isCurrent = (): boolean =>
  view.datasets.length === NAMES.length && view.datasets.every(({ state }) => state === 'current');

const sending = (): number[] =>
  processesWith(REPLICATOR_MARK, mark).filter((pid) => !running.some((one) => one.pid === pid));

describe('the replicator', () => {
  it(
    'killed at random instants, in one tenure after the other, ends with everything common, and nothing is lost',
    async () => {
      Object.assign(process.env, { STAND_IN_FILLER: String(1024 * 1024), STAND_IN_PAUSE_MS: '10' });
      const replicator = start();
      const seen = new Set<string>();
      for (let tenure = 1; tenure <= 6; tenure++) {
        replicator.send(epoch(tenure));
        await vi.waitFor(() => expect(view.round.number).toBeGreaterThan(0), WAIT);
        await world.a.zfs('write', 'tank/mail', `${tenure},`);
        await sleep(Math.random() * 900);
        expect(await replicator.stop()).toBe(true);
        expect(processesWith(REPLICATOR_MARK, mark)).toEqual([]);
        for (const name of NAMES)
          for (const { guid } of world.b.pool().datasets.get(name)?.snapshots ?? []) seen.add(guid);
      }
      Object.assign(process.env, { STAND_IN_FILLER: '1000', STAND_IN_PAUSE_MS: '0' });
      replicator.send(epoch(7));
      // Not by what the tenure before has told.
      const isOfThis = (): boolean => view.datasets.every(({ common }) => common?.name.endsWith('-7'));
      await vi.waitFor(() => expect(isCurrent() && isOfThis()).toBe(true), WAIT);
      await vi.waitFor(() => expect(sending()).toEqual([]), WAIT);
      const [a, b] = [world.a.pool(), world.b.pool()];
      const all = new Set(NAMES.flatMap((name) => b.get(name).snapshots.map(({ guid }) => guid)));
      for (const guid of seen) expect(all.has(guid)).toBe(true);
      for (const name of NAMES) {
        const [here, there] = [a.get(name).snapshots, b.get(name).snapshots];
        expect(there.map(({ guid }) => guid)).toEqual(here.map(({ guid }) => guid));
        expect(there.map(({ content }) => content)).toEqual(here.map(({ content }) => content));
        for (const snapshots of [here, there])
          expect(snapshots.filter(({ tags }) => tags?.includes('quorate'))).toEqual([snapshots.at(-1)]);
      }
      expect(a.get('tank/mail').snapshots.length).toBeGreaterThan(3);
    },
    LIMIT_MS,
  );

  it(
    'is gone at once with what it sends, also where it hangs',
    async () => {
      Object.assign(process.env, { STAND_IN_FILLER: String(1e9), STAND_IN_PAUSE_MS: '20' });
      const replicator = start();
      replicator.send(epoch(1));
      await vi.waitFor(() => expect(sending().length).toBeGreaterThan(0), WAIT);
      const flowing = () => view.datasets.find(({ progress }) => (progress?.bytes ?? 0) > 0);
      await vi.waitFor(() => expect(flowing()?.progress).toMatchObject({ totalBytes: 1e9 }), WAIT);
      const { pid } = replicator;
      process.kill(pid ?? 0, 'SIGSTOP');
      expect(await replicator.stop()).toBe(true);
      expect(processesWith(REPLICATOR_MARK, mark)).toEqual([]);
      expect(view.datasets).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'is killed by whoever looks for its mark, as the guard does in every release',
    async () => {
      const replicator = start();
      replicator.send(epoch(1));
      await vi.waitFor(() => expect(isCurrent()).toBe(true), WAIT);
      expect(processesWith(REPLICATOR_MARK, mark)).toEqual([replicator.pid]);
      expect(await killReplicator(`${mark}x`, 1000, systemClock)).toBe(true);
      expect(processesWith(REPLICATOR_MARK, mark)).toHaveLength(1);
      expect(await killReplicator(mark, 1000, systemClock)).toBe(true);
      expect(processesWith(REPLICATOR_MARK, mark)).toEqual([]);
      // By somebody else's hand in the middle of a tenure: it comes back.
      await vi.waitFor(
        () => expect(logged).toContainEqual(expect.objectContaining({ event: 'replicator-ended' })),
        WAIT,
      );
      await vi.waitFor(() => expect(processesWith(REPLICATOR_MARK, mark)).toHaveLength(1), WAIT);
    },
    LIMIT_MS,
  );

  it(
    'takes a round when it is asked, and says why it cannot send',
    async () => {
      const replicator = start();
      replicator.send(epoch(1));
      await vi.waitFor(() => expect(isCurrent()).toBe(true), WAIT);
      replicator.run('tank/mail');
      await vi.waitFor(() => expect(world.b.pool().get('tank/mail').snapshots).toHaveLength(2), WAIT);
      await vi.waitFor(() => expect(view.round.number).toBe(2), WAIT);
      await replicator.stop();
      process.env.TEST_NO_CHANNEL = '1';
      replicator.send(epoch(2));
      await vi.waitFor(() => expect(view.round.problem).toBe('no way to b'), WAIT);
      await vi.waitFor(
        () =>
          expect(logged).toContainEqual(
            expect.objectContaining({ event: 'replicator-ended', why: 'code 1', againInMs: 1000 }),
          ),
        WAIT,
      );
    },
    LIMIT_MS,
  );

  const last = (number: number, ms = 30_000, signal = new AbortController().signal) =>
    sendLastSnapshot(
      {
        ...{ program, args: [], mark, clock: systemClock, log: () => undefined },
        onReport: (report: Report) => view.apply(report),
      },
      { epoch: epoch(number), deadline: instant(systemClock.now() + ms), signal },
    );

  it(
    'sends a last snapshot in a planned release, after it was killed in the middle of a stream',
    async () => {
      Object.assign(process.env, { STAND_IN_FILLER: String(1e6), STAND_IN_PAUSE_MS: '20' });
      const replicator = start();
      replicator.send(epoch(1));
      await vi.waitFor(() => expect(sending().length).toBeGreaterThan(0), WAIT);
      expect(await replicator.stop()).toBe(true);
      process.env.STAND_IN_PAUSE_MS = '0';
      const first = await last(1);
      expect(first).toMatch(/^quorate-.*Z-1-last-[0-9a-f]{8}$/);
      for (const name of NAMES) {
        const [here, there] = [world.a.pool().get(name), world.b.pool().get(name)];
        expect(there.snapshots.at(-1)).toMatchObject({ name: first, guid: here.snapshots.at(-1)?.guid });
      }
      const word = () => world.b.pool().get('tank').properties.get('quorate:complete');
      expect(word()).toMatch(new RegExp(`^1:1:\\d+:final:${first}$`));
      expect(processesWith(REPLICATOR_MARK, mark)).toEqual([]);
      // The release is undone, and tried again.
      const second = await last(1);
      expect(second).not.toBe(first);
      expect(word()).toContain(second);
    },
    LIMIT_MS,
  );

  it(
    'gives a last snapshot up at its deadline, when it is called off, and when there is no way, and is gone then',
    async () => {
      Object.assign(process.env, { STAND_IN_FILLER: String(1e9), STAND_IN_PAUSE_MS: '20' });
      await expect(last(1, 1500)).rejects.toThrow('was not sent in time');
      expect(processesWith(REPLICATOR_MARK, mark)).toEqual([]);
      const over = new AbortController();
      const ending = last(1, 30_000, over.signal);
      const isEnded = expect(ending).rejects.toThrow('was called off');
      await vi.waitFor(() => expect(sending().length).toBeGreaterThan(0), WAIT);
      over.abort();
      await isEnded;
      expect(processesWith(REPLICATOR_MARK, mark)).toEqual([]);
      // As the guard does in an abrupt release.
      const killed = expect(last(1)).rejects.toThrow('its process ended (SIGKILL)');
      await vi.waitFor(() => expect(processesWith(REPLICATOR_MARK, mark)).not.toEqual([]), WAIT);
      expect(await killReplicator(mark, 1000, systemClock)).toBe(true);
      await killed;
      process.env.TEST_NO_CHANNEL = '1';
      await expect(last(1)).rejects.toThrow('no way to b');
      expect(world.b.pool().get('tank').properties.get('quorate:complete')).toBeUndefined();
    },
    LIMIT_MS,
  );

  it(
    'dies with everything when its executor does',
    async () => {
      Object.assign(process.env, { STAND_IN_FILLER: String(1e9), STAND_IN_PAUSE_MS: '20' });
      const { spawn } = await import('node:child_process');
      const child = spawn(process.execPath, [program], {
        detached: true,
        stdio: ['pipe', 'ignore', 'inherit'],
        env: { ...process.env, [REPLICATOR_MARK]: mark },
      });
      child.stdin.write('{"kind":"send","epoch":3}\n');
      await vi.waitFor(() => expect(processesWith(REPLICATOR_MARK, mark).length).toBeGreaterThan(1), WAIT);
      child.stdin.destroy();
      await vi.waitFor(() => expect(processesWith(REPLICATOR_MARK, mark)).toEqual([]), WAIT);
    },
    LIMIT_MS,
  );
});
