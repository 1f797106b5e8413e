/**
 * What a node understands of the log and of elections, said in the headers of each stream that it opens: so the other end knows
 * it from the first message on, and anew after an upgrade. A node of before there was this says nothing.
 */
import type { Metadata } from '@grpc/grpc-js';

/**
 * 2: every kind of entry up to `restart-begun` with who and by which request; votes to adopt a tenure (L7).
 * 3: switchovers at a later time.
 */
export const FORMAT = 3;
export const FORMAT_HEADER = 'quorate-format';
const MAX_FORMAT = 1_000_000;

/** Null: it does not say it, or not as a number. */
export function readFormat(metadata: Metadata): number | null {
  const [value] = metadata.get(FORMAT_HEADER);
  if (typeof value !== 'string' || !/^[0-9]{1,7}$/.test(value)) return null;
  const format = Number(value);
  return format <= MAX_FORMAT ? format : null;
}
