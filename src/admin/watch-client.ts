/** `WatchStatus` from the caller's side. */
import { type Client, status as grpcStatus, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import { QuorateError } from '../errors.ts';
import { fromServiceError } from './errors.ts';
import { type StatusDocument, statusSchema } from './status.ts';
import { WATCH_TIMES } from './watch.ts';

/** An agent that sends nothing at all for so long is gone, or cut off. */
const SILENCE_MS = 3 * WATCH_TIMES.aliveMs;

/**
 * The status as it is, and each that differs from the one before, until the signal fires. Ends where the agent ends. Throws a
 * QuorateError: `agent-unreachable` also where it falls silent, `watch-unknown` where its version has no live status.
 */
export async function* watchStatus(
  client: Client,
  address: string,
  method: MethodDefinition<object, object>,
  signal: AbortSignal,
): AsyncGenerator<StatusDocument> {
  const stream = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    (bytes: Buffer) => method.responseDeserialize(bytes) as { status: object | null },
    {},
  );
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    stream.cancel();
  }, SILENCE_MS);
  const onAbort = (): void => stream.cancel();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    for await (const event of stream as AsyncIterable<{ status: object | null }>) {
      silence.refresh();
      if (event.status === null) continue;
      const result = statusSchema.safeParse(event.status);
      if (!result.success)
        throw new QuorateError(
          'answer-invalid',
          `the agent at ${address} answered ${result.error.issues[0]?.message ?? 'what is not understood'}`,
        );
      yield result.data;
    }
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    if (signal.aborted) return;
    if (isSilent)
      throw new QuorateError('agent-unreachable', `${address} says nothing for ${SILENCE_MS / 1000} s`);
    if ((error as ServiceError).code === grpcStatus.UNIMPLEMENTED)
      throw new QuorateError('watch-unknown', `the agent at ${address} is older and has no live status`, {
        cause: error,
      });
    throw fromServiceError(error as ServiceError, address, false);
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', onAbort);
    stream.cancel();
  }
}
