/** A short search; a longer one: `npm run sim -- --histories 100000`, or FUZZ_RUNS. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { event, history, POOL, quietDown, runHistory, World } from './history.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 300);

const LIMIT_MS = 60_000 + RUNS * 20;

describe('histories', () => {
  it(
    `lose no snapshot and come to an end (${RUNS})`,
    () => {
      fc.assert(
        fc.property(history, fc.boolean(), (events, isCalmThere) => {
          runHistory(events, isCalmThere);
        }),
        { numRuns: RUNS },
      );
    },
    LIMIT_MS,
  );

  it(
    'without anybody on the other side have no conflict, and everything arrives',
    () => {
      const calm = event.filter(({ kind }) => ['create', 'write', 'replicate'].includes(kind));
      fc.assert(
        fc.property(fc.array(calm, { minLength: 5, maxLength: 40, size: 'max' }), (events) => {
          const world = new World();
          let count = 0;
          for (const one of events) {
            world.happens(one);
            // A period: all of them at once, by a name that is used once.
            count += 1;
            for (const name of world.a.datasets.keys()) world.a.snapshot(name, `p${count}`);
            world.remember();
          }
          quietDown(world);
          for (const [name, source] of world.a.datasets) {
            if (name === POOL) continue;
            const copy = world.b.get(name);
            expect(copy.snapshots.map(({ guid }) => guid)).toEqual(source.snapshots.map(({ guid }) => guid));
          }
        }),
        { numRuns: RUNS },
      );
    },
    LIMIT_MS,
  );
});
