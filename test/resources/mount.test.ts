/** A file system that moves: decisions on a table in memory, and the real thing in a mount namespace of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, sleepOn, systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { ChildRunner } from '../../src/executor/commands.ts';
import { type CommandRunner, MountResource } from '../../src/resources/index.ts';
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
    readMounts: mounts.text,
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
      killMarked: (marker) => real.killMarked(marker),
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
