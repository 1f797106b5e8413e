/**
 * DRBD stand-in: what a node must remember of its device through kill -9: two slots, written in turn, each with
 * a sequence number and a checksum, and a file with one byte per block for the bitmap of changed blocks.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, fdatasync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Generations } from './generation.ts';

const SLOT_BYTES = 16_384;
const HISTORY_LIMIT = 16;
const FORMAT = 'quorate-local-drbd-1';

export interface Metadata extends Generations {
  readonly isConsistent: boolean;
  readonly isUpToDate: boolean;
  readonly isPrimary: boolean;
  readonly isPeerStale: boolean;
  readonly hasCrashedAsPrimary: boolean;
  /** Extents that a Primary may be writing to: what a crash leaves in doubt (DRBD's activity log). */
  readonly activeExtents: readonly number[];
}

export const newGeneration = (): string => randomBytes(8).toString('hex').toUpperCase();

export function newMetadata(current: string): Metadata {
  return {
    current,
    bitmapBase: null,
    history: [],
    isConsistent: true,
    isUpToDate: true,
    isPrimary: false,
    isPeerStale: false,
    hasCrashedAsPrimary: false,
    activeExtents: [],
  };
}

/** A Primary goes on alone: the peer's generation becomes the bitmap's base. Kept while already alone. */
export function goAlone(metadata: Metadata, generation = newGeneration()): Metadata {
  if (metadata.bitmapBase !== null) return metadata;
  return { ...metadata, bitmapBase: metadata.current, current: generation };
}

/** The bitmap's base is no longer what the peer has; a later divergence starts from `current`. */
export function closeBitmapBase(metadata: Metadata): Metadata {
  if (metadata.bitmapBase === null) return metadata;
  const history = [metadata.bitmapBase, ...metadata.history].slice(0, HISTORY_LIMIT);
  return { ...metadata, bitmapBase: null, history };
}

/** The end of a resync on its target: it now has the source's generation. */
export function adoptGeneration(metadata: Metadata, current: string): Metadata {
  const old = [metadata.current, metadata.bitmapBase].filter((id) => id !== null && id !== current);
  const history = [...new Set([...old, ...metadata.history])].filter((id) => id !== null);
  return { ...metadata, current, bitmapBase: null, history: history.slice(0, HISTORY_LIMIT) };
}

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex');

export class MetadataFile {
  readonly #file: number;
  #sequence = 0;
  #value: Metadata;

  private constructor(file: number, sequence: number, value: Metadata) {
    this.#file = file;
    this.#sequence = sequence;
    this.#value = value;
  }

  static open(path: string): MetadataFile {
    const file = openSync(path, 'r+');
    let newest: { sequence: number; value: Metadata } | null = null;
    for (const slot of [0, 1]) {
      const found = readSlot(file, slot);
      if (found !== null && (newest === null || found.sequence > newest.sequence)) newest = found;
    }
    if (newest === null) {
      closeSync(file);
      throw new Error(`${path}: no valid metadata in either slot`);
    }
    return new MetadataFile(file, newest.sequence, newest.value);
  }

  static create(path: string, value: Metadata): void {
    const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, 0o600);
    const metadata = new MetadataFile(file, 0, value);
    metadata.write(value);
    metadata.close();
  }

  get value(): Metadata {
    return this.#value;
  }

  /** Durable when it returns. Blocks for one fdatasync: state changes must not interleave with anything. */
  write(value: Metadata): void {
    this.#sequence += 1;
    const text = JSON.stringify({ format: FORMAT, sequence: this.#sequence, value });
    const record = Buffer.from(`${checksum(text)} ${text}\n`);
    if (record.length > SLOT_BYTES) throw new Error('metadata do not fit into a slot');
    writeSync(this.#file, record, 0, record.length, (this.#sequence % 2) * SLOT_BYTES);
    fdatasyncSync(this.#file);
    this.#value = value;
  }

  close(): void {
    closeSync(this.#file);
  }
}

function readSlot(file: number, slot: number): { sequence: number; value: Metadata } | null {
  const bytes = Buffer.alloc(SLOT_BYTES);
  const length = readSync(file, bytes, 0, SLOT_BYTES, slot * SLOT_BYTES);
  const line = bytes.toString('utf8', 0, length).split('\n', 1)[0] ?? '';
  const text = line.slice(65);
  if (line.slice(0, 64) !== checksum(text)) return null;
  // The checksum vouches for the shape: only `write` makes such a record.
  const record = JSON.parse(text) as { format: string; sequence: number; value: Metadata };
  if (record.format !== FORMAT) throw new Error(`metadata of an unknown format: ${record.format}`);
  return record;
}

/** One byte per block: 1 where the peer's copy may differ. */
export class Bitmap {
  readonly #file: number;
  readonly #marks: Uint8Array;
  #count = 0;

  constructor(path: string, blocks: number) {
    this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#marks = new Uint8Array(blocks);
    readSync(this.#file, this.#marks, 0, blocks, 0);
    for (const mark of this.#marks) if (mark !== 0) this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }

  has(block: number): boolean {
    return this.#marks[block] === 1;
  }

  /** In the page cache when it returns, so it outlives kill -9; `sync` makes it durable. */
  mark(block: number): boolean {
    return this.#set(block, 1);
  }

  unmark(block: number): boolean {
    return this.#set(block, 0);
  }

  #set(block: number, value: 0 | 1): boolean {
    if (this.#marks[block] === value) return false;
    this.#marks[block] = value;
    this.#count += value === 1 ? 1 : -1;
    writeSync(this.#file, this.#marks, block, 1, block);
    return true;
  }

  fill(value: 0 | 1): void {
    this.#marks.fill(value);
    this.#count = value === 1 ? this.#marks.length : 0;
    writeSync(this.#file, this.#marks, 0, this.#marks.length, 0);
  }

  blocks(): number[] {
    const found: number[] = [];
    for (let block = 0; block < this.#marks.length; block += 1) if (this.has(block)) found.push(block);
    return found;
  }

  async sync(): Promise<void> {
    await promisify(fdatasync)(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}
