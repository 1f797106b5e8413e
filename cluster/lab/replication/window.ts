/** Which of a client's records a takeover from a copy may lose, and which it must not. Pure. */
import type { Entry } from '../../../src/core/index.ts';

/** The snapshot that a takeover went on from, by the log's own word; null where it says none. */
export function statedSnapshot(entries: readonly Entry[], epoch: number, pool: string): string | null {
  const start = `epoch ${epoch}: ${pool} goes on from @`;
  for (const { body } of entries)
    if (body.kind === 'note' && body.text.startsWith(start))
      return body.text.slice(start.length).split(/[ ,]/)[0] ?? null;
  return null;
}

/** Numbers of records, in the order in which they were written, one after the other. */
export interface RecordsOfWriter {
  /** All, to the end. */
  readonly acknowledged: readonly number[];
  /** Before the stated snapshot can have been taken. */
  readonly beforeSnapshot: readonly number[];
  /** By the old holder. */
  readonly atCut: readonly number[];
  /** Of the acknowledged ones, what is not in the stated snapshot, not in the newest that has arrived, and not there in the end. */
  readonly missing: {
    readonly inStated: readonly number[];
    readonly inNewest: readonly number[];
    readonly inTheEnd: readonly number[];
  };
}

export interface Verdict {
  /** Acknowledged by the old holder after the stated snapshot. */
  readonly window: readonly number[];
  /** What of them is really gone from what goes on: fewer where a newer snapshot has arrived than the one that is stated. */
  readonly onlyOnOldHolder: readonly number[];
  /** Whatever else is missing. */
  readonly lost: readonly number[];
}

export function judge({ acknowledged, beforeSnapshot, atCut, missing }: RecordsOfWriter): Verdict {
  const [inStated, inNewest, inTheEnd] = [missing.inStated, missing.inNewest, missing.inTheEnd].map(
    (numbers) => new Set(numbers),
  ) as [Set<number>, Set<number>, Set<number>];
  const lastIn = (gone: ReadonlySet<number>): number =>
    Math.max(0, ...atCut.filter((number) => !gone.has(number)));
  const stated = lastIn(inStated);
  // A snapshot has everything up to some record: its last one bounds what may be missing.
  const bound = Math.max(stated, lastIn(inNewest));
  const byOldHolder = new Set(atCut);
  const mayBeGone = (number: number): boolean => byOldHolder.has(number) && number > bound;
  const mustBeInStated = [...beforeSnapshot, ...atCut.filter((number) => number < stated)];
  const lost = new Set([
    ...acknowledged.filter((number) => inTheEnd.has(number) && !mayBeGone(number)),
    ...mustBeInStated.filter((number) => inStated.has(number)),
  ]);
  return {
    window: atCut.filter((number) => number > stated),
    onlyOnOldHolder: atCut.filter((number) => inTheEnd.has(number) && mayBeGone(number) && !lost.has(number)),
    lost: [...lost].toSorted((one, other) => one - other),
  };
}

/** Of a line that a writer has noted when it read its record back; null where it is of something else. */
export function recordRead(error: string): number | null {
  const [, number] = /^read (\d+):/.exec(error) ?? [];
  return number === undefined ? null : Number(number);
}

/** Of a line that a reader has noted (guest/nfs-clients.sh): whether it was given anything at all. */
export const hasReadNothing = (error: string): boolean => /^read \d+: {2}/.test(error);
