/** R2: what a node that does not hold finds held on itself is given up; the executor with its guard, in virtual time. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { epoch } from '../../src/core/index.ts';
import { Bench, FakeResource } from './bench.ts';

const W = 400;
/** Until a node that does not hold has looked, and has looked after it. */
const FOUND_MS = 30_000;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => vi.useRealTimers());

async function standby(watchdogTimeoutMs: number | null = null): Promise<Bench> {
  const bench = new Bench([new FakeResource('svc', 'service')], watchdogTimeoutMs);
  await bench.hello();
  expect(bench.told).toEqual(['ready']);
  return bench;
}

/** Somebody has started the service by hand, and it takes `releaseMs` to stop it: the guard is at it. */
async function tidying(bench: Bench, releaseMs = 3000): Promise<Bench> {
  Object.assign(bench.of('svc'), { state: 'held', releaseMs });
  const before = bench.all('unverified').length;
  const deadline = Date.now() + FOUND_MS;
  while (bench.all('unverified').length === before && Date.now() < deadline)
    await vi.advanceTimersByTimeAsync(100);
  expect(bench.all('unverified')).toHaveLength(before + 1);
  return bench;
}

describe('what was started on a node that does not hold', () => {
  it('R2: is stopped, and L3: the agent votes for nobody until that is verified', async () => {
    const bench = await tidying(await standby());
    expect(bench.told).toEqual(['ready', 'unverified']);
    expect(bench.all('unverified')[0]?.why).toBe('svc read as held on a node that does not hold');
    await vi.advanceTimersByTimeAsync(2000);
    expect(bench.told).toEqual(['ready', 'unverified']);
    await vi.advanceTimersByTimeAsync(2000);
    expect(bench.told).toEqual(['ready', 'unverified', 'ready']);
    expect(bench.of('svc').state).toBe('not-held');
    expect(bench.all('ready')[1]?.evidence).toContain('svc: reads not-held');
    expect(bench.logged).toContain('held-without-tenure');
  });

  it('is stopped again when it comes back', async () => {
    const bench = await tidying(await standby(), 10);
    await vi.advanceTimersByTimeAsync(1000);
    await tidying(bench, 10);
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.of('svc').releases).toBe(2);
    expect(bench.told).toEqual(['ready', 'unverified', 'ready', 'unverified', 'ready']);
  });

  it('L4: the end of it is told only to the agent that was there when it began', async () => {
    const bench = await tidying(await standby());
    bench.executor.onClosed();
    await bench.hello();
    bench.events.length = 0;
    await vi.advanceTimersByTimeAsync(FOUND_MS);
    // Its own hello was answered when the release had ended, once.
    expect(bench.told).toEqual(['ready']);
  });
});

describe('a tenure that is granted meanwhile', () => {
  it.each(['planned', 'abrupt'] as const)(
    'R2: is refused, and its %s release is answered when that has ended',
    async (mode) => {
      const bench = await tidying(await standby());
      await bench.take(7);
      expect(bench.told.at(-1)).toBe('take-failed 7');
      bench.order({ kind: 'release', epoch: epoch(7), mode });
      await vi.advanceTimersByTimeAsync(20);
      expect(bench.told).not.toContain('released 7');
      await vi.advanceTimersByTimeAsync(FOUND_MS);
      expect(bench.told.filter((event) => event === 'released 7')).toHaveLength(1);
      expect(bench.state.releasedEpoch).toBe(7);
      expect(bench.core.phase).toBe('released');
    },
  );

  it('L5: no watchdog is armed before that has ended: nobody would pet it', async () => {
    const bench = await tidying(await standby(W));
    bench.order({ kind: 'arm', id: 1 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.told.at(-1)).toBe('arm-failed');
    expect(bench.isArmed).toBe(false);
    await vi.advanceTimersByTimeAsync(FOUND_MS);
    bench.order({ kind: 'arm', id: 2 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.told.at(-1)).toBe('armed');
    expect(bench.pets.length).toBeGreaterThan(4);
  });

  it('L5: nor is one closed that was armed for it: nothing is given up while an order is on its way', async () => {
    const bench = await standby(W);
    await vi.advanceTimersByTimeAsync(10);
    bench.order({ kind: 'arm', id: 1 });
    bench.of('svc').state = 'held';
    await vi.advanceTimersByTimeAsync(FOUND_MS);
    expect(bench.told).toEqual(['ready', 'armed']);
    expect(bench.isArmed).toBe(true);
    // Given up: nobody is about to hold.
    bench.order({ kind: 'disarm' });
    await vi.advanceTimersByTimeAsync(FOUND_MS);
    expect(bench.told).toEqual(['ready', 'armed', 'unverified', 'ready']);
    expect(bench.of('svc').state).toBe('not-held');
  });

  it('L5: the guard refuses to tidy while its watchdog is wanted, whoever asks', async () => {
    const bench = await standby(W);
    bench.order({ kind: 'arm', id: 1 });
    await vi.advanceTimersByTimeAsync(10);
    expect(() => bench.core.tidy('svc reads held')).toThrow(/about to begin/);
    expect(bench.isArmed).toBe(true);
  });
});

describe('the release of a tenure is no such case', () => {
  it.each([
    ['that has ended by itself', false],
    ['that was given up by order', true],
  ])('R2: although what it held reads as held for as long as that takes: of one %s', async (_, isOrdered) => {
    const bench = await standby();
    await bench.take(7);
    await vi.advanceTimersByTimeAsync(3000);
    bench.of('svc').releaseMs = 25_000;
    bench.isRenewing = false;
    if (isOrdered) bench.order({ kind: 'release', epoch: epoch(7), mode: 'abrupt' });
    await vi.advanceTimersByTimeAsync(2 * FOUND_MS);
    // The agent hears of it when it begins, not only when it has ended.
    expect(bench.told).toEqual(['ready', 'taken 7', 'revoked 7', 'released 7']);
    expect(bench.logged).not.toContain('held-without-tenure');
  });

  it('R2: and when that has ended, what is started by hand is found again', async () => {
    const bench = await standby();
    await bench.take(7);
    bench.isRenewing = false;
    await vi.advanceTimersByTimeAsync(5000);
    await tidying(bench, 10);
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.told).toEqual(['ready', 'taken 7', 'revoked 7', 'released 7', 'unverified', 'ready']);
  });
});
