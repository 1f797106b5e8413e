/** What both channels do alike, whatever carries it. */
import type { CallOptions, ReceiverOrder } from '../channel.ts';
import { inParts } from '../receiver/index.ts';
import { type Answer, unexpected } from './protocol.ts';

/** One order, in the parts that the other side takes, within one limit for all of them. Throws what `unexpected` says of an answer. */
export async function performInParts(
  order: ReceiverOrder,
  to: string,
  options: CallOptions,
  ask: (part: ReceiverOrder, options: CallOptions) => Promise<Answer | null>,
): Promise<void> {
  const endsAt = performance.now() + options.limitMs;
  for (const part of inParts(order)) {
    const limitMs = Math.max(1, endsAt - performance.now());
    const answer = await ask(part, { ...options, limitMs });
    if (answer?.kind !== 'done') throw unexpected(answer, to);
  }
}
