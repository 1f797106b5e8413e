/** cluster/host: DRBD's and chrony's files, and the script that installs a host. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { timingSection } from '../../src/config/schema.ts';
import { filesBelow, ROOT, text } from './support/files.ts';
import { only, parseUnit } from './support/units.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-install-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function findProgram(...paths: string[]): string | null {
  return paths.find((path) => existsSync(path)) ?? null;
}

describe("DRBD's config", () => {
  const statements = (file: string): string[] =>
    text(`cluster/host/${file}`)
      .replaceAll(/^\s*#.*$/gm, '')
      .split(/[;{}]/)
      .map((statement) => statement.trim().replaceAll(/\s+/g, ' '))
      .filter((statement) => statement !== '');

  it.each(['r0.res', 'r0-drbd9.res'])('%s has what the rules rest on (H3, O3)', (file) => {
    expect(statements(file)).toEqual(
      expect.arrayContaining([
        'protocol C',
        'fencing resource-and-stonith',
        'fence-peer "/usr/local/bin/quorate fence-peer --config /etc/quorate/quorate.yaml"',
        'after-sb-0pri disconnect',
        'after-sb-1pri disconnect',
        'after-sb-2pri disconnect',
      ]),
    );
    // Nobody else promotes, and no other node's data is thrown away by itself.
    expect(statements(file).join('\n')).not.toMatch(
      /become-primary-on|allow-two-primaries|auto-promote yes|discard|unfence-peer/,
    );
  });

  it('DRBD 9 does not promote by itself', () => {
    expect(statements('r0-drbd9.res')).toContain('auto-promote no');
  });

  it.each(['r0.res', 'r0-drbd9.res'])('%s notices a dead peer before its pings overlap', (file) => {
    const value = (name: string): number =>
      Number(
        statements(file)
          .find((statement) => statement.startsWith(`${name} `))
          ?.split(' ')[1],
      );
    // drbd.conf(5): tenths of a second; less than ping-int and connect-int.
    expect(value('timeout')).toBeLessThan(10 * Math.min(value('ping-int'), value('connect-int')));
  });

  it('both are for the same pair', () => {
    const addresses = (file: string): string[] =>
      statements(file).filter((one) => /^(address|on) /.test(one));
    const [pair, withWitness] = [addresses('r0.res'), addresses('r0-drbd9.res')];
    expect(withWitness.slice(0, 4)).toEqual(pair);
    expect(withWitness.slice(4)).toEqual(['on w', 'address 10.0.3.10:7789']);
  });

  // Its parsers: one program for each major version; the newer one calls the older one where that module is loaded.
  for (const [file, program] of [
    ['r0.res', findProgram('/lib/drbd/drbdadm-84', '/usr/lib/drbd/drbdadm-84')],
    ['r0-drbd9.res', findProgram('/sbin/drbdadm', '/usr/sbin/drbdadm')],
  ] as const)
    it.skipIf(program === null)(`${program ?? 'drbdadm (not installed)'} accepts ${file}`, () => {
      // An address of this host, which drbdadm looks for.
      writeFileSync(join(directory, file), text(`cluster/host/${file}`).replace('10.0.1.10', '127.0.0.1'));
      const dump = execFileSync(program ?? '', ['-c', join(directory, file), 'dump', 'r0'], {
        env: { ...process.env, __DRBD_NODE__: 'a' },
        encoding: 'utf8',
        stdio: 'pipe',
      });
      expect(dump).toContain('resource-and-stonith');
    });
});

describe("chrony's config", () => {
  const lines = text('cluster/host/chrony-quorate.conf')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  it('lets the clock run at most a tenth of clock_error off its rate', () => {
    const clockErrorRate = timingSection.parse({}).clock_error;
    const ppm = Number(lines.find((line) => line.startsWith('maxslewrate '))?.split(' ')[1]);
    expect(ppm / 1e6).toBeLessThanOrEqual(clockErrorRate / 10);
    expect(lines.join('\n')).not.toContain('makestep');
  });

  const chronyd = findProgram('/usr/sbin/chronyd');
  it.skipIf(chronyd === null)(`${chronyd ?? 'chronyd (not installed)'} accepts it`, () => {
    const file = `${ROOT}cluster/host/chrony-quorate.conf`;
    expect(execFileSync(chronyd ?? '', ['-p', '-f', file], { encoding: 'utf8' })).toContain('maxslewrate');
  });
});

describe('install.sh', () => {
  const root = (): string => join(directory, 'root');
  const install = (...args: string[]): { status: number | null; stderr: string } =>
    spawnSync('sh', [join(root(), 'opt/quorate/cluster/host/install.sh'), ...args], { encoding: 'utf8' });
  const installed = (path: string): string => readFileSync(join(root(), path), 'utf8');
  beforeEach(() => {
    cpSync(join(ROOT, 'cluster'), join(root(), 'opt/quorate/cluster'), { recursive: true });
  });

  it('puts units, command and clock where a host looks for them', () => {
    expect(install('--root', root())).toMatchObject({ status: 0, stderr: '' });
    const units = filesBelow('cluster/systemd', '').filter((path) => statSync(`${ROOT}${path}`).isFile());
    expect(units.length).toBe(4);
    for (const path of units)
      expect(installed(path.replace('cluster/systemd', 'etc/systemd/system'))).toBe(text(path));
    expect(installed('etc/chrony/conf.d/quorate.conf')).toBe(text('cluster/host/chrony-quorate.conf'));
    expect(statSync(join(root(), 'usr/local/bin/quorate')).mode & 0o777).toBe(0o755);
    expect(statSync(join(root(), 'etc/quorate')).mode & 0o777).toBe(0o750);
    expect(existsSync(join(root(), 'etc/modules-load.d/quorate-watchdog.conf'))).toBe(false);
  });

  it('sets the kernel up for its own watchdog, when asked', () => {
    expect(install('--watchdog', 'softdog', '--root', root())).toMatchObject({ status: 0 });
    expect(installed('etc/modules-load.d/quorate-watchdog.conf')).toBe('softdog\n');
    expect(installed('etc/modprobe.d/quorate-watchdog.conf')).toBe(
      'options softdog soft_margin=1 nowayout=0\n',
    );
  });

  it('may be run again', () => {
    install('--root', root());
    expect(install('--root', root())).toMatchObject({ status: 0, stderr: '' });
  });

  it('says where the archive belongs', () => {
    const result = install('--root', join(directory, 'elsewhere'));
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`must be unpacked at ${join(directory, 'elsewhere')}/opt/quorate`);
    expect(existsSync(join(directory, 'elsewhere'))).toBe(false);
  });

  it.each([
    [['--watchdog', 'hardware'], '--watchdog hardware: softdog or none'],
    [['--prefix', '/usr'], 'unknown option --prefix'],
    [['--root'], '--root needs a value'],
  ])('refuses %j', (args, sentence) => {
    const result = install(...args);
    expect(result.status).toBe(2);
    expect(result.stderr).toContain(sentence);
  });

  it('the command is the one that the units and DRBD run', () => {
    const executor = parseUnit(text('cluster/systemd/quorate-executor.service'));
    expect(text('cluster/host/quorate')).toContain('exec /usr/bin/node /opt/quorate/dist/quorate.mjs "$@"');
    expect(only(executor, 'Service.ExecStart')).toContain('/usr/bin/node /opt/quorate/dist/');
  });
});
