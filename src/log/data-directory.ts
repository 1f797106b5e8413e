/**
 * The data directory of a node:
 *
 *   FORMAT    "quorate-log 1", written last at creation: without it the creation did not end
 *   lock/     an empty LevelDB, only for its LOCK: keeps a second agent out before anything else is touched
 *   level/    LevelDB: entries and hard state
 *   marker    two slots (marker-file.ts)
 *   disk-mark what this node knows of a disk that it may have lost (disk-mark.ts); gone once it knows that it has lost none
 *   salvage/  what an open that found damage would have cost (D3): LevelDB's write-ahead logs, which it replaces, and
 *             whole databases that it cannot open
 */
import { link, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile, syncDirectory } from '../durable-file.ts';
import { QuorateError } from '../errors.ts';
import { chooseHardState } from './hard-state-copies.ts';
import { findHurtTable } from './level-files.ts';
import {
  type Database,
  openDatabase,
  readHardStateRecord,
  readRecords,
  writeBatch,
} from './level-records.ts';
import { MarkerFile, preallocateMarkerFile, readMarkerFile, type Slots } from './marker-file.ts';
import type { BatchWrite, MarkerWrite, StoredLog } from './stored-log.ts';

export const PATHS = {
  format: 'FORMAT',
  lock: 'lock',
  level: 'level',
  marker: 'marker',
  salvage: 'salvage',
} as const;
const FORMAT_NAME = 'quorate-log';
const FORMAT_VERSION = '1';

/** The disk as the log writes it; a test puts a failing or recording one in its place. */
export interface LogMedium {
  /** Resolves when the batch is durable, as a whole. */
  writeBatch(batch: BatchWrite): Promise<void>;
  /** Resolves when the slot is durable. */
  writeMarker(marker: MarkerWrite): Promise<void>;
  close(): Promise<void>;
}

export interface OpenedDirectory {
  readonly medium: LogMedium;
  readonly stored: StoredLog;
  readonly problems: readonly string[];
  /** Tells whether the logs that LevelDB replaced while it opened are worth keeping. */
  settleSalvage(keep: boolean): Promise<void>;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** @returns false where there is no FORMAT. @throws QuorateError `log-format-unknown` */
export async function checkFormat(directory: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(join(directory, PATHS.format), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
  if (text.trim() !== `${FORMAT_NAME} ${FORMAT_VERSION}`)
    throw new QuorateError(
      'log-format-unknown',
      `${join(directory, PATHS.format)} says ${JSON.stringify(text.slice(0, 64).trim())}, this program reads "${FORMAT_NAME} ${FORMAT_VERSION}"`,
      { context: { directory } },
    );
  return true;
}

async function createDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
    await syncDirectory(dirname(directory));
  } catch (error) {
    // Something is there: fine if it is a directory.
    if (codeOf(error) !== 'EEXIST' || !(await stat(directory)).isDirectory()) throw error;
  }
}

/** Links LevelDB's write-ahead logs before LevelDB replaces them. Without hard links there is nothing to salvage. */
async function linkForSalvage(directory: string): Promise<OpenedDirectory['settleSalvage']> {
  const level = join(directory, PATHS.level);
  const salvage = join(directory, PATHS.salvage);
  const linked: string[] = [];
  const logs = (await exists(level)) ? (await readdir(level)).filter((name) => name.endsWith('.log')) : [];
  if (logs.length > 0) await mkdir(salvage, { recursive: true, mode: 0o700 });
  for (const name of logs) {
    try {
      await link(join(level, name), join(salvage, name));
      linked.push(join(salvage, name));
    } catch {
      // Kept from an earlier open, or a file system without links.
    }
  }
  return async (keep) => {
    if (!keep) for (const path of linked) await rm(path, { force: true });
  };
}

async function readStored(database: Database, slots: Slots): Promise<StoredLog> {
  const hardStateRecord = await readHardStateRecord(database);
  const withoutEntries: StoredLog = { records: new Map(), hardStateRecord, slots };
  let expectedLast = 0;
  try {
    expectedLast = chooseHardState(withoutEntries)?.record.tail.index ?? 0;
  } catch {
    // `recover` says the same, with everything that can be said about it.
  }
  return { ...withoutEntries, records: await readRecords(database, expectedLast) };
}

/** The database, or why it cannot be opened. */
async function tryDatabase(path: string, createIfMissing: boolean): Promise<Database | string> {
  // LevelDB without CURRENT would start from nothing and delete what it does not know (D3).
  if (!createIfMissing && !(await exists(join(path, 'CURRENT'))))
    return 'the database has lost its file CURRENT';
  const hurt = await findHurtTable(path);
  if (hurt !== null) return hurt;
  try {
    return await openDatabase(path, createIfMissing);
  } catch (error) {
    if (codeOf(error) === 'log-unreadable') return (error as QuorateError).message;
    throw error;
  }
}

/** Reads a directory that nothing else writes to; a LevelDB changes its files when it is opened, so give it a copy. */
export async function readDirectory(
  directory: string,
): Promise<{ readonly stored: StoredLog; readonly problems: readonly string[] }> {
  const slots = (await readMarkerFile(join(directory, PATHS.marker))) ?? [null, null];
  const database = await tryDatabase(join(directory, PATHS.level), false);
  if (typeof database === 'string')
    return { stored: { records: new Map(), hardStateRecord: null, slots }, problems: [database] };
  try {
    return { stored: await readStored(database, slots), problems: [] };
  } finally {
    await database.close();
  }
}

/** The disk's own failures; anything else is a matter of paths and rights. */
const DISK_ERRORS = new Set(['EIO', 'ENOSPC', 'EDQUOT']);

function unwritable(directory: string, error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof QuorateError || code === undefined) return error;
  return new QuorateError(
    DISK_ERRORS.has(code) ? 'storage-failed' : 'data-directory-unwritable',
    `the data directory ${directory} cannot be used: ${(error as Error).message}`,
    { cause: error, context: { directory } },
  );
}

async function openMarker(directory: string, problems: string[], hasFormat: boolean) {
  const path = join(directory, PATHS.marker);
  const slots = await readMarkerFile(path);
  if (slots === null && hasFormat) problems.push(`the marker file ${path} is missing and is made anew`);
  await preallocateMarkerFile(path);
  if (slots === null) await syncDirectory(directory);
  return { marker: await MarkerFile.open(path), slots: slots ?? ([null, null] as const) };
}

/**
 * Sets a database aside that cannot be opened, and starts an empty one: the node is damaged then, and the leader sends it
 * the log again (D2). Only where the marker alone says whom the node voted for.
 */
async function replaceDatabase(directory: string, slots: Slots, why: string): Promise<Database> {
  if (chooseHardState({ records: new Map(), hardStateRecord: null, slots }) === null)
    throw new QuorateError(
      'log-unreadable',
      `the log in ${directory} cannot be read, nor its marker: ${why}`,
      {
        context: { directory },
      },
    );
  const level = join(directory, PATHS.level);
  const salvage = join(directory, PATHS.salvage);
  await mkdir(salvage, { recursive: true, mode: 0o700 });
  const taken = (await readdir(salvage)).filter((name) => name.startsWith('level-')).length;
  if (await exists(level)) await rename(level, join(salvage, `level-${taken + 1}`));
  await syncDirectory(salvage);
  await syncDirectory(directory);
  return openDatabase(level, true);
}

async function openLocked(directory: string, lock: Database): Promise<OpenedDirectory> {
  const problems: string[] = [];
  const hasFormat = await checkFormat(directory);
  const { marker, slots } = await openMarker(directory, problems, hasFormat);
  const settleSalvage = await linkForSalvage(directory);
  let database: Database | null = null;
  try {
    const opened = await tryDatabase(join(directory, PATHS.level), !hasFormat);
    if (typeof opened === 'string') problems.push(opened);
    database = typeof opened === 'string' ? await replaceDatabase(directory, slots, opened) : opened;
    const stored = await readStored(database, slots);
    if (!hasFormat) {
      if (stored.hardStateRecord !== null) problems.push(`${join(directory, PATHS.format)} was missing`);
      await syncDirectory(directory);
      await replaceFile(join(directory, PATHS.format), `${FORMAT_NAME} ${FORMAT_VERSION}\n`, 'durable');
    }
    const records = database;
    const medium: LogMedium = {
      writeBatch: (batch) => writeBatch(records, batch),
      writeMarker: (write) => marker.write(write),
      close: async () => {
        await Promise.all([marker.close(), records.close()]);
        await lock.close();
      },
    };
    return { medium, stored, problems, settleSalvage };
  } catch (error) {
    await Promise.all([settleSalvage(database !== null), marker.close(), database?.close()]);
    throw error;
  }
}

/** There is nothing in this database, so where it is hurt it is made anew; only its LOCK stays, which somebody may hold. */
async function takeLock(directory: string): Promise<Database> {
  const path = join(directory, PATHS.lock);
  try {
    return await openDatabase(path, true);
  } catch (error) {
    if (codeOf(error) !== 'log-unreadable') throw error;
    for (const name of await readdir(path)) if (name !== 'LOCK') await rm(join(path, name));
    return openDatabase(path, true);
  }
}

/**
 * @throws QuorateError `data-directory-unwritable`, `data-directory-locked`, `storage-failed`, `log-unreadable`,
 *   `log-format-unknown`, `hard-state-unreadable`
 */
export async function openDirectory(directory: string): Promise<OpenedDirectory> {
  try {
    await createDirectory(directory);
    await checkFormat(directory);
    const lock = await takeLock(directory);
    try {
      return await openLocked(directory, lock);
    } catch (error) {
      await lock.close();
      throw error;
    }
  } catch (error) {
    throw unwritable(directory, error);
  }
}
