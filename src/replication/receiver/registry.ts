/**
 * Which receives and other orders run on this host, so that a takeover can end them, whoever has started them.
 *
 * 1. An order registers *before* it asks whether it may, and starts `zfs receive` only after the yes. So a takeover, which
 *    makes the answer a no before it looks here, either sees the registration or is seen by the order.
 * 2. One registration for a dataset: the file is made exclusively, complete from its first moment, under the dataset's name.
 * 3. Every `zfs` that changes something also carries the data directory as a mark in its environment: who registered it may be dead.
 * 4. A registration whose processes are gone means nothing, and is removed by whoever finds it. One that cannot be read, or is not
 *    understood, may be of something that runs: it stays, and a takeover does not count it as ended.
 */
import { createHash } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Clock, systemClock } from '../../clock.ts';
import type { Instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { isAlive, kill, markedProcesses, type ProcessId, processOf } from './processes.ts';

export const RECEIVE_MARK = 'QUORATE_RECEIVE';
const POLL_MS = 10;
/** Of one that has been asked to end before it is killed: then what has arrived is kept. */
const GRACE_MS = 200;
/** Of living ones; who waits for their end asks again. */
const MAX_REGISTRATIONS = 256;
const MAX_CHARACTERS = 4096;

const processSchema = z.strictObject({
  pid: z.number().int().positive(),
  startTime: z.string().max(32),
});
const registrationSchema = z.strictObject({
  version: z.literal(1),
  dataset: z.string().max(255),
  peer: z.string().max(63),
  epoch: z.number().int(),
  /** Who has started it, and itself once it runs. */
  owner: processSchema,
  child: processSchema.nullable(),
});
type Entry = z.output<typeof registrationSchema>;

export interface Registered {
  readonly dataset: string;
  readonly peer: string;
  readonly epoch: number;
  readonly owner: ProcessId;
  readonly child: ProcessId | null;
}

export interface Registration {
  /** Its `zfs receive` runs. */
  started(pid: number): Promise<void>;
  /** It has ended. */
  remove(): Promise<void>;
}

export const receivingDirectory = (dataDir: string): string => join(dataDir, 'replication', 'receiving');

let orders = 0;

/** For an order that is no receive, beside whatever else there is. */
export async function registerOrder(
  dataDir: string,
  { kind, ...what }: Pick<Registered, 'peer' | 'epoch'> & { readonly kind: string },
): Promise<Registration> {
  const registration = await register(dataDir, { ...what, dataset: `(${kind} ${process.pid}.${orders++})` });
  if (registration === null) throw new Error('the number of a process has come back with the same count');
  return registration;
}

/**
 * Of an operator on this host, who drops what is kept. Not beside the others: no takeover waits for it, because nothing that it names is
 * anybody's to hold. Null: another one is at it.
 */
export const registerDropping = (dataDir: string, self: string): Promise<Registration | null> =>
  registerIn(join(dataDir, 'replication', 'dropping'), { dataset: '(drop)', peer: self, epoch: 0 });

/** Null: a receive for that dataset is registered, and alive. */
export const register = (
  dataDir: string,
  what: Pick<Registered, 'dataset' | 'peer' | 'epoch'>,
): Promise<Registration | null> => registerIn(receivingDirectory(dataDir), what);

async function registerIn(
  directory: string,
  what: Pick<Registered, 'dataset' | 'peer' | 'epoch'>,
): Promise<Registration | null> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const owner = processOf(process.pid);
  if (owner === null) throw new Error('/proc does not show this process');
  const { dataset, peer, epoch } = what;
  const entry: Entry = { version: 1, dataset, peer, epoch, owner, child: null };
  const path = pathOf(directory, dataset);
  if (!(await create(path, entry))) {
    const there = await readEntry(path);
    if (there !== null && isRunning(there)) return null;
    // Whoever removes it twice takes nobody else's: the second `create` finds what the other one has made.
    await removeIfDead(path);
    if (!(await create(path, entry))) return null;
  }
  let removing: Promise<void> | null = null;
  return {
    started: async (pid) => {
      const child = processOf(pid);
      if (child === null) return;
      await replace(path, { ...entry, child });
    },
    // Once: by a second time the name may be somebody else's.
    remove: () => {
      removing ??= rm(path, { force: true });
      return removing;
    },
  };
}

/** Those that live. Rejects where that cannot be found out. */
export async function registered(dataDir: string): Promise<readonly Registered[]> {
  const directory = receivingDirectory(dataDir);
  const names = await readdir(directory).catch((error: unknown): string[] => {
    if (isMissing(error)) return [];
    throw error;
  });
  const found: Registered[] = [];
  for (const name of names.filter((file) => file.endsWith('.json'))) {
    if (found.length >= MAX_REGISTRATIONS) break;
    const path = join(directory, name);
    const entry = await readEntry(path);
    if (entry !== null && isRunning(entry)) found.push(entry);
    else await removeIfDead(path);
  }
  return found;
}

export type EndedReceives =
  | { readonly kind: 'ended'; readonly count: number }
  /** Some live after the deadline: their datasets may still be written. */
  | { readonly kind: 'left'; readonly datasets: readonly string[] };

/**
 * Ends every receive on this host, and the one command that another order may be making a change with. That is one call of the kernel, or,
 * where it has several names (`zfs release a b c`), one after the other for each of them: each call is done or not, and those after it
 * are not begun. To be called when the local agent already says that this node holds or is about to: then none begins any more (1).
 * `deadline` is on the clock. What has arrived is kept by ZFS, and can go on later.
 */
export async function endReceives(
  dataDir: string,
  deadline: Instant,
  clock: Clock = systemClock,
): Promise<EndedReceives> {
  const askedAt = clock.now();
  const seen = new Set<string>();
  for (;;) {
    const entries = await registered(dataDir);
    const marked = markedProcesses(RECEIVE_MARK, dataDir);
    if (entries.length === 0 && marked.length === 0) return { kind: 'ended', count: seen.size };
    const now = clock.now();
    const signal = now - askedAt < GRACE_MS ? 'SIGTERM' : 'SIGKILL';
    for (const id of [...marked, ...entries.flatMap(({ child }) => child ?? [])]) {
      seen.add(`${id.pid} ${id.startTime}`);
      kill(id, signal);
    }
    if (now >= deadline) {
      const datasets = entries.map(({ dataset }) => dataset);
      return { kind: 'left', datasets: datasets.length > 0 ? datasets : ['(of nobody)'] };
    }
    await clock.sleep(Math.min(POLL_MS, deadline - now));
  }
}

/** Ends the one of this dataset, if there is one; false: it lives after the limit. */
export async function endReceiveOf(
  dataDir: string,
  { dataset, peer }: Pick<Registered, 'dataset' | 'peer'>,
  limitMs: number,
  clock: Clock = systemClock,
): Promise<boolean> {
  const askedAt = clock.now();
  for (;;) {
    const entry = await readEntry(pathOf(receivingDirectory(dataDir), dataset));
    if (entry === null || !isRunning(entry)) return true;
    if (entry.peer !== peer || clock.now() - askedAt >= limitMs) return false;
    if (entry.child !== null) kill(entry.child, clock.now() - askedAt < GRACE_MS ? 'SIGTERM' : 'SIGKILL');
    await clock.sleep(POLL_MS);
  }
}

// ---- files

/** Names of datasets have characters that file names have not. */
const pathOf = (directory: string, dataset: string): string =>
  join(directory, `${createHash('sha256').update(dataset).digest('hex').slice(0, 32)}.json`);

/** A dead owner's child may live on; a living owner's may not have begun. */
const isRunning = ({ owner, child }: Registered): boolean =>
  isAlive(owner) || (child !== null && isAlive(child));

let sequence = 0;
async function writeAside(path: string, entry: Entry): Promise<string> {
  const aside = `${path}.${process.pid}.${sequence++}`;
  await writeFile(aside, JSON.stringify(entry), { mode: 0o600, flag: 'wx' });
  return aside;
}

/** False: it is there. */
async function create(path: string, entry: Entry): Promise<boolean> {
  const aside = await writeAside(path, entry);
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

async function replace(path: string, entry: Entry): Promise<void> {
  await rename(await writeAside(path, entry), path);
}

/** Moved away first, and looked at again: a new registration may have taken the name meanwhile. */
async function removeIfDead(path: string): Promise<void> {
  const aside = `${path}.${process.pid}.${sequence++}.dead`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const isDead = await readEntry(aside).then(
    (entry) => entry === null || !isRunning(entry),
    () => false,
  );
  if (!isDead) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

/**
 * Null: not there, or what a power cut has left of one: while anything of this boot runs, a file is whole from its first moment (2).
 * Throws where it cannot be read, or is not understood (4).
 */
async function readEntry(path: string): Promise<Entry | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  const value = text.length > MAX_CHARACTERS ? {} : jsonOf(text);
  if (value === null) return null;
  const parsed = registrationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new QuorateError(
    'replication-refused',
    `${path} is not understood: another version may be receiving. Remove it when no "zfs receive" runs`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
