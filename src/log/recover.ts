/**
 * What a node may believe of its disk (D1, D2). Pure: the same bytes, the same answer.
 *
 * 1. `entries` is the longest prefix from index 1 in which every record is intact, sits at its own index, links to the one
 *    before it and has a term that does not fall. Everything behind it is as if it were not there, and stays on the disk.
 * 2. The newest hard state names the tail as of its persist, with the hash of the whole log up to it. A prefix that contains
 *    this very tail has lost nothing that was acknowledged. Entries behind the tail were never acknowledged: kept if intact.
 * 3. Otherwise the node is damaged, until a hard state says that it is not any more. A restart in the middle of healing
 *    finds the damage in the hard state, and, if the disk lost still more, the larger of both.
 * 4. A power cut at any instant ends in clean: level's batch is atomic and carries the hard state that fits it.
 */
import type { DamageMarker, Digest, Entry, HardState } from '../core/index.ts';
import { GENESIS, logIndex } from '../core/index.ts';
import { decodeEntry } from './entry-codec.ts';
import { EMPTY_HARD_STATE, type Tail } from './hard-state-codec.ts';
import { chooseHardState } from './hard-state-copies.ts';
import { CorruptRecordError } from './record.ts';
import { sha256 } from './sha256.ts';
import type { StoredLog } from './stored-log.ts';

export interface RecoveredLog {
  readonly status: 'empty' | 'clean' | 'damaged';
  readonly hardState: HardState;
  /** The longest valid prefix. */
  readonly entries: readonly Entry[];
  readonly damage: DamageMarker | null;
  /** Sentences for the log and for `doctor`; a clean start may have some (a torn marker slot). */
  readonly problems: readonly string[];
}

/** Why entry `index` cannot follow `before`, or the entry. */
export function readRecord(
  stored: StoredLog,
  index: number,
  before: Entry | undefined,
  digest: Digest,
): Entry | string {
  const bytes = stored.records.get(index);
  if (bytes === undefined) return `entry ${index} is missing`;
  let entry: Entry;
  try {
    entry = decodeEntry(bytes, digest);
  } catch (error) {
    if (error instanceof CorruptRecordError) return `entry ${index} is corrupt: ${error.message}`;
    throw error;
  }
  if (entry.index !== index) return `entry ${entry.index} stands in the place of entry ${index}`;
  if (entry.previous !== (before?.hash ?? GENESIS))
    return `entry ${index} does not continue the chain of the entries before it`;
  if (entry.term < (before?.term ?? 0)) return `entry ${index} has a lower term than the entry before it`;
  return entry;
}

function longestPrefix(stored: StoredLog, newestTerm: number, digest: Digest) {
  const entries: Entry[] = [];
  for (;;) {
    const next = readRecord(stored, entries.length + 1, entries.at(-1), digest);
    if (typeof next === 'string') return { entries, end: next };
    // The batch that brought it was never acknowledged, and its hard state is unreadable: dropping it is as good.
    if (next.term > newestTerm)
      return { entries, end: `entry ${next.index} is of a later term than the hard state` };
    entries.push(next);
  }
}

function larger(left: DamageMarker | null, right: DamageMarker | null): DamageMarker | null {
  if (left === null || right === null) return left ?? right;
  if (left.markerTerm !== right.markerTerm) return left.markerTerm > right.markerTerm ? left : right;
  return left.markerIndex >= right.markerIndex ? left : right;
}

function contains(entries: readonly Entry[], tail: Tail): boolean {
  return tail.index === 0 || entries[tail.index - 1]?.hash === tail.hash;
}

/**
 * @throws QuorateError `hard-state-unreadable` where no copy can be trusted, `log-format-unknown` for intact records of
 *   another version.
 */
export function recover(stored: StoredLog, digest: Digest = sha256): RecoveredLog {
  const chosen = chooseHardState(stored);
  if (chosen === null)
    return { status: 'empty', hardState: EMPTY_HARD_STATE, entries: [], damage: null, problems: [] };

  const { hardState, tail } = chosen.record;
  const problems = [...chosen.problems];
  const { entries, end } = longestPrefix(stored, hardState.term, digest);
  const hasTail = contains(entries, tail);
  if (!hasTail)
    problems.push(
      entries.length < tail.index
        ? `${end}; the log should go on to entry ${tail.index}`
        : `the log up to entry ${tail.index} is not the one that was acknowledged`,
    );
  else if (stored.records.has(entries.length + 1))
    problems.push(`${end}; it was not acknowledged and is ignored`);

  const fresh =
    hasTail && !chosen.levelLostABatch ? null : { markerIndex: tail.index, markerTerm: tail.term };
  const damage = larger(fresh, hardState.damaged);
  // Without the tail's hash nothing proves that the prefix is the branch that was committed: a lost batch may have
  // replaced some of it. Zero is always a lower bound; the leader tells the rest.
  const commitIndex = hasTail ? logIndex(Math.min(hardState.commitIndex, entries.length)) : logIndex(0);
  return {
    status: damage === null ? 'clean' : 'damaged',
    hardState: { ...hardState, commitIndex, damaged: damage },
    entries,
    damage,
    problems,
  };
}
