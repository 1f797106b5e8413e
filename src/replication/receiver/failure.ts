/** What it means when `zfs receive` ends with an error, by what it says (OpenZFS 2.1 to 2.3, libzfs_sendrecv.c). */
import type { ReceiveEnd } from '../channel.ts';

type Code = Extract<ReceiveEnd, { kind: 'broken' }>['code'];

const MEANINGS: readonly (readonly [RegExp, Code])[] = [
  [/out of space|no space left|quota/i, 'full'],
  // The bytes ended too early, or are no stream: with -s what has arrived whole is kept.
  [
    /incomplete stream|failed to read from stream|invalid stream|checksum mismatch|invalid backup stream/i,
    'stream',
  ],
  [/partially received snapshot is saved|unexpected end|bad magic|input.output error/i, 'stream'],
];

/** What is not known is a refusal: to send it once more would not help. */
export function failureOf(stderr: string): Code {
  return MEANINGS.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'refused';
}

const MAX_CHARACTERS = 500;

/** Somebody else's words, on one line, for a terminal. */
export const oneLine = (text: string): string =>
  text
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ')
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, MAX_CHARACTERS);
