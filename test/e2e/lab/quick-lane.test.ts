/**
 * The quick lane of the lab: three real kernels with real DRBD, the product inside, under write load. Alone on the machine: it
 * runs in real time.
 */
import { describe, expect, it } from 'vitest';
import { whyNoLab, whyNoPackages } from '../../../cluster/lab/prerequisites.ts';
import { expectNothingLeft, GOOD, labProgram, resultsOf } from './support.ts';

const why = (await whyNoLab('uml')) ?? (await whyNoPackages('uml'));
if (why !== null) console.info(`The scenarios on three real kernels with real DRBD are skipped: ${why}.`);

const RUN_LIMIT_MS = 900_000;
/** The takeover of the first two is the standby's; in the last one nobody but the old holder may serve again. */
const SCENARIOS = ['power-cut', 'isolation', 'stale-standby'];

describe.skipIf(why !== null)('the quick lane', () => {
  const lab = labProgram(why !== null);

  it(
    `${SCENARIOS.join(', ')}: no acknowledged write is lost, never two at once, and nothing is left behind`,
    async () => {
      const ran = await lab.run(['run', ...SCENARIOS, '--json', '--timing', 'patient'], RUN_LIMIT_MS);
      const results = resultsOf(ran);
      expect(results.map(({ scenario }) => scenario)).toEqual(SCENARIOS);
      for (const result of results) {
        expect(result).toMatchObject({ ...GOOD, engine: 'uml' });
        expect(result.writes.acknowledged).toBeGreaterThan(100);
        expect(result.split).not.toBeNull();
      }
      expectNothingLeft(ran, lab.folder());
    },
    RUN_LIMIT_MS,
  );

  it('says in one sentence what it does not know', async () => {
    const ran = await lab.run(['run', 'power-cute'], 30_000);
    expect(ran).toMatchObject({ exit: 2, stdout: '' });
    expect(ran.stderr).toContain('no scenario power-cute; there are power-cut,');
  });
});
