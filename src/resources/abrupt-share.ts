/** All steps of an abrupt release share one deadline: a command that hangs must leave time for what comes after it (R1). */
import type { Clock } from '../clock.ts';
import { type Instant, instant } from '../core/index.ts';
import type { ActionContext } from './types.ts';

/** Of what is left. The rest belongs to the other steps, the block device among them. */
const ABRUPT_SHARE = 0.4;

/** When a command that starts now must have ended. */
export function abruptShare({ deadline }: ActionContext, clock: Clock): Instant {
  const now = clock.now();
  return instant(now + Math.max(0, deadline - now) * ABRUPT_SHARE);
}
