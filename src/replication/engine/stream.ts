/** One stream, from the receiver that is ready for it to the end of both. */
import type { Clock } from '../../clock.ts';
import type { Epoch } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { ReceiveEnd, ReceiveOrder, ReceiverChannel, Receiving } from '../channel.ts';
import type { StreamStep } from '../plan.ts';
import type { Progress } from './progress.ts';
import { type Sending, type SendOptions, startSend } from './send.ts';

export interface Carrying {
  readonly step: StreamStep;
  readonly order: ReceiveOrder;
  readonly epoch: Epoch;
  readonly channel: Pick<ReceiverChannel, 'receive'>;
  readonly clock: Clock;
  readonly bytesPerSecond: number | null;
  /** Until the receiver is ready for it. */
  readonly answerMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
  /** Real processes where absent. */
  readonly startSend?: (options: SendOptions) => Sending;
}

/** From the end of the stream until the receiver has it in its pool: for each snapshot of a run, and for all of them. */
const FINISH_MS = 300_000;
const MAX_FINISH_MS = 1_800_000;

/** Resolves with how many bytes went out, when all of it has arrived. Rejects with who has failed, and why. */
export async function carry(carrying: Carrying): Promise<number> {
  const { channel, epoch, order, step, signal, clock, bytesPerSecond, answerMs } = carrying;
  const receiving = await channel.receive(epoch, order, { signal, limitMs: answerMs });
  let bytes = 0;
  const sending = (carrying.startSend ?? startSend)({
    ...{ step, sink: receiving.sink, bytesPerSecond, clock },
    onProgress: (progress) => {
      ({ bytes } = progress);
      carrying.onProgress(progress);
    },
  });
  const onAbort = (): void => {
    sending.stop(String(signal.reason));
    receiving.abort();
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    // Whoever has nobody to talk to any more does not go on.
    void receiving.ended.then((end) => {
      if (end.kind === 'broken') sending.stop(end.why, false);
    });
    const sent = await sending.ended;
    if (sent.kind === 'failed' && sent.isOwn) receiving.abort();
    const received = await endOf(receiving, finishMsOf(order), clock, signal);
    // What has arrived has arrived, but a sender that failed is not believed.
    if (sent.kind === 'failed' && (sent.isOwn || received.kind === 'received'))
      throw new QuorateError('replication-stream-broken', sent.why);
    if (received.kind === 'broken')
      throw new QuorateError('replication-stream-broken', `the other node: ${received.why}`);
    return bytes;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** What was sent last may have been read ahead by then: how much of a run is not in the pool yet, nobody here knows. */
const finishMsOf = ({ before = [] }: ReceiveOrder): number =>
  Math.min(MAX_FINISH_MS, FINISH_MS * (before.length + 1));

async function endOf(
  receiving: Receiving,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<ReceiveEnd> {
  const over = new AbortController();
  const late = clock.sleep(limitMs, AbortSignal.any([over.signal, signal])).then((): ReceiveEnd => {
    const why = `has not taken the whole stream into its pool within ${limitMs / 1000} s`;
    return { kind: 'broken', code: signal.aborted ? 'aborted' : 'stream', why };
  });
  const end = await Promise.race([receiving.ended, late]);
  over.abort();
  if (end.kind === 'broken') receiving.abort();
  return end;
}
