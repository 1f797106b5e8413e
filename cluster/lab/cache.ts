/** Where everything that is downloaded or built once is kept; to take newer packages, it is removed. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'quorate-lab');
}

/** Makes a folder of it whole or not at all: another lab may be waiting for the same one. */
export async function whole(folder: string, make: (next: string) => Promise<void>): Promise<void> {
  const next = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  removeUnfinished(folder);
  try {
    await make(next);
    renameSync(next, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(next, { recursive: true, force: true });
  }
}

/** What a process was making that was killed meanwhile. */
function removeUnfinished(folder: string): void {
  for (const name of readdirSync(dirname(folder))) {
    if (!name.startsWith(`${basename(folder)}.`)) continue;
    const pid = Number(name.slice(basename(folder).length + 1));
    if (Number.isSafeInteger(pid) && pid !== process.pid && existsSync(`/proc/${pid}`)) continue;
    rmSync(join(dirname(folder), name), { recursive: true, force: true });
  }
}
