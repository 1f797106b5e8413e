/** How long a link may take to get a carrier, and what it means when it gets none. */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import type { AcquireContext, ProbeResult } from './types.ts';

const LIMIT_MS = {
  /** A real port negotiates for up to four seconds; one that has no carrier by then has no cable. */
  takeover: 10_000,
  /** It was there before. One that negotiates anew takes up to four seconds too, but a move is sooner (H6). */
  repair: 1_000,
} as const;
const POLL_MS = 10;

export interface CarrierLook {
  readonly result: ProbeResult;
  /** Up, as ordered, and nothing at the other end. */
  readonly isDead: boolean;
}

/**
 * Until `look` says `held`. When that takes too long: throws `port-dead`, which no repair of ours mends (H6), only where the last
 * look has seen a dead link; what is wrong otherwise is `not-as-wanted`, and what cannot be read is not known (H4).
 */
export async function awaitCarrier(
  look: () => Promise<CarrierLook>,
  clock: Clock,
  context: AcquireContext,
): Promise<ProbeResult> {
  const limitMs = context.isFirst === false ? LIMIT_MS.repair : LIMIT_MS.takeover;
  const end = Math.min(context.deadline, clock.now() + limitMs);
  let known: CarrierLook | null = null;
  for (;;) {
    const seen = await look();
    if (seen.result.probe === 'held') return seen.result;
    // The last one before the deadline may have been cut off by it.
    if (seen.result.probe !== 'unknown') known = seen;
    if (context.signal.aborted) throw new QuorateError('order-ended', 'waiting for the link was called off');
    if (clock.now() + POLL_MS >= end) {
      if (known === null) throw new QuorateError('command-failed', seen.result.detail);
      throw new QuorateError(known.isDead ? 'port-dead' : 'not-as-wanted', known.result.detail);
    }
    await clock.sleep(POLL_MS, context.signal);
  }
}
