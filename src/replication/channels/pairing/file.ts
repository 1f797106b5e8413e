/** Files that are replaced whole or not at all, with the mode and the owner that they had. */
import { chown, lstat, mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { QuorateError } from '../../../errors.ts';

export const MAX_FILE_BYTES = 1_048_576;

/** Null: it is not there. Throws where it is too large, or cannot be read. */
export async function readText(path: string): Promise<string | null> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new QuorateError('usage', `${path} is larger than 1 MiB`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    if (error instanceof QuorateError) throw error;
    throw new QuorateError('usage', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

export interface NewFile {
  /** What it was made from; null: it was not there. It is not written where that has changed meanwhile. */
  readonly before: string | null;
  readonly text: string;
  /** Of a file that was not there. */
  readonly mode: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

let sequence = 0;

/** Throws `file-not-written`. A symbolic link stays one: what it points to is replaced. */
export async function replaceFile(path: string, { before, text, mode, owner }: NewFile): Promise<void> {
  const real = await realpath(path).catch(() => path);
  const aside = `${real}.quorate.${process.pid}.${sequence++}`;
  try {
    const there = await lstat(real).catch(() => null);
    const file = await open(aside, 'wx', 0o600);
    try {
      await file.writeFile(text);
      // Before it has its name: nobody sees it with other rights than the old one's.
      await file.chmod(there === null ? mode : there.mode & 0o7777);
      if (there !== null) await file.chown(there.uid, there.gid);
      else if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.sync();
    } finally {
      await file.close();
    }
    if ((await readText(real)) !== before)
      throw new QuorateError('file-not-written', `${path} has been changed by somebody else just now`);
    await rename(aside, real);
    await syncDirectory(dirname(real));
  } catch (error) {
    await rm(aside, { force: true });
    if (error instanceof QuorateError) throw error;
    throw new QuorateError('file-not-written', `${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** With this mode and owner where it is made; as it is where it is there. */
export async function ensureDirectory(
  path: string,
  mode: number,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<void> {
  try {
    const made = await mkdir(path, { recursive: true, mode });
    if (made !== undefined && owner !== undefined) await chown(path, owner.uid, owner.gid);
  } catch (error) {
    throw new QuorateError('file-not-written', `${path}: ${(error as Error).message}`, { cause: error });
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
