/**
 * The store's blocks in a file. Every write is synchronous down to the disk (`O_DSYNC`): when it resolves, the file system
 * and every device under it have said that the data is durable.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StoreDevice } from './device.ts';

const BLOCK_BYTES = 4096;

export class FileDevice implements StoreDevice {
  readonly blocks: number;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, blocks: number) {
    this.#file = file;
    this.blocks = blocks;
  }

  static async open(path: string, blocks: number): Promise<FileDevice> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC, 0o600);
    // A file that was just made must have its name after a power cut, too.
    const directory = await open(dirname(path), 'r');
    await directory.sync().finally(() => directory.close());
    return new FileDevice(file, blocks);
  }

  /** A block that was never written is zero. */
  async read(block: number): Promise<Buffer> {
    const data = Buffer.alloc(BLOCK_BYTES);
    await this.#file.read(data, 0, BLOCK_BYTES, block * BLOCK_BYTES);
    return data;
  }

  async write(block: number, data: Uint8Array): Promise<void> {
    const { bytesWritten } = await this.#file.write(data, 0, data.length, block * BLOCK_BYTES);
    if (bytesWritten !== data.length) throw new Error(`wrote ${bytesWritten} of ${data.length} bytes`);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  destroy(): void {
    // What is stuck in the kernel ends with the process.
    void this.#file.close().catch(() => undefined);
  }
}
