/**
 * Level's part of the disk: entry records under `e` + index (big-endian, so in order), the hard-state record under `h`.
 *
 * Level is trusted with atomic, ordered, synced batches, and with nothing else: it drops what it cannot read without a
 * word (D1), and does not check what it reads. All checks are `recover`'s.
 */
import { Level } from 'level';
import { QuorateError } from '../errors.ts';
import type { BatchWrite } from './stored-log.ts';

export type Database = Level<Buffer, Uint8Array>;

const HARD_STATE_KEY = Buffer.from('h');
const ENTRY_PREFIX = 0x65; // "e"
const FIRST_ENTRY = entryKey(1);
const BEHIND_ENTRIES = Buffer.from([ENTRY_PREFIX + 1]);
const READ_CHUNK = 1000;
/** Stands for a record that level has but cannot read: too short to be valid. */
const UNREADABLE = new Uint8Array(0);

function entryKey(index: number): Buffer {
  const key = Buffer.alloc(9);
  key.writeUInt8(ENTRY_PREFIX, 0);
  key.writeBigUInt64BE(BigInt(index), 1);
  return key;
}

function openCode(code: string | undefined, message: string) {
  if (code === 'LEVEL_LOCKED') return 'data-directory-locked';
  if (code === 'LEVEL_CORRUPTION' || /no such file/i.test(message)) return 'log-unreadable';
  if (/permission denied|read-only/i.test(message)) return 'data-directory-unwritable';
  return 'storage-failed';
}

function openError(path: string, error: unknown): QuorateError {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const message = cause?.message ?? String(error);
  const code = openCode(cause?.code, message);
  const sentence =
    code === 'data-directory-locked'
      ? `${path} is open in another process`
      : `the database ${path} cannot be opened: ${message}`;
  return new QuorateError(code, sentence, { cause: error, context: { path } });
}

/** Snappy is off: it saves little on a log this small, and a flipped byte would cost a whole block. */
export async function openDatabase(path: string, createIfMissing: boolean): Promise<Database> {
  const database: Database = new Level<Buffer, Uint8Array>(path, {
    keyEncoding: 'buffer',
    valueEncoding: 'view',
    compression: false,
    createIfMissing,
  });
  try {
    await database.open();
  } catch (error) {
    throw openError(path, error);
  }
  return database;
}

/** A chained batch is as atomic as one of an array, and spares the event loop a copy of every operation. */
export async function writeBatch(database: Database, batch: BatchWrite): Promise<void> {
  const chain = database.batch();
  for (const index of batch.deletes) chain.del(entryKey(index));
  for (const [index, value] of batch.puts) chain.put(entryKey(index), value);
  chain.put(HARD_STATE_KEY, batch.hardState);
  await chain.write({ sync: true });
}

async function readOne(database: Database, key: Buffer): Promise<Uint8Array | null> {
  try {
    return (await database.get(key)) ?? null;
  } catch {
    return UNREADABLE;
  }
}

export function readHardStateRecord(database: Database): Promise<Uint8Array | null> {
  return readOne(database, HARD_STATE_KEY);
}

/** @param expectedLast up to which index to look one by one, where level cannot list what it has */
export async function readRecords(
  database: Database,
  expectedLast: number,
): Promise<Map<number, Uint8Array>> {
  const records = new Map<number, Uint8Array>();
  const iterator = database.iterator({ gte: FIRST_ENTRY, lt: BEHIND_ENTRIES });
  try {
    for (;;) {
      const chunk = await iterator.nextv(READ_CHUNK);
      if (chunk.length === 0) return records;
      for (const [key, value] of chunk)
        if (key.length === 9) records.set(Number(key.readBigUInt64BE(1)), value);
    }
  } catch {
    for (let index = 1; index <= expectedLast; index++) {
      const bytes = records.get(index) ?? (await readOne(database, entryKey(index)));
      if (bytes !== null) records.set(index, bytes);
    }
    return records;
  } finally {
    await iterator.close();
  }
}
