/** Building blocks of the schemas: parsers of scalars, and texts with limits. */
import { z } from 'zod';
import { durationMs } from '../core/index.ts';
import { formatAddress, type Parsed, parseAddress, parseDuration } from './scalars.ts';

/** The hint travels behind this mark, because zod's issues have a message only. */
export const HINT_MARK = '\u0000';

export function parsed<Value>(parse: (value: unknown) => Parsed<Value>) {
  return z.unknown().transform((value, context): Value => {
    const result = parse(value);
    if (result.ok) return result.value;
    const message = result.hint === null ? result.why : `${result.why}${HINT_MARK}${result.hint}`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

export const duration = (minMs: number, maxMs: number) =>
  parsed((value) => parseDuration(value, { minMs, maxMs })).transform((value) => durationMs(value));

export const address = parsed(parseAddress).transform((value) => formatAddress(value));

export const text = (maxLength: number) => z.string().min(1).max(maxLength);

export const filePath = text(4096).refine((value) => !value.includes('\u0000'), 'is not a file name');

export const poolName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,127}$/, `is not the name of a ZFS pool${HINT_MARK}as "tank"`);
