/** Addresses in one written form: what the kernel prints must equal what the config says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contains, networkOf, parseCidr, readCidr, routeForm } from '../../src/resources/ip-address.ts';

describe('addresses', () => {
  it.each([
    ['10.0.1.11/24', '10.0.1.11', 24, '10.0.1.0/24'],
    ['10.0.1.11', '10.0.1.11', 32, '10.0.1.11'],
    ['0.0.0.0/0', '0.0.0.0', 0, 'default'],
    ['10.255.255.255/9', '10.255.255.255', 9, '10.128.0.0/9'],
    ['FD00:0::0:1/64', 'fd00::1', 64, 'fd00::/64'],
    ['fd00:1:2:3:4:5:6:7/65', 'fd00:1:2:3:4:5:6:7', 65, 'fd00:1:2:3::/65'],
    ['::/0', '::', 0, 'default'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1', 128, '::ffff:10.0.0.1'],
    ['fe80::1', 'fe80::1', 128, 'fe80::1'],
  ])('%s', (text, address, prefixLength, route) => {
    const cidr = parseCidr(text);
    expect(cidr).toMatchObject({ address, prefixLength });
    expect(routeForm(cidr)).toBe(route);
  });

  it.each(['', '10.0.0', '10.0.0.1/33', 'fd00::1/129', '10.0.0.1/', '10.0.0.1/24/8', 'fe80::1%eth1', 'nas'])(
    '"%s" is none',
    (text) => {
      expect(readCidr(text)).toBeNull();
      expect(() => parseCidr(text)).toThrow(/neither an IP address/);
    },
  );

  it('an address lies in its own network, and in none that differs in one bit of the prefix', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.integer({ min: 0, max: 128 }), (text, prefixLength) => {
        const cidr = { ...parseCidr(text), prefixLength };
        const network = parseCidr(`${networkOf(cidr)}/${prefixLength}`);
        expect(contains(network, cidr)).toBe(true);
        expect(networkOf(network)).toBe(network.address);
      }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 32 }),
        (bytes, prefixLength) => {
          const network = { ...parseCidr(bytes.join('.')), prefixLength };
          const flipped = [...bytes];
          const bit = prefixLength - 1;
          flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (128 >> (bit & 7));
          expect(contains(network, parseCidr(flipped.join('.')))).toBe(false);
        },
      ),
    );
    expect(contains(parseCidr('0.0.0.0/0'), parseCidr('fd00::1'))).toBe(false);
  });
});
