/** What runs into a pool that is taken over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type Instant, instant } from '../../src/core/index.ts';
import { endReceives, type Receiving, readReceive } from '../../src/executor/receives.ts';
import { endReceives as endRegisteredReceives } from '../../src/replication/receiver/index.ts';
import { registerOrder } from '../../src/replication/receiver/registry.ts';

const inMs = (ms: number) => ({
  deadline: instant(systemClock.now() + ms),
  signal: new AbortController().signal,
});
const receiving = (isOurs: boolean, pid = 4711): Receiving => ({
  process: { pid, startTime: '1' },
  dataset: 'tank/home',
  isOurs,
});

const parts = {
  clock: systemClock,
  endRegistered: async () => ({ kind: 'ended' as const, count: 0 }),
};

it.each([
  ['zfs receive -s -u -o readonly=on -o quorate:readonly=on tank/home', true],
  ['/usr/sbin/zfs recv -o quorate:readonly=on -o readonly=on tank/home@s1', true],
  ['zfs receive -s -u -o readonly=on tank/home', false],
  ['zfs receive -F tank', false],
  ['zfs receive -F tank2/home', null],
  ['zfs send tank/home', null],
  ['vim receive tank/home', null],
  ['', null],
])('"%s"', (line, isOurs) => {
  expect(readReceive(line.split(' '), 'tank')?.isOurs ?? null).toBe(isOurs);
});

it('our own are killed, all of them; one that stays is an error', async () => {
  const killed: number[] = [];
  const kill = async ({ pid }: { pid: number }) => killed.push(pid) > 0;
  const find = () => [receiving(true, 1), receiving(true, 2)];
  expect(await endReceives('tank', inMs(1000), { ...parts, find, kill })).toBe('ended 2 streams into it');
  expect(killed).toEqual([1, 2]);
  const stays = endReceives('tank', inMs(1000), { ...parts, find, kill: async () => false });
  await expect(stays).rejects.toMatchObject({ code: 'pool-receiving' });
});

it("somebody else's is named, and nothing is killed", async () => {
  const kill = () => Promise.reject(new Error('nobody is to be killed'));
  const find = () => [receiving(true, 1), receiving(false, 2)];
  const ending = endReceives('tank', inMs(1000), { ...parts, find, kill });
  await expect(ending).rejects.toThrow(/process 2 receives a stream into tank\/home, and it is not/);
});

it('on this host nothing runs into a pool that does not exist', async () => {
  expect(await endReceives('quorate-test-no-such-pool', inMs(1000), parts)).toBeNull();
});

it('an order of the replication that is under way is waited for, and one that does not end is an error', async () => {
  const order = await registerOrder(directory, { kind: 'prune', peer: 'a', epoch: 7 });
  const endRegistered = (deadline: Instant) => endRegisteredReceives(directory, deadline);
  const left = endReceives('tank', inMs(50), { ...parts, endRegistered, find: () => [] });
  await expect(left).rejects.toThrow(/has not come to its end here: \(prune/);
  let isOver = false;
  const ending = endReceives('tank', inMs(5000), { ...parts, endRegistered, find: () => [] });
  const end = systemClock.sleep(50).then(() => {
    isOver = true;
    return order.remove();
  });
  expect(await ending).toBeNull();
  expect(isOver).toBe(true);
  await end;
});

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-receives-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
