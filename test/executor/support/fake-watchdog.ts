/** A watchdog as the local cluster has it: a unix socket that says its timeout and counts what it hears. */
import { createServer, type Server } from 'node:net';

export class FakeWatchdog {
  readonly timeoutMs: number;
  /** When each byte came, by the monotonic clock; `V` marked. */
  readonly heard: { readonly at: number; readonly byte: string }[] = [];
  closes = 0;
  opens = 0;
  readonly #server: Server;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    this.#server = createServer((socket) => {
      this.opens += 1;
      socket.write(`timeout ${timeoutMs}\n`);
      socket.setEncoding('latin1');
      socket.on('data', (text: string) => {
        for (const byte of text) this.heard.push({ at: now(), byte });
      });
      socket.on('error', () => undefined);
      socket.on('end', () => {
        this.closes += 1;
      });
    });
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve) => this.#server.listen(path, resolve));
  }

  close(): void {
    this.#server.close();
  }

  get lastPet(): number {
    return this.heard.filter((entry) => entry.byte !== 'V').at(-1)?.at ?? 0;
  }

  get disarmedAt(): number | null {
    const last = this.heard.at(-1);
    return last?.byte === 'V' ? last.at : null;
  }
}

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
