/**
 * DRBD stand-in: the backing file. A write is in the page cache when `write` returns, in the order of the calls, so
 * it outlives kill -9; `flush` makes everything written before it durable, many writers sharing one fdatasync.
 */
import { closeSync, constants, fdatasync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';

export const BLOCK_BYTES = 4096;

export class BackingDisk {
  readonly blocks: number;
  readonly #file: number;
  #isFlushing = false;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(path: string, blocks: number) {
    this.blocks = blocks;
    this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    ftruncateSync(this.#file, blocks * BLOCK_BYTES);
  }

  read(block: number): Buffer {
    this.#check(block);
    const data = Buffer.allocUnsafe(BLOCK_BYTES);
    readSync(this.#file, data, 0, BLOCK_BYTES, block * BLOCK_BYTES);
    return data;
  }

  write(block: number, data: Uint8Array): void {
    this.#check(block);
    if (data.length !== BLOCK_BYTES) throw new RangeError(`a write is one block of ${BLOCK_BYTES} bytes`);
    writeSync(this.#file, data, 0, BLOCK_BYTES, block * BLOCK_BYTES);
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#isFlushing) this.#run();
    });
  }

  #run(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#isFlushing = true;
    fdatasync(this.#file, (error) => {
      this.#isFlushing = false;
      for (const { resolve, reject } of batch) error === null ? resolve() : reject(error);
      if (this.#waiting.length > 0 && !this.#isFlushing) this.#run();
    });
  }

  #check(block: number): void {
    if (!Number.isInteger(block) || block < 0 || block >= this.blocks) {
      throw new RangeError(`block ${block} is outside the device of ${this.blocks} blocks`);
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
