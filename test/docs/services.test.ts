/** docs/services.md: every example is a config that the real loader takes, in an order that is safe. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { text } from '../deployments/support/files.ts';
import { hostDirectory } from '../deployments/support/pki.ts';
import { deadLinksOf, usesOf, wrongUsesOf } from '../support/pages.ts';

const PAGE = 'docs/services.md';
const EXAMPLES = text(PAGE)
  .split(/^## /m)
  .flatMap((section): [title: string, yaml: string][] => {
    const yaml = /^```yaml\n(.*?)^```/ms.exec(section)?.[1];
    return yaml === undefined ? [] : [[section.split('\n')[0] ?? '', yaml]];
  });

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await hostDirectory());
});
afterAll(() => remove());

/** In the place of the shipped config's own. */
function load(yaml: string, node: string): Config {
  const shipped = text('cluster/vmware/quorate.yaml');
  const file = join(directory, 'example.yaml');
  writeFileSync(file, shipped.slice(0, shipped.indexOf('resources:')) + yaml);
  return loadConfig(file, { node });
}

it('has the services of the list', () => {
  expect(EXAMPLES.map(([title]) => title.split(/[ :]/)[0])).toEqual(['NFS', 'iSCSI', 'iSCSI', 'SMB']);
});

describe.each(EXAMPLES)('%s', (_title, yaml) => {
  it.each(['a', 'b', 'w'])('is accepted on node %s', (node) => {
    expect(load(yaml, node).resources.length).toBeGreaterThan(3);
  });

  it('opens the door after everything else, so that a release shuts it first', () => {
    const { resources } = load(yaml, 'a');
    const before = (name: string): string[] => {
      const after = resources.find((one) => one.name === name)?.after ?? [];
      return [...after, ...after.flatMap(before)];
    };
    const others = resources.map(({ name }) => name).filter((name) => name !== 'door');
    expect([...new Set(before('door'))].sort()).toEqual(others.sort());
  });

  it('starts no service without its data and its address', () => {
    const { resources } = load(yaml, 'a');
    const reach = (name: string): Set<string> => {
      const after = resources.find((one) => one.name === name)?.after ?? [];
      return new Set([...after, ...after.flatMap((one) => [...reach(one)])]);
    };
    const services = resources.filter(({ kind }) => kind === 'service');
    expect(services.length).toBeGreaterThan(0);
    for (const { name } of services) expect(reach(name)).toContain('block');
    for (const name of ['nfs', 'target', 'smb'])
      if (services.some((one) => one.name === name)) expect(reach(name)).toContain('vip');
  });
});

it('says plainly what of it was run and what not, and links to what is there', async () => {
  expect(text(PAGE)).toContain('**Not run on real kernels**');
  expect(usesOf(PAGE).length).toBeGreaterThan(0);
  expect(await wrongUsesOf(PAGE)).toEqual([]);
  expect(deadLinksOf(PAGE)).toEqual([]);
});

/** Each fixed port of a config file beside it stands in the door's list, or clients would wait for a program behind it. */
it('the door of NFS has every port that its programs are told to use', () => {
  const page = text(PAGE);
  const ini = /```ini\n\[nfsd\](.*?)```/s.exec(page)?.[1] ?? '';
  const ports = [...ini.matchAll(/port=(\d+)/g)].map(([, number = '']) => Number(number));
  expect(ports.length).toBeGreaterThan(3);
  const nfs = EXAMPLES.find(([title]) => title.startsWith('NFS'))?.[1] ?? '';
  const door = load(nfs, 'a').resources.find(({ kind }) => kind === 'port-block');
  const open = door?.kind === 'port-block' ? door.ports.map(({ port }) => port) : [];
  expect(open).toEqual(expect.arrayContaining([2049, 111, ...ports]));
});
