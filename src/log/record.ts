/**
 * The frame around everything that the log stores:
 *
 *   0      2     3        4        8           24
 *   | "QR" | type| version| length | checksum  | payload: canonical JSON in UTF-8
 *
 * `length` is the payload's, big-endian. The checksum is the first 16 bytes of SHA-256 over bytes 0–8 and the payload.
 * Magic, length and checksum keep their places in every version, so a flipped version byte is told from a newer version:
 * only the latter has a valid checksum.
 */
import { createHash } from 'node:crypto';
import { assert } from '../core/index.ts';
import { QuorateError } from '../errors.ts';

const MAGIC = 0x5152; // "QR"
const HEADER_BYTES = 24;
const CHECKSUM_AT = 8;
const CHECKSUM_BYTES = HEADER_BYTES - CHECKSUM_AT;
export const RECORD_VERSION = 1;

export type RecordType = 'entry' | 'hard-state';
const TYPE_BYTE = { entry: 0x45, 'hard-state': 0x48 } as const satisfies Record<RecordType, number>;

/** Whole records. A hard state must fit a slot of the marker file. */
export const MAX_RECORD_BYTES = {
  entry: 64 * 1024,
  'hard-state': 4096,
} as const satisfies Record<RecordType, number>;

/** These bytes are not what was written (D1). An operating error of the disk: `recover` decides what it means. */
export class CorruptRecordError extends Error {
  override readonly name = 'CorruptRecordError';
}

function checksum(bytes: Uint8Array, length: number): Buffer {
  return createHash('sha256')
    .update(bytes.subarray(0, CHECKSUM_AT))
    .update(bytes.subarray(HEADER_BYTES, HEADER_BYTES + length))
    .digest()
    .subarray(0, CHECKSUM_BYTES);
}

export function encodeRecord(type: RecordType, payload: string): Uint8Array {
  const length = Buffer.byteLength(payload);
  assert(
    HEADER_BYTES + length <= MAX_RECORD_BYTES[type],
    `${type} record of ${HEADER_BYTES + length} bytes is over the limit of ${MAX_RECORD_BYTES[type]}`,
  );
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + length);
  bytes.writeUInt16BE(MAGIC, 0);
  bytes.writeUInt8(TYPE_BYTE[type], 2);
  bytes.writeUInt8(RECORD_VERSION, 3);
  bytes.writeUInt32BE(length, 4);
  bytes.write(payload, HEADER_BYTES);
  checksum(bytes, length).copy(bytes, CHECKSUM_AT);
  return bytes;
}

/**
 * The payload, parsed. Bytes behind the record (a slot's padding) are not looked at.
 * @throws CorruptRecordError; QuorateError `log-format-unknown` for an intact record of another version.
 */
export function decodeRecord(type: RecordType, stored: Uint8Array): unknown {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  if (bytes.length < HEADER_BYTES) throw new CorruptRecordError(`${type} record is cut short`);
  if (bytes.readUInt16BE(0) !== MAGIC) throw new CorruptRecordError(`${type} record has no magic number`);
  const length = bytes.readUInt32BE(4);
  if (length > bytes.length - HEADER_BYTES) throw new CorruptRecordError(`${type} record is cut short`);
  if (!checksum(bytes, length).equals(bytes.subarray(CHECKSUM_AT, HEADER_BYTES)))
    throw new CorruptRecordError(`${type} record has a wrong checksum`);
  const version = bytes.readUInt8(3);
  if (version !== RECORD_VERSION)
    throw new QuorateError(
      'log-format-unknown',
      `the log has a ${type} record of format version ${version}, this program reads version ${RECORD_VERSION}`,
      { context: { version } },
    );
  if (bytes.readUInt8(2) !== TYPE_BYTE[type])
    throw new CorruptRecordError(`a record of another type stands where a ${type} record belongs`);
  try {
    return JSON.parse(bytes.toString('utf8', HEADER_BYTES, HEADER_BYTES + length));
  } catch (cause) {
    throw new CorruptRecordError(`${type} record is no JSON`, { cause });
  }
}
