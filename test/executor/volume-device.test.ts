/** Whether a volume's device is open: how the kernel is asked, and what an answer that does not come costs. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { askDevice, volumeDevices } from '../../src/executor/volume-device.ts';

const inMs = (ms: number) => ({
  deadline: instant(systemClock.now() + ms),
  signal: new AbortController().signal,
});

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-zvol-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string) => join(directory, name);

it('a device that is not there is absent, one that cannot be opened in time is unknown', async () => {
  const { use, reach } = volumeDevices(systemClock);
  writeFileSync(at('disk'), '');
  symlinkSync(at('none'), at('dangling'));
  expect(await use(at('disk'), inMs(1000))).toBe('free');
  expect(await use(at('none'), inMs(1000))).toBe('absent');
  expect(await use(at('dangling'), inMs(1000))).toBe('absent');
  expect(await use(at('disk/below'), inMs(1000))).toBe('unknown');
  expect(await reach(at('disk'), inMs(1000))).toBe('there');
  expect(await reach(at('none'), inMs(1000))).toBe('absent');
  expect(await reach(at('disk/below'), inMs(1000))).toBe('unknown');
});

it('the kernel lists the devices of all volumes, whatever links there are; that it cannot be read is no empty list', () => {
  for (const name of ['zd0', 'zd16', 'sda', 'zram0', 'zd0p1', 'zd']) mkdirSync(at(name));
  expect([...volumeDevices(systemClock, directory).all()].toSorted()).toEqual(['/dev/zd0', '/dev/zd16']);
  expect(() => volumeDevices(systemClock, at('none')).all()).toThrow(/ENOENT/);
});

it('opens that hang in the kernel take two threads at most, however many volumes there are and however often they are asked for', async () => {
  const hanging = new Map<string, (use: 'free') => void>();
  let most = 0;
  const ask = (path: string) =>
    new Promise<'free'>((resolve) => {
      hanging.set(path, resolve);
      most = Math.max(most, hanging.size);
    });
  const paths = ['/d/v1', '/d/v2', '/d/v3', '/d/v4', '/d/v5'];
  for (let times = 0; times < 3; times++) {
    const all = await Promise.all(paths.map((path) => askDevice(path, inMs(50), systemClock, ask)));
    expect(all).toEqual(paths.map(() => 'unknown'));
  }
  expect([...hanging.keys()]).toEqual(['/d/v1', '/d/v2']);
  expect(most).toBe(2);
  for (const resolve of hanging.values()) resolve('free');
  // All of them, one after the other, once the kernel answers again.
  const quick = async () => 'free' as const;
  const again = await Promise.all(paths.map((path) => askDevice(path, inMs(2000), systemClock, quick)));
  expect(again).toEqual(paths.map(() => 'free'));
});

it('many volumes wait for each other longer than one may take, as long as it goes on', async () => {
  const slow = async () => {
    await systemClock.sleep(60);
    return 'free' as const;
  };
  const paths = Array.from({ length: 80 }, (_, number) => `/d/many${number}`);
  const all = await Promise.all(paths.map((path) => askDevice(path, inMs(10_000), systemClock, slow)));
  expect(all.every((use) => use === 'free')).toBe(true);
});

it('R1: while who has it open is looked for and killed, this process does not open it, by whatever name', async () => {
  const devices = volumeDevices(systemClock);
  writeFileSync(at('zd0'), '');
  symlinkSync(at('zd0'), at('link'));
  let end: () => void = () => undefined;
  const looking = devices.leaveAlone(
    [at('link'), at('zd0')],
    inMs(1000),
    (paths) =>
      new Promise<readonly string[]>((resolve) => {
        end = () => resolve(paths);
      }),
  );
  expect(await devices.use(at('zd0'), inMs(50))).toBe('unknown');
  expect(await devices.reach(at('link'), inMs(50))).toBe('unknown');
  const later = devices.use(at('link'), inMs(1000));
  end();
  expect(await looking).toEqual([at('link')]);
  expect(await later).toBe('free');
  const failing = devices.leaveAlone([at('zd0')], inMs(1000), () => Promise.reject(new Error('no fuser')));
  await expect(failing).rejects.toThrow('no fuser');
  expect(await devices.use(at('zd0'), inMs(1000))).toBe('free');
});

it('who is looked for waits for what this process is about to open, and leaves out what hangs', async () => {
  const devices = volumeDevices(systemClock);
  const ends = new Map<string, (use: 'free') => void>();
  const ask = (path: string) => new Promise<'free'>((resolve) => ends.set(path, resolve));
  const asked = ['/d/slow', '/d/hangs'].map((path) => askDevice(path, inMs(1000), systemClock, ask));
  let found: readonly string[] = [];
  const looking = devices.leaveAlone(['/d/slow', '/d/hangs', '/d/other'], inMs(5000), async (paths) => {
    found = paths;
  });
  ends.get('/d/slow')?.('free');
  await looking;
  expect(found).toEqual(['/d/slow', '/d/other']);
  ends.get('/d/hangs')?.('free');
  await Promise.all(asked);
});
