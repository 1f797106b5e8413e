/**
 * The demo's store: appends records to the replicated device. One batch at a time: what arrives while a batch is
 * being written goes into the next. An append is acknowledged when the device has acknowledged its block.
 */
import type { StoreDevice } from './device.ts';
import { blockOf, capacity, getRecord, PAYLOAD_LIMIT_BYTES, putRecord, type StoreRecord } from './records.ts';

const QUEUE_LIMIT = 10_000;

interface Append {
  readonly record: StoreRecord;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Store {
  readonly #device: StoreDevice;
  #last: number;
  /** The block that the next record goes to, as it is on the device. */
  #tail: Buffer;
  #queue: Append[] = [];
  #isWriting = false;

  private constructor(device: StoreDevice, last: number, tail: Buffer) {
    this.#device = device;
    this.#last = last;
    this.#tail = tail;
  }

  /** Finds the end by bisection: records have no gaps. */
  static async open(device: StoreDevice): Promise<Store> {
    let low = 0;
    let high = capacity(device.blocks);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const record = getRecord(await device.read(blockOf(middle)), middle);
      if (record === null) high = middle - 1;
      else low = middle;
    }
    const tail = low < capacity(device.blocks) ? await device.read(blockOf(low + 1)) : Buffer.alloc(0);
    return new Store(device, low, Buffer.from(tail));
  }

  get last(): number {
    return this.#last;
  }

  async read(number: number): Promise<StoreRecord | null> {
    if (!Number.isInteger(number) || number < 1 || number > this.#last) return null;
    return getRecord(await this.#device.read(blockOf(number)), number);
  }

  /** Number must be the last one plus 1; the same record again (a retry after a failover) is acknowledged again. */
  async append(record: StoreRecord): Promise<void> {
    if (Buffer.byteLength(record.payload) > PAYLOAD_LIMIT_BYTES) throw new Error('the payload is too long');
    if (record.number > capacity(this.#device.blocks)) throw new Error('the store is full');
    const expected = this.#last + this.#queue.length + 1;
    if (record.number < expected) return this.#again(record);
    if (record.number > expected)
      throw new Error(`record ${record.number} leaves a gap after ${expected - 1}`);
    if (this.#queue.length >= QUEUE_LIMIT) throw new Error('too many appends under way');
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ record, resolve, reject });
      if (!this.#isWriting) void this.#write();
    });
  }

  async #again(record: StoreRecord): Promise<void> {
    const stored = await this.read(record.number);
    if (stored === null) throw new Error(`record ${record.number} is still being written`);
    if (stored.payload !== record.payload) throw new Error(`record ${record.number} has another payload`);
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#queue.length > 0) {
      const block = blockOf(this.#last + 1);
      const batch = this.#queue.filter((append) => blockOf(append.record.number) === block);
      const data = Buffer.from(this.#tail);
      for (const { record } of batch) putRecord(data, record);
      try {
        await this.#device.write(block, data);
        this.#queue.splice(0, batch.length);
        this.#last += batch.length;
        this.#tail = blockOf(this.#last + 1) === block ? data : Buffer.alloc(data.length);
        for (const append of batch) append.resolve();
      } catch (error) {
        for (const append of this.#queue)
          append.reject(error instanceof Error ? error : new Error(String(error)));
        this.#queue = [];
      }
    }
    this.#isWriting = false;
  }
}
