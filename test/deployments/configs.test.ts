/** The shipped configs are accepted by the loader on every node, and so is the one that the AWS stack writes. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/index.ts';
import { template, userData, written } from './support/aws-host.ts';
import type { JsonMap } from './support/cloudformation.ts';
import { filesBelow, ROOT } from './support/files.ts';
import { hostDirectory, place } from './support/pki.ts';

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await hostDirectory());
});
afterAll(() => remove());

const NODES = ['a', 'b', 'w'];
const files = filesBelow('cluster', '/quorate.yaml');

it('there are configs to try', () => {
  expect(files).toEqual(['cluster/aws/quorate.yaml', 'cluster/vmware/quorate.yaml']);
});

describe.each(files)('%s', (file) => {
  it.each(NODES)('is accepted on node %s', (node) => {
    const config = loadConfig(place(`${ROOT}${file}`, directory), { node });
    expect(config.resources.length).toBeGreaterThan(4);
  });

  it('opens the door last, when all that clients need is there', () => {
    const { resources } = loadConfig(place(`${ROOT}${file}`, directory));
    const before = (name: string): string[] => {
      const after = resources.find((resource) => resource.name === name)?.after ?? [];
      return [...after, ...after.flatMap(before)];
    };
    const rest = resources.filter(({ kind }) => kind !== 'port-block' && kind !== 'inbound');
    expect([...new Set(before('door'))].sort()).toEqual(rest.map(({ name }) => name).sort());
  });

  it('leaves storage and the way in to go side by side', () => {
    const { resources } = loadConfig(place(`${ROOT}${file}`, directory));
    expect(resources.filter(({ after }) => after.length === 0).length).toBe(2);
  });

  it('asks for a watchdog, and keeps the admin port to this host', () => {
    const config = loadConfig(place(`${ROOT}${file}`, directory));
    expect(config.watchdog.mode).toBe('required');
    expect(config.admin.listen).toMatch(/^127\.0\.0\.1:/);
    expect(config.dataDir).toBe('/var/lib/quorate');
  });
});

describe('what the AWS stack writes on its hosts', () => {
  const OVERLAY = { OverlayAddress: '192.168.77.77/32' };
  const BALANCER = { LoadBalancer: 'internal' };

  /** As quorate-first-boot completes it. */
  const config = (more: Readonly<Record<string, string>>, node = 'a') => {
    const file = join(directory, 'quorate.yaml');
    const complete = written('/etc/quorate/quorate.yaml', more)
      .replace('@NODE@', node)
      .replace('@INSTANCE_A@', 'i-0a1b2c3d4e5f60001')
      .replace('@INSTANCE_B@', 'i-0a1b2c3d4e5f60002');
    expect(complete).not.toContain('@');
    writeFileSync(file, complete);
    return loadConfig(file);
  };

  it.each([
    ['an Elastic IP', {}, []],
    ['an overlay address too', OVERLAY, ['overlay']],
    ['a load balancer too', BALANCER, ['targets']],
    ['all of them', { ...OVERLAY, ...BALANCER }, ['overlay', 'targets']],
  ])('with %s the config is accepted on every node', (_, more, extra) => {
    for (const node of NODES) {
      const { resources } = config(more, node);
      const ways = resources.map(({ name }) => name).filter((name) => ['overlay', 'targets'].includes(name));
      expect(ways).toEqual(extra);
      expect(resources.find(({ name }) => name === 'door')?.after).toEqual(['nfs', 'eip', ...extra]);
    }
  });

  it('it is the example, but for the ids', () => {
    const ids = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value).replaceAll(/\b(i|eni|sg|rtb|eipalloc)-[0-9a-f]{17}\b/g, '$1-...'));
    const example = loadConfig(place(`${ROOT}cluster/aws/quorate.yaml`, directory));
    expect(ids(config({ ...OVERLAY, ...BALANCER }))).toEqual(ids(example));
  });

  it('every id in it is another one', () => {
    const { resources } = config({ ...OVERLAY, ...BALANCER });
    const eip = resources.find(({ name }) => name === 'eip');
    expect(new Set(Object.values((eip as { interfaces: object }).interfaces)).size).toBe(2);
  });

  it('another network is meant everywhere', () => {
    expect(userData({ ...OVERLAY, ...BALANCER, Network: '172.16' })).not.toMatch(/\b10\.0\.\d+\.\d+/);
  });

  it('fits into what EC2 allows', () => {
    expect(Buffer.byteLength(userData({ ...OVERLAY, ...BALANCER }))).toBeLessThan(16_384);
  });

  it('the script of the first boot is one', () => {
    const script = written('/usr/local/sbin/quorate-first-boot', { ...OVERLAY, ...BALANCER });
    execFileSync('bash', ['-n'], { input: script });
    expect(script).toContain('set -euo pipefail');
    expect(script).toContain('sha256sum -c');
  });

  it('the host restarts only when everything was installed', () => {
    const { runcmd, power_state: end } = parse(userData({}));
    expect(runcmd).toEqual(['/usr/local/sbin/quorate-first-boot']);
    expect(end).toEqual({ mode: 'reboot', condition: 'test -e /etc/quorate/installed' });
    const script = written('/usr/local/sbin/quorate-first-boot').trimEnd();
    expect(script.endsWith('touch /etc/quorate/installed')).toBe(true);
  });

  it('the load balancer asks the port that the config answers on', () => {
    const Properties: JsonMap = template.Resources.NfsTargets?.Properties ?? {};
    expect(config({}).http?.listen).toBe(`0.0.0.0:${String(Properties.HealthCheckPort)}`);
    expect(Properties.HealthCheckPath).toBe('/holder');
  });
});
