/** The floors: what the machine itself needs for one synced batch, one fdatasync and one round trip, in the same run. */
import { mkdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';

export const SAMPLES = 600;
const ENTRY_BYTES = 450;
const MARKER_BYTES = 4096;

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export async function timed(count: number, act: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const began = performance.now();
    await act(index);
    times.push(performance.now() - began);
  }
  return times;
}

/** Both kinds of disk work that a commit needs, each by itself, on files of their own beside the log. */
export class DiskWork {
  readonly #database: Level<string, Uint8Array>;
  readonly #file: FileHandle;
  #count = 0;

  private constructor(database: Level<string, Uint8Array>, file: FileHandle) {
    this.#database = database;
    this.#file = file;
  }

  static async open(directory: string): Promise<DiskWork> {
    mkdirSync(directory, { recursive: true });
    const database = new Level<string, Uint8Array>(join(directory, 'floor-level'), { valueEncoding: 'view' });
    await database.open();
    const file = await open(join(directory, 'floor-file'), 'w+');
    await file.write(new Uint8Array(2 * MARKER_BYTES));
    await file.sync();
    return new DiskWork(database, file);
  }

  /** One synced `level` batch of an entry's size, the cheapest way that level has: the one that the log uses. */
  batches(samples: number): Promise<number[]> {
    const value = new Uint8Array(ENTRY_BYTES);
    return timed(samples, () => {
      this.#count += 1;
      return this.#database.batch().put(String(this.#count), value).write({ sync: true });
    });
  }

  /** One write of a marker's slot and its fdatasync, in a file of full length. */
  syncs(samples: number): Promise<number[]> {
    const block = new Uint8Array(MARKER_BYTES);
    return timed(samples, async (index) => {
      await this.#file.write(block, 0, MARKER_BYTES, (index % 2) * MARKER_BYTES);
      await this.#file.datasync();
    });
  }

  async close(): Promise<void> {
    await this.#database.close();
    await this.#file.close();
  }
}
