/** The blocks of pcapng (draft-ietf-opsawg-pcapng), as many as a capture of ours needs; little-endian. */

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const NAME_RESOLUTION = 4;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const ETHERNET = 1;

const OPTION = {
  end: 0,
  comment: 1,
  application: 4,
  interfaceName: 2,
  resolution: 9,
  packetFlags: 2,
  received: 4,
  dropped: 5,
} as const;
const MICROSECONDS = 6;
/** An option's length has 16 bits; Wireshark shows less. */
const MOST_OPTION_BYTES = 32_000;

type Option = readonly [code: number, value: Buffer | string];

export function sectionHeader(application: string, comment: string): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(BYTE_ORDER, 0);
  fixed.writeUInt16LE(1, 4);
  fixed.writeUInt16LE(0, 6);
  // Its length is not known yet.
  fixed.writeBigInt64LE(-1n, 8);
  return block(SECTION_HEADER, fixed, [
    [OPTION.comment, comment],
    [OPTION.application, application],
  ]);
}

/** `snapBytes`: no more than that of a packet is stored. */
export function interfaceDescription(name: string, snapBytes: number): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(ETHERNET, 0);
  fixed.writeUInt32LE(snapBytes, 4);
  return block(INTERFACE_DESCRIPTION, fixed, [
    [OPTION.interfaceName, name],
    [OPTION.resolution, Buffer.from([MICROSECONDS])],
  ]);
}

/** Names for IPv4 addresses. */
export function nameResolution(names: readonly (readonly [address: Buffer, name: string])[]): Buffer {
  const records = names.map(([address, name]) =>
    record(1, Buffer.concat([address, Buffer.from(`${name}\0`)])),
  );
  return block(NAME_RESOLUTION, Buffer.concat([...records, record(0, Buffer.alloc(0))]), []);
}

/** @param atMs ms since 1970, with fractions */
export function enhancedPacket(packet: {
  readonly atMs: number;
  readonly captured: Buffer;
  readonly originalBytes: number;
  readonly isInbound: boolean;
  readonly comment: string | null;
}): Buffer {
  const { atMs, captured, originalBytes, isInbound, comment } = packet;
  const fixed = Buffer.alloc(20);
  const at = BigInt(Math.round(atMs * 1000));
  fixed.writeUInt32LE(Number(at >> 32n), 4);
  fixed.writeUInt32LE(Number(at & 0xffffffffn), 8);
  fixed.writeUInt32LE(captured.length, 12);
  fixed.writeUInt32LE(originalBytes, 16);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(isInbound ? 1 : 2);
  return block(ENHANCED_PACKET, Buffer.concat([fixed, padded(captured)]), [
    ...(comment === null ? [] : [[OPTION.comment, comment] as const]),
    [OPTION.packetFlags, flags],
  ]);
}

export function interfaceStatistics(atMs: number, received: number, dropped: number): Buffer {
  const fixed = Buffer.alloc(12);
  const at = BigInt(Math.round(atMs * 1000));
  fixed.writeUInt32LE(Number(at >> 32n), 4);
  fixed.writeUInt32LE(Number(at & 0xffffffffn), 8);
  return block(INTERFACE_STATISTICS, fixed, [
    [OPTION.received, count(received)],
    [OPTION.dropped, count(dropped)],
  ]);
}

function count(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function block(type: number, body: Buffer, options: readonly Option[]): Buffer {
  const parts = [padded(body), ...options.map(([code, value]) => option(code, value))];
  if (options.length > 0) parts.push(record(OPTION.end, Buffer.alloc(0)));
  const length = parts.reduce((sum, part) => sum + part.length, 12);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  return Buffer.concat([head, ...parts, head.subarray(4)]);
}

function option(code: number, value: Buffer | string): Buffer {
  return record(code, typeof value === 'string' ? clippedText(value) : value);
}

/** Cut at a character, not inside one. */
function clippedText(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= MOST_OPTION_BYTES) return bytes;
  let end = MOST_OPTION_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

/** Code, length, value: the form of options and of names. */
function record(code: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

function padded(bytes: Buffer): Buffer {
  const missing = -bytes.length & 3;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
