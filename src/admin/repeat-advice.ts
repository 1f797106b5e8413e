/** What to do about an order whose outcome is not known. */
import type { QuorateError } from '../errors.ts';
import { ID_NOT_IN_LOG, type Refusal } from '../refusal.ts';

/**
 * True whether the log has the id or not, for a lost answer does not say which: an agent writes no id that a voter could not read,
 * and takes such an order only with an epoch, which ends once. That nobody holds (0) may be so again, and is less.
 */
export function repeatAdvice(
  error: QuorateError,
  requestId: string,
  expectedEpoch: number | undefined,
): string {
  const { facts }: Refusal = error.context;
  const repeated = `repeated word for word with --request-id ${requestId}`;
  if (expectedEpoch === 0)
    return `${LOOK}; ${repeated} and --expect-epoch 0 it is refused while a node holds`;
  if (facts?.[ID_NOT_IN_LOG] === 'true') {
    // Of an agent that takes such an order without an epoch nothing tells a repeat from a new one.
    if (expectedEpoch === undefined) return `${LOOK}, and repeat it with --expect-epoch only`;
    return `${LOOK}; ${repeated} and --expect-epoch ${expectedEpoch} it is refused once that epoch has ended`;
  }
  const epoch = expectedEpoch === undefined ? '' : ` and --expect-epoch ${expectedEpoch}`;
  return `${repeated}${epoch} it is done at most once`;
}

const LOOK = 'look at "quorate status" first';
