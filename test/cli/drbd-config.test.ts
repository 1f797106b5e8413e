/** `quorate drbd-config`: what it writes passes the doctor's checks, is what is shipped, and what it cannot know it asks for. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { commandOfHost } from '../../src/cli/drbd-config.ts';
import { run } from '../../src/cli/program.ts';
import { drbdCheck } from '../../src/doctor/drbd.ts';
import { EXIT } from '../../src/errors.ts';
import { drbdTimeouts } from '../../src/resources/index.ts';
import { text } from '../deployments/support/files.ts';
import { brief, configHolding, contextOf, exited } from '../doctor/support.ts';

let place = '';
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'quorate-drbd-config-'));
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

interface Parts {
  readonly members?: string;
  readonly resources?: string;
  readonly timing?: string;
}

/** No certificates: the file is written before there are any. */
function config({ members, resources, timing }: Parts = {}): string {
  mkdirSync(place, { recursive: true });
  const file = join(place, 'q.yaml');
  const sections = {
    cluster: 'nas-prod',
    node: 'a',
    data_dir: '/var/lib/quorate',
    members:
      members ??
      '{a: {peer: "10.0.1.10:7400"}, b: {peer: "10.0.2.10:7400"}, w: {peer: "10.0.3.10:7400", witness: true}}',
    timing: timing ?? '{lease: 600ms}',
    tls: '{ca: ca.pem, cert: node.pem, key: node.key}',
    admin: '{listen: 127.0.0.1:7401}',
    resources: resources ?? '[{name: block, kind: drbd, resource: r0}]',
  };
  writeFileSync(
    file,
    Object.entries(sections)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(''),
  );
  return file;
}

async function drbdConfig(
  file: string,
  ...words: string[]
): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    out += String(chunk);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    err += String(chunk);
    return true;
  });
  const code = await run(['drbd-config', '--config', file, ...words]);
  vi.restoreAllMocks();
  return { code, out, err };
}

const DISK = ['--disk', '/dev/nvme1n1'];
const HANDLER = ['--handler', '/usr/local/bin/quorate fence-peer --config /etc/quorate/quorate.yaml'];

describe('the file', () => {
  it.each([
    ['r0.res', []],
    ['r0-drbd9.res', ['--drbd', '9']],
  ])('%s is what it writes for the example', async (shipped, words) => {
    const { code, out, err } = await drbdConfig(config(), ...DISK, ...HANDLER, ...words);
    expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
    expect(out).toBe(text(`cluster/host/${shipped}`));
  });

  it.each([
    ['8.4', ['--disk', '/dev/sdb'], 4],
    ['8.4', ['--disk', '/dev/sdb,/dev/sdc'], 4],
    ['9', ['--disk', '/dev/sdb,/dev/sdc'], 7],
    ['9', ['--disk', '/dev/sdb', '--no-tie-breaker'], 4],
  ])('passes the doctor: DRBD %s %j', async (version, words, findings) => {
    const { out } = await drbdConfig(config(), '--drbd', version, ...words);
    const found = await drbdCheck.run(
      contextOf(
        {
          commands: { 'drbdadm dump': out, 'drbdsetup show r0': exited(10, '', 'r0: No such resource') },
          files: { '/proc/drbd': `version: ${version === '9' ? '9.2.4' : '8.4.11'} (api:2/proto:86-122)\n` },
        },
        { config: configHolding('name: block, kind: drbd, resource: r0') },
      ),
    );
    const judged = brief(found).filter((line) => !line.endsWith(' kernel'));
    expect(judged).toHaveLength(findings);
    expect(judged.filter((line) => !line.startsWith('ok '))).toEqual([]);
  });

  it('has a volume for each disk, of each node its own', async () => {
    const { out } = await drbdConfig(
      config(),
      ...['--disk', 'a=/dev/disk/by-id/x=1,/dev/sdc', 'b=/dev/sdd,/dev/sde'],
      ...['--meta-disk', '/dev/meta0,/dev/meta1', '--minor', '4', '--port', '7000'],
    );
    const statements = out.replaceAll(/^\s*#.*$/gm, '').replaceAll(/\s+/g, ' ');
    expect(statements).toContain(
      'on a { address 10.0.1.10:7000; volume 0 { device /dev/drbd4; disk /dev/disk/by-id/x=1; meta-disk /dev/meta0; } ' +
        'volume 1 { device /dev/drbd5; disk /dev/sdc; meta-disk /dev/meta1; } }',
    );
    expect(statements).toContain('disk /dev/sde; meta-disk /dev/meta1;');
  });

  it('calls the handler with the config that it was made from', async () => {
    const file = config();
    expect((await drbdConfig(file, ...DISK)).out).toContain(
      `fence-peer "${commandOfHost()} fence-peer --config ${file}";`,
    );
  });

  it("calls the package's command where that is installed, otherwise the archive's", () => {
    expect(commandOfHost((path) => path === '/usr/bin/quorate')).toBe('/usr/bin/quorate');
    expect(commandOfHost(() => false)).toBe('/usr/local/bin/quorate');
  });

  it('says of DRBD 9 that it is untested', async () => {
    expect((await drbdConfig(config(), ...DISK, '--drbd', '9')).out).toMatch(/^#.*UNTESTED/);
    expect((await drbdConfig(config(), ...DISK)).out).not.toContain('UNTESTED');
  });

  it.each([30, 600, 1500, 1501, 3000, 60_000])(
    'a lease of %d ms is over when DRBD gives a peer up',
    (leaseMs) => {
      const { pingInt, pingTimeout, timeout, connectInt } = drbdTimeouts(leaseMs);
      expect(1000 * pingInt + 100 * pingTimeout).toBeGreaterThanOrEqual(leaseMs);
      // drbd.conf(5), and the limits of drbdsetup.
      expect(timeout).toBeLessThan(10 * Math.min(pingInt, connectInt));
      expect(pingInt).toBeLessThanOrEqual(120);
      expect(pingTimeout).toBeLessThanOrEqual(300);
      expect(timeout).toBeLessThanOrEqual(600);
    },
  );
});

describe('what the config does not say', () => {
  const TWO = '[{name: one, kind: drbd, resource: r0}, {name: two, kind: drbd, resource: r1}]';
  const NAMED = '{a: {peer: "nas-a.internal:7400"}, b: {peer: "10.0.2.10:7400"}}';
  it.each<[string, Parts, readonly string[], string]>([
    ['no disk', {}, [], 'does not say the disk of "a": give --disk PATH'],
    ['of one node', {}, ['--disk', 'a=/dev/sdb'], '--disk b=PATH'],
    ['a name for an address', { members: NAMED }, DISK, 'give --address a=IP'],
    ['which of two', { resources: TWO }, DISK, '--resource: the config has several, name one of r0, r1'],
    ['ports of two', { resources: TWO }, [...DISK, '--resource', 'r1'], '--port and --minor'],
    ['another resource', {}, [...DISK, '--resource', 'r7'], 'no DRBD resource "r7"'],
    ['no resource', { resources: '[]' }, DISK, 'no resource of the kind drbd'],
    ['nobody', {}, ['--disk', 'c=/dev/sdb'], '"c" is no member'],
    ['the witness', {}, ['--disk', 'w=/dev/sdb'], '"w" is the witness'],
    ['no path', {}, ['--disk', '/dev/sdb; }'], 'is not the absolute path'],
    ['one volume more', {}, ['--disk', 'a=/dev/sdb', 'b=/dev/sdb,/dev/sdc'], 'the same number'],
    ['twice', {}, ['--disk', '/dev/sdb', '/dev/sdc'], 'given twice for all nodes'],
    ['the same device twice', {}, ['--disk', '/dev/sdb,/dev/sdb'], 'the same device twice'],
    ['one place for two volumes', {}, ['--disk', '/dev/b,/dev/c', '--meta-disk', '/dev/m'], '--meta-disk'],
    ['no address', {}, [...DISK, '--address', 'a=nas-a'], '"nas-a" is not an IP address'],
    ['a quote', {}, [...DISK, '--handler', 'x "y"'], '--handler'],
    ['another version', {}, [...DISK, '--drbd', '8.3'], '8.4, 9'],
    ['no port', {}, [...DISK, '--port', '70000'], 'from 1 to 65535'],
  ])('%s', async (_what, parts, words, sentence) => {
    const { code, out, err } = await drbdConfig(config(parts), ...words);
    expect({ code, out }).toEqual({ code: EXIT.usage, out: '' });
    expect(err).toContain(sentence);
  });

  it('an address of another link', async () => {
    const { out } = await drbdConfig(
      config({ members: NAMED }),
      ...DISK,
      '--address',
      'a=fd00::1',
      'b=fd00::2',
    );
    expect(out).toContain('address   ipv6 [fd00::1]:7789;');
  });
});
