/** A pool that moves, on a host in memory; what ZFS says is as captured from 2.1.11. */
import { beforeEach, describe, expect, it } from 'vitest';
import { instant } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import {
  type AcquireContext,
  type FrozenIo,
  PoolMemory,
  ZfsPoolResource,
} from '../../src/resources/index.ts';
import { parseLeaves } from '../../src/resources/zfs-vdevs.ts';
import { FakeZfs } from './support/fake-zfs.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { CAPTURES } from './zfs-captures.ts';

let zfs: FakeZfs;
let clock: VirtualClock;
/** Of one executor: its objects for acquire, release and probe are others each time. */
let memory: PoolMemory;
beforeEach(() => {
  zfs = new FakeZfs();
  clock = new VirtualClock();
  memory = new PoolMemory();
});

type Options = ConstructorParameters<typeof ZfsPoolResource>[0];
const make = (more: Partial<Options> = {}) => {
  const { kernel, readMounts, readDevice, runner } = zfs;
  return new ZfsPoolResource({
    ...{ name: 'tank', pool: 'tank', devices: null, loadKeys: false, mayKill: true, frozenIo: null },
    ...{ ownHost: 'node-b', peerHosts: ['node-a'], devicesBelow: async () => ['/dev/drbd0'] },
    ...{ kernel, readMounts, readDevice, runner, clock, memory, ownPaths: ['/', '/var/lib/quorate'] },
    ...more,
  });
};
const inMs = (ms: number) => ({
  deadline: instant(clock.now() + ms),
  signal: new AbortController().signal,
});
const acquire = (of = make(), more: Partial<AcquireContext> = {}) =>
  of.acquire({ ...inMs(60_000), previousReleased: false, ...more });
const release = (of: ZfsPoolResource, mode: 'planned' | 'abrupt', ms = 30_000) =>
  of.release({ ...inMs(ms), mode });
const probe = (of = make()) => of.probe(inMs(5000));

const IMPORT = 'zpool import -N -o cachefile=none -d /dev/drbd0 tank';
const FORCED = 'zpool import -f -N -o cachefile=none -d /dev/drbd0 tank';

describe('held', () => {
  it('imported from the DRBD device alone, without a cache file, its file systems mounted parents first', async () => {
    expect(await probe()).toEqual({ probe: 'not-held', detail: 'tank is not imported' });
    expect(await acquire()).toBe('tank imported from /dev/drbd0, 3 file systems mounted');
    expect(zfs.changes).toEqual([
      IMPORT,
      'zfs mount tank',
      'zfs mount tank/vol1',
      'zfs mount tank/vol1/deep',
    ]);
    expect(zfs.environments[0]).toMatchObject({ ZFS_VDEV_DEVID_OPT_OUT: 'YES', LC_ALL: 'C' });
    expect(await probe()).toEqual({ probe: 'held', detail: 'tank is ONLINE, 3 file systems mounted' });
  });

  it('by place and not by name: a file system may lie above its parent', async () => {
    zfs.fileSystems.clear();
    zfs.fileSystems.set('tank', { mountPoint: '/srv/all/rest' });
    zfs.fileSystems.set('tank/a', { mountPoint: '/srv/all' });
    await acquire();
    expect(zfs.changes.slice(1)).toEqual(['zfs mount tank/a', 'zfs mount tank']);
  });

  it('what is right already is not touched, what is missing is added', async () => {
    await acquire();
    zfs.calls.length = 0;
    expect(await acquire()).toContain('is imported already');
    expect(zfs.changes).toEqual([]);
    zfs.mounts.pop();
    expect(await probe()).toEqual({
      probe: 'not-held',
      isPartial: true,
      detail: 'tank is ONLINE, not mounted: tank/vol1/deep',
    });
    await acquire();
    expect(zfs.changes).toEqual(['zfs mount tank/vol1/deep']);
  });

  it('a pool that misses a device is held, and says that it is degraded', async () => {
    await acquire();
    zfs.state = 'DEGRADED';
    expect(await probe()).toMatchObject({
      probe: 'held',
      detail: expect.stringMatching(/^degraded: tank is/),
    });
    await acquire();
  });

  it('a mount that fails is an error, and everything goes again', async () => {
    zfs.failures.set('zfs mount tank/vol1/deep', "cannot mount '/srv/vol1/deep': Input/output error\n");
    await expect(acquire()).rejects.toThrow(/Input\/output error/);
    expect(await probe()).toMatchObject({ probe: 'not-held', isPartial: true });
    await release(make(), 'planned');
    expect(await probe()).toEqual({ probe: 'not-held', detail: 'tank is not imported' });
  });

  it('somebody else at the place, or ours at another one, is in the way', async () => {
    zfs.mounts.push({ source: '/dev/sdb1', mountPoint: '/srv', fstype: 'ext4' });
    await expect(acquire()).rejects.toMatchObject({ code: 'mount-occupied' });
    zfs.mounts = [{ source: 'tank', mountPoint: '/elsewhere' }];
    await expect(acquire()).rejects.toThrow('tank is mounted on /elsewhere, not on /srv');
    expect(zfs.changes.filter((call) => call.startsWith('umount'))).toEqual([]);
  });

  it('a mount that says it is done, and is not seen, is an error', async () => {
    const covered = make({ readMounts: () => zfs.readMounts().replaceAll(' /srv rw', ' /covered rw') });
    await expect(acquire(covered)).rejects.toThrow(/is not seen on \/srv|not on \/srv/);
  });
});

describe('keys', () => {
  beforeEach(() => zfs.fileSystems.set('tank/vol1', { mountPoint: '/srv/vol1', isLocked: true }));

  it('are loaded where that is asked for, and only when one is missing', async () => {
    const tank = make({ loadKeys: true });
    expect(await acquire(tank)).toContain('3 file systems mounted');
    expect(zfs.changes.slice(0, 2)).toEqual([IMPORT, 'zfs load-key -r tank']);
    zfs.calls.length = 0;
    await acquire(tank);
    expect(zfs.changes).toEqual([]);
  });

  it('left alone otherwise: what is locked is not mounted, and not missed', async () => {
    expect(await acquire()).toBe('tank imported from /dev/drbd0, 2 file systems mounted, 1 left locked');
    expect((await probe()).probe).toBe('held');
  });

  it('that cannot be loaded are an error', async () => {
    zfs.failures.set('zfs load-key', 'Key load error: Failed to open key material file\n');
    await expect(acquire(make({ loadKeys: true }))).rejects.toThrow(/key material/);
  });
});

describe('O3: on DRBD it stands on nothing else', () => {
  it.each([['/dev/vdc1'], ['8413021735217862145'], ['/var/tmp/file']])(
    'with %s in it, it is not taken, neither imported nor found imported',
    async (leaf) => {
      zfs.leaves = ['/dev/drbd0', leaf];
      await expect(acquire()).rejects.toThrow(`tank stands on ${leaf} too, which is not DRBD`);
      await expect(acquire(make(), { isFirst: true })).rejects.toThrow(leaf);
      expect(zfs.changes).toEqual([IMPORT]);
    },
  );

  it('another pool of that name is not taken for ours', async () => {
    zfs.state = 'ONLINE';
    zfs.leaves = ['/dev/vdb'];
    await expect(acquire()).rejects.toThrow('tank stands on /dev/vdb too');
  });

  it('H4: added later it is said, and does not move the role: that would lose what only the other disk has', async () => {
    await acquire();
    zfs.leaves = ['/dev/drbd0', '/dev/vdc1'];
    expect(await probe()).toMatchObject({
      probe: 'held',
      detail: expect.stringMatching(
        /^degraded: tank is ONLINE, 3 .*stands on \/dev\/vdc1 too, which is not DRBD/,
      ),
    });
    zfs.mounts.pop();
    await acquire(make(), { isFirst: false });
    expect(zfs.mounts).toHaveLength(3);
  });

  it('a partition of DRBD, by any name, is DRBD', async () => {
    zfs.devices.set('/dev/drbd/by-res/r0/0', '147:0');
    zfs.leaves = ['/dev/drbd0p1', '/dev/drbd0'];
    await acquire();
    const readDevice = (path: string) => ({
      path: path.replace('/dev/drbd/by-res/r0/0', '/dev/drbd0'),
      number: null,
    });
    zfs.leaves = ['/dev/drbd/by-res/r0/0'];
    expect((await probe(make({ readDevice }))).detail).not.toContain('degraded');
  });

  it('H4: what it stands on cannot be read', async () => {
    await acquire();
    zfs.failures.set('zpool list', 'internal error');
    expect((await probe()).probe).toBe('unknown');
    await expect(acquire()).rejects.toThrow('internal error');
    const devicesBelow = () => Promise.reject(new QuorateError('command-failed', 'r0: not known'));
    expect((await probe(make({ devicesBelow }))).probe).toBe('unknown');
  });

  it('is not asked where there is no DRBD', async () => {
    await acquire(make({ devices: ['/dev/vdb'], devicesBelow: async () => [] }), { proof: 'fresh' });
    expect(zfs.calls.some((call) => call.startsWith('zpool list'))).toBe(false);
  });

  it('reads mirrors, logs and spares; a cache has copies only', () => {
    expect(parseLeaves(CAPTURES.vdevs, 'tank')).toEqual(['/dev/drbd0']);
    const all = CAPTURES.vdevsOfAllKinds;
    expect(parseLeaves(all, 'tank')).toEqual(['/dev/drbd0', '8413021735217862145', '/dev/vdc1', '/dev/vde1']);
    expect(parseLeaves(all, 'tan')).toBeNull();
    expect(parseLeaves(all.slice(0, -1), 'tank')).toBeNull();
    expect(parseLeaves(all.slice(0, all.indexOf('\n') + 1), 'tank')).toBeNull();
    expect(parseLeaves(`${all}what?\n`, 'tank')).toBeNull();
  });
});

describe('H6: what comes later moves nothing', () => {
  it('a replica that is not mounted is said, and neither missed nor mounted', async () => {
    await acquire();
    zfs.fileSystems.set('tank/backup', { mountPoint: '/srv/backup' });
    expect(await probe()).toEqual({
      probe: 'held',
      detail: 'degraded: tank is ONLINE, 3 file systems mounted, left out: tank/backup',
    });
    zfs.mounts.pop();
    expect(await acquire(make(), { isFirst: false })).toContain(
      '3 file systems mounted, left out: tank/backup',
    );
    expect(zfs.mounts.map(({ source }) => source)).not.toContain('tank/backup');
    zfs.mounts.push({ source: 'tank/backup', mountPoint: '/srv/backup' });
    expect((await probe()).detail).toBe('tank is ONLINE, 3 file systems mounted');
  });

  it('the next tenure mounts it', async () => {
    await acquire();
    zfs.fileSystems.set('tank/backup', { mountPoint: '/srv/backup' });
    await release(make(), 'planned');
    expect(await acquire()).toContain('4 file systems mounted');
  });

  it('of two with one place the older has it, whatever their names', async () => {
    zfs.fileSystems.set('tank/backup', { mountPoint: '/srv/vol1' });
    expect(await acquire()).toContain('3 file systems mounted, left out: tank/backup');
    expect(zfs.changes).not.toContain('zfs mount tank/backup');
    expect((await probe()).detail).toMatch(/^degraded: .*left out: tank\/backup$/);
  });

  it('also where the older is locked: a replica is not shown in its place', async () => {
    zfs.fileSystems.set('tank/vol1', { mountPoint: '/srv/vol1', isLocked: true });
    zfs.fileSystems.set('tank/backup', { mountPoint: '/srv/vol1' });
    expect(await acquire()).toContain('left out: tank/backup');
    expect(zfs.changes).not.toContain('zfs mount tank/backup');
  });
});

describe('R1: what nobody may release', () => {
  it.each(['/', '/var', '/var/lib/quorate'])(
    'a pool on %s holds what Quorate runs from: it is left alone, without a command',
    async (mountPoint) => {
      zfs.state = 'ONLINE';
      zfs.mounts.push({ source: 'tank/ROOT', mountPoint });
      expect(await probe()).toMatchObject({
        probe: 'unknown',
        detail: expect.stringMatching(/is on tank: what/),
      });
      for (const mode of ['planned', 'abrupt'] as const)
        await expect(release(make(), mode)).rejects.toThrow(/no pool that can move/);
      await expect(acquire()).rejects.toThrow(/no pool that can move/);
      expect(zfs.calls).toEqual([]);
    },
  );

  it.each([
    ['/var/lib', /would hide \/var\/lib\/quorate/],
    ['/', /would hide \//],
    ['/srv/our files', /fuser does not see/],
    ['/srv/#1', /fuser does not see/],
    ['/srv/a\\b', /fuser does not see/],
  ])('nothing is mounted on %s', async (mountPoint, why) => {
    zfs.fileSystems.set('tank/new', { mountPoint });
    await expect(acquire()).rejects.toThrow(why);
    expect(zfs.mounts).toEqual([]);
    await release(make(), 'abrupt');
    expect(zfs.state).toBeNull();
  });
});

describe('no blind -f', () => {
  const local = { devices: ['/dev/vdb'], devicesBelow: async () => [] };
  const LOCAL_IMPORT = 'zpool import -N -o cachefile=none -d /dev/vdb tank';

  it('after a power cut of the peer: on DRBD, whose Primary nobody else is', async () => {
    zfs.refusal = CAPTURES.lastUsedByPeer;
    expect(await acquire()).toContain('by force: it was last used by node-a (host id a), and DRBD lets');
    expect(zfs.changes.slice(0, 2)).toEqual([IMPORT, FORCED]);
  });

  it('H2, R4: on other disks nothing is imported without the proof of the log, not even what ZFS would give', async () => {
    for (const devices of [['/dev/vdb'], ['/dev/drbd0', '/dev/vdb'], ['/dev/none']])
      await expect(acquire(make({ ...local, devices }), { previousReleased: true })).rejects.toMatchObject({
        code: 'pool-in-use',
        message: expect.stringContaining('may be writing into it: there is neither DRBD under the pool nor'),
      });
    expect(zfs.calls).toEqual([]);
    expect(await acquire(make(local), { proof: 'stale' })).toContain('tank imported from /dev/vdb, 3');
  });

  it('R5: on other disks by force only from who was stopped', async () => {
    zfs.refusal = CAPTURES.lastUsedByPeer;
    await expect(acquire(make(local), { proof: 'fresh', previousReleased: true })).rejects.toThrow(
      /what was released is not in use: somebody has imported it since/,
    );
    expect(zfs.calls).toEqual([LOCAL_IMPORT]);
    expect(await acquire(make(local), { proof: 'fresh' })).toContain('node-a (host id a), which was stopped');
  });

  it.each([
    ['a repair or a take-back', { proof: 'stale' }],
    ['what this tenure has had', { proof: 'fresh', isFirst: false }],
  ] as const)('R4: on other disks never by force: %s, because its proof is old', async (_, context) => {
    zfs.refusal = CAPTURES.lastUsedByPeer;
    await expect(acquire(make(local), context)).rejects.toMatchObject({
      code: 'pool-in-use',
      message: expect.stringContaining('may have been started since (R5)'),
    });
    expect(zfs.calls).toEqual([LOCAL_IMPORT]);
  });

  it('O3: a DRBD device that Quorate does not manage lets anybody write', async () => {
    const other = { devices: ['/dev/drbd5'] };
    for (const below of [[], ['/dev/drbd0'], ['/dev/none']])
      await expect(acquire(make({ ...other, devicesBelow: async () => below }))).rejects.toThrow(
        /neither DRBD/,
      );
    expect(zfs.calls).toEqual([]);
  });

  it.each([
    ['a stranger', CAPTURES.lastUsedByPeer.replace('node-a', 'rescue'), /rescue .*is no member/],
    ['a name that only begins like it', CAPTURES.lastUsedByPeer.replace('node-a', 'node-a2'), /no member/],
    ['this host under another id', CAPTURES.lastUsedByPeer.replace('node-a', 'node-b'), /name of this host/],
    ['nobody known', CAPTURES.lastUsedByPeer.replace('node-a', '<unknown>'), /no member/],
    ['MMP sees it written to', CAPTURES.active, /imported on node-a \(hostid: 0xa\), which writes/],
    ['no host id of its own', CAPTURES.noHostId, /zgenhostid/],
  ])('never: %s', async (_, refusal, why) => {
    zfs.refusal = refusal;
    await expect(acquire(make(), { proof: 'fresh' })).rejects.toMatchObject({
      code: 'pool-in-use',
      message: expect.stringMatching(why),
    });
    expect(zfs.calls).toEqual([IMPORT]);
  });

  it.each([
    ['no such pool', CAPTURES.noSuchPool],
    ['a sentence that is cut off', CAPTURES.lastUsedByPeer.slice(0, 90)],
    ['our own, with another problem', "cannot import 'tank': one or more devices is currently unavailable\n"],
    ['nothing', ''],
  ])('never: %s', async (_, refusal) => {
    zfs.refusal = refusal;
    await expect(acquire(make(), { proof: 'fresh' })).rejects.toMatchObject({ code: 'command-failed' });
    expect(zfs.calls).toEqual([IMPORT]);
  });

  it('a sentence that is cut off anywhere never allows it', async () => {
    for (let length = 0; length < CAPTURES.lastUsedByPeer.indexOf(' at Mon') + 4; length++) {
      zfs.refusal = CAPTURES.lastUsedByPeer.slice(0, length);
      await expect(acquire(make(), { proof: 'fresh' })).rejects.toThrow();
    }
    expect(new Set(zfs.calls)).toEqual(new Set([IMPORT]));
  });

  it('a pool that is not seen afterwards, or cannot be used, is an error', async () => {
    zfs.failures.set('zpool import', '');
    await expect(acquire()).rejects.toMatchObject({ code: 'command-failed' });
    zfs.failures.clear();
    zfs.state = 'SUSPENDED';
    await expect(acquire()).rejects.toMatchObject({ code: 'pool-unusable' });
    const devicesBelow = () => Promise.reject(new QuorateError('command-failed', 'r0: not known'));
    zfs.state = null;
    await expect(acquire(make({ devicesBelow }))).rejects.toThrow('r0: not known');
  });
});

describe('release', () => {
  it('one export, which unmounts everything; nothing where nothing is', async () => {
    await release(make(), 'abrupt');
    expect(zfs.calls).toEqual([]);
    await acquire();
    zfs.calls.length = 0;
    expect(await release(make(), 'planned')).toBe('tank is not imported');
    expect(zfs.calls).toEqual(['zpool export tank']);
    await acquire();
    await release(make(), 'abrupt');
    expect(zfs.calls.at(-1)).toBe('zpool export -f tank');
    expect([zfs.state, zfs.mounts]).toEqual([null, []]);
  });

  it('R1: planned, a busy one is asked again for a while; then who uses it is named, and nobody was killed', async () => {
    await acquire();
    zfs.busy.add('/srv/vol1');
    const startedAt = clock.now();
    await expect(release(make(), 'planned')).rejects.toThrow(
      /busy; used by smbd \(4711\); still mounted on /,
    );
    expect(clock.now() - startedAt).toBeGreaterThan(4000);
    expect(clock.now() - startedAt).toBeLessThanOrEqual(5000);
    expect(zfs.calls.some((call) => call.startsWith('fuser -k') || call.includes('-f'))).toBe(false);
    // R1: what was given up is taken again.
    expect(await acquire()).toContain('3 file systems mounted');
    zfs.busy.clear();
    await release(make(), 'planned');
    expect(zfs.state).toBeNull();
  });

  it('a volume that is in use has no process to name', async () => {
    await acquire();
    zfs.isVolumeOpen = true;
    await expect(release(make(), 'planned')).rejects.toThrow(/pool is busy; no process has it open: .*zvol/);
  });

  it('R1: abruptly its users are killed, where that is allowed', async () => {
    await acquire();
    zfs.busy.add('/srv');
    await expect(release(make({ mayKill: false }), 'abrupt', 300)).rejects.toThrow(/busy/);
    expect(zfs.calls.some((call) => call.startsWith('fuser'))).toBe(false);
    expect(await release(make(), 'abrupt', 300)).toBe('tank is not imported, after its users were killed');
    // A lazily unmounted file system goes on writing.
    expect(zfs.calls.some((call) => /^umount.* -\w*[lf]/.test(call))).toBe(false);
  });

  it('R2: abruptly, a bind mount of one of them goes too', async () => {
    await acquire();
    zfs.mounts.push({ source: 'tank/vol1', mountPoint: '/exports/copy' });
    await release(make(), 'abrupt');
    expect([zfs.state, zfs.mounts]).toEqual([null, []]);
  });

  it('R1: planned, a bind mount is left alone and named: it would be missing when everything is taken back', async () => {
    await acquire();
    const bind = { source: 'tank/vol1', mountPoint: '/exports/copy' };
    zfs.mounts.push(bind);
    await expect(release(make(), 'planned')).rejects.toThrow(/busy; .*; still mounted on \/exports\/copy$/);
    expect(zfs.calls.some((call) => call.startsWith('umount'))).toBe(false);
    expect(zfs.mounts).toEqual([bind]);
  });

  it.each(['planned', 'abrupt'] as const)(
    '%s, a suspended pool is not even tried, and why is said',
    async (mode) => {
      await acquire();
      zfs.state = 'SUSPENDED';
      zfs.calls.length = 0;
      await expect(release(make(), mode)).rejects.toThrow(/SUSPENDED: .*only a reset of this host/);
      expect(zfs.calls).toEqual([]);
      expect(await probe()).toMatchObject({ probe: 'not-held', isPartial: true });
      expect(zfs.calls).toEqual([]);
    },
  );

  it('R1: an export that hangs ends within the deadline, and has not released', async () => {
    await acquire();
    zfs.hangs.push('zpool export');
    const startedAt = clock.now();
    await expect(release(make(), 'abrupt', 1000)).rejects.toMatchObject({ code: 'command-timed-out' });
    expect(clock.now() - startedAt).toBeLessThanOrEqual(1000);
    expect(await probe()).toMatchObject({ probe: 'not-held', isPartial: true });
  });

  it('R2: an export that says it is done, and is not', async () => {
    await acquire();
    const { kernel, runner } = zfs;
    const liar = make({
      runner: { ...runner, run: async () => ({ kind: 'exited', code: 0, stdout: '', stderr: '' }) },
      kernel,
    });
    await expect(release(liar, 'abrupt', 500)).rejects.toMatchObject({ code: 'release-unverified' });
  });

  it('H4: without its file in the kernel, and still mounted, it is not released', async () => {
    await acquire();
    zfs.state = null;
    expect(await probe()).toMatchObject({ probe: 'not-held', isPartial: true });
    await release(make(), 'abrupt');
    expect(zfs.mounts).toEqual([]);
  });
});

describe('R1: writes below are frozen', () => {
  const frozen = (refusals = 0, after: () => void = () => undefined): FrozenIo => {
    zfs.stuck = true;
    zfs.busy.add('/srv/vol1');
    let isFrozen = true;
    let left = refusals;
    return {
      isFrozen: () => isFrozen,
      abandon: async () => {
        zfs.calls.push('abandon');
        left -= 1;
        if (left >= 0) throw new QuorateError('release-unverified', 'eth1 is not shut yet');
        isFrozen = false;
        zfs.busy.clear();
        after();
        return 'abandoned';
      },
    };
  };

  it('the users are killed, then the writes are ended, and only then it is exported', async () => {
    await acquire();
    zfs.calls.length = 0;
    expect(await release(make({ frozenIo: frozen() }), 'abrupt')).toContain('abandoned');
    expect(zfs.calls).toEqual([
      'fuser -k -M -m /srv /srv/vol1 /srv/vol1/deep',
      'abandon',
      'zpool export -f tank',
    ]);
  });

  it('while a client could still be answered they stay frozen, and it is tried again', async () => {
    await acquire();
    await release(make({ frozenIo: frozen(1) }), 'abrupt');
    expect(zfs.calls.filter((call) => call === 'abandon')).toHaveLength(2);
    expect(zfs.calls.at(-1)).toBe('zpool export -f tank');
  });

  it('a pool that has not written everything is suspended by that: only a reset is left', async () => {
    await acquire();
    const frozenIo = frozen(0, () => {
      zfs.state = 'SUSPENDED';
    });
    await expect(release(make({ frozenIo }), 'abrupt')).rejects.toMatchObject({ code: 'pool-unusable' });
    expect(zfs.calls.some((call) => call.startsWith('zpool export'))).toBe(false);
  });

  it('a name that fuser does not see: its users live on, so the writes stay frozen', async () => {
    await acquire();
    zfs.mounts.push({ source: 'tank/by-hand', mountPoint: '/mnt/back\\slash' });
    await expect(release(make({ frozenIo: frozen() }), 'abrupt', 500)).rejects.toThrow(
      /cannot be killed: fuser/,
    );
    expect(zfs.calls).not.toContain('abandon');
  });

  it('never in a planned release, and never where users may not be killed', async () => {
    await acquire();
    const frozenIo = frozen();
    await expect(release(make({ frozenIo }), 'planned', 500)).rejects.toThrow('busy');
    await expect(release(make({ frozenIo, mayKill: false }), 'abrupt', 500)).rejects.toThrow('busy');
    expect(zfs.calls).not.toContain('abandon');
  });

  it('meanwhile no command asks the pool: it would hang', async () => {
    await acquire();
    zfs.calls.length = 0;
    const detail = 'tank is ONLINE, and the I/O below is frozen';
    expect(await probe(make({ frozenIo: frozen() }))).toEqual({ probe: 'unknown', detail });
    expect(zfs.calls).toEqual([]);
  });
});

describe('H4: what the kernel says', () => {
  it.each([
    ['SUSPENDED', 'partly'],
    ['FAULTED', 'partly'],
    ['UNAVAIL', 'partly'],
    ['TRANSITIONING', 'unknown'],
    ['UNKNOWN', 'unknown'],
    ['online', 'unknown'],
    ['', 'unknown'],
  ])('%s is %s, without a command', async (word, expected) => {
    zfs.state = word;
    const { probe: answer, isPartial } = await probe();
    expect(isPartial === true ? 'partly' : answer).toBe(expected);
    expect(zfs.calls).toEqual([]);
  });

  it('no module, no pool; but a module without its files, or a host without modules, is unknown', async () => {
    const missing = zfs.kernel.read;
    const answer = async (...there: readonly string[]) =>
      probe(make({ kernel: { read: missing, has: (path) => there.includes(path) } }));
    expect(await answer('/sys/module')).toEqual({
      probe: 'not-held',
      detail: 'tank is not imported, the module zfs is not loaded',
    });
    expect((await answer('/sys/module', '/sys/module/zfs')).probe).toBe('unknown');
    expect((await answer()).probe).toBe('unknown');
    expect((await answer('/proc/spl/kstat/zfs', '/sys/module')).probe).toBe('not-held');
  });

  it('R2: files of the pool, and none that says its state (before 0.8), are no pool that is away', async () => {
    await acquire();
    zfs.state = null;
    zfs.mounts = [];
    zfs.isStateless = true;
    expect(await probe()).toMatchObject({ probe: 'unknown', detail: expect.stringContaining('files of it') });
    await expect(acquire()).rejects.toThrow(/state is not there/);
  });

  it('what cannot be read is unknown, and an acquire does not act on it', async () => {
    const denied = () => {
      throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    };
    const notFound = zfs.kernel.read;
    for (const kernel of [
      { read: denied, has: () => true },
      { read: notFound, has: denied },
    ]) {
      expect(await probe(make({ kernel }))).toMatchObject({
        probe: 'unknown',
        detail: expect.stringMatching(/EACCES/),
      });
      await expect(acquire(make({ kernel }))).rejects.toThrow(/EACCES/);
    }
    const table = make({ readMounts: denied });
    expect((await probe(table)).probe).toBe('unknown');
    await expect(release(table, 'abrupt')).rejects.toThrow(/EACCES/);
    expect(zfs.calls).toEqual([]);
  });

  it('R2: a state that is unknown is not released, whatever the export says', async () => {
    zfs.state = 'UNHEARD-OF';
    zfs.hangs.push('zpool export');
    await expect(release(make(), 'abrupt', 500)).rejects.toMatchObject({ code: 'command-timed-out' });
  });

  it('a pool whose name begins like ours is another one', async () => {
    zfs.mounts.push({ source: 'tank2/vol1', mountPoint: '/other' });
    expect(await probe()).toEqual({ probe: 'not-held', detail: 'tank is not imported' });
  });
});
