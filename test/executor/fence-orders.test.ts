/** R5: who is stopped when, and what counts as stopped. */
import { expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { instant, nodeId } from '../../src/core/index.ts';
import { FenceOrders, type FenceOutcome, type NodeFencer } from '../../src/executor/fence-orders.ts';
import type { ActionContext } from '../../src/resources/index.ts';

class Bench {
  nowMs = 1000;
  suspendedMs = 0;
  mayMutate: () => boolean = () => false;
  readonly running: {
    context: ActionContext;
    end: (outcome: FenceOutcome) => void;
    fail: (error: Error) => void;
  }[] = [];
  readonly orders: FenceOrders;

  constructor(hasFencer = true) {
    const clock: Clock = {
      now: () => instant(this.nowMs),
      wallMs: () => 0,
      after: () => ({ cancel: () => undefined }),
      sleep: async () => undefined,
    };
    const fencer: NodeFencer = {
      fence: (_node, context) =>
        new Promise((end, fail) => {
          this.running.push({ context, end, fail });
        }),
    };
    this.orders = new FenceOrders({
      clock,
      bootMs: () => this.nowMs + this.suspendedMs,
      fencer: (mayMutate) => {
        this.mayMutate = mayMutate;
        return hasFencer ? fencer : null;
      },
    });
  }

  fence(until: number) {
    return this.orders.fence({ node: nodeId('a'), until: instant(until), confirmedAt: instant(until - 400) });
  }
}

it('the cloud may be told to stop it only while the one who ordered it leads', async () => {
  const bench = new Bench();
  expect(bench.mayMutate()).toBe(false);
  void bench.fence(1400);
  expect(bench.mayMutate()).toBe(true);
  bench.nowMs = 1399;
  expect(bench.mayMutate()).toBe(true);
  bench.nowMs = 1400;
  expect(bench.mayMutate()).toBe(false);
});

it('T3: and not after a suspend, however much of the lease the clock says is left', () => {
  const bench = new Bench();
  void bench.fence(1400);
  bench.suspendedMs = 60_000;
  expect(bench.mayMutate()).toBe(false);
});

it('T3: nor one that was given before a suspend and came after it', () => {
  const bench = new Bench();
  bench.nowMs = 1100;
  bench.suspendedMs = 60_000;
  void bench.fence(1400);
  expect(bench.mayMutate()).toBe(false);
  // A round that was sent after it counts.
  bench.nowMs = 1200;
  void bench.fence(1550);
  expect(bench.mayMutate()).toBe(true);
});

it('the end of the agent that gave it calls it off', () => {
  const bench = new Bench();
  void bench.fence(1400);
  bench.orders.callOff();
  expect(bench.running[0]?.context.signal.aborted).toBe(true);
  expect(bench.mayMutate()).toBe(false);
});

it.each(['stopped', 'terminated'] as const)('%s is confirmed', async (state) => {
  const bench = new Bench();
  const ended = bench.fence(1400);
  bench.nowMs = 31_000;
  bench.running[0]?.end({ kind: 'confirmed', state, ms: 30_000 });
  expect(await ended).toEqual({ outcome: state, detail: `a is ${state}`, ms: 30_000 });
});

it('everything else is not: an answer, and an error', async () => {
  const bench = new Bench();
  const first = bench.fence(1400);
  bench.running[0]?.end({ kind: 'unconfirmed', why: 'still stopping after 300 s' });
  expect(await first).toMatchObject({ outcome: 'unconfirmed', detail: 'still stopping after 300 s' });
  const second = bench.fence(1400);
  bench.running[1]?.fail(new Error('no credentials'));
  expect(await second).toMatchObject({ outcome: 'unconfirmed', detail: 'no credentials' });
});

it('a new order calls the old one off', () => {
  const bench = new Bench();
  void bench.fence(1400);
  void bench.fence(1500);
  expect(bench.running.map(({ context }) => context.signal.aborted)).toEqual([true, false]);
});

it('without instances there is nothing to stop, and that is said', async () => {
  expect(await new Bench(false).fence(1400)).toMatchObject({
    outcome: 'unconfirmed',
    detail: expect.stringContaining('fencing.instances'),
  });
});
