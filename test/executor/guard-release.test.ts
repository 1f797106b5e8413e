/** The guard's releases: what counts as released, how long one may take, and how long it took. */
import { describe, expect, it, vi } from 'vitest';
import { durationMs, epoch, instant } from '../../src/core/index.ts';

import { GuardBench as Bench, D, L, timingOf, useVirtualTime, W } from './support/guard-bench.ts';

useVirtualTime();

describe('release', () => {
  it('R2: unknown is not released: it goes on until everything reads not-held', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.state = 'unknown';
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D - 100);
    expect(bench.released).toEqual([]);
    bench.block.state = 'not-held';
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.released).toHaveLength(1);
  });

  it('O1: nothing counts as released while a command is in flight that cannot be killed', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.inFlightIsGone = false;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(800);
    expect(bench.block.state).toBe('not-held');
    expect(bench.released).toEqual([]);
    bench.inFlightIsGone = true;
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.released).toHaveLength(1);
  });

  it('R1, L8: a release that began under the longer D of the file is measured by that of the cluster', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2 }, W, false);
    bench.store.state = 'held';
    bench.store.releaseMs = Number.POSITIVE_INFINITY;
    void bench.core.verify('the executor starts');
    await vi.advanceTimersByTimeAsync(D / 4);
    bench.core.setTiming({ ...timingOf(L), releaseMs: durationMs(D / 2) });
    await vi.advanceTimersByTimeAsync(D / 4 - 1);
    expect(bench.fences).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.fences).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(D);
    expect(bench.fences).toHaveLength(1);
  });

  it('L8: a shorter D, ordered while a release runs, does not fence whoever began under the longer one', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.store.releaseMs = Number.POSITIVE_INFINITY;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D / 2);
    bench.core.setTiming({ ...timingOf(L), releaseMs: durationMs(D / 4) });
    await vi.advanceTimersByTimeAsync(D / 2 - 1);
    expect(bench.fences).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.fences).toHaveLength(1);
  });

  it('R1: what outlives D fences and stops the petting, though the lease was fresh', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = Number.POSITIVE_INFINITY;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D - 1);
    expect(bench.fences).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.fences).toHaveLength(1);
    expect(bench.core.mayPet(instant(Date.now()))).toBe(false);
    expect(bench.released).toEqual([]);
  });

  it('R1: a host that was reset since is not reset again: a look that takes longer than D would never end', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isOfEarlierBoot: true });
    bench.store.state = 'held';
    bench.store.releaseMs = 3 * D;
    const released = bench.core.verify('the executor starts');
    await vi.advanceTimersByTimeAsync(2 * D);
    expect(bench.fences).toEqual([]);
    // L3: nor does it vote for anybody before that is over.
    expect(bench.released).toEqual([]);
    expect(bench.core.mayPet(instant(Date.now()))).toBe(false);
    await vi.advanceTimersByTimeAsync(2 * D);
    expect(await released).toMatchObject({ epoch: 7 });
  });

  it.each([true, false])(
    'R2: what an executor that died in its tenure has begun is stopped, also where nothing is seen of it yet (of an earlier boot: %s)',
    async (isOfEarlierBoot) => {
      const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isOfEarlierBoot });
      void bench.core.verify('the executor starts');
      await vi.advanceTimersByTimeAsync(100);
      expect(bench.released).toHaveLength(1);
      // The host's start has ended everything.
      expect(bench.journal.includes('release store')).toBe(!isOfEarlierBoot);
    },
  );

  it('R1: one whose executor alone has started again is', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isOfEarlierBoot: false });
    bench.store.state = 'held';
    bench.store.releaseMs = 3 * D;
    void bench.core.verify('the executor starts');
    await vi.advanceTimersByTimeAsync(2 * D);
    expect(bench.fences).toHaveLength(1);
  });

  it('R1: a planned release has until D after the end of the lease, which goes on meanwhile', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.state = 'unknown';
    void bench.core.finish(epoch(7));
    for (let at = 0; at < 3000; at += 100) {
      bench.renew(7);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(bench.fences).toEqual([]);
    expect(bench.core.mayPet(instant(Date.now()))).toBe(true);
    await vi.advanceTimersByTimeAsync(L + D);
    expect(bench.fences).toHaveLength(1);
  });
});

describe('D is measured (R1)', () => {
  const near = (bench: Bench): unknown[] =>
    bench.reports.flatMap((report) =>
      report.kind === 'log' && report.fields.event === 'release-near-budget' ? [report.fields] : [],
    );

  it('every release says how long it took, in the evidence that the log keeps', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const releasing = bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(100);
    // Two resources after each other, 10 ms each.
    expect((await releasing).evidence).toBe(
      'block: reads not-held (released); store: reads not-held (released); 20 ms of D 1000 ms',
    );
    expect((await releasing).findings).toEqual([
      { name: 'block', detail: 'reads not-held', action: 'released' },
      { name: 'store', detail: 'reads not-held', action: 'released' },
    ]);
    expect(near(bench)).toEqual([]);
  });

  it('an abrupt one that took more than 70 % of D is a warning, with the advice', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = 0.7 * D;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D);
    expect(near(bench)).toMatchObject([
      { epoch: 7, ms: 710, limitMs: D, advice: expect.stringContaining('timing.release') },
    ]);
  });

  it('a planned one runs under its lease: D does not bound it', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = 0.9 * D;
    const finishing = bench.core.finish(epoch(7));
    await vi.advanceTimersByTimeAsync(D);
    expect((await finishing).evidence).toMatch(/; verified in 910 ms \(D 1000 ms\)$/);
    expect(near(bench)).toEqual([]);
  });
});
