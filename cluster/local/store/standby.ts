/**
 * The store's process waits beside the agent, as an idle program without the device and without a listener on port 2;
 * `start` only has to open and listen. That saves node's own start-up (45 ms) in every takeover. Stopped means: no
 * listener, no client, the device released; the process stays. A stop that is not answered in time kills it.
 */
import { createServer } from 'node:net';
import type { DeviceOptions } from './device.ts';
import { StoreService } from './service.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface StandbyOptions {
  readonly control: Address;
  readonly device: DeviceOptions;
  readonly service: Address;
}

export class StoreStandby {
  readonly #options: StandbyOptions;
  #service: StoreService | null = null;
  /** Commands run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  listen(): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', (bytes) => {
        const command = bytes.toString('utf8').trim();
        // A probe must not wait behind a start that waits for a suspended device.
        if (command === 'probe') {
          socket.end(this.#service === null ? 'idle\n' : 'running\n');
          return;
        }
        const answer = this.#last.then(() => this.#perform(command));
        this.#last = answer.catch(() => undefined);
        answer.then(
          () => socket.end('ok\n'),
          (error) => socket.end(`failed: ${error instanceof Error ? error.message : String(error)}\n`),
        );
      });
    });
    const { host, port } = this.#options.control;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  }

  async #perform(command: string): Promise<void> {
    if (command === 'start') {
      this.#service ??= await StoreService.start(this.#options.device, this.#options.service);
      return;
    }
    if (command !== 'stop') throw new Error(`unknown command ${command}`);
    const service = this.#service;
    this.#service = null;
    await service?.stop();
  }
}
