/**
 * DRBD stand-in: block access for clients on the node, the stand-in's /dev/drbd0. A connection opens the device
 * exclusively and holds it until it ends; I/O of a suspended device waits.
 *
 * Request `u8 op | u32 id | u32 block | u32 length | data`, answer `u8 status | u32 id | u32 length | data or error text`.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { BLOCK_BYTES } from './disk.ts';
import type { Resource } from './resource.ts';

export const DEVICE_OP = { open: 1, read: 2, write: 3, flush: 4, close: 5 } as const;
export const REQUEST_HEADER_BYTES = 13;
export const ANSWER_HEADER_BYTES = 9;

export class DeviceServer {
  readonly #server: Server;
  readonly #resource: () => Resource | null;
  readonly #sockets = new Set<Socket>();

  constructor(resource: () => Resource | null) {
    this.#resource = resource;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    let release: (() => void) | null = null;
    let opened: Resource | null = null;
    let rest: Buffer = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    const end = (): void => {
      release?.();
      release = null;
      opened = null;
      this.#sockets.delete(socket);
      socket.destroy();
    };
    socket.on('error', end);
    socket.on('end', end);
    socket.on('close', end);
    const perform = async (op: number, block: number, data: Buffer): Promise<Buffer | null> => {
      if (op === DEVICE_OP.open) {
        const resource = this.#resource();
        if (resource === null) throw new Error('ENXIO: the device is down');
        if (resource.view.role !== 'Primary') throw new Error('EMEDIUMTYPE: the device is not Primary');
        if (resource.isHeld) throw new Error('EBUSY: the device is held open by someone');
        release = resource.open();
        opened = resource;
        const size = Buffer.alloc(8);
        size.writeUInt32BE(resource.replica.disk.blocks, 0);
        size.writeUInt32BE(BLOCK_BYTES, 4);
        return size;
      }
      if (op === DEVICE_OP.close) {
        release?.();
        release = null;
        opened = null;
        return null;
      }
      if (opened === null) throw new Error('EBADF: the device is not open');
      if (op === DEVICE_OP.read) return opened.writes.read(block);
      if (op === DEVICE_OP.write) {
        await opened.writes.write(block, data);
        return null;
      }
      // Every acknowledged write is durable already (protocol C with fdatasync).
      if (op === DEVICE_OP.flush) return null;
      throw new Error(`EINVAL: operation ${op}`);
    };
    socket.on('data', (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= REQUEST_HEADER_BYTES) {
        const length = rest.readUInt32BE(9);
        if (length > BLOCK_BYTES) return end();
        if (rest.length < REQUEST_HEADER_BYTES + length) return;
        const op = rest.readUInt8(0);
        const id = rest.readUInt32BE(1);
        const block = rest.readUInt32BE(5);
        const data = rest.subarray(REQUEST_HEADER_BYTES, REQUEST_HEADER_BYTES + length);
        rest = rest.subarray(REQUEST_HEADER_BYTES + length);
        perform(op, block, data).then(
          (result) => answer(socket, 0, id, result ?? Buffer.alloc(0)),
          (error) =>
            answer(socket, 1, id, Buffer.from(error instanceof Error ? error.message : String(error))),
        );
      }
    });
  }
}

function answer(socket: Socket, status: number, id: number, data: Buffer): void {
  if (socket.destroyed) return;
  const header = Buffer.alloc(ANSWER_HEADER_BYTES);
  header.writeUInt8(status, 0);
  header.writeUInt32BE(id, 1);
  header.writeUInt32BE(data.length, 5);
  socket.write(Buffer.concat([header, data]));
}
