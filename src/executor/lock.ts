/**
 * One executor for each data directory. The kernel's own lock is an abstract unix socket, named after the directory's
 * device and inode: it cannot be left behind by a crash and taking it cannot race. The file beside it says who has it,
 * so that a successor can make sure that a hung one is gone (O1).
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { isGone, killAndWait, ownProcess, type ProcessId } from './processes.ts';

const RETRY_MS = 10;

const lockFile = (dataDir: string): string => join(dataDir, 'executor.lock');

/** `mayReplace`: kill the owner and wait, instead of giving way to it. */
export async function takeLock(
  dataDir: string,
  mayReplace: boolean,
  limitMs: number,
  clock: Clock,
): Promise<Server> {
  const { dev, ino } = statSync(dataDir);
  const name = `\0quorate-executor-${dev}-${ino}`;
  const end = clock.now() + limitMs;
  for (;;) {
    if (mayReplace) await removeOwner(dataDir, end - clock.now(), clock);
    const server = await tryListen(name);
    if (server !== null) {
      writeFileSync(lockFile(dataDir), `${JSON.stringify({ ...ownProcess(), boot: bootId() })}\n`, {
        mode: 0o600,
      });
      return server;
    }
    if (!mayReplace || clock.now() >= end) {
      const owner = lockOwner(dataDir);
      const who = owner === null ? 'another process' : `process ${owner.pid}`;
      throw new QuorateError('executor-busy', `${who} is the executor of ${dataDir}`);
    }
    await clock.sleep(RETRY_MS);
  }
}

async function removeOwner(dataDir: string, limitMs: number, clock: Clock): Promise<void> {
  const owner = lockOwner(dataDir);
  if (owner === null || owner.pid === process.pid) return;
  if (await killAndWait(owner, limitMs, clock)) return;
  throw new QuorateError('executor-busy', `the old executor, process ${owner.pid}, cannot be killed`);
}

/** Who wrote the lock's file in this boot; it may be dead. */
export function lockOwner(dataDir: string): ProcessId | null {
  try {
    const value: unknown = JSON.parse(readFileSync(lockFile(dataDir), 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    if (!('pid' in value) || !Number.isSafeInteger(value.pid)) return null;
    // After a reboot the same pid and start time may be somebody else's.
    if (!('boot' in value) || value.boot !== bootId()) return null;
    if (!('startTime' in value) || typeof value.startTime !== 'string') return null;
    return { pid: Number(value.pid), startTime: value.startTime };
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
