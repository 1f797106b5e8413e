import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Watchdog } from '../../cluster/local/watchdog/index.ts';
import { until } from './support/until.ts';

const TIMEOUT_MS = 80;

describe('watchdog stand-in', () => {
  let directory: string;
  let watchdog: Watchdog;
  let firedAt: number[];
  const socket = (): string => join(directory, 'w.sock');
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quorate-watchdog-'));
    firedAt = [];
    watchdog = new Watchdog({
      socket: socket(),
      timeoutMs: TIMEOUT_MS,
      fire: () => firedAt.push(performance.now()),
    });
    await watchdog.listen();
  });
  afterEach(() => {
    watchdog.close();
    rmSync(directory, { recursive: true });
  });

  async function open(): Promise<{ device: Socket; hello: string }> {
    const device = connect(socket());
    device.on('error', () => undefined);
    const [bytes] = await once(device, 'data');
    return { device, hello: String(bytes) };
  }

  const hasFired = (): boolean => firedAt.length > 0;

  test('says its time-out, and fires when it is not petted, not before', async () => {
    const openedAt = performance.now();
    const { device, hello } = await open();
    expect(hello).toBe(`timeout ${TIMEOUT_MS}\n`);
    await until('fired', hasFired);
    expect((firedAt[0] ?? 0) - openedAt).toBeGreaterThanOrEqual(TIMEOUT_MS - 2);
    expect(watchdog.isArmed).toBe(false);
    device.destroy();
  });

  test('does not fire while it is petted', async () => {
    const { device } = await open();
    const end = performance.now() + 5 * TIMEOUT_MS;
    while (performance.now() < end) {
      device.write('x');
      await new Promise((next) => setTimeout(next, TIMEOUT_MS / 8));
    }
    expect(firedAt).toEqual([]);
    const petsEndedAt = performance.now();
    await until('fired', hasFired);
    expect(performance.now() - petsEndedAt).toBeLessThan(10 * TIMEOUT_MS);
    device.destroy();
  });

  test('goes on ticking after a close without V', async () => {
    const { device } = await open();
    device.end('x');
    await until('fired', hasFired);
  });

  test('V before the close disarms it until somebody connects again', async () => {
    const { device } = await open();
    device.end('xV');
    await until('disarmed', () => !watchdog.isArmed);
    const again = await open();
    expect(watchdog.isArmed).toBe(true);
    await until('fired', hasFired);
    again.device.destroy();
  });

  test('V is a pet like any other when more follows', async () => {
    const { device } = await open();
    device.write('V');
    device.end('x');
    await until('fired', hasFired);
  });

  test('only one may have it open', async () => {
    const { device } = await open();
    const second = connect(socket());
    second.on('error', () => undefined);
    await once(second, 'close');
    device.end('V');
    await until('disarmed', () => !watchdog.isArmed);
    expect(firedAt).toEqual([]);
  });
});
