/** docs/install.md and its neighbours are true to the command, the template, the units and the files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOf, deadLinksOf, linksOf, usesOf, wrongUsesOf } from '../support/pages.ts';
import { template } from './support/aws-host.ts';
import { filesBelow, ROOT, text } from './support/files.ts';

const PAGES = ['docs/install.md', 'cluster/vmware/README.md'];

describe.each(PAGES)('%s', (page) => {
  it('names commands that exist, with options that they have', async () => {
    expect(usesOf(page).length).toBeGreaterThan(0);
    expect(await wrongUsesOf(page)).toEqual([]);
  });

  it('links to what is there', () => {
    expect(linksOf(page).length).toBeGreaterThan(0);
    expect(deadLinksOf(page)).toEqual([]);
  });

  it('names files of the repository, and of an installed host, that are there', () => {
    const code = codeOf(page).join('\n');
    const paths = [...code.matchAll(/(?:^|[\s/])(cluster\/[\w@./-]*\w)/g)].map(([, path = '']) => path);
    const missing = paths.filter((path) => !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });
});

describe('docs/install.md', () => {
  const page = text('docs/install.md');

  it('goes through every command of an operator', () => {
    const named = new Set(usesOf('docs/install.md').map(({ command }) => command));
    for (const command of [
      'pki init',
      'pki issue',
      'bootstrap',
      'status',
      'doctor',
      'switchover',
      'release',
      'audit',
    ])
      expect(named).toContain(command);
  });

  it('names parameters and outputs that the stack has', () => {
    const overrides = /--parameter-overrides(.*?)\n(?!\s)/s.exec(page)?.[1] ?? '';
    const given = [...overrides.matchAll(/\b([A-Z]\w+)=/g)].map(([, name = '']) => name);
    const aws = page.slice(page.indexOf('## 3a.'), page.indexOf('## 3b.'));
    const inText = [...aws.matchAll(/`([A-Z][A-Za-z]+)=/g)].map(([, name = '']) => name);
    const known = Object.keys(template.Parameters);
    expect([...given, ...inText].filter((name) => !known.includes(name))).toEqual([]);
    // Whatever has no default must be given.
    expect(
      known.filter((name) => template.Parameters[name]?.Default === undefined && !given.includes(name)),
    ).toEqual([]);
    for (const output of ['InstanceA', 'InstanceB', 'InstanceW', 'Allocation']) {
      expect(page).toContain(`\`${output}\``);
      expect(template.Outputs).toHaveProperty(output);
    }
  });

  it('names units that are shipped', () => {
    const shipped = filesBelow('cluster/systemd', '').map((path) => path.split('/').at(-1) ?? '');
    const named = codeOf('docs/install.md').flatMap((code) =>
      /systemctl|journalctl/.test(code) ? (code.match(/\bquorate[-.][a-z]+(?:\.service)?/g) ?? []) : [],
    );
    expect(named.length).toBeGreaterThan(5);
    for (const name of named)
      expect(shipped).toContain(/\.(target|service)$/.test(name) ? name : `${name}.service`);
  });

  it('removes what install.sh puts there', () => {
    const removal = page.slice(page.indexOf('## 10.'));
    const targets = [...text('cluster/host/install.sh').matchAll(/^put \d+ \S+ (\/\S+)$/gm)].map(
      ([, path = '']) => path,
    );
    expect(targets).toEqual(['/etc/chrony/conf.d/quorate.conf', '/usr/local/bin/quorate']);
    for (const path of [
      ...targets,
      '/etc/modules-load.d/quorate-watchdog.conf',
      '/etc/modprobe.d/quorate-watchdog.conf',
    ])
      expect(removal).toContain(path);
  });
});
