/** Options of every command that changes something. */
import { type Command, InvalidArgumentError } from 'commander';

export interface OrderWords {
  readonly requestId?: string;
  readonly expectEpoch?: number;
}

/** `withEpoch`: where the command moves the resources, or may. */
export function withOrder(command: Command, withEpoch: boolean): Command {
  command.option('--request-id <id>', 'to repeat a request whose end is not known: it is done at most once');
  return withEpoch
    ? command.option('--expect-epoch <epoch>', 'refuse unless this epoch is open; 0: none', parseEpoch)
    : command;
}

export function orderOf({ requestId, expectEpoch }: OrderWords) {
  return { requestId, expectedEpoch: expectEpoch };
}

function parseEpoch(value: string): number {
  const epoch = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(epoch))
    throw new InvalidArgumentError('a whole number, as "quorate status" shows it');
  return epoch;
}
