/** H6: what a node says of itself when a holder looks for a better place. */
import { expect, it } from 'vitest';
import { fitnessOf } from '../../src/agent/fitness.ts';
import { STANDBY } from '../http/facts.ts';

it('in sync, bound to the leader, log and executor work: it could take over', () => {
  expect(fitnessOf(STANDBY, [])).toEqual({ ok: true, why: expect.stringContaining('could take over') });
});

it.each([
  ['without an executor', { executor: 'lost' as const }, 'no connection to the executor'],
  ['that has not verified that it holds nothing', { executor: 'unverified' as const }, 'votes for nobody'],
  ['with a disk that cannot be read', { disk: 'unknown' as const }, 'not known to be up to date'],
  ['out of sync', { isInSync: false }, 'not in the in-sync set'],
  ['that ends', { isEnding: true }, 'is ending'],
])('a node %s could not', (_, change, why) => {
  const fitness = fitnessOf({ ...STANDBY, ...change }, []);
  expect(fitness).toEqual({ ok: false, why: expect.stringContaining(why) });
});

it('its own checks count, as far as they have failed', () => {
  expect(fitnessOf(STANDBY, ['cloud: AssociateAddress: not permitted'])).toEqual({
    ok: false,
    why: 'its own checks have failed: cloud: AssociateAddress: not permitted',
  });
});
