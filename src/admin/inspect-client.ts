/** `Inspect` from the caller's side. */
import type { Client, MethodDefinition, ServiceError } from '@grpc/grpc-js';
import { z } from 'zod';
import { QuorateError } from '../errors.ts';
import { type FilterRequest, type InspectItem, itemSchema } from '../inspect/index.ts';
import { fromServiceError } from './errors.ts';
import { INSPECT_TIMES, type WireInspectPage, type WireInspectRequest } from './inspect.ts';

/** What comes: an item, or how many are missing in this place. */
export type Inspected = InspectItem | { readonly dropped: number };

export interface InspectPage {
  readonly observer: string;
  readonly items: readonly Inspected[];
}

/** An agent that sends nothing at all for so long is gone, or cut off. */
const SILENCE_MS = 3 * INSPECT_TIMES.aliveMs;

const pageSchema = z.object({
  observer: z.string(),
  items: z.array(z.union([z.object({ dropped: z.number().int().min(1) }), itemSchema])),
});

/**
 * What is seen from now on; the first page, without items, says that it begins. Ends when the signal fires. Throws a
 * QuorateError: `agent-unreachable` also where the agent falls silent, `usage`, `not-authorised`, `inspect-…`.
 */
export async function* inspect(
  client: Client,
  address: string,
  method: MethodDefinition<object, object>,
  { peers, kinds, direction, slowerThanMs }: FilterRequest,
  signal: AbortSignal,
): AsyncGenerator<InspectPage> {
  const request: WireInspectRequest = {
    peers,
    kinds,
    slowerThanMs,
    ...(direction === null ? {} : { direction }),
  };
  const stream = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    (bytes: Buffer) => method.responseDeserialize(bytes) as WireInspectPage,
    request,
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
    for await (const page of stream as AsyncIterable<WireInspectPage>) {
      silence.refresh();
      yield parsed(page, address);
    }
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    if (signal.aborted) return;
    if (isSilent)
      throw new QuorateError('agent-unreachable', `${address} says nothing for ${SILENCE_MS / 1000} s`);
    throw fromServiceError(error as ServiceError, address, false);
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', onAbort);
    stream.cancel();
  }
}

function parsed(page: WireInspectPage, address: string): InspectPage {
  const result = pageSchema.safeParse(page);
  if (result.success) return result.data;
  const why = result.error.issues[0]?.message ?? 'what is not understood';
  throw new QuorateError('answer-invalid', `the agent at ${address} answered ${why}`);
}
