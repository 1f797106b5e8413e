/**
 * What consensus does for DRBD, reduced to one process: who holds, and who is in sync (H3). The fence-peer handlers ask
 * it over TCP; it answers 4 only to the holder, having taken the peer out of the in-sync set first.
 */
import { createServer, type Server } from 'node:net';
import type { Side } from './drbd-pair.ts';

export class Arbiter {
  holder: Side | null = null;
  readonly inSync = new Set<Side>(['a', 'b']);
  readonly #server: Server;

  constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', (bytes) => {
        const asker = bytes.toString('utf8').trim() === 'a' ? 'a' : 'b';
        const isGranted = this.holder === asker && this.inSync.has(asker);
        if (isGranted) this.inSync.delete(asker === 'a' ? 'b' : 'a');
        socket.end(isGranted ? '4\n' : '1\n');
      });
    });
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
  }

  close(): void {
    this.#server.close();
  }
}

export const askArbiter = (side: Side, host: string, port: number): string =>
  `exec /bin/bash -c 'exec 3<>/dev/tcp/${host}/${port} && echo ${side} >&3 && read -r code <&3 && exit "$code"; exit 1'`;
