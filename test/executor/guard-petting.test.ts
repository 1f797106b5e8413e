/** The guard and its watchdog: while it is petted, and when it may be closed. */
import { describe, expect, it, vi } from 'vitest';
import { epoch } from '../../src/core/index.ts';

import { GuardBench as Bench, D, L, useVirtualTime, W } from './support/guard-bench.ts';

useVirtualTime();

describe('watchdog', () => {
  it('L5: is petted while the newest confirmation is younger than G, release or not', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = 5000;
    const G = L + 2 * 25 + D - W;
    const confirmedAt = Date.now();
    await vi.advanceTimersByTimeAsync(G + 500);
    const last = bench.pets.at(-1) ?? 0;
    expect(last).toBeLessThan(confirmedAt + G);
    expect(last).toBeGreaterThan(confirmedAt + G - W / 2);
  });

  it('R1: is closed in order only after the verified release', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.store.state = 'unknown';
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(800);
    expect(bench.isArmed).toBe(true);
    bench.store.state = 'not-held';
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.isArmed).toBe(false);
    expect(bench.journal.indexOf('disarm')).toBeGreaterThan(bench.journal.lastIndexOf('release block'));
    expect(bench.state.isArmed).toBe(false);
  });

  it('L5: one that fires later than the promise allows for is not armed', async () => {
    const bench = new Bench({}, W + 1);
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await expect(bench.core.arm()).rejects.toThrow(/fires after 401 ms/);
    expect(bench.isArmed).toBe(false);
  });

  it('is petted while armed and nothing is held', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    await vi.advanceTimersByTimeAsync(5000);
    expect(Date.now() - (bench.pets.at(-1) ?? 0)).toBeLessThanOrEqual(W / 2);
    await bench.core.disarm();
    expect(bench.isArmed).toBe(false);
  });

  it('one that is not known to be disarmed by its close is closed once, at the end, where nothing is held', async () => {
    const bench = new Bench();
    bench.canDisarm = false;
    await bench.hold(7);
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(2000);
    expect([bench.isArmed, bench.journal.includes('disarm')]).toEqual([true, false]);
    bench.core.close();
    await vi.advanceTimersByTimeAsync(1);
    expect(bench.isArmed).toBe(false);
  });

  it('R1: at the end one stays armed where something may be held', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.core.close();
    await vi.advanceTimersByTimeAsync(1);
    expect(bench.isArmed).toBe(true);
  });

  it('R1: is not closed while something is held, whoever asks', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await bench.core.disarm();
    expect(bench.isArmed).toBe(true);
  });

  it('O1: one that a dead predecessor left ticking is closed once everything is verified', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isArmed: true });
    void bench.core.verify('start');
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.journal).toContain('disarm');
    expect(bench.state.isArmed).toBe(false);
  });

  it('two who ask for it to be closed both wait until it is', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isArmed: true });
    // Long enough that the second asks while the first has not opened it yet.
    bench.openMs = 40;
    const verifying = bench.core.verify('start');
    await vi.advanceTimersByTimeAsync(20);
    await verifying;
    const closing = bench.core.disarm().then(() => bench.isArmed);
    await vi.advanceTimersByTimeAsync(200);
    expect(await closing).toBe(false);
    expect(bench.journal.filter((line) => line === 'disarm')).toHaveLength(1);
    expect(bench.state.isArmed).toBe(false);
  });

  it('losing the device ends the tenure', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.lose('unplugged');
    expect(bench.core.phase).toBe('releasing');
  });
});
