/**
 * Looks at LevelDB's own files before LevelDB does. LevelDB checks its logs and its manifest, but not its tables: on a
 * table with a flipped byte it stops the whole process by an assertion (measured: `internal_key.size() >= 8`), which an
 * agent would do again at each start, and an audit would call no answer.
 *
 * A data block with a wrong checksum is let through while it is well formed: LevelDB survives it, and the record's own
 * checksum then names the entry. Everything else must be right to the bit.
 * Formats: doc/log_format.md, doc/table_format.md and db/version_edit.cc of LevelDB 1.20.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const LOG_BLOCK_BYTES = 32 * 1024;
const LOG_HEADER_BYTES = 7;
const FOOTER_BYTES = 48;
const TABLE_MAGIC = 0xdb4775248b80fb57n;
const BLOCK_TRAILER_BYTES = 5;
/** Sequence number and type behind every key. */
const KEY_TRAILER_BYTES = 8;

const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

/** CRC-32C, masked as LevelDB stores it. */
function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC32C[(crc ^ byte) & 0xff] ?? 0);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

class FormatError extends Error {}

class Reader {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new FormatError('a number does not end');
  }

  take(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw new FormatError('something is cut short');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

/** The records of a log file up to the first one that is not whole. */
function* logRecords(file: Buffer): Generator<Buffer> {
  let parts: Buffer[] = [];
  for (let at = 0; at + LOG_HEADER_BYTES <= file.length; ) {
    const room = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES);
    if (room < LOG_HEADER_BYTES) {
      at += room;
      continue;
    }
    const [length, type] = [file.readUInt16LE(at + 4), file.readUInt8(at + 6)];
    const end = at + LOG_HEADER_BYTES + length;
    if (type < 1 || type > 4 || end > file.length) return;
    if (maskedCrc(file.subarray(at + 6, end)) !== file.readUInt32LE(at)) return;
    // 1: whole, 2: first part, 3: middle, 4: last.
    if (type <= 2) parts = [];
    parts.push(file.subarray(at + LOG_HEADER_BYTES, end));
    if (type === 1 || type === 4) yield Buffer.concat(parts);
    at = end;
  }
}

/** Numbers of the tables in use. Others may be torn: left behind by a power cut, to be deleted at the next open. */
function liveTables(manifest: Buffer): Set<number> {
  const live = new Set<number>();
  for (const record of logRecords(manifest)) {
    const reader = new Reader(record);
    while (!reader.isAtEnd) {
      const tag = reader.varint();
      if (tag === 1) reader.take(reader.varint());
      else if (tag === 2 || tag === 3 || tag === 4 || tag === 9) reader.varint();
      else if (tag === 5) {
        reader.varint();
        reader.take(reader.varint());
      } else if (tag === 6) {
        reader.varint();
        live.delete(reader.varint());
      } else if (tag === 7) {
        reader.varint();
        live.add(reader.varint());
        reader.varint();
        reader.take(reader.varint());
        reader.take(reader.varint());
      } else throw new FormatError(`the manifest has the unknown tag ${tag}`);
    }
  }
  return live;
}

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}
interface Block {
  readonly content: Buffer;
  readonly isIntact: boolean;
}

function readHandle(reader: Reader): BlockHandle {
  return { offset: reader.varint(), size: reader.varint() };
}

function readBlock(table: Buffer, { offset, size }: BlockHandle): Block {
  const end = offset + size + BLOCK_TRAILER_BYTES;
  if (end > table.length - FOOTER_BYTES) throw new FormatError('a block lies outside of its table');
  const isIntact = maskedCrc(table.subarray(offset, end - 4)) === table.readUInt32LE(end - 4);
  return { content: table.subarray(offset, offset + size), isIntact: isIntact && table[end - 5] === 0 };
}

/** The values of a block. @throws FormatError unless LevelDB can walk and search it without stumbling. */
function blockValues(block: Buffer): Buffer[] {
  if (block.length < 4) throw new FormatError('a block is too short');
  const restarts = block.readUInt32LE(block.length - 4);
  const end = block.length - 4 - 4 * restarts;
  if (restarts < 1 || end < 0) throw new FormatError('a block has no end');
  const reader = new Reader(block.subarray(0, end));
  const values: Buffer[] = [];
  const starts = new Set<number>(end === 0 ? [0] : []);
  let key = Buffer.alloc(0);
  while (!reader.isAtEnd) {
    const start = reader.at;
    const [shared, fresh, size] = [reader.varint(), reader.varint(), reader.varint()];
    if (shared > key.length) throw new FormatError('a key refers to more than there is');
    if (shared === 0) starts.add(start);
    const next = Buffer.concat([key.subarray(0, shared), reader.take(fresh)]);
    checkKey(key, next);
    key = next;
    values.push(reader.take(size));
  }
  for (let number = 0; number < restarts; number++)
    if (!starts.has(block.readUInt32LE(end + 4 * number))) throw new FormatError('a restart leads astray');
  return values;
}

function checkKey(before: Buffer, key: Buffer): void {
  if (key.length < KEY_TRAILER_BYTES) throw new FormatError('a key is too short');
  const type = key[key.length - KEY_TRAILER_BYTES];
  if (type === undefined || type > 1) throw new FormatError('a key has an unknown type');
  const user = (bytes: Buffer) => bytes.subarray(0, bytes.length - KEY_TRAILER_BYTES);
  if (before.length > 0 && Buffer.compare(user(before), user(key)) > 0)
    throw new FormatError('keys are out of order');
}

/** @throws FormatError where LevelDB must not be let near this table */
export function checkTable(table: Buffer): void {
  if (table.length < FOOTER_BYTES) throw new FormatError('it is too short');
  const footer = new Reader(table.subarray(table.length - FOOTER_BYTES));
  if (footer.bytes.readBigUInt64LE(FOOTER_BYTES - 8) !== TABLE_MAGIC)
    throw new FormatError('its end is corrupt');
  const [meta, index] = [readBlock(table, readHandle(footer)), readBlock(table, readHandle(footer))];
  if (!meta.isIntact || !index.isIntact) throw new FormatError('its index is corrupt');
  for (const value of blockValues(index.content)) {
    const block = readBlock(table, readHandle(new Reader(value)));
    if (!block.isIntact) blockValues(block.content);
  }
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Why LevelDB must not open the database in `path`, or null. Needs the directory for itself. */
export async function findHurtTable(path: string): Promise<string | null> {
  const current = (await readIfThere(join(path, 'CURRENT')))?.toString().trim() ?? '';
  const manifest = /^MANIFEST-\d+$/.test(current) ? await readIfThere(join(path, current)) : null;
  // LevelDB finds this by itself, and says so in an orderly way.
  if (manifest === null) return null;
  let file = current;
  try {
    for (const number of liveTables(manifest)) {
      file = `${String(number).padStart(6, '0')}.ldb`;
      const table = await readIfThere(join(path, file));
      if (table !== null) checkTable(table);
    }
    return null;
  } catch (error) {
    if (error instanceof FormatError) return `${file} of the database is corrupt: ${error.message}`;
    throw error;
  }
}
