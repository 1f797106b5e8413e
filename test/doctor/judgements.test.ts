/** ZFS, protection, releases: what is said about them. */
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import type { Entry } from '../../src/core/index.ts';
import { protectionCheck } from '../../src/doctor/protection.ts';
import { releasesCheck, releaseTimes } from '../../src/doctor/releases.ts';
import { parsePoolValues, zfsCheck } from '../../src/doctor/zfs.ts';
import { a, chain, config as configEntry, elected, granted } from '../state/story.ts';
import {
  brief,
  configHolding,
  configOf,
  configWith,
  contextOf,
  exited,
  type FakeHost,
  one,
} from './support.ts';

const DRBD = 'name: block, kind: drbd, resource: r0';
const SERVICE = 'name: nfs, kind: service, unit: nfs-server.service';

describe('zfs', () => {
  const POOL = 'name: tank, kind: zfs-pool, pool: tank';
  const COMMAND = 'zpool get -H -o property,value cachefile,multihost,failmode tank';
  const look = (
    said: NonNullable<FakeHost['commands']>[string],
    files: Record<string, string> = { '/etc/hostid': 'x' },
    ...resources: readonly string[]
  ) => {
    const config = configHolding(...(resources.length === 0 ? [DRBD, POOL] : resources));
    return zfsCheck.run(contextOf({ commands: { [COMMAND]: said }, files }, { config }));
  };

  it('is asked only where there is a pool', async () => {
    expect(brief(await zfsCheck.run(contextOf()))).toEqual(['skipped pools']);
  });

  it.each([
    [
      'cachefile\tnone\nmultihost\toff\nfailmode\twait\n',
      ['ok tank cachefile', 'ok tank multihost', 'ok tank failmode'],
    ],
    [
      'cachefile\t-\nmultihost\ton\nfailmode\tpanic\n',
      ['failed tank cachefile', 'warning tank multihost', 'warning tank failmode'],
    ],
    [
      'cachefile\tnone\nmultihost\toff\nfailmode\tcontinue\n',
      ['ok tank cachefile', 'ok tank multihost', 'warning tank failmode'],
    ],
    ['cachefile\tnone\nmulti', ['unknown tank settings']],
    ['', ['unknown tank settings']],
    [exited(1, '', "cannot open 'tank': no such pool\n"), ['skipped tank settings']],
    [exited(1, '', 'internal error'), ['unknown tank settings']],
    [{ kind: 'timed-out', limitMs: 3000 } as const, ['unknown tank settings']],
  ])('%j', async (said, expected) => {
    expect(brief(await look(said)).slice(4)).toEqual(expected);
  });

  it.each([
    [{ '/etc/hostid': 'x' }, 'ok'],
    [{ '/sys/module/spl/parameters/spl_hostid': '12345\n' }, 'ok'],
    [{ '/sys/module/spl/parameters/spl_hostid': '0\n' }, 'warning'],
    [{}, 'unknown'],
  ])('host id %j: %s', async (files, result) => {
    expect(one(await look('', files as Record<string, string>), 'host id').result).toBe(result);
  });

  it('a host id is a must where more than the Primary can open the disks', async () => {
    const files = { '/sys/module/spl/parameters/spl_hostid': '0\n' };
    const local = `${POOL}, devices: [/dev/disk/by-id]`;
    expect(one(await look('', files, local), 'host id').result).toBe('failed');
    const said = 'cachefile\tnone\nmultihost\ton\nfailmode\twait\n';
    expect(one(await look(said, {}, local), 'tank multihost').result).toBe('ok');
  });

  it.each([
    ['a\n', POOL, 'ok'],
    ['nas-1\n', POOL, 'failed'],
    ['nas-1\n', `${POOL}, hosts: {a: nas-1, b: nas-2}`, 'ok'],
    ['nas-2\n', `${POOL}, hosts: {a: nas-1, b: nas-2}`, 'failed'],
    ['', POOL, 'unknown'],
  ])('host name %j with %s: %s', async (name, pool, result) => {
    const files = { '/proc/sys/kernel/hostname': name };
    expect(one(await look('', files, DRBD, pool), 'tank host name').result).toBe(result);
  });

  it('a unit that imports everything at boot goes past DRBD', async () => {
    const directory = '/etc/systemd/system/zfs-import.target.wants';
    const files = { [`${directory}/zfs-import-scan.service`]: '' };
    expect(one(await look('', files), 'boot').result).toBe('failed');
    expect(one(await look('', { [`${directory}/zfs-import-cache.service`]: '' }), 'boot').result).toBe('ok');
  });

  it('R1: a suspended pool needs somebody who resets the host', async () => {
    const reset = async (commandLine: string | null, mode: Config['watchdog']['mode'], ...more: string[]) => {
      const config = configHolding(DRBD, more[0] ?? POOL);
      const kinds = { [config.watchdog.device]: 'character' } as const;
      const files = commandLine === null ? {} : { '/proc/77/cmdline': commandLine };
      const context = contextOf(
        { kinds, files },
        {
          config: { ...config, watchdog: { ...config.watchdog, mode } },
          watchdog: { ...contextOf().watchdog, executor: () => (commandLine === null ? null : 77) },
        },
      );
      const found = await zfsCheck.run(context);
      return found.find(({ subject }) => subject === 'tank reset')?.result;
    };
    const line = 'node\0executor.mjs\0--self-fence\0';
    expect(await reset(null, 'required')).toBe('ok');
    expect(await reset(`${line}sysrq\0`, 'off')).toBe('ok');
    expect(await reset(`${line}off\0`, 'off')).toBe('failed');
    expect(await reset('node\0executor.mjs\0', 'off')).toBe('failed');
    expect(await reset(null, 'off')).toBe('unknown');
    // It cannot freeze, so it is not suspended for that.
    expect(await reset(null, 'off', `${POOL}, devices: /dev/vdb, after: []`)).toBeUndefined();
    expect(await reset(null, 'off', `${POOL}, devices: /dev/drbd0`)).toBe('unknown');
  });

  it('a pool that is suspended is not asked: the command would hang', async () => {
    const files = { '/proc/spl/kstat/zfs/tank/state': 'SUSPENDED\n' };
    const never = { kind: 'died', why: 'it was asked' } as const;
    expect(one(await look(never, files), 'tank settings')).toMatchObject({
      result: 'failed',
      detail: 'the pool is SUSPENDED',
    });
  });

  it('reads pairs or nothing', () => {
    expect(parsePoolValues('a\tb\nc\td e\n')).toEqual(
      new Map([
        ['a', 'b'],
        ['c', 'd e'],
      ]),
    );
    expect(parsePoolValues('a b\n')).toBeNull();
  });
});

describe('what stands between two holders', () => {
  const look = async (config: Config) => protectionCheck.run(contextOf({}, { config }));
  const withMode = (mode: string, ...resources: readonly string[]): Config => ({
    ...configHolding(...resources),
    watchdog: { ...configHolding().watchdog, mode: mode as Config['watchdog']['mode'] },
  });

  it.each([
    ['required', [DRBD], 'ok', 'watchdog (required) and DRBD'],
    ['required', [SERVICE], 'ok', 'watchdog (required)'],
    ['automatic', [SERVICE], 'warning', 'no DRBD'],
    ['off', [DRBD], 'warning', 'DRBD alone'],
    ['off', [SERVICE], 'warning', 'neither watchdog nor DRBD'],
    ['off', [], 'skipped', 'nothing is held'],
  ])('watchdog %s and %j: %s', async (mode, resources, result, words) => {
    const finding = one(await look(withMode(mode, ...resources)), 'write fence');
    expect(finding.result).toBe(result);
    expect(finding.detail).toContain(words);
  });

  it('fencing that can stop nothing', async () => {
    const instances = { a: 'i-0a0a0a0a', b: 'i-0b0b0b0b' } as Config['fencing']['instances'];
    const config = configOf();
    const fencing = async (change: Partial<Config['fencing']>, cloud = config.cloud) =>
      one(await look({ ...config, cloud, fencing: { ...config.fencing, ...change } }), 'fencing').result;
    expect(await fencing({ ec2Stop: 'off' })).toBe('ok');
    expect(await fencing({ ec2Stop: 'after' })).toBe('warning');
    expect(await fencing({ ec2Stop: 'before' })).toBe('failed');
    expect(await fencing({ ec2Stop: 'before', instances })).toBe('ok');
    expect(await fencing({ ec2Stop: 'after' }, { region: null, endpoint: null })).toBe('skipped');
  });

  it.each([
    [3, 'ok'],
    [2, 'warning'],
    [1, 'ok'],
  ])('%d voters: %s', async (count, result) => {
    const config = configOf();
    const members = config.members.slice(0, count);
    expect(one(await look({ ...config, members }), 'voters').result).toBe(result);
  });

  it('a witness holds nothing', async () => {
    expect(brief(await look(configOf(undefined, 'w')))).toEqual(['ok voters', 'skipped write fence']);
  });
});

describe('releases', () => {
  const released = (evidence: string) =>
    ({
      kind: 'tenure-released',
      epoch: 3,
      node: a,
      reason: 'switchover',
      evidence,
      successor: null,
      at: null,
    }) as never;
  const log = (...bodies: readonly never[]): readonly Entry[] =>
    chain(
      [0, configEntry()],
      [1, elected(a)],
      [1, granted(a)],
      ...bodies.map((body): [number, never] => [1, body]),
    );
  const look = (entries: readonly Entry[]) =>
    releasesCheck.run(
      contextOf({}, { entries: async () => entries, config: configWith('release: 1s', 'release: 1s') }),
    );

  it('are read from the words of the evidence', () => {
    const entries = log(
      released('r0 is Secondary'),
      released('r0 is Secondary; verified in 120 ms (D 1000 ms)'),
      released('r0 is Secondary; 80.5 ms of D 1000 ms'),
      released('verified in many ms'),
    );
    expect(releaseTimes(entries)).toEqual({ abrupt: [80.5], planned: [120] });
  });

  it.each([
    [[], 'skipped'],
    [[100, 300], 'ok'],
    [[100, 750], 'warning'],
    [[100, 1200], 'failed'],
  ])('R1: abrupt ones of %j ms against D = 1 s: %s', async (times, result) => {
    const entries = log(...times.map((ms) => released(`x; ${ms} ms of D 1000 ms`)));
    expect(one(await look(entries), 'releases').result).toBe(result);
  });

  it('planned ones are not bounded by D', async () => {
    const finding = one(await look(log(released('x; verified in 5000 ms (D 1000 ms)'))), 'releases');
    expect(finding.result).toBe('skipped');
    expect(finding.detail).toContain('1 planned, 5000 ms at worst');
    expect(finding.measured).toBeUndefined();
  });

  it('of long ago do not count', async () => {
    const times = [5000, ...Array.from({ length: 20 }, () => 100)];
    const entries = log(...times.map((ms) => released(`x; ${ms} ms of D 1000 ms`)));
    expect(one(await look(entries), 'releases').result).toBe('ok');
  });

  it('are unknown without a log', async () => {
    const context = contextOf({}, { entries: () => Promise.reject(new Error('no agent answers')) });
    expect(one(await releasesCheck.run(context), 'log')).toMatchObject({ result: 'unknown' });
  });
});
