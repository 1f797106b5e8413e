/** Addresses and prefixes in the one form in which iproute2 and nft print them, so that they can be compared as text. */
import { isIP, SocketAddress } from 'node:net';
import { QuorateError } from '../errors.ts';

export type Family = 'inet' | 'inet6';

/** An address and the prefix of its network, as on an interface. */
export interface Cidr {
  readonly family: Family;
  /** Canonical, without the prefix. */
  readonly address: string;
  readonly prefixLength: number;
}

const BITS: Readonly<Record<Family, number>> = { inet: 32, inet6: 128 };

/** `10.0.1.11/24`, `fd00::1/64`; without a prefix length the address alone. Throws `config-invalid`. */
export function parseCidr(text: string): Cidr {
  const cidr = readCidr(text);
  if (cidr !== null) return cidr;
  throw new QuorateError(
    'config-invalid',
    `"${text}" is neither an IP address nor one with a prefix length, as 10.0.1.11/24 or fd00::1/64`,
  );
}

/** Null for what is none. */
export function readCidr(text: string): Cidr | null {
  const [, written = '', length] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(written);
  if (version === 0) return null;
  const family = version === 4 ? 'inet' : 'inet6';
  const prefixLength = length === undefined ? BITS[family] : Number(length);
  if (prefixLength > BITS[family]) return null;
  const address = version === 4 ? written : new SocketAddress({ address: written, family: 'ipv6' }).address;
  return { family, address, prefixLength };
}

export function formatCidr({ address, prefixLength }: Cidr): string {
  return `${address}/${prefixLength}`;
}

/** As in a route: the network, and no prefix length for a single host. `default` for everything. */
export function routeForm(cidr: Cidr): string {
  if (cidr.prefixLength === 0) return 'default';
  const network = networkOf(cidr);
  return isHost(cidr) ? network : `${network}/${cidr.prefixLength}`;
}

export function isHost({ family, prefixLength }: Cidr): boolean {
  return prefixLength === BITS[family];
}

export function networkOf({ family, address, prefixLength }: Cidr): string {
  const hostBits = BigInt(BITS[family] - prefixLength);
  return fromNumber(family, (toNumber(family, address) >> hostBits) << hostBits);
}

/** Means something only together with its interface. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}

export function contains(network: Cidr, { family, address }: Cidr): boolean {
  if (network.family !== family) return false;
  return networkOf(network) === networkOf({ family, address, prefixLength: network.prefixLength });
}

function toNumber(family: Family, address: string): bigint {
  if (family === 'inet') return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = withoutDots(address).split('::');
  const groups = (text: string | undefined): string[] =>
    text === undefined || text === '' ? [] : text.split(':');
  const before = groups(head);
  const after = groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

/** The last 32 bits may be written as an IPv4 address. */
function withoutDots(address: string): string {
  const match = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (match === null) return address;
  const [, head = '', ...bytes] = match;
  const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
  return `${head}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function fromNumber(family: Family, value: bigint): string {
  if (family === 'inet') return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => (value >> BigInt(112 - index * 16)) & 65_535n);
  const address = groups.map((group) => group.toString(16)).join(':');
  return new SocketAddress({ address, family: 'ipv6' }).address;
}
