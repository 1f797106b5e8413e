/** A file system that moves: decisions on a table in memory, and the real thing in a mount namespace of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, sleepOn, systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { ChildRunner } from '../../src/executor/commands.ts';
import { readDevice } from '../../src/executor/local-resources.ts';
import { type CommandRunner, type FrozenIo, MountResource } from '../../src/resources/index.ts';
import { FakeMounts } from './support/fake-mounts.ts';
import { within } from './support/namespaces.ts';

const POINT = '/srv/data';
const DEVICE = '/dev/drbd0';

/** Sleeping moves it on. */
class FastClock implements Clock {
  nowMs = 1000;
  now = () => instant(this.nowMs);
  wallMs = () => this.nowMs;
  after = (ms: number, act: () => void) => {
    let isOn = true;
    queueMicrotask(() => {
      if (!isOn) return;
      this.nowMs += ms;
      act();
    });
    return {
      cancel: () => {
        isOn = false;
      },
    };
  };
  sleep = (ms: number, signal?: AbortSignal) => sleepOn(this, ms, signal);
}

let mounts: FakeMounts;
let clock: FastClock;
beforeEach(() => {
  mounts = new FakeMounts();
  clock = new FastClock();
});
const make = (more: Partial<ConstructorParameters<typeof MountResource>[0]> = {}) =>
  new MountResource({
    name: 'data',
    device: DEVICE,
    mountPoint: POINT,
    fstype: 'ext4',
    options: 'noatime',
    mayKill: true,
    frozenIo: null,
    readMounts: mounts.text,
    readDevice: mounts.readDevice,
    runner: mounts.runner,
    clock,
    ...more,
  });
const inMs = (ms: number) => ({ deadline: instant(clock.nowMs + ms), signal: new AbortController().signal });
const acquire = (of: MountResource) => of.acquire({ ...inMs(5000), previousReleased: true });
const release = (of: MountResource, mode: 'planned' | 'abrupt', ms = 30_000) =>
  of.release({ ...inMs(ms), mode });

describe('mount', () => {
  it('mounts once, with its options; unmounts once', async () => {
    const data = make();
    expect(await data.probe()).toEqual({ probe: 'not-held', detail: '/dev/drbd0 is not mounted' });
    await acquire(data);
    expect((await data.probe()).probe).toBe('held');
    await acquire(data);
    expect(await release(data, 'planned')).toBe('/dev/drbd0 is not mounted');
    await release(data, 'abrupt');
    expect(mounts.calls).toEqual(['mount -t ext4 -o noatime -- /dev/drbd0 /srv/data', 'umount -- /srv/data']);
  });

  it('another device at the mount point is not ours: an error, and never unmounted', async () => {
    mounts.entries.push({ source: '/dev/sdb1', mountPoint: POINT });
    const data = make();
    const probed = await data.probe();
    expect(probed).toMatchObject({ probe: 'not-held', detail: expect.stringContaining('/dev/sdb1') });
    expect(probed.isPartial).toBeUndefined();
    await expect(acquire(data)).rejects.toMatchObject({ code: 'mount-occupied' });
    await release(data, 'abrupt');
    expect(mounts.calls).toEqual([]);
  });

  describe('R1: writes below are frozen', () => {
    const frozen = (calls: string[], refusals = 0): FrozenIo => {
      mounts.stuckUsers = 1;
      let isFrozen = true;
      let left = refusals;
      return {
        isFrozen: () => isFrozen,
        abandon: async () => {
          calls.push('abandon');
          left -= 1;
          if (left >= 0) throw new QuorateError('release-unverified', 'eth1 is not shut yet');
          isFrozen = false;
          mounts.stuckUsers = 0;
          return 'abandoned';
        },
      };
    };

    it('the users are killed, then the writes are ended, and only then it is unmounted', async () => {
      const data = make({ frozenIo: frozen(mounts.calls) });
      await acquire(data);
      mounts.calls.length = 0;
      expect(await release(data, 'abrupt')).toContain('abandoned');
      expect(mounts.calls).toEqual(['fuser -k -M -m /srv/data', 'abandon', 'umount -R -- /srv/data']);
    });

    it('while a client could still be answered they stay frozen, and it is tried again', async () => {
      const data = make({ frozenIo: frozen(mounts.calls, 1) });
      await acquire(data);
      mounts.calls.length = 0;
      await release(data, 'abrupt');
      expect(mounts.calls.filter((call) => call === 'abandon')).toHaveLength(2);
      expect(mounts.calls.at(-1)).toBe('umount -R -- /srv/data');
    });

    it('a name that fuser does not see: its users live on, so the writes stay frozen', async () => {
      const data = make({ frozenIo: frozen(mounts.calls), mountPoint: '/srv/#data' });
      await acquire(data);
      await expect(release(data, 'abrupt', 500)).rejects.toThrow(/cannot be killed: fuser/);
      expect(mounts.calls).not.toContain('abandon');
    });

    it('never in a planned release, and never where users may not be killed', async () => {
      for (const [mode, mayKill] of [
        ['planned', true],
        ['abrupt', false],
      ] as const) {
        const data = make({ frozenIo: frozen(mounts.calls), mayKill });
        await acquire(data);
        await expect(release(data, mode, 500)).rejects.toThrow('busy');
      }
      expect(mounts.calls).not.toContain('abandon');
    });
  });

  it('R2: hidden under another mount, or bound elsewhere, is not released', async () => {
    const data = make();
    await acquire(data);
    mounts.entries.push({ source: '/dev/sdb1', mountPoint: POINT });
    expect(await data.probe()).toMatchObject({ probe: 'not-held', isPartial: true });
    mounts.entries.splice(0, 2, { source: DEVICE, mountPoint: '/mnt/copy' });
    expect(await data.probe()).toMatchObject({ probe: 'not-held', isPartial: true });
    await release(data, 'planned');
    expect((await data.probe()).isPartial).toBeUndefined();
  });

  it('R1: planned, a busy one is asked again for a while, then it is an error and nobody was killed', async () => {
    const data = make();
    await acquire(data);
    mounts.users = 1;
    const startedAt = clock.nowMs;
    await expect(release(data, 'planned')).rejects.toThrow(/busy/);
    expect(clock.nowMs - startedAt).toBeGreaterThan(4000);
    expect(clock.nowMs - startedAt).toBeLessThanOrEqual(5000);
    expect(mounts.calls.filter((call) => call.startsWith('fuser'))).toEqual([]);
    mounts.users = 0;
    await release(data, 'planned');
    expect((await data.probe()).probe).toBe('not-held');
  });

  it('R1: abruptly its users are killed, where that is allowed', async () => {
    await acquire(make());
    mounts.users = 3;
    await expect(release(make({ mayKill: false }), 'abrupt', 200)).rejects.toThrow(/busy/);
    expect(mounts.calls.filter((call) => call.startsWith('fuser'))).toEqual([]);
    expect(await release(make(), 'abrupt', 200)).toContain('killed');
    expect(mounts.calls).toContain('fuser -k -M -m /srv/data');
    // A lazily unmounted file system goes on writing.
    expect(mounts.calls.some((call) => / -\w*l/.test(call))).toBe(false);
  });

  it('R1: an umount that hangs leaves time to kill its users', async () => {
    await acquire(make());
    mounts.hang = true;
    await expect(release(make(), 'abrupt', 100)).rejects.toMatchObject({ code: 'command-timed-out' });
    expect(mounts.calls).toContain('fuser -k -M -m /srv/data');
  });

  it.each(['planned', 'abrupt'] as const)(
    'R2: %s, an umount that has not ended may be writing still, also when its mount has left the table',
    async (mode) => {
      await acquire(make());
      mounts.hang = 'detached';
      await expect(release(make(), mode, 100)).rejects.toMatchObject({ code: 'command-timed-out' });
      expect(mounts.entries).toEqual([]);
    },
  );

  it('H4: our device is known by its number, whatever name was written down', async () => {
    mounts.entries.push({ source: '/dev/root', mountPoint: POINT, device: '147:0' });
    expect((await make().probe()).probe).toBe('held');
    mounts.devices.set('/dev/drbd/by-res/r0/0', { path: '/dev/drbd0', number: '147:0' });
    expect((await make({ device: '/dev/drbd/by-res/r0/0' }).probe()).probe).toBe('held');
    // A file system with a number of its own: then by the path, in both directions.
    mounts.entries.splice(0, 1, { source: '/dev/drbd/by-res/r0/0', mountPoint: POINT, device: '0:51' });
    expect((await make().probe()).probe).toBe('held');
    expect(await release(make(), 'planned')).toContain('not mounted');
    expect(mounts.entries).toEqual([]);
  });

  it('H4: another device under the same name is not taken for ours, and not for nothing', async () => {
    mounts.entries.push({ source: DEVICE, mountPoint: POINT, device: '147:9' });
    expect(await make().probe()).toMatchObject({
      probe: 'unknown',
      detail: expect.stringContaining('147:9'),
    });
    await expect(acquire(make())).rejects.toMatchObject({ code: 'mount-occupied' });
  });

  it('H4: a device that leads nowhere, with something mounted there, is unknown and not released', async () => {
    mounts.devices.clear();
    expect((await make().probe()).probe).toBe('not-held');
    mounts.entries.push({ source: '/dev/sdb1', mountPoint: POINT });
    expect(await make().probe()).toMatchObject({
      probe: 'unknown',
      detail: expect.stringContaining('cannot be found out'),
    });
    await expect(release(make(), 'abrupt')).rejects.toMatchObject({ code: 'release-unverified' });
    expect(mounts.calls).toEqual([]);
    expect((await make({ readDevice: (path) => ({ path, number: null }) }).probe()).probe).toBe('unknown');
  });

  it.each([
    ['at its place', { source: '/dev/sdb1', mountPoint: POINT, on: '40' }],
    ['above it', { source: '/dev/sdb1', mountPoint: '/srv' }],
  ] as const)('R2: covered %s, ours is not held, and a stranger is never unmounted', async (_, cover) => {
    await acquire(make());
    mounts.entries.push(cover);
    mounts.calls.splice(0);
    expect(await make().probe()).toMatchObject({ probe: 'not-held', isPartial: true });
    await expect(acquire(make())).rejects.toMatchObject({ code: 'mount-occupied' });
    for (const mode of ['planned', 'abrupt'] as const)
      await expect(release(make(), mode)).rejects.toThrow(/under another mount/);
    expect(mounts.calls).toEqual([]);
    mounts.entries.pop();
    await release(make(), 'planned');
    expect(mounts.entries).toEqual([]);
  });

  it('what covers only the way to another place, or is covered itself, does not hide ours', async () => {
    mounts.entries.push({ source: '/dev/sdb1', mountPoint: '/srv/da' });
    mounts.entries.push({ source: '/dev/sdb1', mountPoint: POINT });
    mounts.entries.push({ source: '/dev/sdc1', mountPoint: '/srv' });
    mounts.entries.push({ source: DEVICE, mountPoint: POINT, on: '42' });
    expect((await make().probe()).probe).toBe('held');
  });

  it('an umount that says it is done, and is not, is asked again at intervals', async () => {
    await acquire(make());
    const startedAt = clock.nowMs;
    const runner: CommandRunner = {
      ...mounts.runner,
      run: async (command) => {
        mounts.calls.push(command.join(' '));
        return { kind: 'exited', code: 0, stdout: '', stderr: '' };
      },
    };
    await expect(release(make({ runner }), 'abrupt', 1000)).rejects.toMatchObject({
      code: 'release-unverified',
    });
    expect(clock.nowMs - startedAt).toBeGreaterThan(900);
    expect(mounts.calls.filter((call) => call.startsWith('umount')).length).toBeLessThanOrEqual(50);
  });

  it('H4: a table of mounts that is not whole is unknown', async () => {
    await acquire(make());
    const whole = mounts.text();
    for (const text of [
      '',
      whole.slice(0, -1),
      whole.slice(0, 100),
      whole.replace('/dev/drbd0 rw', '/dev/drbd0'),
      whole.replace(/^27 .*\n/m, ''),
    ]) {
      expect((await make({ readMounts: () => text }).probe()).probe).toBe('unknown');
    }
    const broken = make({
      readMounts: () => {
        throw new Error('EIO');
      },
    });
    expect(await broken.probe()).toMatchObject({ probe: 'unknown', detail: expect.stringContaining('EIO') });
    await expect(release(broken, 'abrupt')).rejects.toThrow(/EIO/);
    mounts.extra = '99 27 0:99 / /srv/other\\040place rw - ext4 /dev/drbd0 rw\n';
    expect((await make({ mountPoint: '/srv/other place' }).probe()).probe).toBe('held');
  });
});

const cannot = whyNotReal();
if (cannot !== null) console.warn(`The real part of mount.test.ts is skipped: it ${cannot}`);

function whyNotReal(): string | null {
  if (process.getuid?.() !== 0) return 'needs root for a mount namespace';
  try {
    execFileSync('which', ['fuser', 'mkfs.ext4', 'losetup'], { stdio: 'ignore' });
    execFileSync('losetup', ['-f'], { stdio: 'ignore' });
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'needs fuser (apt-get install psmisc), mkfs.ext4, a loop device and mount namespaces';
  }
}

describe.skipIf(cannot !== null)('mount on the real kernel', () => {
  let directory: string;
  let device: string;
  let host: ReturnType<typeof spawn>;
  let runner: CommandRunner;
  const inside = (...command: readonly string[]) => ['nsenter', '-t', `${host.pid}`, '-m', ...command];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quorate-mount-'));
    const image = join(directory, 'image');
    mkdirSync(join(directory, 'point'));
    execFileSync('truncate', ['-s', '8M', image]);
    execFileSync('mkfs.ext4', ['-q', image]);
    device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
    execFileSync('ln', ['-s', device, join(directory, 'by-name')]);
    const program = ['-m', '--propagation', 'private', 'sh', '-c', 'echo ready; exec sleep 600'];
    host = spawn('unshare', program, { stdio: ['ignore', 'pipe', 'ignore'] });
    if (host.stdout !== null) await once(host.stdout, 'data');
    const real = new ChildRunner(directory, systemClock);
    runner = {
      run: (command, options) => real.run(inside(...command), options),
      killMarked: (marker, deadline) => real.killMarked(marker, deadline),
      follow: (command, handlers) => real.follow(inside(...command), handlers),
    };
  });
  afterEach(async () => {
    const gone = once(host, 'exit');
    host.kill('SIGKILL');
    await gone;
    execFileSync('losetup', ['-d', device]);
    rmSync(directory, { recursive: true, force: true });
  });

  it('is mounted by another name of its device, and its users are killed abruptly', async () => {
    const point = join(directory, 'point');
    const data = make({
      device: join(directory, 'by-name'),
      mountPoint: point,
      fstype: null,
      options: null,
      readMounts: () => readFileSync(`/proc/${host.pid}/mountinfo`, 'utf8'),
      readDevice,
      runner,
      clock: systemClock,
    });
    await data.acquire({ ...within(5000), previousReleased: true });
    expect((await data.probe()).probe).toBe('held');
    const [program = '', ...args] = inside('sh', '-c', `cd ${point}; echo there; exec sleep 600`);
    const user = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    if (user.stdout !== null) await once(user.stdout, 'data');
    const gone = once(user, 'exit');
    await data.release({ ...within(5000), mode: 'abrupt' });
    expect((await gone)[1]).toBe('SIGKILL');
    const after = await data.probe();
    expect(after).toMatchObject({ probe: 'not-held' });
    expect(after.isPartial).toBeUndefined();
  });
});
