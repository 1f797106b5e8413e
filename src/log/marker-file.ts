/**
 * The marker: a file of two slots, written in turn, each with one hard-state record and zeros behind it (D1).
 *
 * 1. A slot is one aligned block, so a torn write cannot touch the other one.
 * 2. The file has its full size, in written blocks, before the first marker: a marker's sync has no metadata to write.
 * 3. The file is opened with O_DSYNC: by open(2) every write is followed by an fdatasync, in one trip to the thread pool
 *    instead of two (measured 0.13 ms against 0.15–0.18 ms).
 */
import { close, constants, open, write } from 'node:fs';
import { open as openHandle, readFile } from 'node:fs/promises';
import { assert } from '../core/index.ts';
import { MAX_RECORD_BYTES } from './record.ts';
import type { MarkerWrite } from './stored-log.ts';

export const SLOT_BYTES = 4096;
const FILE_BYTES = 2 * SLOT_BYTES;

export type Slots = readonly [Uint8Array | null, Uint8Array | null];

/** Slots as they are; null for one that the file does not reach (a creation that a power cut ended). */
export async function readMarkerFile(path: string): Promise<Slots | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const slot = (start: number) =>
    bytes.length > start ? new Uint8Array(bytes.subarray(start, start + SLOT_BYTES)) : null;
  return [slot(0), slot(SLOT_BYTES)];
}

/** Gives the file its full size; bytes that are there stay. */
export async function preallocateMarkerFile(path: string): Promise<void> {
  const file = await openHandle(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const { size } = await file.stat();
    if (size >= FILE_BYTES) return;
    await file.write(Buffer.alloc(FILE_BYTES - size), 0, FILE_BYTES - size, size);
    await file.sync();
  } finally {
    await file.close();
  }
}

export class MarkerFile {
  readonly #fd: number;
  /** One write at a time, so one buffer serves all. */
  readonly #block = Buffer.alloc(SLOT_BYTES);

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static open(path: string): Promise<MarkerFile> {
    return new Promise((resolve, reject) => {
      open(path, constants.O_RDWR | constants.O_DSYNC, (error, fd) =>
        error ? reject(error) : resolve(new MarkerFile(fd)),
      );
    });
  }

  write({ slot, bytes }: MarkerWrite): Promise<void> {
    assert(bytes.length <= MAX_RECORD_BYTES['hard-state'], 'a marker is larger than its slot');
    this.#block.fill(0, bytes.length);
    this.#block.set(bytes);
    return new Promise((resolve, reject) => {
      write(this.#fd, this.#block, 0, SLOT_BYTES, slot * SLOT_BYTES, (error, written) => {
        if (error !== null) reject(error);
        else if (written !== SLOT_BYTES)
          reject(new Error(`only ${written} of ${SLOT_BYTES} bytes were written`));
        else resolve();
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      close(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }
}
