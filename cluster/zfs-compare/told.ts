/** A comparison for people. */
import type { Comparison, Difference } from './compare.ts';

/** What it was, in one line; then each difference with what led to it. */
export function inLines({ steps, histories, counts, contents, differences }: Comparison): readonly string[] {
  const kinds = Object.entries(counts)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([kind, count]) => `${kind} ${count}`);
  return [
    `${steps} steps in ${histories} histories, ${contents} snapshots read; ${kinds.join(', ')}`,
    ...differences.map(inOne),
  ];
}

function inOne({ history, step, words, found, said, before }: Difference): string {
  return [
    `history ${history}, step ${step}: ${words}`,
    ...found.map((one) => `  ${one}`),
    ...(said === '' ? [] : said.split('\n').map((line) => `  said: ${line}`)),
    ...before.map((line) => `    before: ${line}`),
  ].join('\n');
}
