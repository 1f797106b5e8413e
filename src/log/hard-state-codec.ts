/**
 * The hard-state record: what a node must remember besides the log, with the log's tail (D1). Level's batch and the marker
 * that follows it carry the same bytes, so an intact pair of equal sequence is equal to the last bit.
 */
import { z } from 'zod';
import type { ChainHash, Entry, HardState, LogIndex, Term } from '../core/index.ts';
import { canonicalJson, GENESIS, logIndex, term } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { hardStateSchema } from './entry-schema.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** The last entry of the log as of a persist; index 0, term 0 and `GENESIS` when there is none. */
export interface Tail {
  readonly index: LogIndex;
  readonly term: Term;
  readonly hash: ChainHash;
}

export interface HardStateRecord {
  /** Increases with every synced batch. */
  readonly sequence: number;
  readonly hardState: HardState;
  readonly tail: Tail;
}

export const EMPTY_TAIL: Tail = { index: logIndex(0), term: term(0), hash: GENESIS };
export const EMPTY_HARD_STATE: HardState = {
  term: term(0),
  votedFor: null,
  commitIndex: logIndex(0),
  damaged: null,
};

const wholeNumber = z.number().int().min(0);
const schema = z.strictObject({
  sequence: wholeNumber.min(1),
  hardState: hardStateSchema,
  tail: z.strictObject({
    index: wholeNumber,
    term: wholeNumber,
    hash: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});

export function tailOf(entries: readonly Entry[]): Tail {
  const last = entries.at(-1);
  return last === undefined ? EMPTY_TAIL : { index: last.index, term: last.term, hash: last.hash };
}

export function encodeHardState(record: HardStateRecord): Uint8Array {
  return encodeRecord('hard-state', canonicalJson(record));
}

/** @throws CorruptRecordError; QuorateError `log-format-unknown` for an intact record of another version. */
export function decodeHardState(bytes: Uint8Array): HardStateRecord {
  const parsed = schema.safeParse(decodeRecord('hard-state', bytes));
  if (!parsed.success)
    throw new QuorateError(
      'log-format-unknown',
      'the hard state is intact, but this program does not know it',
      {
        cause: parsed.error,
      },
    );
  const { sequence, hardState, tail } = parsed.data;
  return {
    sequence,
    hardState,
    tail: { index: logIndex(tail.index), term: term(tail.term), hash: tail.hash as ChainHash },
  };
}
