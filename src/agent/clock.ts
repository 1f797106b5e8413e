/** The agent's clocks: monotonic for every decision (T1), wall clock only for people (T3). */
import { readFileSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Instant, instant } from '../core/index.ts';

/** CLOCK_MONOTONIC in ms: one clock for all processes of a host. */
export function now(): Instant {
  return instant(Number(process.hrtime.bigint()) / 1e6);
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * When the boot promise begins (L4): now; or, where the kernel has booted since this node last ran, at that boot:
 * CLOCK_MONOTONIC starts at 0 there, and whatever was promised before is older. The new boot id is durable before
 * this returns, so that a second start in the same boot counts from itself.
 */
export async function bootPromiseStart(dataDir: string): Promise<Instant> {
  const path = join(dataDir, 'boot-id');
  const present = readBootId();
  const stored = await readFile(path, 'utf8').catch(() => null);
  if (present === null || stored === present) return now();
  const file = await open(`${path}.new`, 'w', 0o600);
  await file.writeFile(present);
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
  const directory = await open(dataDir, 'r');
  await directory.sync();
  await directory.close();
  return stored === null ? now() : instant(0);
}

function readBootId(): string | null {
  try {
    return readFileSync(BOOT_ID, 'utf8').trim();
  } catch {
    return null;
  }
}
