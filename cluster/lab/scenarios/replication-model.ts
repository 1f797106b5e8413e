import { compare, inLines } from '../../zfs-compare/index.ts';
import { now } from '../now.ts';
import { modelPools } from '../replication/index.ts';
import type { Scenario } from '../stage.ts';

const STEPS = 200;
const STEPS_OF_ONE = 60;
const MAX_DIFFERENCES = 5;
/** Beside other work a step takes long; fewer of them are less proof, and too few none. */
const LIMIT_MS = 900_000;
const LEAST_STEPS = 60;
const SAY_EVERY = 10;

export const replicationModel: Scenario = {
  name: 'replication-model',
  about:
    'On two small pools of one guest random histories are done step by step, with real ZFS and with the model of it that the tests of replication use. Both answer the same, and have the same in the end. Nothing fails in it; --seed N repeats one.',
  storage: 'replicated',
  async run(stage) {
    const { lab, standby, seed } = stage;
    const pools = modelPools(lab, standby);
    stage.note(`--seed ${seed}, on ${standby}`);
    const until = now() + LIMIT_MS;
    try {
      const result = await compare(pools.subject, {
        seed,
        steps: STEPS,
        stepsOfOne: STEPS_OF_ONE,
        maxDifferences: MAX_DIFFERENCES,
        onStep: (done, words) => {
          if (done % SAY_EVERY === 0) stage.say(`${done} of ${STEPS} steps; ${words}`);
        },
        isOver: () => now() > until,
      });
      const [summary = '', ...differences] = inLines(result);
      stage.note(summary);
      for (const difference of differences) stage.expect(false, difference);
      if (differences.length === 0)
        stage.expect(result.steps >= LEAST_STEPS, `only ${result.steps} steps in ${LIMIT_MS / 1000} s`);
    } finally {
      await pools.remove();
    }
  },
};
