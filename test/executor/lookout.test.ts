/** H6: failures while a tenure holds. */
import { describe, expect, it, vi } from 'vitest';
import { epoch, instant } from '../../src/core/index.ts';
import type { SentEvent } from '../../src/executor/protocol.ts';
import { Bench, useVirtualTime } from './support/executor-bench.ts';

useVirtualTime();

describe('H6: failures', () => {
  /** Half a minute of a tenure whose resources never stay, although every repair says that it has worked. */
  async function inVain(bench: Bench): Promise<Extract<SentEvent, { kind: 'repair-failed' }>[]> {
    await bench.hello();
    bench.guard.probe = 'unknown';
    await bench.take(7, instant(Date.now() + 600_000));
    for (let second = 0; second < 30; second += 1) {
      bench.lease.set(epoch(7), instant(Date.now() + 2000), 0);
      await vi.advanceTimersByTimeAsync(1000);
      bench.guard.probe = bench.isBlockLost ? 'not-held' : 'held';
    }
    return bench.events.filter((event) => event.kind === 'repair-failed');
  }

  it('what is lost in spite of its repairs is reported, and repaired on', async () => {
    const bench = new Bench();
    bench.isBlockLost = true;
    const reports = await inVain(bench);
    expect(reports[0]).toMatchObject({ epoch: 7, name: 'block', count: 3, why: 'acquired' });
    // The takeover's own, three repairs in vain, and one at least after each report.
    const acquires = bench.guard.ops().filter((op) => op === 'acquire block').length;
    expect(acquires).toBeGreaterThanOrEqual(4 + reports.length - 1);
    expect(bench.kinds()).not.toContain('released');
  });

  it('complaint 1: what the cloud does not keep, or shows late, is repaired on and reported to nobody', async () => {
    const bench = new Bench();
    bench.address.isStubborn = true;
    expect(await inVain(bench)).toEqual([]);
    expect(bench.address.acquires.length).toBeGreaterThan(4);
  });

  it.each([
    ['cloud-throttled', true],
    ['cloud-unreachable', true],
    ['cloud-refused', false],
  ] as const)('a takeover that the cloud fails with %s may pass: %s', async (code, mayPass) => {
    const bench = new Bench();
    await bench.hello();
    bench.address.refusal = code;
    await bench.take(7, instant(Date.now() + 60_000));
    expect(bench.events.find(({ kind }) => kind === 'take-failed')).toMatchObject({ step: 'eip', mayPass });
  });

  it('a failed takeover that is kept is completed by the reconcile loop', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.guard.failures.set('acquire', 'no data');
    await bench.take(7, instant(Date.now() + 60_000));
    expect(bench.kinds()).toContain('take-failed');
    await vi.advanceTimersByTimeAsync(5000);
    const before = bench.guard.ops().filter((op) => op === 'acquire block').length;
    expect(before).toBe(1);
    bench.guard.failures.clear();
    bench.executor.onOrder({ kind: 'keep', epoch: epoch(7) });
    await vi.advanceTimersByTimeAsync(5000);
    expect(bench.guard.ops().filter((op) => op === 'acquire block').length).toBeGreaterThan(before);
    expect(bench.address.state).toBe('held');
  });

  it('an order to keep another tenure keeps nothing', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.guard.failures.set('acquire', 'no data');
    await bench.take(7, instant(Date.now() + 60_000));
    bench.guard.failures.clear();
    bench.executor.onOrder({ kind: 'keep', epoch: epoch(6) });
    await vi.advanceTimersByTimeAsync(5000);
    expect(bench.guard.ops().filter((op) => op === 'acquire block')).toHaveLength(1);
  });
});
