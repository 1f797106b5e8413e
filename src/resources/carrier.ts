/** How long a link may take to get a carrier. */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import type { AcquireContext, ProbeResult } from './types.ts';

const LIMIT_MS = {
  /** A real port negotiates for up to four seconds; one that has no carrier by then has no cable. */
  takeover: 10_000,
  /** It was there before; a cable that is pushed in again has a carrier at once. Waiting longer only delays the move (H6). */
  repair: 1_000,
} as const;
const POLL_MS = 10;

/** Until `look` says `held`; throws `port-dead` with its last word when that takes too long. */
export async function awaitCarrier(
  look: () => Promise<ProbeResult>,
  clock: Clock,
  context: AcquireContext,
): Promise<ProbeResult> {
  const limitMs = context.isFirst === false ? LIMIT_MS.repair : LIMIT_MS.takeover;
  const end = Math.min(context.deadline, clock.now() + limitMs);
  for (;;) {
    const result = await look();
    if (result.probe === 'held') return result;
    if (context.signal.aborted) throw new QuorateError('order-ended', 'waiting for the link was called off');
    if (clock.now() + POLL_MS >= end) throw new QuorateError('port-dead', result.detail);
    await clock.sleep(POLL_MS, context.signal);
  }
}
