/**
 * A measurement, not a test: latency of `LogStore.persist` against its floor, one synced level batch and one synced write
 * of a slot, in the same process, on the same disk, in turn. Run on a quiet machine:
 *
 *   npx esbuild test/support/log-latency.ts --bundle --platform=node --format=esm --packages=external \
 *     --outfile=.local/log-latency.mjs && node .local/log-latency.mjs [directory]
 */
import { constants, fdatasync, openSync, write, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { LogStore, sha256 } from '../../src/log/index.ts';
import { ScriptedNode } from './log-fixtures.ts';

const RUNS = 7;
const WRITES = 300;
const SLOT = 4096;

const median = (values: number[]): number => values.sort((x, y) => x - y)[values.length >> 1] ?? Number.NaN;

async function timed(operation: (index: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < WRITES; index++) {
    const start = performance.now();
    await operation(index);
    times.push(performance.now() - start);
  }
  return median(times);
}

const done = (operation: (callback: (error: Error | null) => void) => void) =>
  new Promise<void>((resolve, reject) => operation((error) => (error === null ? resolve() : reject(error))));

const directory = await mkdtemp(join(process.argv[2] ?? '.local', 'log-latency-'));
const database = new Level<Buffer, Uint8Array>(join(directory, 'floor'), {
  keyEncoding: 'buffer',
  valueEncoding: 'view',
  compression: false,
});
await database.open();
writeFileSync(join(directory, 'slots'), Buffer.alloc(2 * SLOT), { flush: true } as object);
const plain = openSync(join(directory, 'slots'), constants.O_RDWR);
const { store } = await LogStore.open(join(directory, 'log'), { digest: sha256 });
const node = new ScriptedNode();
const block = Buffer.alloc(SLOT, 1);
const entry = Buffer.alloc(450, 2);
const state = Buffer.alloc(280, 3);

let keys = 0;
const floorBatch = () => {
  const key = Buffer.alloc(9);
  key.writeBigUInt64BE(BigInt(++keys), 1);
  const operations = [
    { type: 'put' as const, key, value: entry },
    { type: 'put' as const, key: Buffer.from('h'), value: state },
  ];
  return database.batch(operations, { sync: true });
};
const floorMarker = async (index: number) => {
  await done((callback) => write(plain, block, 0, SLOT, (index & 1) * SLOT, (error) => callback(error)));
  await done((callback) => fdatasync(plain, callback));
};
const text = 'x'.repeat(200);

const table: { batch: number; marker: number; floor: number; persist: number }[] = [];
for (let run = 0; run < RUNS; run++) {
  const batch = await timed(floorBatch);
  const marker = await timed(floorMarker);
  const floor = await timed(async (index) => {
    await floorBatch();
    await floorMarker(index);
  });
  // Made outside the clock: what an entry costs to make belongs to the core.
  const made = Array.from({ length: WRITES }, () => [node.append(1, text)]);
  table.push({ batch, marker, floor, persist: await timed((index) => store.persist(made[index] ?? [])) });
}
const of = (key: 'batch' | 'marker' | 'floor' | 'persist') => median(table.map((row) => row[key]));
const report = { batch: of('batch'), marker: of('marker'), floor: of('floor'), persist: of('persist') };
process.stdout.write(
  `${JSON.stringify({ medianMs: report, ratio: of('persist') / of('floor') }, null, 2)}\n`,
);
await store.close();
await database.close();
await rm(directory, { recursive: true });
