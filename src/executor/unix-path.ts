/** Paths of the executor's sockets. A unix socket's path is limited to 107 bytes; a data directory's is not. */
import { openSync } from 'node:fs';
import { join } from 'node:path';

const MAX_PATH_BYTES = 100;
const directories = new Map<string, number>();

export const channelSocket = (dataDir: string): string => short(dataDir, 'executor.sock');
/** Where the calls to the cloud are told of, while somebody looks. */
export const callsSocket = (dataDir: string): string => short(dataDir, 'calls.sock');
export const guardSocket = (dataDir: string): string => short(dataDir, 'guard.sock');

/** A long directory is reached through an open descriptor of our own, which lives as long as the process. */
function short(directory: string, name: string): string {
  const path = join(directory, name);
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  const descriptor = directories.get(directory) ?? openSync(directory, 'r');
  directories.set(directory, descriptor);
  return `/proc/self/fd/${descriptor}/${name}`;
}
