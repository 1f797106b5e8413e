/**
 * The status as server-sent events. Whoever looks gets the state at once, then a pulse every second, and the state again whenever it
 * has changed.
 *
 * 1. Nothing is read, timed or kept while nobody looks.
 * 2. What is sent is made once, however many look; a change is told after a moment, never in the step that made it.
 * 3. At most `MAX_READERS` look. Nothing waits in a buffer of ours: whoever has not taken the event before when the next one is due
 *    is cut off, and gets the state as it is then if he comes back.
 * 4. Every event is the whole of what it is about, so that nothing is owed to one who missed some: `Last-Event-ID` changes nothing.
 */
import type { ServerResponse } from 'node:http';
import { InvariantError } from '../../core/index.ts';
import type { News } from './state.ts';

export const MAX_READERS = 32;
const PULSE_EVERY_MS = 1_000;
/** A takeover commits a handful of entries within milliseconds: one event for all of them. */
const CHANGE_DELAY_MS = 100;
/** For a browser that finds the stream ended. */
const RETRY_MS = 2_000;

export interface StreamSource {
  /** Throws where it cannot be read. */
  read(): News;
  /** Calls back at each change until what it returns is called. */
  onChange(listener: () => void): () => void;
}

interface Reader {
  readonly response: ServerResponse;
  /** Of the state that it was last sent; 0: none. */
  stateId: number;
}

export class EventStream {
  readonly #source: StreamSource;
  readonly #readers = new Set<Reader>();
  #stateId = 0;
  #stateText = '';
  #pulses: NodeJS.Timeout | null = null;
  #change: NodeJS.Timeout | null = null;
  #stopListening: () => void = () => {};

  constructor(source: StreamSource) {
    this.#source = source;
  }

  get isFull(): boolean {
    return this.#readers.size >= MAX_READERS;
  }

  /** Takes the response over; its head has been written. Only while it is not full. */
  add(response: ServerResponse): void {
    const reader: Reader = { response, stateId: 0 };
    this.#readers.add(reader);
    response.on('close', () => this.#remove(reader));
    if (this.#readers.size === 1) this.#begin();
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.#tell([reader]);
  }

  close(): void {
    for (const reader of [...this.#readers]) {
      this.#remove(reader);
      reader.response.end();
    }
  }

  #begin(): void {
    this.#pulses = setInterval(() => this.#publish(), PULSE_EVERY_MS);
    this.#stopListening = this.#source.onChange(() => {
      this.#change ??= setTimeout(() => this.#publish(), CHANGE_DELAY_MS);
    });
  }

  #remove(reader: Reader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    this.#stopListening();
    if (this.#pulses !== null) clearInterval(this.#pulses);
    this.#forgetChange();
    this.#pulses = null;
    this.#stateText = '';
  }

  #forgetChange(): void {
    if (this.#change !== null) clearTimeout(this.#change);
    this.#change = null;
  }

  #publish(): void {
    this.#forgetChange();
    for (const reader of [...this.#readers]) {
      if (reader.response.writableLength === 0) continue;
      this.#remove(reader);
      reader.response.socket?.resetAndDestroy();
    }
    if (this.#readers.size > 0) this.#tell([...this.#readers]);
  }

  #tell(readers: readonly Reader[]): void {
    let news: News;
    try {
      news = this.#source.read();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // A heartbeat without news: the connection stays, and the page says by itself how old its last news are.
      for (const { response } of readers) response.write(': the state cannot be read\n\n');
      return;
    }
    const text = JSON.stringify(news.state);
    if (text !== this.#stateText) {
      this.#stateText = text;
      this.#stateId += 1;
    }
    const state = `id: ${this.#stateId}\nevent: state\ndata: ${text}\n\n`;
    const pulse = `event: pulse\ndata: ${JSON.stringify(news.pulse)}\n\n`;
    for (const reader of readers) {
      reader.response.write(reader.stateId === this.#stateId ? pulse : state + pulse);
      reader.stateId = this.#stateId;
    }
  }
}
