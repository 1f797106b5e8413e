import { QuorateError } from '../errors.ts';

/** Characters; far below the limit of an entry. */
const MAX_REASON = 500;

/**
 * An operator's reason as it goes into the log: printable, no spaces around; empty where none was given.
 * @throws QuorateError `usage` where it is too long
 */
export function reasonOf(text: string): string {
  const clean = text.replaceAll(/[^\x20-\x7e]/g, '?').trim();
  if (clean.length > MAX_REASON)
    throw new QuorateError('usage', `the reason has ${clean.length} characters, at most ${MAX_REASON}`);
  return clean;
}
