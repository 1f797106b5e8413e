/** L8 in whole clusters: the timing changes all the time, while nodes restart, lose power and are cut off. */
import { describe, expect, it } from 'vitest';
import { drawFaults } from './faults.ts';
import { profileOf } from './profiles.ts';
import { runSeed } from './run.ts';

const FIRST = Number(process.env.RETIME_FIRST ?? 1);
const SEEDS = Number(process.env.RETIME_SEEDS ?? 6);

const WEIGHTS = {
  retime: 30,
  'kill-agent': 8,
  'kill-both': 4,
  'power-cut': 8,
  'boot-loop': 3,
  isolate: 6,
  'cut-one-way': 6,
  'freeze-agent': 5,
  'freeze-host': 4,
  'service-unkillable': 6,
  'new-witness': 2,
  switchover: 4,
} as const;

describe('L8: on every seed one holder, and the cluster recovers, whatever the timing has become', () => {
  const total = { changed: 0, shrunk: 0 };
  it.each(Array.from({ length: SEEDS }, (_, index) => FIRST + index))(
    'seed %i',
    async (seed) => {
      const { profile } = profileOf(seed, null);
      const ids = profile.shape.members.map(({ id }) => id);
      const plan = { weights: WEIGHTS, count: [16, 30], spanMs: 14_000, promiseMs: 1_500 } as const;
      const { violation, retimed, story } = await runSeed({
        seed,
        profile: null,
        faults: drawFaults(seed, ids, plan),
      });
      total.changed += retimed.changed;
      total.shrunk += retimed.shrunk;
      expect(violation, story.slice(-40).join('\n')).toBeNull();
    },
    60_000,
  );

  it('timings have changed, and promises have shrunk', () => {
    expect(total.changed).toBeGreaterThan(SEEDS);
    expect(total.shrunk).toBeGreaterThan(0);
  });
});
