/** The Debian package as it lies there, and its programs from where it is unpacked. Installed on a host: package-live.test.ts. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wholeProgram } from '../../src/cli/program.ts';
import { VERSION } from '../../src/version.ts';
import { testTls } from '../support/pki.ts';
import { asVersion, makePackage, whyNoPackage } from './support/debian-package.ts';
import { text } from './support/files.ts';
import { only, parseUnit, words } from './support/units.ts';

const why = whyNoPackage();
const BUILD_LIMIT_MS = 300_000;
const LIMIT_MS = 30_000;

let directory = '';
let file = '';
/** Where it is unpacked. */
let root = '';
const below = (path: string): string => join(root, path);
const read = (path: string): string => readFileSync(below(path), 'utf8');
const field = (name: string): string =>
  execFileSync('dpkg-deb', ['-f', file, name], { encoding: 'utf8' }).trim();
const DIST = 'usr/lib/quorate/package/dist';
const UNITS = 'usr/lib/systemd/system';

const withoutGroups = (command: Command): readonly Command[] =>
  command.commands.length > 0 ? command.commands.flatMap(withoutGroups) : [command];
/** Without the program's own name. */
const pathOf = (command: Command): string =>
  command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();

beforeAll(() => {
  if (why !== null) return;
  directory = mkdtempSync(join(tmpdir(), 'quorate-deb-'));
  file = makePackage(directory);
  root = join(directory, 'root');
  execFileSync('dpkg-deb', ['-x', file, root]);
}, BUILD_LIMIT_MS);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.skipIf(why !== null)(`the package${why === null ? '' : ` (${why})`}`, () => {
  it('is named by the version of the program, and asks for what the programs need', () => {
    expect(file).toBe(join(directory, `quorate_${VERSION}_amd64.deb`));
    expect(field('Version')).toBe(VERSION);
    expect(field('Depends')).toMatch(/\bnodejs \(>= 20\.19\)/);
    // What docs/install.md has installed by hand for the kinds of resources that need it.
    for (const name of ['chrony', 'drbd-utils', 'nftables', 'iproute2', 'iputils-arping', 'psmisc'])
      expect(field('Recommends').split(', ')).toContain(name);
  });

  it('is the same, byte for byte, wherever and whenever it is made', { timeout: BUILD_LIMIT_MS }, () => {
    const again = join(directory, 'again');
    mkdirSync(again);
    const umask = process.umask(0o077);
    try {
      const other = makePackage(again, { TZ: 'Pacific/Auckland', LANG: 'C.UTF-8' });
      expect(readFileSync(other).equals(readFileSync(file))).toBe(true);
    } finally {
      process.umask(umask);
    }
  });

  it('belongs to root, and nobody else may write', () => {
    const lines = execFileSync('dpkg-deb', ['-c', file], { encoding: 'utf8' }).trim().split('\n');
    expect(lines.length).toBeGreaterThan(100);
    expect(lines.filter((line) => !/^[-d]r[w-][x-]r-[x-](r-[x-]|---) root\/root /.test(line))).toEqual([]);
    expect(lines.find((line) => line.endsWith(' ./etc/quorate/'))).toMatch(/^drwxr-x--- /);
  });

  it('has nothing that only a checkout runs, and nothing of other systems', () => {
    const names = readdirSync(below(DIST), { recursive: true, encoding: 'utf8' });
    expect(names).toEqual(
      expect.arrayContaining([
        'quorate.mjs',
        'executor.mjs',
        'alerts.mjs',
        'guard.mjs',
        'replicator.mjs',
        'spawn-helper.mjs',
        'receiver.mjs',
        'status-page.js',
      ]),
    );
    expect(names.filter((name) => /^(lab|bench|demo|network|local|man)|\.map$/.test(name))).toEqual([]);
    const native = readdirSync(below('usr/lib/quorate/package'), { recursive: true, encoding: 'utf8' });
    expect(native.filter((name) => name.endsWith('.node'))).toEqual([
      'node_modules/classic-level/prebuilds/linux-x64/classic-level.node',
    ]);
  });

  it('has the units of cluster/systemd, for its own places', () => {
    for (const name of [
      'quorate-agent.service',
      'quorate-executor.service',
      'quorate.target',
      'drbd@.service.d/quorate.conf',
    ]) {
      const unit = read(`${UNITS}/${name}`);
      expect(unit).not.toMatch(/\/opt\/|\/usr\/local\//);
      expect([...parseUnit(unit).keys()]).toEqual([...parseUnit(text(`cluster/systemd/${name}`)).keys()]);
      for (const [, path = ''] of unit.matchAll(/(\/usr\/(?:lib|share\/doc)\/quorate[\w./-]*)/g))
        expect(existsSync(below(path)), path).toBe(true);
    }
    const executor = parseUnit(read(`${UNITS}/quorate-executor.service`));
    expect(only(executor, 'Service.ExecStart')).toMatch(
      /^\/usr\/lib\/quorate\/run executor --config \S+ --stay /,
    );
    expect(only(executor, 'Service.ExecStopPost')).toContain('exec /usr/lib/quorate/run quorate release ');
    expect(words(executor, 'Unit.RequiresMountsFor')).toContain('/usr/lib/quorate');
  });

  it("has DRBD's examples with the command that it installs", () => {
    for (const name of ['r0.res', 'r0-drbd9.res'])
      expect(read(`usr/share/doc/quorate/examples/${name}`)).toContain(
        'fence-peer "/usr/bin/quorate fence-peer ',
      );
    expect(existsSync(below('usr/bin/quorate'))).toBe(true);
  });

  it('has documentation whose links lead somewhere', () => {
    const docs = below('usr/share/doc/quorate');
    const pages = readdirSync(docs, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.md'),
    );
    const links = pages.flatMap((page) =>
      [...readFileSync(join(docs, page), 'utf8').matchAll(/\]\(([^)\s#]+)/g)].map(([, link = '']) => ({
        page,
        link,
      })),
    );
    expect(links.length).toBeGreaterThan(50);
    expect(
      links.filter(
        ({ page, link }) => !/^[a-z]+:/.test(link) && !existsSync(join(docs, dirname(page), link)),
      ),
    ).toEqual([]);
  });

  it('has the licences of all that is bundled', () => {
    const copyright = read('usr/share/doc/quorate/copyright');
    const { packages } = JSON.parse(text('dist/product.json')) as { packages: string[] };
    expect(packages).toEqual(
      expect.arrayContaining(['node_modules/classic-level', 'node_modules/preact', 'node_modules/zod']),
    );
    const missing = packages.filter((folder) => {
      const { name, version } = JSON.parse(text(`${folder}/package.json`)) as {
        name: string;
        version: string;
      };
      return !copyright.includes(`\n${name} ${version}\n`);
    });
    expect(missing).toEqual([]);
  });

  it("its manual page has every command and option of the program's own help", async () => {
    const page = execFileSync('gzip', ['-dc', below('usr/share/man/man1/quorate.1.gz')], {
      encoding: 'utf8',
    }).replaceAll('\\-', '-');
    const commands = (await wholeProgram()).commands.flatMap(withoutGroups);
    expect(commands.length).toBeGreaterThan(10);
    for (const command of commands) {
      const name = pathOf(command);
      const start = page.indexOf(`.SS quorate ${name}\n`);
      expect(start, name).toBeGreaterThan(0);
      const section = page.slice(start, page.indexOf('\n.S', start + 1));
      for (const { flags } of command.options) expect(section).toContain(`\n.B ${flags}\n`);
    }
  });

  const lintian = spawnSync('lintian', ['--version']).status === 0;
  it.skipIf(!lintian)(
    `lintian finds no error${lintian ? '' : ' (not installed)'}`,
    { timeout: 120_000 },
    () => {
      const said = spawnSync('lintian', ['--allow-root', '--fail-on', 'error', file], { encoding: 'utf8' });
      expect(said.stdout.split('\n').filter((line) => line.startsWith('E:'))).toEqual([]);
      expect(said.status).toBe(0);
    },
  );
});

describe.skipIf(why !== null)('its programs, unpacked', () => {
  const quorate = (...args: string[]): ReturnType<typeof spawnSync> & { stdout: string } =>
    spawnSync(process.execPath, [below(`${DIST}/quorate.mjs`), ...args], {
      cwd: directory,
      encoding: 'utf8',
      timeout: LIMIT_MS,
    }) as ReturnType<typeof spawnSync> & { stdout: string };

  it('say their version', () => {
    expect(quorate('--version')).toMatchObject({ status: 0, stdout: `${VERSION}\n` });
  });

  it('make certificates', () => {
    expect(quorate('pki', 'init', '--cluster', 'nas', '--out', 'pki').status).toBe(0);
    expect(quorate('pki', 'issue', '--ca', 'pki', '--node', 'a', '--out', 'pki').status).toBe(0);
    expect(statSync(join(directory, 'pki/a.key')).mode & 0o777).toBe(0o600);
  });

  it('run one node of three, which answers and ends in order', { timeout: 4 * LIMIT_MS }, async () => {
    const { ca, cert, key } = await testTls('nas', 'a');
    for (const [name, content] of [
      ['ca.pem', ca],
      ['node.pem', cert],
      ['node.key', key],
    ] as const)
      writeFileSync(join(directory, name), content, { mode: 0o600 });
    const config = join(directory, 'quorate.yaml');
    writeFileSync(
      config,
      `cluster: nas
node: a
data_dir: data
members:
  a: {zone: z1, peer: 127.0.91.1:7400}
  b: {zone: z2, peer: 127.0.91.2:7400}
  w: {zone: z3, peer: 127.0.91.3:7400, witness: true}
tls: {ca: ca.pem, cert: node.pem, key: node.key}
admin: {listen: 127.0.91.1:7401}
http: {listen: 127.0.91.1:7402}
watchdog: {mode: off}
resources:
  - {name: web, kind: service, start: "touch ${directory}/runs", stop: "rm -f ${directory}/runs", probe: "test -e ${directory}/runs"}
`,
    );
    const agent = spawn(process.execPath, [below(`${DIST}/quorate.mjs`), 'agent', '--config', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    agent.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    try {
      const end = Date.now() + LIMIT_MS;
      let status = quorate('status', '--json', '--config', config);
      while (status.status !== 0) {
        if (Date.now() > end || agent.exitCode !== null) throw new Error(`no status: ${status.stderr}${log}`);
        status = quorate('status', '--json', '--config', config);
      }
      // Alone it is nobody.
      expect(JSON.parse(status.stdout)).toMatchObject({ cluster: 'nas', observer: 'a', holder: null });
      const page = await fetch('http://127.0.91.1:7402/status-page.js');
      expect(page.status).toBe(200);
      agent.kill('SIGTERM');
      expect(await exitCodeOf(agent), log).toBe(0);
    } finally {
      agent.kill('SIGKILL');
    }
  });
});

function exitCodeOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the agent does not end')), LIMIT_MS);
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

const isRoot = process.getuid?.() === 0;
describe.skipIf(why !== null || !isRoot)(`in a root of its own${isRoot ? '' : ' (needs root)'}`, () => {
  const host = (): string => join(directory, 'host');
  const at = (path: string): string => join(host(), path);
  const dpkg = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(
      'dpkg',
      [
        `--root=${host()}`,
        '--force-depends',
        '--force-script-chrootless',
        `--log=${directory}/dpkg.log`,
        ...args,
      ],
      { encoding: 'utf8' },
    );
  const state = (): string => dpkg('-s', 'quorate').stdout.match(/^Status: (.*)$/m)?.[1] ?? 'not known';
  const versions = (): string[] => readdirSync(at('usr/lib/quorate/versions'));
  beforeAll(() => {
    mkdirSync(at('var/lib/dpkg/info'), { recursive: true });
    mkdirSync(at('var/lib/dpkg/updates'));
    for (const name of ['status', 'available']) writeFileSync(at(`var/lib/dpkg/${name}`), '');
  });

  it('is refused beside units of the archive', () => {
    const unit = at('etc/systemd/system/quorate-agent.service');
    mkdirSync(dirname(unit), { recursive: true });
    writeFileSync(unit, text('cluster/systemd/quorate-agent.service'));
    const { status, stderr } = dpkg('-i', file);
    expect(status).toBe(1);
    expect(stderr).toContain('is of an installation from the archive');
    expect(existsSync(at('usr/bin/quorate'))).toBe(false);
    rmSync(unit);
  });

  it('is installed, and enables nothing', () => {
    expect(dpkg('-i', file)).toMatchObject({ status: 0 });
    expect(state()).toBe('install ok installed');
    expect(statSync(at('var/lib/quorate')).mode & 0o777).toBe(0o700);
    expect(statSync(at('etc/quorate')).mode & 0o777).toBe(0o750);
    expect(readdirSync(at('etc/systemd/system'))).toEqual([]);
    expect(readFileSync(at('usr/lib/quorate/current/build'), 'utf8').trim()).toBe(versions()[0]);
  });

  it('keeps what the operator has changed and written, over an upgrade', () => {
    writeFileSync(at('etc/chrony/conf.d/quorate.conf'), 'maxslewrate 400\n');
    writeFileSync(at('etc/quorate/quorate.yaml'), 'cluster: nas\n');
    writeFileSync(at('var/lib/quorate/marker'), 'votes');
    expect(dpkg('-i', asVersion(file, '0.99.0', directory))).toMatchObject({ status: 0 });
    expect(readFileSync(at('etc/chrony/conf.d/quorate.conf'), 'utf8')).toBe('maxslewrate 400\n');
    expect(readFileSync(at('usr/lib/quorate/current/build'), 'utf8')).toBe('0.99.0-next\n');
    // The one before stays for once, for who has just started from it; nobody runs it at the next time.
    expect(versions().length).toBe(2);
    expect(dpkg('-i', join(directory, 'quorate_0.99.0_amd64.deb'))).toMatchObject({ status: 0 });
    expect(versions()).toEqual(['0.99.0-next']);
  });

  it('is removed, and leaves config and data', () => {
    expect(dpkg('-r', 'quorate')).toMatchObject({ status: 0 });
    expect(existsSync(at('usr/lib/quorate'))).toBe(false);
    expect(existsSync(at('usr/bin/quorate'))).toBe(false);
    expect(readFileSync(at('var/lib/quorate/marker'), 'utf8')).toBe('votes');
  });

  it('purged, leaves the data directory and the keys, and says so', () => {
    const { status, stdout } = dpkg('-P', 'quorate');
    expect(status).toBe(0);
    expect(stdout).toContain('/var/lib/quorate is kept');
    expect(stdout).toContain('/etc/quorate is kept');
    expect(readFileSync(at('var/lib/quorate/marker'), 'utf8')).toBe('votes');
    expect(readFileSync(at('etc/quorate/quorate.yaml'), 'utf8')).toBe('cluster: nas\n');
    expect(existsSync(at('etc/chrony/conf.d/quorate.conf'))).toBe(false);
    expect(state()).toBe('not known');
  });
});
