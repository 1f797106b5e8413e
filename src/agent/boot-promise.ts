/** When the boot promise begins (L4). */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import { type Instant, instant } from '../core/index.ts';
import { replaceFile } from '../durable-file.ts';
import { sha256 } from '../log/index.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const MACHINE_ID = '/etc/machine-id';

/**
 * When the boot promise begins (L4): now; or, where the kernel has booted since this node last ran, at that boot:
 * CLOCK_MONOTONIC starts at 0 there, and whatever was promised before is older. Only if the record of the last run is whole
 * and of this machine: a data directory that was moved to a host that has long been up proves nothing. The new record is
 * durable before this returns, so that a second start in the same boot counts from itself.
 */
export async function bootPromiseStart(dataDir: string): Promise<Instant> {
  const path = join(dataDir, 'boot-id');
  const [boot, machine] = [readLine(BOOT_ID), readLine(MACHINE_ID)];
  const stored = parseRecord(await readFile(path, 'utf8').catch(() => ''));
  if (boot === null || machine === null) return systemClock.now();
  if (stored?.boot === boot && stored.machine === machine) return systemClock.now();
  await replaceFile(path, `${boot} ${machine} ${sha256(`${boot} ${machine}`)}\n`, 'durable');
  return stored !== null && stored.machine === machine ? instant(0) : systemClock.now();
}

function parseRecord(text: string): { boot: string; machine: string } | null {
  const [boot = '', machine = '', checksum] = text.trim().split(' ');
  return checksum === sha256(`${boot} ${machine}`) ? { boot, machine } : null;
}

function readLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch {
    return null;
  }
}
