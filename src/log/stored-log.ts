/**
 * What is on a disk, as bytes, without the disk: the input of `recover`, and the whole disk of a simulated node. A value:
 * nothing in it is ever changed in place.
 */
export interface StoredLog {
  /** Entry records in level, by index. A record that level cannot read is an empty array. */
  readonly records: ReadonlyMap<number, Uint8Array>;
  /** The hard-state record in level. */
  readonly hardStateRecord: Uint8Array | null;
  /** The two slots of the marker file; null or all zero where nothing was ever written. */
  readonly slots: readonly [Uint8Array | null, Uint8Array | null];
}

export type SlotNumber = 0 | 1;

/** One atomic, synced write to level (D1: first this ...). */
export interface BatchWrite {
  readonly puts: ReadonlyMap<number, Uint8Array>;
  /** Indexes behind the new last entry, where a conflict shortened the log. */
  readonly deletes: readonly number[];
  readonly hardState: Uint8Array;
}

/** One write and sync of a slot of the marker file (D1: ... then this). */
export interface MarkerWrite {
  readonly slot: SlotNumber;
  readonly bytes: Uint8Array;
}

export function emptyStoredLog(): StoredLog {
  return { records: new Map(), hardStateRecord: null, slots: [null, null] };
}

export function applyBatch(stored: StoredLog, batch: BatchWrite): StoredLog {
  const records = new Map(stored.records);
  for (const index of batch.deletes) records.delete(index);
  for (const [index, bytes] of batch.puts) records.set(index, bytes);
  return { ...stored, records, hardStateRecord: batch.hardState };
}

export function applyMarker(stored: StoredLog, marker: MarkerWrite): StoredLog {
  const [first, second] = stored.slots;
  return { ...stored, slots: marker.slot === 0 ? [marker.bytes, second] : [first, marker.bytes] };
}
