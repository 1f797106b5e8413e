/** What must be equal on all nodes: which part differs, and that a node's own values do not count. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, configFingerprint, FINGERPRINT_PARTS, parseConfig } from '../../src/config/index.ts';
import { configDirectory, GOOD } from './fixture.ts';

let file = '';
let remove = (): void => {};
beforeAll(async () => {
  const made = await configDirectory();
  file = `${made.directory}/q.yaml`;
  remove = made.remove;
});
afterAll(() => remove());

function configOf(text: string, node?: string): Config {
  const { config, problems } = parseConfig(text, file, { node });
  if (config === null) throw new Error(problems.join('\n'));
  return config;
}

/** Parts in which two texts differ, the second one read as `node`. */
function differences(left: string, right: string, node?: string): string[] {
  const [one, other] = [configFingerprint(configOf(left)), configFingerprint(configOf(right, node))];
  return FINGERPRINT_PARTS.filter((part) => one[part] !== other[part]);
}
function changed(from: string, to: string): string {
  if (!GOOD.includes(from)) throw new Error(`no ${from}`);
  return GOOD.replace(from, to);
}

it('has a SHA-256 for every part', () => {
  const fingerprint = configFingerprint(configOf(GOOD));
  expect(Object.keys(fingerprint)).toEqual([...FINGERPRINT_PARTS]);
  for (const hash of Object.values(fingerprint)) expect(hash).toMatch(/^[0-9a-f]{64}$/);
});

describe('a difference has a name', () => {
  it.each([
    ['cluster: nas-prod', 'cluster: nas-test', 'cluster'],
    ['zone: us-east-1b', 'zone: us-east-1c', 'members'],
    ['10.0.2.10:7400', '10.0.2.11:7400', 'addresses'],
    ['lease: 600ms', 'lease: 700ms', 'timing'],
    ['clock_error: 0.5%', 'clock_error: 0.4%', 'timing'],
    ['mode: required', 'mode: automatic', 'watchdog'],
    ['ec2_stop: after', 'ec2_stop: off', 'fencing'],
    ['max_data_loss: 0s', 'max_data_loss: 1s', 'max_data_loss'],
    ['region: us-east-1,', 'region: us-east-2,', 'cloud'],
    ['resource: r0', 'resource: r1', 'resources'],
    ['eni-77f0c1aa', 'eni-77f0c1ab', 'resources'],
    ['after: [block]', 'after: []', 'resources'],
    ['nfs-server.service', 'nfs-kernel-server.service', 'resources'],
    ['resources:', 'replication: {pools: [tank]}\nresources:', 'replication'],
  ])('%s → %s: %s', (from, to, part) => {
    expect(differences(GOOD, changed(from, to))).toEqual([part]);
  });
});

describe("a node's own values do not count", () => {
  it.each([
    ['data_dir: state', 'data_dir: elsewhere'],
    ['127.0.0.1:7401', '127.0.0.1:7411'],
    ['127.0.0.1:7402', '127.0.0.1:7412'],
    ['/dev/watchdog', '/dev/watchdog1'],
    ['after: [block]', 'after: [block], via: 10.0.9.10'],
  ])('%s → %s', (from, to) => {
    expect(differences(GOOD, changed(from, to))).toEqual([]);
  });

  it('the same file on another node', () => {
    const text = `${GOOD}  - {name: port2, kind: port, interface: {a: eth1, b: ens6}, addresses: {a: [10.0.1.11/24], b: [10.0.2.11/24]}}
  - {name: routes, kind: route-table, table: 200, interface: {a: eth1, b: ens6}, gateway: {a: 10.0.1.1, b: 10.0.2.1}, from: {a: [10.0.1.11], b: [10.0.2.11]}, routes: [{to: 10.9.0.0/16, via: {a: 10.0.1.2, b: 10.0.2.2}}]}
  - {name: vip, kind: virtual-ip, address: 10.0.0.50/24, interface: {a: eth1, b: ens6}}
`;
    expect(differences(text, text, 'b')).toEqual([]);
    expect(differences(text, text.replace('10.0.0.50', '10.0.0.51'), 'b')).toEqual(['resources']);
    expect(differences(text, text.replace('table: 200', 'table: 202'))).toEqual(['resources']);
    expect(differences(text, text.replace('to: 10.9.0.0/16', 'to: 10.8.0.0/16'))).toEqual(['resources']);
  });

  it("a pool's devices, but not the hosts that it is taken from", () => {
    const pool = (device: string, host = 'nas-2'): string =>
      `${GOOD}  - {name: tank, kind: zfs-pool, pool: tank, devices: ${device}, hosts: {a: nas-1, b: ${host}}, after: []}\n`;
    expect(differences(pool('/dev/vdb'), pool('/dev/vdc'), 'b')).toEqual([]);
    expect(differences(pool('/dev/vdb'), pool('/dev/vdb', 'nas-3'))).toEqual(['resources']);
  });

  it('commands may lie in other places, the order of members in the file does not matter', () => {
    const service = (place: string): string =>
      changed('unit: nfs-server.service', `start: ${place}/s, stop: ${place}/t, probe: ${place}/p`);
    expect(differences(service('/opt/a'), service('/opt/b'))).toEqual([]);
    const [a = '', b = ''] = GOOD.split('\n').filter((line) => /^ {2}[ab]:/.test(line));
    expect(differences(GOOD, GOOD.replace(`${a}\n${b}`, `${b}\n${a}`))).toEqual([]);
  });
});
