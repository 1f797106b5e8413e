import { expect, test } from 'vitest';
import { chaos } from '../support/chaos.ts';

const SEEDS = Number(process.env.CHAOS_SEEDS ?? 150);
const FIRST = Number(process.env.CHAOS_FIRST ?? 1);

test(`random faults on ${SEEDS} seeds: never two holders, committed entries stay, and it recovers`, {
  timeout: 600_000,
}, () => {
  const marks = new Set<string>();
  let tenures = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const result = chaos(seed);
    tenures += result.tenures;
    for (const mark of result.marks) marks.add(mark);
  }
  // The run reached what it is for: without these it would prove nothing.
  expect(tenures).toBeGreaterThan(2 * SEEDS);
  expect([...marks]).toEqual(
    expect.arrayContaining([
      'elected',
      'tenure-granted',
      'tenure-released',
      'peer-outdated',
      'peer-in-sync',
      'agent of a holder dies',
      'repaired',
      'forced',
    ]),
  );
});
