/**
 * In mid-upgrade an order with a request id must say which epoch it is to end (api.md, Request ids). A command that has made its id up
 * gives a new order, which is about what is so now: it looks, and says so. One that was told an id may be a repeat, and which epoch
 * was meant the first time only its caller knows.
 */
import type { AdminClient, OrderOptions } from '../admin/index.ts';
import { QuorateError } from '../errors.ts';
import type { Refusal } from '../refusal.ts';
import { type OrderWords, orderOf } from './order-options.ts';

/** Nothing was done by what was refused: it is asked at most twice. */
export async function withEpochWhereNeeded<Outcome>(
  client: Pick<AdminClient, 'status'>,
  words: OrderWords,
  ask: (order: OrderOptions) => Promise<Outcome>,
): Promise<Outcome> {
  const order = orderOf(words);
  try {
    return await ask(order);
  } catch (error) {
    const isNew = words.requestId === undefined && words.expectEpoch === undefined;
    if (!isNew || !lacksOnlyEpoch(error)) throw error;
    const { epoch } = await client.status();
    return ask({ ...order, expectedEpoch: epoch ?? 0 });
  }
}

function lacksOnlyEpoch(error: unknown): boolean {
  if (!(error instanceof QuorateError) || error.code !== 'refused-unsafe') return false;
  const { violations = [] }: Refusal = error.context;
  return violations.length > 0 && violations.every(({ type }) => type === 'EPOCH_NEEDED');
}
