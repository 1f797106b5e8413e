/**
 * Branded scalars. What must not be mixed has its own type; values are made only at a gateway (codec, config,
 * clock) by the functions below, which assert the range.
 */
declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Raft term, 0 before the first election. */
export type Term = Brand<number, 'Term'>;
/** Position in the replicated log. The first entry is 1; 0 stands for "before the log". */
export type LogIndex = Brand<number, 'LogIndex'>;
/** Log index of the `tenure-granted` entry of a tenure: the fencing token that every action carries (H2). */
export type Epoch = Brand<number, 'Epoch'>;
/** 1 to 63 letters, digits, and inner `-` or `_`; used once for all time (E5). */
export type NodeId = Brand<string, 'NodeId'>;
/** Milliseconds of the node's own monotonic clock, may have fractions (T1). Comparable on one host only. */
export type Instant = Brand<number, 'Instant'>;
export type DurationMs = Brand<number, 'DurationMs'>;
/** Hash of the log up to and including an entry, as the injected digest prints it. */
export type ChainHash = Brand<string, 'ChainHash'>;

/** A broken invariant of our own. Never caught: release, log, exit with its own code. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

export function assertNever(value: never): never {
  throw new InvariantError(`unhandled variant: ${JSON.stringify(value)}`);
}

function wholeNumber(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${what} must be a whole number ≥ 0, got ${value}`);
  return value;
}

export const term = (value: number): Term => wholeNumber(value, 'term') as Term;
export const logIndex = (value: number): LogIndex => wholeNumber(value, 'log index') as LogIndex;
export const epoch = (value: number): Epoch => wholeNumber(value, 'epoch') as Epoch;
export function nodeId(value: string): NodeId {
  if (!/^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/.test(value)) {
    throw new RangeError(
      `node id must be 1 to 63 letters, digits and inner "-" or "_", got ${JSON.stringify(value)}`,
    );
  }
  return value as NodeId;
}
export function instant(value: number): Instant {
  if (!Number.isFinite(value)) throw new RangeError(`instant must be finite, got ${value}`);
  return value as Instant;
}
export function durationMs(value: number): DurationMs {
  if (!Number.isFinite(value) || value < 0)
    throw new RangeError(`duration must be finite and ≥ 0, got ${value}`);
  return value as DurationMs;
}
export const chainHash = (value: string): ChainHash => value as ChainHash;

/** A hash of a text, injected so that the core stays pure. Production and tests use SHA-256 in hex. */
export type Digest = (text: string) => string;
