/**
 * DRBD stand-in: the source's side of a resync: every marked block, a window of them at a time. Blocks are read and
 * sent in one step, so a newer application write of the block always follows it on the wire (writes.ts, 2).
 */
import type { Replica } from './replica.ts';
import { encodeFrame, FRAME } from './wire.ts';

const WINDOW_BLOCKS = 64;

export class ResyncSource {
  readonly #replica: Replica;
  readonly #send: (frame: Buffer) => void;
  readonly #onAllDurable: () => void;
  readonly #blocks: readonly number[];
  #next = 0;
  #acknowledged = 0;

  constructor(replica: Replica, send: (frame: Buffer) => void, onAllDurable: () => void) {
    this.#replica = replica;
    this.#send = send;
    this.#onAllDurable = onAllDurable;
    this.#blocks = replica.bitmap.blocks();
  }

  start(): void {
    if (this.#blocks.length === 0) return this.#onAllDurable();
    for (let sent = 0; sent < WINDOW_BLOCKS; sent += 1) this.#sendNext();
  }

  get donePercent(): number {
    return this.#blocks.length === 0 ? 100 : (100 * this.#acknowledged) / this.#blocks.length;
  }

  #sendNext(): void {
    const block = this.#blocks[this.#next];
    if (block === undefined) return;
    this.#next += 1;
    this.#send(encodeFrame(FRAME.resync, this.#next, block, this.#replica.disk.read(block)));
  }

  onAck(): void {
    this.#acknowledged += 1;
    if (this.#acknowledged === this.#blocks.length) this.#onAllDurable();
    else this.#sendNext();
  }
}
