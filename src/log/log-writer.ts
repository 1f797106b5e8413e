/**
 * Turns persists into writes: one batch for level and one marker after it (D1). Pure but for its position; what to do
 * with the writes is the caller's: `LogStore` gives them to the disk, a simulation to a `StoredLog`.
 */
import type { Digest, Entry, Persist } from '../core/index.ts';
import { assert } from '../core/index.ts';
import { encodeEntry } from './entry-codec.ts';
import { encodeHardState, type Tail, tailOf } from './hard-state-codec.ts';
import { chooseHardState } from './hard-state-copies.ts';
import { type RecoveredLog, recover } from './recover.ts';
import type { BatchWrite, MarkerWrite, SlotNumber, StoredLog } from './stored-log.ts';
import { applyBatch, applyMarker } from './stored-log.ts';

export interface WritePlan {
  readonly batch: BatchWrite;
  readonly marker: MarkerWrite;
}

function assertContinues(entries: readonly Entry[], tail: Tail): void {
  let before: { readonly index: number; readonly hash: string } = tail;
  for (const entry of entries) {
    if (entry === entries[0])
      assert(entry.index >= 1 && entry.index <= tail.index + 1, `persist leaves a gap`);
    else assert(entry.index === before.index + 1, `persist has a gap before entry ${entry.index}`);
    // The hashes inside the log are not kept here; the link of an entry that replaces others is the core's to check.
    if (entry.index === before.index + 1)
      assert(entry.previous === before.hash, `entry ${entry.index} does not link to the one before it`);
    before = entry;
  }
}

export class LogWriter {
  #sequence: number;
  #tail: Tail;
  #slot: SlotNumber;

  constructor(stored: StoredLog, recovered: RecoveredLog) {
    const chosen = chooseHardState(stored);
    this.#sequence = chosen?.record.sequence ?? 0;
    this.#slot = chosen?.nextSlot ?? 0;
    // The tail of what was recovered, not the recorded one: a kept suffix counts from now on, a lost one does not.
    this.#tail = tailOf(recovered.entries);
  }

  get tail(): Tail {
    return this.#tail;
  }

  /** Persists of one call are one write: the last hard state, and of entries with the same index the last one. */
  plan(persists: readonly Persist[]): WritePlan {
    const hardState = persists.at(-1)?.hardState;
    assert(hardState !== undefined, 'a write without a persist');
    const before = this.#tail;
    const fresh = new Map<number, Entry>();
    for (const { entries } of persists) {
      if (entries.length === 0) continue;
      assertContinues(entries, this.#tail);
      for (const entry of entries) fresh.set(entry.index, entry);
      this.#tail = tailOf(entries);
    }
    const last: number = this.#tail.index;
    const puts = new Map<number, Uint8Array>();
    for (const [index, entry] of fresh) if (index <= last) puts.set(index, encodeEntry(entry));
    const deletes: number[] = [];
    for (let index = last + 1; index <= before.index; index++) deletes.push(index);

    this.#sequence += 1;
    const bytes = encodeHardState({ sequence: this.#sequence, hardState, tail: this.#tail });
    const marker: MarkerWrite = { slot: this.#slot, bytes };
    this.#slot = this.#slot === 0 ? 1 : 0;
    return { batch: { puts, deletes, hardState: bytes }, marker };
  }
}

/** What `LogStore.open` does, on a `StoredLog`: for simulated disks. */
export function openStored(
  stored: StoredLog,
  digest?: Digest,
): { readonly recovered: RecoveredLog; readonly writer: LogWriter } {
  const recovered = recover(stored, digest);
  return { recovered, writer: new LogWriter(stored, recovered) };
}

/**
 * One step of one persist on a disk that was just opened; `marker` follows its own `batch`. Reads the whole log each time:
 * a simulation that writes often keeps the writer of `openStored`.
 */
export function applyPersist(stored: StoredLog, persist: Persist, step: 'batch' | 'marker'): StoredLog {
  if (step === 'batch') return applyBatch(stored, openStored(stored).writer.plan([persist]).batch);
  const chosen = chooseHardState(stored);
  assert(chosen !== null && stored.hardStateRecord !== null, 'a marker before its batch');
  return applyMarker(stored, { slot: chosen.nextSlot, bytes: stored.hardStateRecord });
}
