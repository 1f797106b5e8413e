/** The lab's own configs, through the real loader; and what file services stand on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type HostPlan, planConfig, SHARE_MOUNT } from '../../cluster/lab/plan.ts';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { hostDirectory } from '../deployments/support/pki.ts';

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await hostDirectory());
});
afterAll(() => remove());

const SCRIPTS = { start: '/x/start', stop: '/x/stop', probe: '/x/probe' };

function load(storage: HostPlan['storage'], services: HostPlan['services']): Config {
  const plan = { cluster: 'nas-prod', timing: 'emulated', watchdog: 'softdog', channel: 'grpc' } as const;
  const file = join(directory, 'quorate.yaml');
  writeFileSync(file, stringify(planConfig({ ...plan, storage, services }, 'a', SCRIPTS)));
  return loadConfig(file, {});
}

it.each([
  ['ext4', 'store'],
  ['raw', 'store'],
  ['zfs', 'files'],
  ['replicated', 'store'],
  ['replicated', 'files'],
] as const)('%s, %s: the config is one that the product takes', (storage, services) => {
  expect(load(storage, services).resources.length).toBeGreaterThan(3);
});

describe.each(['zfs', 'replicated'] as const)('file services on %s', (storage) => {
  const before = (config: Config, name: string): readonly string[] => {
    const after = config.resources.find((one) => one.name === name)?.after ?? [];
    return [...after, ...after.flatMap((one) => before(config, one))];
  };

  it('come after the pool and the port, and the door after everything that serves', () => {
    const config = load(storage, 'files');
    const pool = config.resources.find(({ kind }) => kind === 'zfs-pool' || kind === 'replicated-pool');
    expect(before(config, 'nfs')).toEqual(expect.arrayContaining([pool?.name, 'port2']));
    expect(before(config, 'door')).toEqual(expect.arrayContaining(['nfs', 'store', 'eip', pool?.name]));
  });

  it('the door has the ports of what is there, and no others', () => {
    const { resources } = load(storage, 'files');
    const door = resources.find(({ kind }) => kind === 'port-block');
    const ports = door?.kind === 'port-block' ? door.ports.map(({ port }) => port) : [];
    expect(ports).toEqual(expect.arrayContaining([2049, 111, 20048]));
    expect(ports.includes(3260)).toBe(resources.some(({ name }) => name === 'target'));
  });
});

it('what snapshots keep alike is what is served of a replicated pool', () => {
  const nfs = load('replicated', 'files').resources.find(({ name }) => name === 'nfs');
  if (nfs?.kind !== 'service' || nfs.service.kind !== 'commands') throw new Error('no scripts serve NFS');
  const { start, stop, probe } = nfs.service;
  expect([start, stop, probe].map((words) => words.slice(1))).toEqual([
    ['start', SHARE_MOUNT],
    ['stop', SHARE_MOUNT],
    ['probe', SHARE_MOUNT],
  ]);
});
