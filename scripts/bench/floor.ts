/** The floors: what the machine itself needs for one synced batch, one fdatasync and one round trip, in the same run. */
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
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

/** One synced `level` batch of an entry's size, the cheapest way that level has: the one that the log uses. */
export async function batchFloor(directory: string): Promise<number[]> {
  mkdirSync(directory, { recursive: true });
  const db = new Level<string, Uint8Array>(join(directory, 'floor-level'), { valueEncoding: 'view' });
  await db.open();
  const value = new Uint8Array(ENTRY_BYTES);
  const times = await timed(SAMPLES, (index) => db.batch().put(String(index), value).write({ sync: true }));
  await db.close();
  return times;
}

/** One write of a marker's slot and its fdatasync, in a file of full length. */
export async function syncFloor(directory: string): Promise<number[]> {
  const file = await open(join(directory, 'floor-file'), 'w+');
  const block = new Uint8Array(MARKER_BYTES);
  await file.write(new Uint8Array(2 * MARKER_BYTES));
  await file.sync();
  const times = await timed(SAMPLES, async (index) => {
    await file.write(block, 0, MARKER_BYTES, (index % 2) * MARKER_BYTES);
    await file.datasync();
  });
  await file.close();
  return times;
}
