import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { durationMs } from '../../src/core/index.ts';
import {
  compareVersions,
  LEAST_NODE,
  parseKernelVersion,
  parseProcDrbd,
  versionsCheck,
} from '../../src/doctor/versions.ts';
import { brief, configHolding, contextOf, exited, type FakeHost, one } from './support.ts';

const DRBD = 'name: block, kind: drbd, resource: r0';
const VIP = (address: string): string =>
  `name: vip, kind: virtual-ip, address: "${address}", interface: eth1`;
const UNIT = 'name: nfs, kind: service, unit: nfs-server.service';
/** As captured: drbd-utils 9.22 beside a kernel 8.4, iproute2, nftables, iputils of Debian 12. */
const DRBDADM =
  'DRBDADM_BUILDTAG=GIT-hash:\\ 409097fe\nDRBDADM_API_VERSION=1\nDRBD_KERNEL_VERSION_CODE=0x08040b\nDRBDADM_VERSION_CODE=0x091600\nDRBDADM_VERSION=9.22.0\n';
const NO_MODULE = DRBDADM.replace('0x08040b', '0x000000');
const PROC_DRBD = 'version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B \n';

const look = (resources: readonly string[], fake: FakeHost, nodeVersion = '22.1.0') => {
  const context = contextOf(fake, { config: configHolding(...resources) });
  return versionsCheck.run({ ...context, host: { ...context.host, nodeVersion } });
};

it('knows the engine of package.json', () => {
  const file = new URL('../../package.json', import.meta.url);
  const { engines } = JSON.parse(readFileSync(file, 'utf8')) as { engines: { node: string } };
  expect(`>=${LEAST_NODE}`).toMatch(new RegExp(`^${engines.node}(\\.0)?$`));
});

describe('Node.js', () => {
  it.each([
    ['20.18.9', 'failed'],
    ['20.19.0', 'ok'],
    ['20.9.0', 'failed'],
    ['24.0.0', 'ok'],
  ])('%s: %s', async (version, result) => {
    expect(one(await look([], {}, version), 'node').result).toBe(result);
  });
  it('compares numbers, not texts', () => {
    expect(compareVersions('9.10', '9.9')).toBeGreaterThan(0);
    expect(compareVersions('9.1', '9.1.0')).toBe(0);
  });
});

describe('tools', () => {
  it('asks only for those that a configured kind needs', async () => {
    expect(brief(await look([], {}))).toEqual(['ok node', 'ok kernel', 'skipped tools']);
    const commands = { 'systemctl --version': 'systemd 252 (252.38-1~deb12u1)\n+PAM' };
    expect(brief(await look([UNIT], { commands }))).toEqual(['ok node', 'ok kernel', 'ok systemctl']);
  });

  it('asks for what sending snapshots needs, and for pv where the bandwidth has a limit', async () => {
    const commands = {
      'zfs version': 'zfs-2.1.11-1\nzfs-kmod-2.1.11-1',
      'pv --version': 'pv 1.6.20 - Copyright',
    };
    const keep = { last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
    const policy = { periodMs: durationMs(60_000), keep, keepCopy: keep, windows: [] };
    const looked = (bytesPerSecond: number | null, fake: FakeHost) => {
      const send = { policy, overrides: [], bytesPerSecond, answerMs: 30_000 };
      const replication = { pools: ['tank'], include: [], exclude: [], channel: null, send };
      const config = { ...configHolding(), replication };
      return versionsCheck.run(contextOf(fake, { config }));
    };
    expect(brief(await looked(null, { commands }))).toContain('ok zfs');
    expect(brief(await looked(null, { commands }))).not.toContain('ok pv');
    expect(brief(await looked(1e6, { commands }))).toContain('ok pv');
    expect(one(await looked(1e6, {}), 'pv')).toMatchObject({ result: 'failed' });
  });

  it('a tool that is missing has failed', async () => {
    expect(one(await look([UNIT], {}), 'systemctl')).toMatchObject({
      result: 'failed',
      detail: 'systemctl is not installed or not in PATH',
    });
  });

  it.each([
    ['arping from iputils 20221126\nlibcap: yes', 'ok'],
    ['ARPing 2.23, by Thomas Habets <thomas@habets.se>', 'failed'],
    ['\u0000\u0001garbage', 'unknown'],
    ['', 'unknown'],
  ])('arping says %j: %s', async (said, result) => {
    const fake = { commands: { 'ip -V': 'ip utility, iproute2-6.1.0, libbpf 1.1.2\n', 'arping -V': said } };
    const findings = await look([VIP('10.0.0.50/24')], fake);
    expect(one(findings, 'ip')).toMatchObject({ result: 'ok', detail: 'ip 6.1.0' });
    expect(one(findings, 'arping').result).toBe(result);
    expect(brief(findings)).not.toContain('failed ndptool');
  });

  it('IPv6 needs ndptool instead', async () => {
    const commands = {
      'ip -V': 'ip utility, iproute2-6.1.0\n',
      'ndptool --help': 'ndptool [options] command\n\t-U --unsolicited         Send Unsolicited NA\n',
    };
    expect(brief(await look([VIP('fd00::5/64')], { commands }))).toEqual([
      'ok node',
      'ok kernel',
      'ok ip',
      'ok ndptool',
    ]);
    const old = { ...commands, 'ndptool --help': 'ndptool [options] command\n\t-h --help\n' };
    expect(one(await look([VIP('fd00::5/64')], { commands: old }), 'ndptool').result).toBe('failed');
  });

  it('those of a mount, and of ports that are blocked', async () => {
    const commands = {
      'mount --version': 'mount from util-linux 2.38.1 (libmount 2.38.1: selinux)\n',
      // On stderr.
      'fuser -V': exited(0, '', 'fuser (PSmisc) 23.6\nCopyright (C) 1993-2022\n'),
      'nft --version': 'nftables v1.0.6 (Lester Gooch #5)\n',
      'ss -V': 'ss utility, iproute2-6.1.0, libbpf 1.1.2\n',
    };
    const kinds = [
      'name: data, kind: mount, device: /dev/drbd0, mount_point: /srv',
      'name: door, kind: port-block, ports: ["2049/tcp"]',
    ];
    const findings = await look(kinds, { commands });
    expect(findings.slice(2).map(({ detail }) => detail)).toEqual(
      expect.arrayContaining(['mount 2.38.1', 'fuser 23.6', 'nft 1.0.6']),
    );
    expect(findings.every(({ result }) => result === 'ok')).toBe(true);
  });

  it('one that does not answer is unknown, not missing', async () => {
    const commands = { 'systemctl --version': { kind: 'timed-out', limitMs: 3000 } } as const;
    expect(one(await look([UNIT], { commands }), 'systemctl').result).toBe('unknown');
  });
});

describe('the DRBD module', () => {
  it.each([
    ['loaded', { files: { '/proc/drbd': PROC_DRBD }, commands: { 'drbdadm --version': DRBDADM } }, 'ok'],
    ['installed, not loaded', { commands: { 'drbdadm --version': DRBDADM } }, 'warning'],
    ['not there', { commands: { 'drbdadm --version': NO_MODULE } }, 'failed'],
    ['no tool to ask', {}, 'unknown'],
    ['a tool that says nothing', { commands: { 'drbdadm --version': exited(20) } }, 'unknown'],
  ])('%s', async (_what, fake: FakeHost, result) => {
    expect(one(await look([DRBD], fake), 'drbd module').result).toBe(result);
  });

  it('ZFS: loaded before it is needed', async () => {
    const pool = 'name: tank, kind: zfs-pool, pool: tank, devices: /dev/vdb';
    const files = { '/sys/module/zfs/version': '2.1.11-1+deb12u1\n' };
    const commands = { 'zfs version': 'zfs-2.1.11-1+deb12u1\nzfs-kmod-2.1.11-1+deb12u1\n' };
    const found = await look([pool], { files, commands });
    expect(one(found, 'zfs module')).toMatchObject({
      result: 'ok',
      detail: 'ZFS 2.1.11-1+deb12u1 is loaded',
    });
    expect(brief(found)).toContain('ok zfs');
    expect(one(await look([pool], { commands }), 'zfs module').result).toBe('warning');
  });

  it('reads versions, and nothing out of garbage', () => {
    expect(parseProcDrbd(PROC_DRBD)).toBe('8.4.11');
    expect(parseProcDrbd('version: 9.2.4 (api:2/proto:86-122)\n')).toBe('9.2.4');
    expect([null, '', 'version: nine', 'x version: 9.2.4'].map(parseProcDrbd)).toEqual([
      null,
      null,
      null,
      null,
    ]);
    expect(parseKernelVersion(DRBDADM)).toBe('8.4.11');
    expect(parseKernelVersion('DRBD_KERNEL_VERSION_CODE=0x090204')).toBe('9.2.4');
    expect(parseKernelVersion(NO_MODULE)).toBe('none');
    expect(parseKernelVersion('DRBD_KERNEL_VERSION_CODE=0xzz')).toBeNull();
  });
});
