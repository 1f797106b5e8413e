/**
 * Reads a `receive_resume_token`: "1-CHECKSUM-SIZE-HEX", HEX being the native form of an nvlist, packed by zlib (libzfs
 * `zfs_send_resume_token_to_nvlist`). `zfs send -nv -t` prints it too, but only where the snapshot is, and with a command more.
 */
import { inflateSync } from 'node:zlib';
import { guid, type ResumeStream } from './pool.ts';

const TOKEN = /^1-[0-9a-f]{1,16}-([0-9a-f]{1,6})-((?:[0-9a-f]{2})+)$/;
const MAX_PACKED_CHARACTERS = 16_384;
const MAX_BYTES = 65_536;

/** It ends up on an operator's terminal. */
const PRINTABLE = /^[ -~]{1,512}$/;

/** Native encoding, little endian, as every machine that ZFS on Linux is built for writes it. */
const NATIVE_LITTLE_ENDIAN = 0x0001_0000;
/** Encoding, then version and flags of the list. */
const HEADER_BYTES = 12;
/** Of a pair: its size, the length of its name with the zero, a reserve, the count, the type. */
const PAIR_BYTES = 16;
const TYPE_UINT64 = 8;
const TYPE_STRING = 9;

/** Null where it is not understood. What the other side says is a token, it may have made: nothing in it may have two meanings. */
export function readResumeToken(token: string): ResumeStream | null {
  const [, size = '', hex = ''] = TOKEN.exec(token) ?? [];
  if (hex === '' || hex.length > MAX_PACKED_CHARACTERS) return null;
  try {
    const packed = inflateSync(Buffer.from(hex, 'hex'), { maxOutputLength: MAX_BYTES });
    return packed.length === Number.parseInt(size, 16) ? streamOf(readPairs(packed)) : null;
  } catch {
    // Not zlib, or cut off in the middle.
    return null;
  }
}

function streamOf(values: ReadonlyMap<string, string | bigint>): ResumeStream | null {
  const [toName, bytes] = [values.get('toname'), values.get('bytes')];
  const toGuid = guid(String(values.get('toguid')));
  const fromGuid = values.has('fromguid') ? guid(String(values.get('fromguid'))) : null;
  if (typeof toName !== 'string' || !PRINTABLE.test(toName) || typeof bytes !== 'bigint' || toGuid === null)
    return null;
  // A "from" that is there and is no id must not make an incremental stream look like a full one.
  if (values.has('fromguid') && fromGuid === null) return null;
  return { toName, toGuid, fromGuid, bytes: Number(bytes), isRaw: values.has('rawok') };
}

/** The list, with an empty text for what is neither a number nor a text; throws a RangeError where it ends too early, or says a thing twice. */
function readPairs(packed: Buffer): Map<string, string | bigint> {
  const values = new Map<string, string | bigint>();
  if (packed.readUInt32BE(0) !== NATIVE_LITTLE_ENDIAN) return values;
  for (let at = HEADER_BYTES; ; ) {
    const bytes = packed.readUInt32LE(at);
    if (bytes === 0) return values;
    const pair = packed.subarray(at, at + bytes);
    const nameBytes = pair.readUInt16LE(4);
    const name = textOf(pair.subarray(PAIR_BYTES, PAIR_BYTES + nameBytes));
    const type = pair.readUInt32LE(12);
    const value = aligned(PAIR_BYTES + nameBytes);
    if (values.has(name)) throw new RangeError(`${name} twice`);
    if (type === TYPE_UINT64) values.set(name, pair.readBigUInt64LE(value));
    else values.set(name, type === TYPE_STRING ? textOf(pair.subarray(value)) : '');
    at += bytes;
  }
}

const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Up to its zero. */
const textOf = (bytes: Buffer): string => {
  const end = bytes.indexOf(0);
  if (end < 0) throw new RangeError('a text without an end');
  return bytes.toString('utf8', 0, end);
};
