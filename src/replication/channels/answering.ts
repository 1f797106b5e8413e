/** Answers one question by the receiver; the carriers (forced command, gRPC service) only bring it and take the answers away. */
import { FEATURES } from '../channel.ts';
import { packReading } from '../reading.ts';
import type { Receiver } from '../receiver/index.ts';
import { type Answer, asksForFeatures, failedBy, type Question } from './protocol.ts';

/** Never rejects. */
export async function answerRead(receiver: Receiver, question: Question): Promise<Answer> {
  try {
    const packed = await packReading(await receiver.read());
    return { kind: 'reading', packed, ...(asksForFeatures(question) ? { features: [...FEATURES] } : {}) };
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
