/** What may go, and what never does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epoch } from '../../../src/core/index.ts';
import { cursorName, isCursor, newSnapshotName, readOwnName } from '../../../src/replication/engine/names.ts';
import { type Keep, toPrune } from '../../../src/replication/engine/retention.ts';
import { type Guid, guid, type Snapshot } from '../../../src/replication/pool.ts';

const E = epoch(7);
const START = Date.UTC(2026, 10, 27, 19, 45);
const MINUTE = 60_000;
const NONE: Keep = { last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

const idOf = (value: number): Guid => guid(String(value + 1)) ?? expect.unreachable();

/** In this order in the pool, taken at these times. */
const history = (times: readonly number[], change: Partial<Snapshot> = {}): Snapshot[] =>
  times.map((ms, at) => ({
    name: newSnapshotName(ms, E, () => false),
    guid: idOf(at),
    createtxg: at,
    written: 0,
    holds: 0,
    ...change,
  }));
const every = (ms: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => START + at * ms);
const keptOf = (all: readonly Snapshot[], keep: Keep, needed: readonly Guid[] = []): string[] => {
  const gone = new Set(toPrune(all, keep, new Set(needed)));
  return all.filter((one) => !gone.has(one)).map(({ name }) => name.slice(8, 24));
};

describe('names', () => {
  it('are told from those of others', () => {
    const name = newSnapshotName(START + 123, E, () => false);
    expect(name).toBe('quorate-2026-11-27T19:45:00Z-7');
    expect(readOwnName(name)).toEqual({ takenAtMs: START, epoch: 7 });
    for (const other of ['quorate-daily', 's1', `${name}-copy`, 'quorate-2026-13-27T19:45:00Z-7', `x${name}`])
      expect(readOwnName(other)).toBeNull();
    expect(isCursor(cursorName(idOf(3)))).toBe(true);
    expect(isCursor(name)).toBe(false);
  });

  it('are free, also where the clock was set back', () => {
    const taken = new Set<string>();
    for (let count = 0; count < 5; count++) taken.add(newSnapshotName(START, E, (name) => taken.has(name)));
    expect(taken.size).toBe(5);
    expect([...taken].map(readOwnName)).not.toContain(null);
  });
});

describe('the grid', () => {
  it('keeps the last N', () => {
    expect(keptOf(history(every(MINUTE, 10)), { ...NONE, last: 3 })).toEqual([
      '2026-11-27T19:52',
      '2026-11-27T19:53',
      '2026-11-27T19:54',
    ]);
  });

  it('keeps the newest of each of the newest hours, days and weeks', () => {
    const all = history(every(30 * MINUTE, 48 * 30));
    expect(keptOf(all, { ...NONE, hourly: 3 }).slice(-3)).toEqual([
      '2026-12-27T17:45',
      '2026-12-27T18:45',
      '2026-12-27T19:15',
    ]);
    expect(keptOf(all, { ...NONE, daily: 2 })).toEqual(['2026-12-26T23:45', '2026-12-27T19:15']);
    // A week ends on a Sunday.
    expect(keptOf(all, { ...NONE, weekly: 2 })).toEqual(['2026-12-20T23:45', '2026-12-27T19:15']);
    expect(keptOf(all, { ...NONE, monthly: 2 })).toEqual(['2026-11-30T23:45', '2026-12-27T19:15']);
  });
});

describe('whatever the grid says', () => {
  const count = fc.nat(5);
  const keep = fc.record({
    last: fc.integer({ min: 1, max: 5 }),
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    yearly: count,
  });
  const snapshot = fc.record({
    // Out of order: the clock was set back and forth.
    ms: fc.integer({ min: START, max: START + 400 * 24 * 60 * MINUTE }),
    isOurs: fc.boolean(),
    isHeld: fc.boolean(),
    isNeeded: fc.boolean(),
  });
  const world = fc.array(snapshot, { maxLength: 60 }).map((all) => ({
    all: all.map(
      ({ ms, isOurs, isHeld }, at): Snapshot => ({
        name: isOurs ? newSnapshotName(ms, E, () => false) : `manual-${at}`,
        guid: idOf(at),
        createtxg: at,
        written: 0,
        holds: isHeld ? 1 : 0,
      }),
    ),
    needed: new Set(all.flatMap(({ isNeeded }, at) => (isNeeded ? [idOf(at)] : []))),
  }));

  it('never prunes what is held, needed, the newest, or of somebody else', () => {
    fc.assert(
      fc.property(world, keep, ({ all, needed }, grid) => {
        for (const one of toPrune(all, grid, needed)) {
          expect(one.holds).toBe(0);
          expect(needed.has(one.guid)).toBe(false);
          expect(one).not.toBe(all.at(-1));
          expect(readOwnName(one.name)).not.toBeNull();
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('comes to an end, keeps the last N, and keeps more where more is asked for', () => {
    fc.assert(
      fc.property(world, keep, fc.nat(5), ({ all, needed }, grid, more) => {
        const gone = new Set(toPrune(all, grid, needed));
        const left = all.filter((one) => !gone.has(one));
        expect(toPrune(left, grid, needed)).toEqual([]);
        const own = all.filter(({ name }) => readOwnName(name) !== null);
        for (const one of own.slice(-grid.last)) expect(gone.has(one)).toBe(false);
        for (const rule of ['last', 'hourly', 'daily', 'yearly'] as const) {
          const wider = toPrune(all, { ...grid, [rule]: grid[rule] + more }, needed);
          expect(wider.every((one) => gone.has(one))).toBe(true);
        }
        const most = grid.last + grid.hourly + grid.daily + grid.weekly + grid.monthly + grid.yearly;
        const stay = left.filter(
          (one) => own.includes(one) && one.holds === 0 && !needed.has(one.guid) && one !== all.at(-1),
        );
        expect(stay.length).toBeLessThanOrEqual(most);
      }),
      { numRuns: 1000 },
    );
  });
});
