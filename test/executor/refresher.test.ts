/** What a holder repeats: how often, and only as long as it holds. */
import { expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { epoch, instant } from '../../src/core/index.ts';
import type { GuardOrder } from '../../src/executor/guard-protocol.ts';
import type { Guard } from '../../src/executor/guard-proxy.ts';
import { Refresher } from '../../src/executor/refresher.ts';
import type { Refreshed } from '../../src/resources/index.ts';

class Bench {
  nowMs = 0;
  readonly asked: number[] = [];
  readonly events: unknown[] = [];
  answer: Refreshed = { outcome: 'well', said: 'announced' };
  troubles = 0;
  readonly refresher: Refresher;

  constructor() {
    const clock: Clock = {
      now: () => instant(this.nowMs),
      wallMs: () => 0,
      after: () => ({ cancel: () => undefined }),
      sleep: async () => undefined,
    };
    const guard = {
      ask: async (order: GuardOrder) => {
        if (order.op === 'refresh') this.asked.push(this.nowMs);
        return this.answer;
      },
    } as unknown as Guard;
    this.refresher = new Refresher({
      graph: [
        { name: 'vip', kind: 'virtual-ip' },
        { name: 'nfs', kind: 'service' },
      ],
      guard,
      clock,
      onTrouble: () => {
        this.troubles += 1;
      },
      log: (_, { event }) => this.events.push(event),
    });
  }

  async run(seconds: number, held: number | null): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      this.refresher.look(held === null ? null : epoch(held));
      // The guard's answer.
      await new Promise((resolve) => setImmediate(resolve));
      this.nowMs += 1000;
    }
  }
}

it('every second for 40 s, then every ten, and afresh in the next tenure', async () => {
  const bench = new Bench();
  await bench.run(40, 7);
  expect(bench.asked).toHaveLength(40);
  await bench.run(60, 7);
  expect(bench.asked.length).toBeGreaterThanOrEqual(45);
  expect(bench.asked.length).toBeLessThanOrEqual(47);
  bench.asked.length = 0;
  await bench.run(5, 9);
  expect(bench.asked.length).toBeGreaterThanOrEqual(1);
  await bench.run(10, 9);
  expect(bench.asked.length).toBeGreaterThanOrEqual(10);
});

it('not while nothing is held', async () => {
  const bench = new Bench();
  await bench.run(20, null);
  expect(bench.asked).toEqual([]);
});

it('at once while somebody else answers for it; the conflict and its end are told once', async () => {
  const bench = new Bench();
  await bench.run(100, 7);
  bench.asked.length = 0;
  bench.answer = { outcome: 'trouble', said: '02:00:00:00:00:01 answers for 10.0.0.50' };
  await bench.run(20, 7);
  expect(bench.asked.length).toBeGreaterThanOrEqual(10);
  bench.answer = { outcome: 'unclear', said: 'asked' };
  await bench.run(20, 7);
  expect(bench.events).toEqual(['trouble']);
  bench.answer = { outcome: 'well', said: 'announced' };
  await bench.run(20, 7);
  expect(bench.events).toEqual(['trouble', 'trouble-ended']);
  expect(bench.troubles).toBe(2);
});
