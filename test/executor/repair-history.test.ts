/** H6: which repairs count as in vain. */
import { expect, it } from 'vitest';
import { instant } from '../../src/core/index.ts';
import { RepairHistory } from '../../src/executor/repair-history.ts';
import type { Probe } from '../../src/resources/index.ts';

const MINUTE = 60_000;

class Bench {
  readonly history = new RepairHistory();
  nowMs = 1000;

  reads(probe: Probe, forMs = 0): void {
    for (const at of [this.nowMs, this.nowMs + forMs])
      this.history.observe(new Map([['port', probe]]), instant(at));
    this.nowMs += forMs;
  }

  /** One that took so long, and said so. */
  repair(ms: number, why = 'acquired'): void {
    this.nowMs += ms;
    this.history.add('port', why);
  }

  get count(): number | null {
    return this.history.inVain('port')?.count ?? null;
  }
}

it('H6: the third repair without a calm in between is in vain, and so is every one after it', () => {
  const bench = new Bench();
  for (const expected of [null, null, 3, 4, 5]) {
    bench.reads('not-held');
    bench.repair(10, `try ${expected}`);
    expect(bench.count).toBe(expected);
  }
  expect(bench.history.inVain('port')?.why).toBe('try 5');
  expect(bench.history.inVain('another')).toBeNull();
});

it('H6: repairs that hang for a minute each count as those that fail at once', () => {
  const bench = new Bench();
  for (let repair = 0; repair < 3; repair += 1) {
    bench.reads('not-held', 10_000);
    bench.repair(MINUTE, 'timed out');
  }
  expect(bench.count).toBe(3);
});

it('H6: what has read as held for a whole minute is well again', () => {
  const bench = new Bench();
  for (let repair = 0; repair < 3; repair += 1) bench.repair(10);
  bench.reads('held', MINUTE - 1);
  expect(bench.count).toBe(3);
  bench.reads('held', 1);
  expect(bench.count).toBeNull();
  bench.repair(10);
  bench.repair(10);
  expect(bench.count).toBeNull();
});

it('H6: what is lost within the minute has not been well, however often it flaps', () => {
  const bench = new Bench();
  for (let repair = 0; repair < 3; repair += 1) {
    bench.reads('not-held');
    bench.repair(10);
    bench.reads('held', MINUTE / 2);
  }
  bench.reads('not-held');
  bench.reads('held', MINUTE / 2);
  expect(bench.count).toBe(3);
});

it('H4: unknown neither ends the minute nor counts as a loss', () => {
  const bench = new Bench();
  for (let repair = 0; repair < 3; repair += 1) bench.repair(10);
  bench.reads('unknown', 2 * MINUTE);
  expect(bench.count).toBe(3);
  bench.reads('held', MINUTE / 2);
  bench.reads('unknown', MINUTE / 4);
  bench.reads('held', MINUTE / 4);
  expect(bench.count).toBeNull();
});

it('a new tenure begins with no history', () => {
  const bench = new Bench();
  for (let repair = 0; repair < 3; repair += 1) bench.repair(10);
  bench.history.clear();
  expect(bench.count).toBeNull();
});

it('H6: one repair that finds the cause outside of this host is enough, until it is well again', () => {
  const bench = new Bench();
  bench.history.add('port', 'eth1 has no carrier', true);
  expect(bench.history.inVain('port')).toMatchObject({ count: 1, why: 'eth1 has no carrier' });
  bench.repair(10);
  expect(bench.count).toBeNull();
});
