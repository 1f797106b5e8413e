/** Every dataset gets its turn, also where there is always more to send than a period has time for. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Turns } from '../../../src/replication/engine/turns.ts';
import type { Snapshot } from '../../../src/replication/pool.ts';

const takenAt = (seconds: number): Snapshot =>
  ({ name: `quorate-${new Date(seconds * 1000).toISOString().replace('.000', '')}-7` }) as Snapshot;
const waiting = (dataset: string, common: Snapshot | null = null) => ({ dataset, common });
const namesOf = (transfers: readonly { readonly dataset: string }[]): string[] =>
  transfers.map(({ dataset }) => dataset);

describe('the order of what waits', () => {
  it('is that of the plan, as long as nothing tells them apart', () => {
    const names = ['tank/a', 'tank/a/x', 'tank/b'];
    expect(namesOf(new Turns().inTurn(names.map((name) => waiting(name))))).toEqual(names);
  });

  it('of those that were not begun yet: no copy, then the oldest one', () => {
    const transfers = [waiting('tank/a', takenAt(200)), waiting('tank/b', takenAt(100)), waiting('tank/c')];
    expect(namesOf(new Turns().inTurn(transfers))).toEqual(['tank/c', 'tank/b', 'tank/a']);
  });

  it('what was begun goes behind, although it may have come to nothing', () => {
    const turns = new Turns();
    const transfers = [
      waiting('tank/broken'),
      waiting('tank/x', takenAt(100)),
      waiting('tank/y', takenAt(50)),
    ];
    expect(namesOf(turns.inTurn(transfers))[0]).toBe('tank/broken');
    turns.begun('tank/broken');
    expect(namesOf(turns.inTurn(transfers))).toEqual(['tank/y', 'tank/x', 'tank/broken']);
  });

  it('with two of many begun in each round, all are begun within as many rounds as it takes', () => {
    const turns = new Turns();
    const all = Array.from({ length: 22 }, (_, index) => waiting(`tank/${index}`));
    const begun = new Set<string>();
    for (let round = 0; round < 11; round += 1)
      for (const { dataset } of turns.inTurn(all).slice(0, 2)) {
        turns.begun(dataset);
        begun.add(dataset);
      }
    expect(begun.size).toBe(22);
  });

  it('who was under way at a plan does not come before who has waited since', () => {
    const turns = new Turns();
    const [small, one, other] = ['small', 'big1', 'big2'].map((name) => waiting(`tank/${name}`));
    if (small === undefined || one === undefined || other === undefined) throw new Error('three');
    for (const { dataset } of [small, one, other]) turns.begun(dataset);
    // The last one runs.
    expect(namesOf(turns.inTurn([one, small]))).toEqual(['tank/small', 'tank/big1']);
    turns.begun(small.dataset);
    expect(namesOf(turns.inTurn([one, other, small]))).toEqual(['tank/big1', 'tank/big2', 'tank/small']);
    turns.begun(one.dataset);
    expect(namesOf(turns.inTurn([other, small]))).toEqual(['tank/big2', 'tank/small']);
    expect(namesOf(turns.inTurn([one, other, small]))).toEqual(['tank/big2', 'tank/small', 'tank/big1']);
  });

  it('does not let what lies deepest wait for ever behind what it lies in', () => {
    const turns = new Turns();
    const nested = ['tank/a', 'tank/a/b', 'tank/a/b/c', 'tank/a/b/c/d'];
    // One of them after every five others.
    const names = nested.flatMap((name, at) => [name, ...[0, 1, 2, 3, 4].map((one) => `tank/${at}${one}`)]);
    // All have a copy, and something new in every round, in which a third of them get their turn.
    const all = names.toSorted().map((name) => waiting(name, takenAt(1)));
    const begun = new Set<string>();
    for (const name of names) turns.begun(name);
    for (let round = 0; round < 3; round += 1)
      for (const { dataset } of turns.inTurn(all).slice(0, 8)) {
        turns.begun(dataset);
        begun.add(dataset);
      }
    expect([...begun].toSorted()).toEqual(names.toSorted());
  });

  it('has first copies after those of what they lie in, whatever was begun when', () => {
    const name = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 });
    const parts = name.map((words) => ['tank', ...words].join('/'));
    fc.assert(
      fc.property(
        fc.uniqueArray(parts, { maxLength: 20 }),
        fc.array(fc.nat({ max: 19 }), { maxLength: 40 }),
        (names, starts) => {
          const turns = new Turns();
          // As a plan has them: by name, and so with parents first.
          const plan = names.toSorted().map((one) => waiting(one));
          for (const start of starts) {
            const { dataset } = turns.inTurn(plan)[start] ?? {};
            if (dataset !== undefined) turns.begun(dataset);
          }
          const ordered = namesOf(turns.inTurn(plan));
          expect(ordered.toSorted()).toEqual(namesOf(plan));
          for (const [at, one] of ordered.entries())
            expect(ordered.slice(at).filter((other) => one.startsWith(`${other}/`))).toEqual([]);
        },
      ),
    );
  });
});
