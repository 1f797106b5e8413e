/**
 * Ethernet, IPv4 and TCP headers around messages that were never such frames as far as is known here: an observer in the agent
 * sees no packets. Lengths, checksums and sequence numbers are right, so that Wireshark follows the streams; the addresses are made up.
 */

export interface Endpoint {
  /** Last octet of the address, and of the MAC: 1 to 254. */
  readonly host: number;
  readonly port: number;
}

export const HEADER_BYTES = 54;
/** What one IPv4 packet can carry; longer messages are several. */
export const SEGMENT_BYTES = 65_535 - 40;

const ETHERTYPE_IPV4 = 0x0800;
const TCP = 6;
const PSH_ACK = 0x18;
const ACK = 0x10;
const WINDOW = 65_535;

/** 192.0.2.0/24 is for documentation (RFC 5737): no real host has such an address. */
export const addressOf = (host: number): Buffer => Buffer.from([192, 0, 2, host]);

/**
 * The headers of a segment with so many bytes of payload, which counts as zeros: it is not stored, and the TCP checksum is that of
 * zeros.
 */
export function headers(
  source: Endpoint,
  target: Endpoint,
  segment: {
    readonly sequence: number;
    readonly acknowledged: number;
    readonly payloadBytes: number;
    readonly id: number;
  },
): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES);
  frame.set(macOf(target.host), 0);
  frame.set(macOf(source.host), 6);
  frame.writeUInt16BE(ETHERTYPE_IPV4, 12);

  const ip = frame.subarray(14, 34);
  const tcpBytes = 20 + segment.payloadBytes;
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(20 + tcpBytes, 2);
  ip.writeUInt16BE(segment.id & 0xffff, 4);
  // Do not fragment.
  ip.writeUInt16BE(0x4000, 6);
  ip.writeUInt8(64, 8);
  ip.writeUInt8(TCP, 9);
  ip.set(addressOf(source.host), 12);
  ip.set(addressOf(target.host), 16);
  ip.writeUInt16BE(checksum(ip), 10);

  const tcp = frame.subarray(34, 54);
  tcp.writeUInt16BE(source.port, 0);
  tcp.writeUInt16BE(target.port, 2);
  tcp.writeUInt32BE(segment.sequence >>> 0, 4);
  tcp.writeUInt32BE(segment.acknowledged >>> 0, 8);
  tcp.writeUInt8(5 << 4, 12);
  tcp.writeUInt8(segment.payloadBytes > 0 ? PSH_ACK : ACK, 13);
  tcp.writeUInt16BE(WINDOW, 14);
  const pseudo = Buffer.alloc(12);
  ip.copy(pseudo, 0, 12, 20);
  pseudo.writeUInt8(TCP, 9);
  pseudo.writeUInt16BE(tcpBytes, 10);
  tcp.writeUInt16BE(checksum(Buffer.concat([pseudo, tcp])), 16);
  return frame;
}

/** Locally administered, so that it is nobody's. */
const macOf = (host: number): Buffer => Buffer.from([0x02, 0, 0, 0, 0, host]);

/** RFC 1071; of an even number of bytes. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
