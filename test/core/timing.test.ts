import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TimingInput } from '../../src/core/index.ts';
import { deriveTiming, leastPromiseMs } from '../../src/core/index.ts';
import { boot, newDisk } from '../support/core-under-test.ts';
import { pair } from '../support/virtual-cluster.ts';

const CALM: TimingInput = {
  heartbeatMs: 100,
  leaseMs: 400,
  releaseMs: 120,
  guardMs: 10,
  watchdogTimeoutMs: null,
  clockErrorRate: 0.005,
};

const timings: fc.Arbitrary<TimingInput> = fc
  .record({
    heartbeatMs: fc.integer({ min: 1, max: 5_000 }),
    beats: fc.integer({ min: 3, max: 20 }),
    releaseMs: fc.integer({ min: 1, max: 60_000 }),
    guardMs: fc.integer({ min: 1, max: 500 }),
    watchdogTimeoutMs: fc.option(fc.integer({ min: 1, max: 120_000 })),
    clockErrorRate: fc.double({ min: 0, max: 0.09, noNaN: true }),
  })
  .map(({ beats, ...rest }) => ({ ...rest, leaseMs: beats * rest.heartbeatMs }));

describe('L5: the promise', () => {
  test('for all valid inputs outlasts the lease and the release, and the watchdog, on the fastest and slowest clocks', () => {
    fc.assert(
      fc.property(timings, (input) => {
        const {
          leaseMs: L,
          guardMs: g,
          releaseMs: D,
          watchdogTimeoutMs: W,
          clockErrorRate: rho,
          heartbeatMs: H,
        } = input;
        const { promiseMs: P, watchdog } = deriveTiming(input);
        const slack = 1e-6 * P;
        // The voter's clock runs fast by ρ, the holder's slow by ρ: real times.
        expect(P / (1 + rho) + slack).toBeGreaterThanOrEqual((L + g + D) / (1 - rho));
        expect(watchdog === null).toBe(W === null);
        if (W === null) return;
        const G = watchdog?.petWindowMs ?? 0;
        expect(P / (1 + rho) + slack).toBeGreaterThanOrEqual((G + 2 * W) / (1 - rho));
        expect(G).toBeGreaterThanOrEqual(3 * H);
        expect(G + W).toBeGreaterThanOrEqual(L + 2 * g + D);
        // Derived, so no longer than it must be.
        expect(G === 3 * H || G === L + 2 * g + D - W).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('is exactly k·(L+g+D) without a watchdog and k·max(L+g+D, G+2W) with one', () => {
    const k = 1.005 / 0.995;
    expect(deriveTiming(CALM).promiseMs).toBeCloseTo(k * 530, 9);
    expect(deriveTiming({ ...CALM, watchdogTimeoutMs: 100 })).toMatchObject({
      watchdog: { timeoutMs: 100, petWindowMs: 440 },
      promiseMs: k * 640,
    });
    expect(deriveTiming({ ...CALM, watchdogTimeoutMs: 1_000 })).toMatchObject({
      watchdog: { petWindowMs: 300 },
      promiseMs: k * 2_300,
    });
    expect(
      deriveTiming({ ...CALM, releaseMs: 5_000, watchdogTimeoutMs: 1_000, petWindowMs: 4_500 }).promiseMs,
    ).toBeCloseTo(k * 6_500, 9);
  });

  test('may be longer than derived, never shorter', () => {
    fc.assert(
      fc.property(timings, fc.double({ min: 1.001, max: 10, noNaN: true }), (input, factor) => {
        const least = leastPromiseMs(input);
        expect(deriveTiming({ ...input, promiseMs: least * factor }).promiseMs).toBe(least * factor);
        expect(() => deriveTiming({ ...input, promiseMs: least / factor })).toThrow('too short');
      }),
    );
  });

  test.each([
    ['L ≥ 3H', { leaseMs: 299 }],
    ['G ≥ 3H', { watchdogTimeoutMs: 1_000, petWindowMs: 299 }],
    ['G + W ≥ L + 2g + D', { watchdogTimeoutMs: 200, petWindowMs: 339 }],
    ['release', { releaseMs: 0 }],
    ['heartbeat', { heartbeatMs: Number.NaN }],
    ['watchdog', { watchdogTimeoutMs: -1 }],
    ['lease', { leaseMs: Number.POSITIVE_INFINITY }],
    ['clock error', { clockErrorRate: 0.1 }],
    ['clock error', { clockErrorRate: -0.001 }],
  ])('names the broken bound: %s', (what, change) => {
    expect(() => deriveTiming({ ...CALM, ...change })).toThrow(what);
  });

  test('the bounds themselves are allowed', () => {
    for (const change of [
      { leaseMs: 300 },
      { watchdogTimeoutMs: 1_000, petWindowMs: 300 },
      { watchdogTimeoutMs: 200, petWindowMs: 340 },
    ])
      expect(() => deriveTiming({ ...CALM, ...change })).not.toThrow();
  });

  test.each([
    { leaseMs: 299 },
    { watchdog: { timeoutMs: 1_000, petWindowMs: 299 } },
    { watchdog: { timeoutMs: 200, petWindowMs: 339 } },
  ])('boot throws for %o', (change) => {
    expect(() => boot('a', pair(change), newDisk(), 0)).toThrow(RangeError);
  });

  test('boot takes the watchdog into the promise', () => {
    const config = pair({ watchdog: { timeoutMs: 1_000, petWindowMs: 440 } });
    const seen = boot('a', config, newDisk(), 0).observe();
    expect(seen.promiseMs).toBeCloseTo((1.005 / 0.995) * 2_440, 9);
    expect(seen.promiseUntilMs).toBe(seen.promiseMs);
  });
});
