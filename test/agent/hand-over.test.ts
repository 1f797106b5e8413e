/** SIGTERM: whoever is told to end hands over, also when that is refused at first. */
import { expect, it } from 'vitest';
import { handOver } from '../../src/agent/hand-over.ts';
import { type Input, nodeId } from '../../src/core/index.ts';
import { Cluster } from '../simulation/cluster.ts';
import { SHAPES } from '../simulation/profiles.ts';

/** Time passes only where it is waited for. */
function bench(answers: (string | null)[], onTaken = (): void => {}, onPassed = (_now: number): void => {}) {
  let now = 0;
  const asked: { at: number; input: Extract<Input, { kind: 'transfer' }> }[] = [];
  const leadership: { transfer: object | null; renounced: boolean } = { transfer: null, renounced: false };
  const view = { role: { kind: 'leader' }, hard: { term: 3 }, hold: { kind: 'held' }, leadership };
  const driver = {
    view,
    transfer: (input: Extract<Input, { kind: 'transfer' }>) => {
      asked.push({ at: now, input });
      const answer = answers.length > 0 ? answers.shift() : null;
      if (answer === null) onTaken();
      return answer ?? null;
    },
  };
  const until = async (isDone: () => boolean, limitMs: number) => {
    if (!isDone()) now += limitMs;
    onPassed(now);
    return isDone();
  };
  const run = (limitMs: number) =>
    handOver({ driver: driver as never, clock: { now: () => now as never }, until, limitMs });
  return { view, asked, run };
}

it('is asked again where it was refused, until it is taken', async () => {
  const one = bench(['it is just being adopted (L7)', 'it is just being adopted (L7)'], () => {
    one.view.role.kind = 'follower';
    one.view.hold.kind = 'none';
  });
  expect(await one.run(20_000)).toEqual({ hasLed: true, isReleased: true });
  expect(one.asked.map(({ at }) => at)).toEqual([0, 100, 200]);
});

it('is not repeated in the term that has taken it: a leader that has renounced would leave at once', async () => {
  const one = bench([]);
  expect(await one.run(1_000)).toEqual({ hasLed: true, isReleased: false });
  expect(one.asked.length).toBe(1);
});

it('is asked anew in a later term, and ends with its deadline', async () => {
  const one = bench([null, 'no', 'no'], () => {
    one.view.hard.term += 1;
  });
  expect(await one.run(350)).toEqual({ hasLed: true, isReleased: false });
  expect(one.asked.length).toBe(5);
});

it('waits for the end of a transfer that somebody else has ordered: repeated, it would have nobody to hand over to', async () => {
  const handedOver = bench([], undefined, (now) => {
    handedOver.view.leadership.renounced = now >= 300;
    if (now >= 500) Object.assign(handedOver.view, { role: { kind: 'follower' }, hold: { kind: 'none' } });
  });
  handedOver.view.leadership.transfer = { to: 'b' };
  expect(await handedOver.run(20_000)).toEqual({ hasLed: true, isReleased: true });
  expect(handedOver.asked).toEqual([]);

  const givenUp = bench([], undefined, (now) => {
    if (now >= 300) givenUp.view.leadership.transfer = null;
  });
  givenUp.view.leadership.transfer = { to: 'b' };
  expect(await givenUp.run(1_000)).toMatchObject({ isReleased: false });
  expect(givenUp.asked.map(({ at }) => at)).toEqual([300]);
});

it('SIGTERM during a switchover leaves it its target, also over slow lines', async () => {
  for (const seed of [11, 12, 13, 14]) {
    const cluster = new Cluster(seed, SHAPES.mirror, { delayMs: [0.2, 2], loss: 0, duplicate: 0 });
    const until = async (isSo: () => boolean) =>
      expect(await cluster.world.runUntil(isSo, 60_000, 1)).toBe(true);
    expect(await cluster.begin()).toBe(true);
    await until(() => cluster.whatIsMissing() === null);
    const from = cluster.holders.join();
    const to = from === 'a' ? 'b' : 'a';
    cluster.network.slow(to, from, 20_000, [60, 90]);
    cluster.node(from).switchover(nodeId(to));
    await until(() => cluster.node(from).view?.hold.kind === 'releasing');
    cluster.node(from).shutdownAgent();
    await until(() => cluster.holders.join() === to);
    expect(cluster.world.marks.has('stepped-down-no-successor')).toBe(false);
  }
});

it('L7: SIGTERM during an adoption hands over as soon as that has ended, in order', async () => {
  const cluster = new Cluster(11, SHAPES.mirror, { delayMs: [0.2, 2], loss: 0, duplicate: 0 });
  const until = async (isSo: () => boolean) =>
    expect(await cluster.world.runUntil(isSo, 60_000, 1)).toBe(true);
  expect(await cluster.begin()).toBe(true);
  await until(() => cluster.whatIsMissing() === null);
  const from = cluster.holders.join();
  const node = cluster.node(from);
  node.restart(null);
  await until(() => node.view?.hold.kind === 'adopting');
  node.shutdownAgent();
  const began = cluster.world.now;
  await until(() => cluster.holders.length === 1 && cluster.holders.join() !== from);
  // Far from the 20 s after which it would be left to the executor's abrupt plan.
  expect(cluster.world.now - began).toBeLessThan(8_000);
  const released = cluster.consensus.committed
    .map(({ body }) => body)
    .filter(({ kind }) => kind === 'tenure-released');
  expect(released).toMatchObject([{ node: from, reason: 'shutdown' }]);
  expect(cluster.consensus.committed.some(({ body }) => body.kind === 'tenure-adopted')).toBe(true);
});
