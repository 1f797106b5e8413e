/**
 * Small files that are replaced as a whole: after a power cut at any instant there is the old content or the new one.
 *
 * The content is always synced before it gets the name: ext4 may make a rename durable long before the data that it names, and
 * a host that lost its power in its first tenure came back with an empty file (seen in the lab). One writer at a time for each path.
 */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Names that were made, changed or removed in it are durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** `written`: survives this process; `durable`: also a power cut, which otherwise may leave the old content. */
export async function replaceFile(path: string, text: string, how: 'written' | 'durable'): Promise<void> {
  const aside = `${path}.new`;
  const handle = await open(aside, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, path);
  if (how === 'durable') await syncDirectory(dirname(path));
}

/** Durably; no error where there is none. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}
