/** The guard's core: when a lease ends, and which orders are refused. */
import { describe, expect, it, vi } from 'vitest';
import { epoch, instant, term } from '../../src/core/index.ts';

import { GuardBench as Bench, L, useVirtualTime } from './support/guard-bench.ts';

useVirtualTime();

describe('lease', () => {
  it('L8: a lease that becomes shorter ends at its new end, counted from the same round; a longer one only with the next round', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await vi.advanceTimersByTimeAsync(100);
    bench.setLease(300);
    expect(bench.lease.isValid(epoch(7), instant(Date.now() + 199))).toBe(true);
    expect(bench.lease.isValid(epoch(7), instant(Date.now() + 201))).toBe(false);
    await vi.advanceTimersByTimeAsync(198);
    expect(bench.core.phase).toBe('tenure');
    bench.setLease(900);
    await vi.advanceTimersByTimeAsync(4);
    expect(bench.core.phase).toBe('releasing');
  });

  it('T4: releases by itself at the deadline: users before the block role, then verifies, then tells', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await vi.advanceTimersByTimeAsync(L - 1);
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.core.phase).toBe('releasing');
    expect(bench.core.mayAct(epoch(7))).toBe(false);
    expect(bench.lease.isValid(epoch(7), instant(Date.now()))).toBe(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.journal.slice(0, 6)).toEqual([
      'kill in flight',
      'release store',
      'release block',
      // What the round itself has started, and once more after everything was read.
      'kill in flight',
      'kill in flight',
      'durable {"releasedEpoch":7,"begunEpoch":7}',
    ]);
    expect(bench.released).toMatchObject([{ epoch: 7, term: 2, mode: 'abrupt' }]);
    expect(bench.released[0]?.evidence).toContain('block: reads not-held');
  });

  it('T4: a renewal moves the deadline; one of another epoch does not', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await vi.advanceTimersByTimeAsync(500);
    bench.renew(7);
    await vi.advanceTimersByTimeAsync(500);
    expect(bench.core.phase).toBe('tenure');
    bench.renew(6);
    bench.renew(8);
    await vi.advanceTimersByTimeAsync(101);
    expect(bench.core.phase).toBe('releasing');
  });

  it('T2: a renewal that is read after the deadline revives nothing', async () => {
    const bench = new Bench();
    await bench.hold(7);
    // The process was stopped: the clock went on, no timer ran.
    vi.setSystemTime(Date.now() + L + 50);
    bench.renew(7);
    expect(bench.core.phase).toBe('releasing');
    bench.renew(7);
    expect(bench.core.mayAct(epoch(7))).toBe(false);
  });

  it('L1: an until further away than L counts as L', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.core.renew(epoch(7), instant(Date.now() + 1_000_000));
    await vi.advanceTimersByTimeAsync(L + 1);
    expect(bench.core.phase).toBe('releasing');
  });

  it('a renewal may come before the order that it belongs to', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    const until = instant(Date.now() + 100);
    await vi.advanceTimersByTimeAsync(50);
    bench.renew(7);
    await bench.core.begin(epoch(7), term(2), until);
    await vi.advanceTimersByTimeAsync(400);
    expect(bench.core.phase).toBe('tenure');
  });

  it('T3: two readings more than 50 ms apart void the lease', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.bootMs = 45;
    bench.renew(7);
    expect(bench.core.phase).toBe('tenure');
    bench.bootMs = 60;
    bench.renew(7);
    expect(bench.core.phase).toBe('releasing');
    // L5: what was confirmed before is as void, however new it looks by the clock that stood still.
    expect(bench.core.mayPet(instant(Date.now()))).toBe(false);
  });
});

describe('orders', () => {
  it('O1: before the first verified release nothing may begin', async () => {
    const bench = new Bench();
    await expect(bench.core.begin(epoch(7), term(2), instant(Date.now() + L))).rejects.toThrow(/unverified/);
  });

  it('T3: an order whose lease was confirmed before the host was suspended is refused', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    const until = instant(Date.now() + L - 20);
    bench.bootMs = 5_000;
    await expect(bench.core.begin(epoch(7), term(2), until)).rejects.toThrow(/suspended/);
    await vi.advanceTimersByTimeAsync(10);
    await bench.core.begin(epoch(8), term(3), instant(Date.now() + L));
    expect(bench.core.phase).toBe('tenure');
  });

  it('O1: an order past its deadline is refused', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    await expect(bench.core.begin(epoch(7), term(2), instant(Date.now() - 1))).rejects.toThrow(
      /ended 1 ms ago/,
    );
  });

  it('H2: with a required watchdog nothing begins unarmed', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await expect(bench.core.begin(epoch(7), term(2), instant(Date.now() + L))).rejects.toThrow(/watchdog/);
  });

  it('R2: a released epoch and all older ones are dead, also for the next executor', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const releasing = bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(100);
    await releasing;
    for (const next of [bench, new Bench(bench.state)]) {
      void next.core.verify('test');
      await vi.advanceTimersByTimeAsync(100);
      await next.core.arm();
      for (const dead of [5, 7]) {
        await expect(next.core.begin(epoch(dead), term(2), instant(Date.now() + L))).rejects.toThrow(/dead/);
      }
    }
  });

  it('O1: an epoch that a predecessor had begun is released and dead for its successor', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2 });
    bench.block.state = 'held';
    const verifying = bench.core.verify('start');
    await vi.advanceTimersByTimeAsync(100);
    expect(await verifying).toMatchObject({ epoch: 7, term: 2 });
    expect(bench.journal).toContain('kill leftovers');
    expect(bench.journal).toContain('release block');
    expect(bench.state.releasedEpoch).toBe(7);
  });

  it('a release of an epoch that never began makes it dead', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    expect(await bench.core.abrupt(epoch(9), 'test')).toMatchObject({ epoch: 9, isRepeat: true });
    await bench.core.arm();
    await expect(bench.core.begin(epoch(9), term(2), instant(Date.now() + L))).rejects.toThrow(/dead/);
  });

  it('a release that is ordered twice happens once', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const both = Promise.all([bench.core.abrupt(epoch(7), 'one'), bench.core.abrupt(null, 'two')]);
    await vi.advanceTimersByTimeAsync(100);
    const [one, two] = await both;
    expect(one).toBe(two);
    expect(bench.journal.filter((line) => line === 'release block')).toHaveLength(1);
  });
});
