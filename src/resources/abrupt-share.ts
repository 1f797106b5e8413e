/** All steps of an abrupt release share one deadline: a command that hangs must leave time for what comes after it (R1). */
import type { Clock } from '../clock.ts';
import { type Instant, instant } from '../core/index.ts';
import type { ActionContext } from './types.ts';

/** Of what is left. The rest belongs to the other steps, the block device among them. */
const SHARES = { command: 0.4, kill: 0.2 } as const;

/** When a command, or the killing of what it has left, that starts now must have ended. */
export function abruptShare(
  { deadline }: ActionContext,
  clock: Clock,
  of: keyof typeof SHARES = 'command',
): Instant {
  const now = clock.now();
  return instant(now + Math.max(0, deadline - now) * SHARES[of]);
}
