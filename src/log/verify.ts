/**
 * Reads a data directory without changing it, for `quorate audit --data-dir` and `--verify`. LevelDB cannot open read-only
 * (it replaces its logs and drops what it cannot read), so the files are copied and the copy is opened. Meant for the
 * directory of a dead agent, or a copy of one: a running agent may change files between two copies.
 */
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Digest, Entry } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { checkFormat, exists, PATHS, readDirectory } from './data-directory.ts';
import { decodeEntry } from './entry-codec.ts';
import { type RecoveredLog, readRecord, recover } from './recover.ts';
import type { StoredLog } from './stored-log.ts';

export interface VerifyProblem {
  /** The entry that it is about; null for the hard state, the marker and the database. */
  readonly index: number | null;
  readonly problem: string;
}

export interface VerifiedDirectory {
  /** The longest valid prefix. */
  readonly entries: readonly Entry[];
  readonly problems: readonly VerifyProblem[];
  /** What an agent would start with; null where it would refuse to. */
  readonly recovered: RecoveredLog | null;
}

/** LOCK stays out: closing a second handle on it would drop the lock of an agent in this very process (fcntl). */
const NOT_COPIED = new Set(['LOCK']);

async function copyLog(from: string, to: string): Promise<void> {
  await mkdir(join(to, PATHS.level));
  for (const name of await readdir(join(from, PATHS.level))) {
    if (!NOT_COPIED.has(name)) await copyFile(join(from, PATHS.level, name), join(to, PATHS.level, name));
  }
  if (await exists(join(from, PATHS.marker)))
    await copyFile(join(from, PATHS.marker), join(to, PATHS.marker));
}

/** @throws QuorateError `data-directory-missing`, `log-format-unknown`, `log-unreadable` */
export async function readDirectoryCopy(directory: string): ReturnType<typeof readDirectory> {
  await checkFormat(directory);
  if (!(await exists(join(directory, PATHS.level))))
    throw new QuorateError('data-directory-missing', `there is no log in ${directory}`, {
      context: { directory },
    });
  const copy = await mkdtemp(join(tmpdir(), 'quorate-log-'));
  try {
    await copyLog(directory, copy);
    return await readDirectory(copy);
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    throw new QuorateError(
      'log-unreadable',
      `the log in ${directory} cannot be read: ${(error as Error).message}`,
      {
        cause: error,
        context: { directory },
      },
    );
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** The entry, if it is intact and in its place, whatever its neighbours are. */
function decodeAlone(stored: StoredLog, index: number, digest: Digest): Entry | undefined {
  try {
    const entry = decodeEntry(stored.records.get(index) ?? new Uint8Array(0), digest);
    return entry.index === index ? entry : undefined;
  } catch {
    return undefined;
  }
}

function missing(first: number, last: number): VerifyProblem {
  return {
    index: first,
    problem: first === last ? `entry ${first} is missing` : `entries ${first} to ${last} are missing`,
  };
}

/** Every record on its own, also those behind the first break: which entries are hurt, and where the chain breaks. */
export function verifyRecords(stored: StoredLog, digest: Digest): VerifyProblem[] {
  const problems: VerifyProblem[] = [];
  let before: Entry | undefined;
  let position = 0;
  for (const index of [...stored.records.keys()].sort((left, right) => left - right)) {
    if (index > position + 1) problems.push(missing(position + 1, index - 1));
    const hasNeighbour = index === position + 1 && (before !== undefined || index === 1);
    const found = readRecord(stored, index, before, digest);
    const alone = typeof found === 'string' ? decodeAlone(stored, index, digest) : found;
    // The link of an intact entry behind a hurt one cannot be judged.
    if (typeof found === 'string' && (hasNeighbour || alone === undefined))
      problems.push({ index, problem: found });
    before = alone;
    position = index;
  }
  return problems;
}

/** @throws QuorateError `data-directory-missing`, `log-format-unknown`, `log-unreadable` */
export async function verifyDirectory(directory: string, digest: Digest): Promise<VerifiedDirectory> {
  const { stored, problems: ofDatabase } = await readDirectoryCopy(directory);
  const problems = verifyRecords(stored, digest);
  problems.push(...ofDatabase.map((problem) => ({ index: null, problem })));
  try {
    const recovered = recover(stored, digest);
    const others = recovered.problems.map((problem) => ({ index: null, problem }));
    return { entries: recovered.entries, problems: [...problems, ...others], recovered };
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return { entries: [], problems: [...problems, { index: null, problem: error.message }], recovered: null };
  }
}
