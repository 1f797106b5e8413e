/**
 * The disk under a node's log and the executor's state file.
 *
 * Modelled: batch and marker complete one by one, each after a time of its own; a power cut loses what is not complete, or
 * not; writes that take long; a write that fails; a disk that hangs; bit rot of a stored entry or of one marker slot while the
 * node is down. The real encoder, decoder, writer and recovery work on the bytes.
 * Not modelled: LevelDB itself and the file system (test/log has them), a disk that lies about fsync.
 */

import type { ExecutorState } from '../../../src/executor/state-file.ts';
import { FRESH_STATE } from '../../../src/executor/state-file.ts';
import {
  applyBatch,
  applyMarker,
  type DiskMark,
  type DiskMarks,
  emptyStoredLog,
  type LogMedium,
  type StoredLog,
} from '../../../src/log/index.ts';
import type { Host, HostPart, Thread } from '../engine/host.ts';
import { between } from '../engine/world.ts';

export class Disk implements HostPart {
  readonly #host: Host;
  readonly #random: () => number;
  log: StoredLog = emptyStoredLog();
  bootRecord: number | null = null;
  mark: DiskMark | null = null;
  /** What the file says, and what would survive a power cut. */
  #state = { written: FRESH_STATE, durable: FRESH_STATE };
  writeMs: readonly [number, number] = [0.3, 2];
  #slowUntil = 0;
  #slowMs = 0;
  #hangsUntil = 0;
  #failsNext = false;
  readonly #inFlight = new Set<() => void>();

  constructor(host: Host) {
    this.#host = host;
    this.#random = host.world.random(`disk ${host.id}`);
    host.parts.push(this);
  }

  /** Another one, blank, in its place (D2). */
  replace(): void {
    this.log = emptyStoredLog();
    this.bootRecord = null;
    this.mark = null;
    this.#state = { written: FRESH_STATE, durable: FRESH_STATE };
  }

  get isBusy(): boolean {
    return this.#inFlight.size > 0;
  }

  slow(ms: number, byMs: number): void {
    this.#slowUntil = this.#host.world.now + ms;
    this.#slowMs = byMs;
  }
  hang(ms: number): void {
    this.#hangsUntil = this.#host.world.now + ms;
  }
  failNext(): void {
    this.#failsNext = true;
  }
  healthy(): void {
    this.#slowUntil = 0;
    this.#hangsUntil = 0;
    this.#failsNext = false;
  }

  powerOff(): void {
    // Whatever was under way may have reached the platter.
    for (const apply of this.#inFlight) if (this.#random() < 0.5) apply();
    this.#inFlight.clear();
    this.#state = { written: this.#state.durable, durable: this.#state.durable };
  }

  medium(thread: Thread): LogMedium {
    return {
      writeBatch: (batch) => this.#write(thread, () => (this.log = applyBatch(this.log, batch))),
      writeMarker: (marker) => this.#write(thread, () => (this.log = applyMarker(this.log, marker))),
      close: () => Promise.resolve(),
    };
  }

  /** Goes on when the process that asked for it is gone; only the power ends it. */
  #write(thread: Thread, apply: () => void): Promise<void> {
    const { world, boots } = { world: this.#host.world, boots: this.#host.boots };
    const slowMs = world.now < this.#slowUntil ? this.#random() * this.#slowMs : 0;
    const takesMs = Math.max(between(this.#random, this.writeMs) + slowMs, this.#hangsUntil - world.now);
    const isFailing = this.#failsNext;
    this.#failsNext = false;
    return new Promise((resolve, reject) => {
      this.#inFlight.add(apply);
      world.after(takesMs, () => {
        if (!this.#inFlight.delete(apply) || this.#host.boots !== boots) return;
        // An error says nothing about what is on the disk (D3).
        if (!isFailing || this.#random() < 0.5) apply();
        thread.post(0, () => (isFailing ? reject(new Error('EIO: i/o error, fdatasync')) : resolve()));
      });
    });
  }

  /** Flips one byte of what is stored; says what, or null where there is nothing to hurt. */
  rot(): string | null {
    const flip = (bytes: Uint8Array): Uint8Array => {
      const hurt = Uint8Array.from(bytes);
      const position = Math.floor(this.#random() * hurt.length);
      hurt[position] = (hurt[position] ?? 0) ^ (1 << Math.floor(this.#random() * 8));
      return hurt;
    };
    const indexes = [...this.log.records.keys()];
    const index = indexes[Math.floor(this.#random() * indexes.length)];
    const bytes = index === undefined ? undefined : this.log.records.get(index);
    if (index === undefined || bytes === undefined) return null;
    this.log = { ...this.log, records: new Map(this.log.records).set(index, flip(bytes)) };
    return `a bit of entry ${index} flips`;
  }

  /** LevelDB drops its last records without an error (D1): what it had synced is gone, the marker is not. */
  dropNewest(count: number): string | null {
    const last = Math.max(0, ...this.log.records.keys());
    if (last < 3 || this.log.hardStateRecord === null) return null;
    const records = new Map(this.log.records);
    for (let index = last; index > Math.max(1, last - count); index -= 1) records.delete(index);
    this.log = { ...this.log, records };
    return `the log loses its last ${last - Math.max(1, last - count)} entries`;
  }

  /** D2: the real file is replaced as a whole, so it is the old one or the new one here too. */
  diskMarks(thread: Thread): DiskMarks {
    const write = (mark: DiskMark | null) => this.#write(thread, () => (this.mark = mark));
    return { path: 'disk-mark', read: async () => this.mark, write, remove: () => write(null) };
  }

  /** The executor's `executor-state.json`: outlives its process; only `durable` outlives the power. */
  executorState(thread: Thread): {
    readonly state: ExecutorState;
    update(change: Partial<ExecutorState>, how: 'written' | 'durable'): Promise<void>;
  } {
    const shared = this.#state;
    let state = shared.written;
    const update = (change: Partial<ExecutorState>, how: 'written' | 'durable'): Promise<void> => {
      state = { ...state, ...change };
      const snapshot = state;
      return this.#write(thread, () => {
        this.#state.written = snapshot;
        if (how === 'durable') this.#state.durable = snapshot;
      });
    };
    return {
      get state() {
        return state;
      },
      update,
    };
  }
}
