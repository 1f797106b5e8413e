/** IPv4 blocks, as far as routes, subnets and fault rules need them. */
import { BlockList, isIPv4 } from 'node:net';
import { canonicalCidr } from '../../../src/resources/cidr.ts';

export { canonicalCidr };

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
