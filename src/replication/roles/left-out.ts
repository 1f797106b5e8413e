/**
 * On the receiver: what is no part of what the holder has open is marked, so that no takeover here opens what has become old
 * (resources/left-out.ts), and what is part of it again loses its mark.
 *
 * 1. A mark goes when the dataset is as new as the others: once it was found with them, and with no word that is older than the one here.
 * 2. Both before the word that everything has arrived: with a newer word, and without the marks, a takeover would open what is older than that.
 * 3. Only a mark that was set here counts. What came with a stream, and what is inherited, is neither one nor hinders one.
 * 4. The mark names no GUID: a clone that takes the place of a marked one (aside.ts) is as old as that, and gets its mark with its properties.
 */
import { QuorateError } from '../../errors.ts';
import { LEFT_OUT, leftOutText } from '../../resources/index.ts';
import type { LeftOutThere, NamedSnapshot } from '../channel.ts';
import { batchesOf } from '../holds.ts';
import type { CompleteParts } from './complete.ts';
import { said } from './set-aside.ts';

const LIMITS = {
  /** Names of one question. */
  asked: 100,
  /** Of one change, which waits for a transaction group for each (holds.ts). What a limit ends goes on with the next word. */
  atOnce: 8,
} as const;

export interface PartOfAWord {
  readonly snapshots: readonly NamedSnapshot[];
  readonly leftOut?: readonly LeftOutThere[] | undefined;
}

/** Marks what is not marked yet. Resolves with what has a mark, and is part of the word. */
export async function leaveOut(
  { snapshots, leftOut = [] }: PartOfAWord,
  parts: CompleteParts,
): Promise<readonly string[]> {
  const part = snapshots.map(({ dataset }) => dataset);
  const marked = await markedOf([...part, ...leftOut.map(({ dataset }) => dataset)], parts);
  const old = new Map<string, string[]>();
  for (const { dataset, since } of leftOut) {
    if (marked.has(dataset)) continue;
    const text = leftOutText(since);
    old.set(text, [...(old.get(text) ?? []), dataset]);
  }
  for (const [text, datasets] of old) await ofEach(['zfs', 'set', `${LEFT_OUT}=${text}`], datasets, parts);
  return part.filter((dataset) => marked.has(dataset));
}

export const takeUp = (datasets: readonly string[], parts: CompleteParts): Promise<void> =>
  ofEach(['zfs', 'inherit', LEFT_OUT], datasets, parts);

async function ofEach(
  command: readonly string[],
  datasets: readonly string[],
  parts: CompleteParts,
): Promise<void> {
  for (const some of batchesOf(datasets, LIMITS.atOnce)) await said([...command, ...some], parts);
}

/** (3) Without the values, which may have line breaks. */
async function markedOf(datasets: readonly string[], parts: CompleteParts): Promise<ReadonlySet<string>> {
  const sources = new Map<string, string>();
  for (const some of batchesOf(datasets, LIMITS.asked)) {
    const text = await said(['zfs', 'get', '-H', '-o', 'name,source', LEFT_OUT, ...some], parts);
    for (const line of text.split('\n')) {
      const [name = '', source = ''] = line.split('\t');
      sources.set(name, source);
    }
  }
  for (const dataset of datasets)
    if (!sources.has(dataset))
      throw new QuorateError('command-failed', `"zfs get ${LEFT_OUT}" said nothing of ${dataset}`);
  return new Set(datasets.filter((dataset) => sources.get(dataset) === 'local'));
}
