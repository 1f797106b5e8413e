/** IPv4 blocks, as far as routes, subnets and fault rules need them. */
import { BlockList, isIPv4 } from 'node:net';

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

/** `block` may be a single address. */
export function inCidr(ip: string, block: string): boolean {
  if (!isIPv4(ip)) return false;
  const canonical = canonicalCidr(block.includes('/') ? block : `${block}/32`);
  if (canonical === null) return false;
  const [base = '', length = ''] = canonical.split('/');
  const list = new BlockList();
  list.addSubnet(base, Number(length), 'ipv4');
  return list.check(ip, 'ipv4');
}

export function isLoopback(ip: string): boolean {
  return isIPv4(ip) && ip.startsWith('127.');
}
