/** The local address that a connection leaves from, where the config names an interface for it. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * `via`: an address, which is returned as it is, or an interface: its first address of IPv4, or else of IPv6; null where it is down or has none.
 * Not those that are good on one link alone.
 */
export function localAddressOf(via: string): string | null {
  if (isIP(via) !== 0) return via;
  const own = (networkInterfaces()[via] ?? []).filter(({ address }) => !/^(169\.254\.|fe80:)/i.test(address));
  const found = own.find(({ family }) => family === 'IPv4') ?? own[0];
  return found?.address ?? null;
}
