/** Advice on timing: keep what fits, longer where something does not, shorter only where it is safe and worth it (L5). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveTiming, durationMs, leastPromiseMs } from '../../src/core/index.ts';
import { type AdviceInput, adviseTiming } from '../../src/doctor/advice.ts';
import type { Measurement } from '../../src/doctor/report.ts';
import { summaryOf } from '../../src/doctor/statistics.ts';
import { configOf } from './support.ts';

const { timing } = configOf();
const trips = (...ms: readonly number[]): Measurement => ({ kind: 'round-trips', over: 'agent', ms });
const syncs = (...ms: readonly number[]): Measurement => ({ kind: 'syncs', ms });
const releases = (...ms: readonly number[]): Measurement => ({ kind: 'releases', ms });
const takeovers = (...ms: readonly number[]): Measurement => ({ kind: 'takeovers', ms });
const FAST = [trips(0.4, 0.5, 0.6), syncs(1, 2)];

const advise = (measured: readonly Measurement[], change: Partial<AdviceInput> = {}) =>
  adviseTiming({
    inForce: null,
    config: timing,
    watchdog: { mode: 'off', timeoutMs: null },
    measured,
    ...change,
  });
const withTiming = (change: object): Partial<AdviceInput> => ({ config: { ...timing, ...change } });

describe('keep', () => {
  it('says what fits, and what an outage costs', () => {
    expect(advise([...FAST, releases(300), takeovers(40, 50, 60)])).toMatchObject({
      verdict: 'keep',
      proposed: null,
      current: {
        heartbeatMs: 100,
        leaseMs: 600,
        releaseMs: 1000,
        promiseMs: 1642,
        outageMs: 1642 + 100 + 50,
      },
      measured: { roundTrip: { count: 3 }, sync: { max: 2 }, release: { max: 300 }, takeover: { p50: 50 } },
    });
  });

  it('says that D is a guess where no release was measured', () => {
    expect(advise(FAST)?.reasons.join(' ')).toContain('no abrupt release was measured yet');
  });

  it('says that the watchdog decides, where it does', () => {
    const advice = advise([...FAST, { kind: 'watchdog', timeoutMs: 1000 }], {
      watchdog: { mode: 'required', timeoutMs: null },
    });
    expect(advice?.current.promiseMs).toBe(2677);
    expect(advice?.reasons.join(' ')).toContain("the watchdog's 1000 ms decides");
  });

  it("takes the agents' round trips before those of TCP", () => {
    const advice = advise([{ kind: 'round-trips', over: 'tcp', ms: [0.1] }, trips(5)]);
    expect(advice?.measured.roundTrip?.max).toBe(5);
  });
});

describe('longer', () => {
  it('a heartbeat that asks again before the answer is there', () => {
    const advice = advise([trips(80, 80, 80), syncs(1)]);
    expect(advice).toMatchObject({ verdict: 'change', proposed: { heartbeatMs: 320, leaseMs: 1920 } });
    expect(advice?.reasons[0]).toContain('80 ms');
  });

  it('not for one slow round trip of many', () => {
    expect(advise([trips(...Array.from({ length: 20 }, () => 1), 90), syncs(1)])?.verdict).toBe('keep');
  });

  it('a lease that a slow sync would end', () => {
    expect(advise([trips(1), syncs(2, 400)])).toMatchObject({
      verdict: 'change',
      proposed: { heartbeatMs: 100, leaseMs: 1110 },
    });
  });

  it('D for a release that took longer, first of all', () => {
    const advice = advise([trips(80), syncs(1), releases(100, 1300)]);
    expect(advice?.proposed?.releaseMs).toBe(2600);
    expect(advice?.reasons[0]).toContain('longer than D = 1000 ms allows');
    expect(advise([...FAST, releases(700)])?.reasons[0]).toContain('near D');
  });
});

describe('shorter', () => {
  it('a lease that nothing needs, where it is worth it', () => {
    const long = withTiming({ leaseMs: durationMs(3000) });
    expect(advise(FAST, long)).toMatchObject({
      verdict: 'change',
      proposed: { leaseMs: 600, releaseMs: 1000 },
    });
    expect(advise(FAST, withTiming({ leaseMs: durationMs(700) }))?.verdict).toBe('keep');
  });

  const slack = withTiming({ releaseMs: durationMs(5000) });
  const five = releases(100, 110, 120, 130, 140);
  const watchdog = { watchdog: { mode: 'required', timeoutMs: durationMs(400) } } as const;
  it('D only after many releases, and with a watchdog behind it', () => {
    expect(advise([...FAST, five], { ...slack, ...watchdog })).toMatchObject({
      proposed: { releaseMs: 300 },
    });
    expect(advise([...FAST, releases(100)], { ...slack, ...watchdog })?.verdict).toBe('keep');
    expect(advise([...FAST, five], slack)?.verdict).toBe('keep');
  });
});

describe('nothing', () => {
  it('is advised where W is not known', () => {
    expect(advise(FAST, { watchdog: { mode: 'required', timeoutMs: null } })).toBeNull();
  });

  it('rests on the file where the log is known (L8)', () => {
    const inForce = deriveTiming({ ...timing, promiseMs: 5000, watchdogTimeoutMs: 1000, leaseMs: 900 });
    expect(advise(FAST, { inForce })?.current).toMatchObject({ leaseMs: 900, promiseMs: 5000 });
  });
});

it('L5: whatever is measured, what is proposed keeps the bounds', () => {
  const ms = fc.double({ min: 0.01, max: 5000, noNaN: true });
  const some = fc.array(ms, { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(
      some,
      some,
      fc.option(some),
      fc.option(fc.constantFrom(400, 1000, 10_000)),
      (round, sync, release, W) => {
        const advice = advise(
          [trips(...round), syncs(...sync), ...(release === null ? [] : [releases(...release)])],
          {
            watchdog: { mode: W === null ? 'off' : 'required', timeoutMs: W === null ? null : durationMs(W) },
          },
        );
        const set = advice?.proposed ?? advice?.current;
        expect(set).toBeDefined();
        if (set === undefined) return;
        expect(set.leaseMs).toBeGreaterThanOrEqual(3 * set.heartbeatMs);
        const least = leastPromiseMs({ ...timing, ...set, promiseMs: 0, watchdogTimeoutMs: W });
        expect(set.promiseMs).toBeGreaterThanOrEqual(least);
        const worst = Math.max(0, ...(release ?? []));
        expect(set.releaseMs).toBeGreaterThanOrEqual(worst);
        expect(advice?.reasons.length).toBeGreaterThan(0);
      },
    ),
  );
});

it('a summary is of what was measured', () => {
  expect(summaryOf([])).toBeNull();
  expect(summaryOf([5])).toEqual({ count: 1, p50: 5, p90: 5, p99: 5, max: 5 });
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
  expect(summaryOf(hundred)).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
});
