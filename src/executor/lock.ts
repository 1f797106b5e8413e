/**
 * One executor for each data directory. The kernel's own lock is an abstract unix socket, named after the directory's
 * device and inode: it cannot be left behind by a crash and taking it cannot race. The file beside it says who has it,
 * so that a successor can make sure that a hung one is gone (O1).
 *
 * An owner that only releases (`quorate release`) is waited for instead, up to the instant that it has written there: the
 * agent whose executor it has replaced starts a new one at once, and that one would kill it in the middle of its work.
 */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { isGone, killAndWait, ownProcess, type ProcessId } from './processes.ts';

const RETRY_MS = 10;

const lockFile = (dataDir: string): string => join(dataDir, 'executor.lock');

export interface LockOwner extends ProcessId {
  /** On CLOCK_MONOTONIC: until then it releases, and takes nothing. Null: an ordinary executor. */
  readonly releasesUntil: number | null;
}

export interface LockOptions {
  /** Kill the owner and wait, instead of giving way to it. */
  readonly mayReplace: boolean;
  readonly limitMs: number;
  /** For an owner that only releases: how long nobody may end it. */
  readonly releasesForMs?: number;
}

/** Throws `executor-busy`. */
export async function takeLock(dataDir: string, options: LockOptions, clock: Clock): Promise<Server> {
  const { mayReplace, limitMs, releasesForMs } = options;
  const { dev, ino } = statSync(dataDir);
  const name = `\0quorate-executor-${dev}-${ino}`;
  const end = clock.now() + limitMs;
  for (;;) {
    const owner = lockOwner(dataDir);
    const isWaitedFor = owner !== null && isReleasing(owner, clock);
    if (mayReplace && !isWaitedFor) await removeOwner(owner, end - clock.now(), clock);
    const server = await tryListen(name);
    if (server !== null) {
      writeOwner(dataDir, releasesForMs === undefined ? null : clock.now() + releasesForMs);
      return server;
    }
    if ((!mayReplace && !isWaitedFor) || clock.now() >= end) {
      const who = owner === null ? 'another process' : `process ${owner.pid}`;
      throw new QuorateError('executor-busy', `${who} is the executor of ${dataDir}`);
    }
    await clock.sleep(RETRY_MS);
  }
}

function isReleasing(owner: LockOwner, clock: Clock): boolean {
  return owner.releasesUntil !== null && clock.now() < owner.releasesUntil && !isGone(owner);
}

async function removeOwner(owner: LockOwner | null, limitMs: number, clock: Clock): Promise<void> {
  if (owner === null || owner.pid === process.pid) return;
  if (await killAndWait(owner, limitMs, clock)) return;
  throw new QuorateError('executor-busy', `the old executor, process ${owner.pid}, cannot be killed`);
}

/** Aside and swapped in: nobody reads half of it. */
function writeOwner(dataDir: string, releasesUntil: number | null): void {
  const path = lockFile(dataDir);
  const text = JSON.stringify({ ...ownProcess(), boot: bootId(), releasesUntil });
  writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Who wrote the lock's file in this boot; it may be dead. */
export function lockOwner(dataDir: string): LockOwner | null {
  try {
    const value: unknown = JSON.parse(readFileSync(lockFile(dataDir), 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    if (!('pid' in value) || !Number.isSafeInteger(value.pid)) return null;
    // After a reboot the same pid and start time may be somebody else's.
    if (!('boot' in value) || value.boot !== bootId()) return null;
    if (!('startTime' in value) || typeof value.startTime !== 'string') return null;
    const until = 'releasesUntil' in value ? value.releasesUntil : null;
    const releasesUntil = typeof until === 'number' && Number.isFinite(until) ? until : null;
    return { pid: Number(value.pid), startTime: value.startTime, releasesUntil };
  } catch {
    return null;
  }
}

/** Pid of the executor that runs for this directory; null when there is none. */
export function runningExecutor(dataDir: string): number | null {
  const owner = lockOwner(dataDir);
  return owner === null || isGone(owner) ? null : owner.pid;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function tryListen(name: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: Error & { code?: unknown }) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(name, () => {
      server.unref();
      resolve(server);
    });
  });
}
