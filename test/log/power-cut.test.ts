import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Persist } from '../../src/core/index.ts';
import {
  applyBatch,
  applyMarker,
  emptyStoredLog,
  openStored,
  recover,
  type StoredLog,
} from '../../src/log/index.ts';
import { ScriptedNode } from '../support/log-fixtures.ts';
import {
  persistsOf,
  play,
  type Remembered,
  type Step,
  someSteps,
  tornMarker,
} from '../support/log-history.ts';

const STEPS: readonly Step[] = [
  { kind: 'vote' },
  { kind: 'append', count: 3 },
  { kind: 'commit' },
  { kind: 'append', count: 2 },
  { kind: 'conflict', back: 3, count: 1 },
  {
    kind: 'merged',
    steps: [
      { kind: 'append', count: 4 },
      { kind: 'conflict', back: 2, count: 3 },
    ],
  },
  { kind: 'vote' },
  { kind: 'append', count: 1 },
];

/** D2: the disk after a power cut opens clean, with what was there before the write or with the write. */
function expectOneOf(disk: StoredLog, allowed: readonly Remembered[]): void {
  const recovered = recover(disk);
  expect(['clean', 'empty']).toContain(recovered.status);
  expect(recovered.damage).toBeNull();
  expect(allowed).toContainEqual({ log: recovered.entries, hardState: recovered.hardState });
}

describe('D2: an ordinary power cut never ends in damaged and never loses what was acknowledged', () => {
  const { disks, plans, memories } = play(STEPS, emptyStoredLog());

  test.each(plans.map((plan, number) => [number, plan] as const))(
    'at every boundary of write %i',
    (number, plan) => {
      const [before, old, fresh] = [disks[number], memories[number], memories[number + 1]];
      if (before === undefined || old === undefined || fresh === undefined)
        throw new Error('history too short');
      expectOneOf(before, [old]);
      const batched = applyBatch(before, plan.batch);
      expectOneOf(batched, [fresh]);
      const length = Math.max(plan.marker.bytes.length, before.slots[plan.marker.slot]?.length ?? 0);
      for (let cut = 0; cut <= length; cut++) {
        expectOneOf(tornMarker(batched, plan.marker, 0, cut), [fresh]);
        expectOneOf(tornMarker(batched, plan.marker, cut, length), [fresh]);
      }
      expectOneOf(applyMarker(batched, plan.marker), [fresh]);
    },
  );

  test('after any number of power cuts, at any of their boundaries, with restarts in between', () => {
    const cut = fc.record({
      at: fc.constantFrom('batch lost', 'batch', 'marker torn', 'marker'),
      from: fc.nat(400),
      to: fc.nat(400),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(someSteps(5), cut), { minLength: 1, maxLength: 8 }), (lives) => {
        let disk = emptyStoredLog();
        let memory: Remembered | null = null;
        for (const [steps, { at, from, to }] of lives) {
          const history = play(steps, disk);
          const last = history.plans.length - 1;
          const [before, plan] = [history.disks[last], history.plans[last]];
          const [old, fresh] = history.memories.slice(-2);
          if (before === undefined || plan === undefined || old === undefined || fresh === undefined) return;
          if (memory !== null) expect(history.memories[0]).toEqual(memory);
          const batched = applyBatch(before, plan.batch);
          if (at === 'batch lost') disk = before;
          else if (at === 'batch') disk = batched;
          else if (at === 'marker torn')
            disk = tornMarker(batched, plan.marker, Math.min(from, to), Math.max(from, to));
          else disk = applyMarker(batched, plan.marker);
          memory = at === 'batch lost' ? old : fresh;
          expectOneOf(disk, [memory]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('D1: merged persists leave the same log as one by one', () => {
  fc.assert(
    fc.property(fc.array(someSteps(4), { minLength: 1, maxLength: 4 }), (groups) => {
      const [merged, single] = [new ScriptedNode(), new ScriptedNode()];
      const write = (disk: StoredLog, writes: readonly (readonly Persist[])[]) => {
        const { writer } = openStored(disk);
        return writes
          .map((persists) => writer.plan(persists))
          .reduce((stored, { batch, marker }) => applyMarker(applyBatch(stored, batch), marker), disk);
      };
      let [one, other] = [emptyStoredLog(), emptyStoredLog()];
      for (const steps of groups) {
        one = write(one, [steps.flatMap((step) => persistsOf(merged, step))]);
        other = write(
          other,
          steps.flatMap((step) => persistsOf(single, step)).map((persist) => [persist]),
        );
        expect(recover(one)).toEqual(recover(other));
        expect(one.records).toEqual(other.records);
        expect(recover(one).entries).toEqual(merged.log);
      }
    }),
  );
});
