/**
 * The store's service: a line protocol over TCP on the node's port 2.
 *
 *   append N PAYLOAD → ok N            last → last N [PAYLOAD]       count → count N
 *   read N → record N PAYLOAD | none   all → record …, end N         verify → verified N
 *   anything that fails → error TEXT
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type DeviceOptions, openDevice, type StoreDevice } from './device.ts';
import { onLines } from './lines.ts';
import { Store } from './store.ts';

const CLOSE_TIMEOUT_MS = 30;

interface Address {
  readonly host: string;
  readonly port: number;
}

export class StoreService {
  readonly #device: StoreDevice;
  readonly #store: Store;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  private constructor(device: StoreDevice, store: Store) {
    this.#device = device;
    this.#store = store;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Resolves when it listens. */
  static async start(device: DeviceOptions, listen: Address): Promise<StoreService> {
    const client = await openDevice(device);
    try {
      const service = new StoreService(client, await Store.open(client));
      await new Promise<void>((resolve, reject) => {
        service.#server.once('error', reject);
        service.#server.listen(listen.port, listen.host, resolve);
      });
      return service;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** Clients are cut off first. Writes that wait for a suspended device are given up; nobody was told of them. */
  async stop(): Promise<void> {
    this.#server.close();
    for (const socket of this.#clients) socket.resetAndDestroy();
    const timer = setTimeout(() => this.#device.destroy(), CLOSE_TIMEOUT_MS);
    await this.#device.close().catch(() => undefined);
    clearTimeout(timer);
    this.#device.destroy();
  }

  #serve(socket: Socket): void {
    this.#clients.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#clients.delete(socket));
    onLines(socket, (line) => {
      this.#perform(line, socket).then(
        (answer) => this.#reply(socket, answer),
        (error) => this.#reply(socket, `error ${error instanceof Error ? error.message : String(error)}`),
      );
    });
  }

  #reply(socket: Socket, line: string): void {
    if (!socket.destroyed) socket.write(`${line}\n`);
  }

  async #perform(line: string, socket: Socket): Promise<string> {
    const [command, argument = ''] = line.split(' ', 2);
    const number = Number(argument);
    switch (command) {
      case 'append': {
        if (!Number.isInteger(number) || number < 1) throw new Error(`not a record number: ${argument}`);
        await this.#store.append({ number, payload: line.slice(`append ${argument} `.length) });
        return `ok ${number}`;
      }
      case 'last': {
        const record = await this.#store.read(this.#store.last);
        return record === null ? 'last 0' : `last ${record.number} ${record.payload}`;
      }
      case 'count':
        return `count ${this.#store.last}`;
      case 'read': {
        const record = await this.#store.read(number);
        return record === null ? 'none' : `record ${record.number} ${record.payload}`;
      }
      case 'all':
        await this.#each((recordLine) => this.#reply(socket, recordLine));
        return `end ${this.#store.last}`;
      case 'verify':
        return `verified ${await this.#each(() => undefined)}`;
      default:
        throw new Error(`unknown command ${command}`);
    }
  }

  async #each(visit: (line: string) => void): Promise<number> {
    const { last } = this.#store;
    for (let number = 1; number <= last; number += 1) {
      const record = await this.#store.read(number);
      if (record === null) throw new Error(`record ${number} of ${last} is missing`);
      visit(`record ${record.number} ${record.payload}`);
    }
    return last;
  }
}
