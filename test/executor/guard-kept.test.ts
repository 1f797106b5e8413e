/** The guard over a planned restart of the agent (L7). */
import { describe, expect, it, vi } from 'vitest';
import { epoch, instant, term } from '../../src/core/index.ts';

import { GuardBench as Bench, L, useVirtualTime, W } from './support/guard-bench.ts';

useVirtualTime();

describe('a planned restart of the agent (L7)', () => {
  const KEPT = 3_000;
  async function kept(): Promise<{ bench: Bench; until: number }> {
    const bench = new Bench();
    await bench.hold(7);
    const until = Date.now() + KEPT;
    bench.core.handOver(epoch(7), instant(until));
    bench.core.onAgentClosed();
    return { bench, until };
  }

  it('keeps everything and pets until the deadline, without an agent, and then releases', async () => {
    const { bench, until } = await kept();
    await vi.advanceTimersByTimeAsync(KEPT - 1);
    expect(bench.core.phase).toBe('tenure');
    expect(bench.pets.at(-1)).toBeGreaterThan(until - W);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.core.phase).toBe('releasing');
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.released).toMatchObject([{ epoch: 7, mode: 'abrupt' }]);
  });

  it('takes no renewal of who goes, and none of who has only come', async () => {
    const { bench } = await kept();
    await vi.advanceTimersByTimeAsync(KEPT - 100);
    bench.renew(7);
    bench.core.awaitAdoption(epoch(7));
    bench.renew(7);
    await vi.advanceTimersByTimeAsync(101);
    expect(bench.core.phase).toBe('releasing');
  });

  it('of more than ten seconds, of another epoch, or twice, is refused', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const at = (ms: number) => instant(Date.now() + ms);
    expect(() => bench.core.handOver(epoch(7), at(10_001))).toThrow(/more than 10000 ms/);
    expect(() => bench.core.handOver(epoch(6), at(2_000))).toThrow(/not held/);
    bench.core.handOver(epoch(7), at(2_000));
    expect(() => bench.core.handOver(epoch(7), at(9_000))).toThrow(/under way/);
  });

  it('bound: the new lease ends it long before the deadline, although nothing is adopted', async () => {
    const { bench } = await kept();
    bench.core.awaitAdoption(epoch(7));
    await bench.core.bind(epoch(7), term(3), instant(Date.now() + L));
    expect(bench.lease.until).toBeLessThanOrEqual(Date.now() + L);
    await vi.advanceTimersByTimeAsync(L + 1);
    expect(bench.core.phase).toBe('releasing');
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.released).toMatchObject([{ epoch: 7, term: 3 }]);
  });

  it('bound and renewed, but not adopted: the deadline stands', async () => {
    const { bench, until } = await kept();
    bench.core.awaitAdoption(epoch(7));
    await bench.core.bind(epoch(7), term(3), instant(Date.now() + L));
    while (Date.now() < until - 200) {
      await vi.advanceTimersByTimeAsync(100);
      bench.renew(7);
    }
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(201);
    expect(bench.core.phase).toBe('releasing');
  });

  it('adopted: renewals carry it past the deadline, and a lost one ends it', async () => {
    const { bench, until } = await kept();
    bench.core.awaitAdoption(epoch(7));
    await bench.core.bind(epoch(7), term(3), instant(Date.now() + L));
    bench.core.adopt(epoch(7), instant(Date.now() + L));
    while (Date.now() < until + 1_000) {
      await vi.advanceTimersByTimeAsync(100);
      bench.renew(7);
    }
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(L + 1);
    expect(bench.core.phase).toBe('releasing');
  });

  it('O1: whoever has come for it must not go', async () => {
    const { bench } = await kept();
    bench.core.awaitAdoption(epoch(7));
    bench.core.onAgentClosed();
    expect(bench.core.phase).toBe('releasing');
  });

  it('L8: a shorter lease, said meanwhile, does not bring its deadline forward: that is no lease', async () => {
    const { bench, until } = await kept();
    await vi.advanceTimersByTimeAsync(L);
    bench.setLease(L * 0.75);
    bench.core.awaitAdoption(epoch(7));
    bench.setLease(L / 2);
    await vi.advanceTimersByTimeAsync(until - Date.now() - 1);
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.core.phase).toBe('releasing');
  });

  it('T3: a suspend of the host ends it, however far away the deadline is', async () => {
    const { bench } = await kept();
    await vi.advanceTimersByTimeAsync(500);
    bench.bootMs += 60_000;
    await vi.advanceTimersByTimeAsync(500);
    expect(bench.core.phase).toBe('released');
    expect(bench.released).toMatchObject([{ epoch: 7 }]);
  });

  it('nothing that was not kept is bound or adopted', async () => {
    const bench = new Bench();
    await bench.hold(7);
    expect(() => bench.core.awaitAdoption(epoch(7))).toThrow(/not kept/);
    await expect(bench.core.bind(epoch(7), term(3), instant(Date.now() + L))).rejects.toThrow(/not kept/);
    expect(() => bench.core.adopt(epoch(7), instant(Date.now() + L))).toThrow(/not kept/);
  });
});
