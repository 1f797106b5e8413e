/**
 * Watchdog stand-in: one unix socket per node, in a process outside the node. Connecting opens and arms it, any byte
 * pets it, a final `V` before the close disarms it (magic close). Unpetted for its time-out, it cuts the node's power,
 * whether or not anybody is still connected, and is not armed again until somebody connects.
 */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

const MAGIC_CLOSE = 'V'.charCodeAt(0);
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface WatchdogOptions {
  readonly socket: string;
  readonly timeoutMs: number;
  readonly fire: () => void;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #server: Server;
  #owner: Socket | null = null;
  #deadline: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#open(socket));
  }

  get isArmed(): boolean {
    return this.#deadline !== null;
  }

  listen(): Promise<void> {
    rmSync(this.#options.socket, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.socket, resolve);
    });
  }

  /** The node lost its power: a watchdog of a machine that is off does not tick. */
  disarm(): void {
    this.#deadline = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  close(): void {
    this.disarm();
    this.#owner?.destroy();
    this.#server.close();
  }

  #open(socket: Socket): void {
    // A device can be opened once (EBUSY); the owner's end frees it.
    if (this.#owner !== null) {
      socket.destroy();
      return;
    }
    this.#owner = socket;
    let isLastByteMagic = false;
    socket.write(`timeout ${this.#options.timeoutMs}\n`);
    this.#pet();
    socket.on('data', (bytes) => {
      isLastByteMagic = bytes[bytes.length - 1] === MAGIC_CLOSE;
      if (this.isArmed) this.#pet();
    });
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      this.#owner = null;
      if (isLastByteMagic) this.disarm();
    });
  }

  #pet(): void {
    this.#deadline = now() + this.#options.timeoutMs;
    if (this.#timer === null) this.#wait();
  }

  #wait(): void {
    const deadline = this.#deadline;
    if (deadline === null) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        if (now() < (this.#deadline ?? 0)) return this.#wait();
        // A pet may be waiting in the socket because this process was late: take it in before judging.
        setImmediate(() => {
          if (this.#deadline === null) return;
          if (now() < this.#deadline) return this.#wait();
          this.disarm();
          this.#options.fire();
        });
      },
      Math.max(1, deadline - now()),
    );
  }
}
