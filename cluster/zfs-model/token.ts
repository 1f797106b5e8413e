/** A `receive_resume_token`, as the kernel would make it. */
import { deflateSync } from 'node:zlib';
import type { Stream } from './zfs-model.ts';

/** As the kernel packs it: an nvlist in its native form, little endian, deflated. */
export function tokenOf({
  toName,
  snapshot,
  fromGuid,
  bytes = 0,
  isRaw = false,
  more = [],
}: Pick<Stream, 'toName' | 'fromGuid' | 'bytes'> & {
  snapshot: { guid: string };
  isRaw?: boolean;
  /** Whatever somebody adds to it. */
  more?: readonly (readonly [string, bigint | string])[];
}): string {
  const pairs = [
    ...(fromGuid === null ? [] : [pair('fromguid', BigInt(fromGuid))]),
    pair('object', 2n),
    pair('offset', 0n),
    pair('bytes', BigInt(bytes)),
    pair('toguid', BigInt(snapshot.guid)),
    pair('toname', toName),
    ...(isRaw ? [pair('rawok', null)] : []),
    ...more.map(([name, value]) => pair(name, value)),
  ];
  const packed = Buffer.concat([Buffer.from('000100000000000001000000', 'hex'), ...pairs, Buffer.alloc(4)]);
  const hex = deflateSync(packed).toString('hex');
  return `1-${snapshot.guid.length.toString(16)}-${packed.length.toString(16)}-${hex}`;
}

/** Null: a flag. */
function pair(name: string, value: bigint | string | null): Buffer {
  const start = Math.ceil((16 + name.length + 1) / 8) * 8;
  const size = typeof value === 'string' ? Math.ceil((value.length + 1) / 8) * 8 : value === null ? 0 : 8;
  const bytes = Buffer.alloc(start + size);
  bytes.writeInt32LE(start + size, 0);
  bytes.writeInt16LE(name.length + 1, 4);
  bytes.writeInt32LE(value === null ? 0 : 1, 8);
  bytes.writeInt32LE(typeof value === 'bigint' ? 8 : value === null ? 1 : 9, 12);
  bytes.write(name, 16);
  if (typeof value === 'bigint') bytes.writeBigUInt64LE(value, start);
  else if (value !== null) bytes.write(value, start);
  return bytes;
}
