/** Answers one question by the receiver; the carriers (forced command, gRPC service) only bring it and take the answers away. */
import { packReading } from '../reading.ts';
import type { Receiver } from '../receiver/index.ts';
import { type Answer, failedBy, type Question } from './protocol.ts';

/** Never rejects. */
export async function answerRead(receiver: Receiver): Promise<Answer> {
  try {
    return { kind: 'reading', packed: await packReading(await receiver.read()) };
  } catch (error) {
    return failedBy(error);
  }
}

/** Never rejects. */
export async function answerPerform(
  receiver: Receiver,
  { epoch, order }: Question,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    await receiver.perform(epoch, order, signal);
    return { kind: 'done' };
  } catch (error) {
    return failedBy(error);
  }
}
