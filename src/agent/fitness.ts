/**
 * H6: whether a node could take over, by what it knows of itself: it answers the holder that looks for a better place. The role
 * check `ready` (in sync, bound to the leader, log and executor work) and its own checks, as far as they have been made.
 */
import { decide, type RoleFacts } from '../http/index.ts';
import type { Fitness } from '../peer/index.ts';

export function fitnessOf(facts: RoleFacts, failedChecks: readonly string[]): Fitness {
  const { ok, reason } = decide('ready', facts).answer;
  if (!ok) return { ok, why: reason };
  return failedChecks.length === 0
    ? { ok, why: reason }
    : { ok: false, why: `its own checks have failed: ${failedChecks.join('; ')}` };
}
