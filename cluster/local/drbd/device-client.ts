/** DRBD stand-in: a client of device-server.ts: one exclusive open of the node's device. */
import { connect, type Socket } from 'node:net';

const DEVICE_OP = { open: 1, read: 2, write: 3, flush: 4, close: 5 } as const;
const ANSWER_HEADER_BYTES = 9;

interface Waiting {
  readonly resolve: (data: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class DeviceClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #rest: Buffer = Buffer.alloc(0);
  #nextId = 1;
  #blocks = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    const ended = (): void => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the device is gone'));
      this.#waiting.clear();
    };
    socket.on('error', ended);
    socket.on('close', ended);
  }

  /** Rejects when the node is not Primary, or somebody else holds the device. */
  static async open(host: string, port: number): Promise<DeviceClient> {
    const socket = connect(port, host);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const client = new DeviceClient(socket);
    try {
      client.#blocks = (await client.#ask(DEVICE_OP.open, 0)).readUInt32BE(0);
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return client;
  }

  get blocks(): number {
    return this.#blocks;
  }

  read(block: number): Promise<Buffer> {
    return this.#ask(DEVICE_OP.read, block);
  }

  /** Resolves when the write is acknowledged: protocol C. */
  async write(block: number, data: Uint8Array): Promise<void> {
    await this.#ask(DEVICE_OP.write, block, data);
  }

  /** Releases the device. */
  async close(): Promise<void> {
    await this.#ask(DEVICE_OP.close, 0);
    this.#socket.destroy();
  }

  /** As a kill of the holder does: the connection just ends. */
  destroy(): void {
    this.#socket.destroy();
  }

  #ask(op: number, block: number, data: Uint8Array = new Uint8Array(0)): Promise<Buffer> {
    if (this.#socket.destroyed) return Promise.reject(new Error('the device is gone'));
    const id = this.#nextId;
    this.#nextId += 1;
    const header = Buffer.alloc(13);
    header.writeUInt8(op, 0);
    header.writeUInt32BE(id, 1);
    header.writeUInt32BE(block, 5);
    header.writeUInt32BE(data.length, 9);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(Buffer.concat([header, data]));
    });
  }

  #onData(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= ANSWER_HEADER_BYTES) {
      const length = this.#rest.readUInt32BE(5);
      if (this.#rest.length < ANSWER_HEADER_BYTES + length) return;
      const waiting = this.#waiting.get(this.#rest.readUInt32BE(1));
      this.#waiting.delete(this.#rest.readUInt32BE(1));
      const data = this.#rest.subarray(ANSWER_HEADER_BYTES, ANSWER_HEADER_BYTES + length);
      if (this.#rest.readUInt8(0) === 0) waiting?.resolve(data);
      else waiting?.reject(new Error(data.toString('utf8')));
      this.#rest = this.#rest.subarray(ANSWER_HEADER_BYTES + length);
    }
  }
}
