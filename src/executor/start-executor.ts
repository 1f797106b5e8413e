/** Starts an executor, and finds the socket of the one that was started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorClientOptions } from './client-contract.ts';
import { lockOwner } from './lock.ts';
import { channelSocket } from './unix-path.ts';

const START_LIMIT_MS = 15_000;
const RETRY_MS = { least: 20, most: 200, mostWhenUrgent: 100 } as const;
/** Looking takes at most a tenth of the time. */
const REST = 9;

/**
 * Resolves with a connection to it; `onChild` is told at once. Throws `executor-unreachable`.
 * @param isUrgent it stands in for one that is gone, and is asked to release once it is connected (O1): the promise runs
 */
export async function startExecutor(
  options: Pick<ExecutorClientOptions, 'node' | 'configFile' | 'dataDir' | 'program' | 'args'>,
  onChild: (child: ChildProcess) => void,
  isUrgent = false,
): Promise<Socket> {
  const { node, configFile, dataDir, program = findProgram(), args = [] } = options;
  const child = spawn(process.execPath, [program, '--config', configFile, '--node', node, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onChild(child);
  let failure: string | null = null;
  child.once('error', (error) => {
    failure = error.message;
  });
  child.once('exit', (code, signal) => {
    failure ??= `it ended with ${code === null ? signal : `code ${code}`}`;
  });
  const mostMs = isUrgent ? RETRY_MS.mostWhenUrgent : RETRY_MS.most;
  const end = systemClock.now() + START_LIMIT_MS;
  for (;;) {
    const lookedAt = systemClock.now();
    // The old one may still listen, or hang with its socket open: only the child counts, once it has the lock.
    const isChildThere = lockOwner(dataDir)?.pid === child.pid;
    const socket = isChildThere ? await tryConnect(channelSocket(dataDir)) : null;
    if (socket !== null) return socket;
    if (failure !== null)
      throw new QuorateError('executor-unreachable', `the executor did not start: ${failure}`);
    if (systemClock.now() >= end) {
      throw new QuorateError('executor-unreachable', `no executor on ${dataDir} after ${START_LIMIT_MS} ms`);
    }
    // Where a look takes long, so does the start, and it needs the processor more.
    const restMs = REST * (systemClock.now() - lookedAt);
    await systemClock.sleep(Math.min(Math.max(RETRY_MS.least, restMs), mostMs));
  }
}

/** Null: nobody listens there. */
export function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', () => resolve(null));
  });
}

/** Bundled, this code is in dist/ or in dist/chunks/. */
export function findProgram(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const found = [here, dirname(here), join(here, '../../dist')]
    .map((directory) => join(directory, 'executor.mjs'))
    .find((path) => existsSync(path));
  if (found === undefined)
    throw new QuorateError('executor-unreachable', 'executor.mjs is not beside this program');
  return found;
}
