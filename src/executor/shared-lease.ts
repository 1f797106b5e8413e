/**
 * The lease as both threads see it. The guard writes, the main thread reads before every call to the cloud (O2): a
 * message could be late, and the main thread may be stalled while the lease ends.
 */
import { type Epoch, epoch, type Instant, instant } from '../core/index.ts';
import { isStillApart } from './suspend-check.ts';

const EPOCH = 0;
const UNTIL_MICROS = 1;
const DISTANCE_MICROS = 2;
const CELLS = 3;

export type LeaseBuffer = SharedArrayBuffer;

export function newLeaseBuffer(): LeaseBuffer {
  return new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT);
}

export class SharedLease {
  readonly #cells: BigInt64Array;

  constructor(buffer: LeaseBuffer) {
    this.#cells = new BigInt64Array(buffer);
  }

  /** Order matters: never a moment in which a new epoch has an old tenure's time. */
  set(of: Epoch, until: Instant, distanceMs: number): void {
    if (Number(Atomics.load(this.#cells, EPOCH)) !== of) Atomics.store(this.#cells, EPOCH, 0n);
    Atomics.store(this.#cells, UNTIL_MICROS, BigInt(Math.floor(until * 1000)));
    Atomics.store(this.#cells, DISTANCE_MICROS, BigInt(Math.round(distanceMs * 1000)));
    Atomics.store(this.#cells, EPOCH, BigInt(of));
  }

  clear(): void {
    Atomics.store(this.#cells, EPOCH, 0n);
    Atomics.store(this.#cells, UNTIL_MICROS, 0n);
  }

  /** The epoch that may act, 0 for none. */
  get epoch(): Epoch {
    return epoch(Number(Atomics.load(this.#cells, EPOCH)));
  }

  get until(): Instant {
    return instant(Number(Atomics.load(this.#cells, UNTIL_MICROS)) / 1000);
  }

  /** How far the clocks of boot and of the lease were apart when the guard last looked (T3). */
  get distanceMs(): number {
    return Number(Atomics.load(this.#cells, DISTANCE_MICROS)) / 1000;
  }

  isValid(of: Epoch, now: Instant): boolean {
    return of > 0 && this.epoch === of && now < this.until;
  }
}

/**
 * O2, T3: may a mutating call to the cloud leave now? Asked in the main thread, which may be stalled while the lease ends, and
 * may wake up before the guard after a suspend.
 */
export function leaseGate(lease: SharedLease, now: () => Instant, bootMs?: () => number): () => boolean {
  return () => isStillApart(lease.distanceMs, now, bootMs) && lease.isValid(lease.epoch, now());
}
