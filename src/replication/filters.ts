/** Which datasets are replicated: patterns of names, where a pattern counts for everything below what it matches too. */
import { isKept, LEFT_OUT, leftOutWhy } from '../resources/index.ts';
import type { Dataset } from './pool.ts';

export interface Filters {
  /** Empty: everything. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Null: it is not. */
export function whyFiltered(name: string, { include, exclude }: Filters): string | null {
  const excluded = exclude.find((pattern) => matchesPattern(pattern, name));
  if (excluded !== undefined) return `"${excluded}" of exclude matches it`;
  return include.length === 0 || include.some((pattern) => matchesPattern(pattern, name))
    ? null
    : 'nothing of include matches it';
}

/** Null: it is replicated. `from`: the node that sends. */
export function whyNotReplicated(
  { name, wish, ownBytes, leftOut }: Pick<Dataset, 'name' | 'wish' | 'ownBytes' | 'leftOut'>,
  { pool, from, filters }: { readonly pool: string; readonly from: string; readonly filters: Filters },
): string | null {
  if (name === pool)
    return `the pool's own file system is on both sides from the beginning, and could only be overwritten: its ${ownBytes} bytes stay on ${from}`;
  if (isKept(pool, name)) return `is kept from an earlier tenure of ${from}, and stays there`;
  if (leftOut !== null)
    return `is left out on ${from} (${leftOutWhy(leftOut)}), and what the other node has may be newer: "zfs inherit ${LEFT_OUT} ${name}" on ${from} takes it up as it is`;
  return whyFiltered(name, filters) ?? (wish === 'off' ? 'has quorate:replicate=off' : null);
}

/** "*" stands for any characters but "/". */
export function matchesPattern(pattern: string, name: string): boolean {
  const wanted = pattern.split('/');
  const parts = name.split('/');
  return wanted.every((want, at) => {
    const part = parts[at];
    return part !== undefined && matchesPart(want, part);
  });
}

/** Without a regular expression: one with many stars can take for ever. */
function matchesPart(pattern: string, text: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return text === head;
  const tail = rest.pop() ?? '';
  if (!text.startsWith(head) || !text.endsWith(tail) || text.length < head.length + tail.length) return false;
  let at = head.length;
  const end = text.length - tail.length;
  return rest.every((piece) => {
    const found = text.indexOf(piece, at);
    at = found + piece.length;
    return found >= 0 && at <= end;
  });
}
