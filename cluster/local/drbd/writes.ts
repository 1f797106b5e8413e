/**
 * DRBD stand-in: the write path of a Primary, protocol C.
 *
 * 1. A write is acknowledged when it is durable here and, while a peer is connected, durable there.
 * 2. Local order equals wire order: a block is written to the page cache and handed to the socket in one
 *    synchronous step, so a resync that reads a block sends it after every earlier write of that block.
 * 3. A write whose peer acknowledgement is lost is in the bitmap before it completes.
 * 4. While I/O is suspended, no write begins or completes and no read is answered.
 */
import type { Replica } from './replica.ts';
import { isEstablished } from './state.ts';
import { encodeFrame, FRAME } from './wire.ts';

interface WriteRequest {
  readonly block: number;
  readonly data: Uint8Array;
  isDurableHere: boolean;
  isDurableThere: boolean;
  /** Its writer is gone (secondary); only the question remains whether the peer has it. */
  isAbandoned: boolean;
  readonly settle: (error: Error | null) => void;
}

export class IoError extends Error {
  override readonly name = 'IoError';
}

export class Writes {
  readonly #replica: Replica;
  readonly #send: (frame: Buffer) => void;
  readonly #pending = new Map<number, WriteRequest>();
  #frozen: WriteRequest[] = [];
  #waiting = new Set<() => void>();
  #nextId = 1;

  constructor(replica: Replica, send: (frame: Buffer) => void) {
    this.#replica = replica;
    this.#send = send;
  }

  async read(block: number): Promise<Buffer> {
    await this.#untilRunning();
    return this.#replica.disk.read(block);
  }

  /** Resolves when the write is acknowledged. An abort counts only as long as the write has not begun. */
  async write(block: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#untilRunning(signal);
    const replica = this.#replica;
    replica.writeBegins(block);
    await new Promise<void>((resolve, reject) => {
      let isSettled = false;
      const request: WriteRequest = {
        block,
        data,
        isDurableHere: false,
        isDurableThere: false,
        isAbandoned: false,
        settle: (error) => {
          if (isSettled) return;
          isSettled = true;
          replica.writeEnded(block);
          error === null ? resolve() : reject(error);
        },
      };
      // From here to the end of this block nothing else runs: invariant 2.
      const isMirrored = isEstablished(replica.view.connection);
      if (!isMirrored) replica.bitmap.mark(block);
      replica.disk.write(block, data);
      if (isMirrored) this.#transmit(request);
      else request.isDurableThere = true;
      const durable = isMirrored ? [replica.disk.flush()] : [replica.bitmap.sync(), replica.disk.flush()];
      Promise.all(durable).then(
        () => {
          request.isDurableHere = true;
          this.#finish(request);
        },
        (error) => request.settle(new IoError(`the backing disk failed: ${String(error)}`)),
      );
    });
  }

  async #untilRunning(signal?: AbortSignal): Promise<void> {
    for (;;) {
      const { role, disk } = this.#replica.view;
      if (role !== 'Primary') throw new IoError('the device is not Primary');
      if (disk === 'Diskless' || disk === 'Failed') throw new IoError(`the disk is ${disk}`);
      if (signal?.aborted === true) throw new IoError('aborted while I/O was suspended');
      if (!this.#replica.isSuspended) return;
      await new Promise<void>((wake) => {
        const resume = (): void => {
          this.#waiting.delete(resume);
          signal?.removeEventListener('abort', resume);
          wake();
        };
        this.#waiting.add(resume);
        signal?.addEventListener('abort', resume);
      });
    }
  }

  #transmit(request: WriteRequest): void {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#pending.set(id, request);
    this.#send(encodeFrame(FRAME.write, id, request.block, request.data));
  }

  #finish(request: WriteRequest): void {
    if (request.isDurableHere && request.isDurableThere && !request.isAbandoned) request.settle(null);
  }

  onPeerAck(id: number): void {
    const request = this.#pending.get(id);
    if (request === undefined) return;
    this.#pending.delete(id);
    request.isDurableThere = true;
    if (!request.isAbandoned) return this.#finish(request);
    const isStillInDoubt = [...this.#pending.values()].some((other) => other.block === request.block);
    if (!isStillInDoubt && this.#replica.view.connection === 'Connected') {
      this.#replica.bitmap.unmark(request.block);
    }
  }

  /** Invariant 3. The requests wait for `completeAlone` or `resend`. */
  connectionLost(): void {
    for (const request of this.#pending.values()) {
      this.#replica.bitmap.mark(request.block);
      if (!request.isAbandoned) this.#frozen.push(request);
    }
    this.#pending.clear();
  }

  /** The peer is known to be stale: what waited for it completes without it. */
  completeAlone(): void {
    const requests = this.#frozen;
    this.#frozen = [];
    for (const request of requests) {
      request.isDurableThere = true;
      this.#finish(request);
    }
    this.wake();
  }

  /** The peer is back with our generation: it gets what it may have missed, in the old order. */
  resend(): void {
    const requests = this.#frozen;
    this.#frozen = [];
    for (const request of requests) this.#transmit(request);
    this.wake();
  }

  /** Role or suspension changed: whoever waits looks again. */
  wake(): void {
    for (const resume of this.#waiting) resume();
  }

  /** Secondary: nobody waits for these any more. The blocks stay marked until the peer's acknowledgement. */
  async abandonAll(): Promise<void> {
    const error = new IoError('the device became Secondary');
    for (const request of this.#frozen) {
      request.isAbandoned = true;
      request.settle(error);
    }
    this.#frozen = [];
    for (const request of this.#pending.values()) {
      if (request.isAbandoned) continue;
      this.#replica.bitmap.mark(request.block);
      request.isAbandoned = true;
      request.settle(error);
    }
    this.wake();
    await this.#replica.disk.flush();
  }

  /** After a resync: everything equals the peer except what is still on its way there. */
  clearBitmap(): void {
    this.#replica.bitmap.fill(0);
    for (const request of this.#pending.values()) {
      if (request.isAbandoned) this.#replica.bitmap.mark(request.block);
    }
  }
}
