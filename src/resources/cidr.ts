/** IPv4 blocks as EC2 stores them. */
import { isIPv4 } from 'node:net';

const CIDR = /^(\d+\.\d+\.\d+\.\d+)\/(\d|[12]\d|3[0-2])$/;

/** The block with its host bits cleared, as EC2 stores a route's destination; null when it is no IPv4 block. */
export function canonicalCidr(text: string): string | null {
  const match = CIDR.exec(text);
  const [, ip = '', length = ''] = match ?? [];
  if (match === null || !isIPv4(ip)) return null;
  const bits = ip.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(length));
  const base = Math.floor(bits / size) * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.')}/${length}`;
}
