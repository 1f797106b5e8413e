/** What a worker says of a seed: the story stays where it is. */
import { type RunOptions, type RunResult, runSeed } from './run.ts';

/** Every so many seeds one is run a second time, and each that fails: the hashes must be the same. */
const TWICE_EVERY = 50;

export type Summary = Omit<RunResult, 'story' | 'faults' | 'marks'> & {
  readonly marks: readonly string[];
  readonly isReproducible: boolean;
};

export async function summarise(options: RunOptions): Promise<Summary> {
  const { story: _story, faults: _faults, marks, ...result } = await runSeed(options);
  const mustRepeat = options.seed % TWICE_EVERY === 0 || result.violation !== null;
  const isReproducible = !mustRepeat || (await runSeed(options)).hash === result.hash;
  return { ...result, marks: [...marks], isReproducible };
}
