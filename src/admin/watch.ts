/**
 * `WatchStatus`: the status at once, and again whenever it has changed.
 *
 * 1. Nothing is read, timed or kept while nobody watches; what is sent is read once, however many watch.
 * 2. A change is told after a moment, never in the step that made it; what no step tells (a probe, a link) is looked for every second.
 * 3. One event is under way to each watcher, and nothing waits behind it: who is slow gets the state as it is when there is room
 *    again, and is cut off where nothing is taken for a while.
 * 4. Every event is the whole status, so that nothing is owed to one who missed some. The lease's remainder changes by itself, and
 *    is no change.
 */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { InvariantError } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { toStatus } from './errors.ts';
import type { StatusDocument } from './status.ts';

export interface WireStatusEvent {
  readonly status?: object;
}
export type WatchCall = ServerWritableStream<object, WireStatusEvent>;

export const WATCH_TIMES = {
  /** A takeover commits a handful of entries within milliseconds: one event for all of them. */
  gatherMs: 100,
  lookEveryMs: 1_000,
  /** An event without a status says that the agent is there. */
  aliveMs: 5_000,
  /** An event that is not taken for so long ends the watching. */
  slowMs: 10_000,
} as const;
/** Of all callers together. */
export const MAX_WATCHERS = 64;

export interface StatusSource {
  status(): StatusDocument;
  /** Calls back in the step that changes something, until what it returns is called. */
  onChange(listener: () => void): () => void;
}

interface Watcher {
  readonly call: WatchCall;
  /** Of the status that it was last sent. */
  sentText: string;
  sentAtMs: number;
  isBusy: boolean;
  slow: NodeJS.Timeout | undefined;
}

export class StatusFeed {
  readonly #source: StatusSource;
  readonly #toWire: (status: StatusDocument) => object;
  readonly #watchers = new Set<Watcher>();
  #looks: NodeJS.Timeout | undefined;
  #change: NodeJS.Timeout | undefined;
  #stopListening: () => void = () => {};
  #now: { readonly text: string; readonly wire: object } | null = null;

  constructor(source: StatusSource, toWire: (status: StatusDocument) => object) {
    this.#source = source;
    this.#toWire = toWire;
  }

  /** @throws QuorateError `too-many-requests`, or why the status cannot be read */
  add(call: WatchCall): void {
    if (this.#watchers.size >= MAX_WATCHERS)
      throw new QuorateError('too-many-requests', `${MAX_WATCHERS} watch already: ask another node`);
    this.#read();
    const watcher: Watcher = { call, sentText: '', sentAtMs: 0, isBusy: false, slow: undefined };
    this.#watchers.add(watcher);
    for (const event of ['cancelled', 'error', 'close']) call.on(event, () => this.#remove(watcher));
    if (this.#watchers.size === 1) this.#begin();
    this.#tell(watcher);
  }

  /** Ends every stream in order: the agent ends. */
  end(): void {
    for (const watcher of [...this.#watchers]) {
      this.#remove(watcher);
      watcher.call.end();
    }
  }

  #begin(): void {
    this.#looks = setInterval(() => this.#look(), WATCH_TIMES.lookEveryMs);
    this.#stopListening = this.#source.onChange(() => {
      this.#change ??= setTimeout(() => this.#look(), WATCH_TIMES.gatherMs);
    });
  }

  #remove(watcher: Watcher): void {
    clearTimeout(watcher.slow);
    if (!this.#watchers.delete(watcher) || this.#watchers.size > 0) return;
    clearInterval(this.#looks);
    this.#forgetChange();
    this.#stopListening();
    this.#now = null;
  }

  #forgetChange(): void {
    clearTimeout(this.#change);
    this.#change = undefined;
  }

  #look(): void {
    this.#forgetChange();
    try {
      this.#read();
    } catch (error) {
      // A broken invariant must end the process (style 5), not a stream.
      if (error instanceof InvariantError) throw error;
      for (const watcher of [...this.#watchers]) this.#fail(watcher, error);
      return;
    }
    for (const watcher of [...this.#watchers]) this.#tell(watcher);
  }

  #read(): void {
    const status = this.#source.status();
    const text = JSON.stringify({ ...status, lease: null });
    if (text !== this.#now?.text) this.#now = { text, wire: this.#toWire(status) };
  }

  #tell(watcher: Watcher): void {
    const now = this.#now;
    if (now === null || watcher.isBusy) return;
    if (watcher.sentText !== now.text) {
      watcher.sentText = now.text;
      this.#send(watcher, { status: now.wire });
    } else if (performance.now() - watcher.sentAtMs >= WATCH_TIMES.aliveMs) this.#send(watcher, {});
  }

  #send(watcher: Watcher, event: WireStatusEvent): void {
    watcher.isBusy = true;
    watcher.sentAtMs = performance.now();
    const seconds = WATCH_TIMES.slowMs / 1000;
    watcher.slow = setTimeout(
      () => this.#fail(watcher, new QuorateError('watch-too-slow', `nothing was read for ${seconds} s`)),
      WATCH_TIMES.slowMs,
    );
    watcher.call.write(event, () => {
      clearTimeout(watcher.slow);
      watcher.isBusy = false;
      // What has changed meanwhile, in one.
      if (this.#watchers.has(watcher)) this.#tell(watcher);
    });
  }

  #fail(watcher: Watcher, error: unknown): void {
    if (!this.#watchers.has(watcher)) return;
    this.#remove(watcher);
    watcher.call.emit('error', toStatus(error));
  }
}
