/** Makes the list of faults behind a violation short, by leaving parts of it out on the same seed. */
import type { Fault } from './faults.ts';
import type { RunOptions, RunResult } from './run.ts';

const MAX_RUNS = 80;

/** The shortest list found that still ends in a violation of the same rule. */
export async function shrink(
  failed: RunResult,
  run: (options: RunOptions) => Promise<RunResult>,
): Promise<RunResult> {
  let best = failed;
  let runs = 0;
  const fails = async (faults: readonly Fault[]): Promise<boolean> => {
    runs += 1;
    const result = await run({ seed: failed.seed, profile: failed.profile, faults });
    if (result.violation?.rule !== failed.violation?.rule) return false;
    best = result;
    return true;
  };
  for (let size = Math.ceil(best.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < best.faults.length && runs < MAX_RUNS; ) {
      const { faults } = best;
      const shorter = [...faults.slice(0, start), ...faults.slice(start + size)];
      if (!(await fails(shorter))) start += size;
    }
  }
  return best;
}
