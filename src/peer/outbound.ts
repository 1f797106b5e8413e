/**
 * One long-lived stream to one peer, with its own connection, reopened for as long as it is wanted.
 *
 *   dialing ──headers of the peer's handler──▶ up ──any end──▶ dialing (at once if it had lasted, else after back-off)
 *
 * Invariants: a message is written only while the stream is up; what waits in it is bounded; nothing here blocks or
 * throws. Lost messages are the core's business, which expects them.
 */
import type { SecureContext } from 'node:tls';
import { Client, type ClientWritableStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import { channelOptions } from './channel.ts';
import { Dialer, type DialTarget } from './dialer.ts';
import { FORMAT, FORMAT_HEADER } from './format.ts';
import { TIMES } from './limits.ts';
import { ACKNOWLEDGED } from './schema.ts';

export interface OutboundOptions {
  /** Asked for each connection. */
  readonly context: () => SecureContext;
  readonly target: DialTarget;
  readonly method: string;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly keepaliveMs: number;
  onUp(): void;
  /** Each failed attempt, and each end of an open stream: `wasUp`. */
  onDown(reason: string, wasUp: boolean): void;
}

interface OpenStream {
  readonly call: ClientWritableStream<Buffer>;
  /** Monotonic, ms; null until the peer has accepted the stream. */
  upAt: number | null;
  waitingBytes: number;
}

const passThrough = (bytes: Buffer): Buffer => bytes;

export class OutboundStream {
  readonly #options: OutboundOptions;
  #dialer: Dialer;
  #client: Client;
  #stream: OpenStream | null = null;
  #reopening: NodeJS.Timeout | undefined;
  readonly #unresolved: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: OutboundOptions) {
    this.#options = options;
    [this.#dialer, this.#client] = this.#createChannel();
    this.#open();
    // gRPC keeps a name that cannot be resolved to itself while calls may wait; everything else the dialer reports.
    this.#unresolved = setTimeout(() => {
      if (!this.#dialer.hasDialled)
        options.onDown(`the name in ${options.target.address} cannot be resolved`, false);
    }, TIMES.settledMs);
  }

  get isUp(): boolean {
    return this.#stream !== null && this.#stream.upAt !== null;
  }

  /** False: a message would be dropped, because the stream is down or its queue is full. */
  get hasRoom(): boolean {
    const stream = this.#stream;
    if (stream === null || stream.upAt === null) return false;
    const { queuedMessages, queuedBytes } = this.#options;
    return stream.call.writableLength < queuedMessages && stream.waitingBytes < queuedBytes;
  }

  /** False: dropped. */
  send(bytes: Buffer): boolean {
    const stream = this.#stream;
    if (stream === null || !this.hasRoom) return false;
    stream.waitingBytes += bytes.length;
    stream.call.write(bytes, () => {
      stream.waitingBytes -= bytes.length;
    });
    return true;
  }

  /** Gives up an open connection that may be dead, and dials anew; no effect while there is none. */
  redial(): void {
    if (this.#isClosed || !this.isUp) return;
    this.#startAnew();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#reopening);
    clearTimeout(this.#unresolved);
    this.#dropChannel();
  }

  #createChannel(): [Dialer, Client] {
    const { context, target, keepaliveMs } = this.#options;
    const dialer = new Dialer(context, target, {
      onFailure: (error) => {
        // While the stream is up there is no attempt: this is a connection given up long ago, reset after a heal. The end
        // of the one in use is reported by its call.
        if (!this.isUp) this.#options.onDown(error.message, false);
      },
      onStuck: () => this.#startAnew(),
    });
    return [dialer, new Client(target.address, dialer, channelOptions(target, keepaliveMs))];
  }

  #startAnew(): void {
    this.#dropChannel();
    [this.#dialer, this.#client] = this.#createChannel();
    this.#open();
  }

  #dropChannel(): void {
    const stream = this.#stream;
    this.#stream = null;
    stream?.call.cancel();
    this.#client.close();
    this.#dialer.dispose();
  }

  #open(): void {
    const metadata = new Metadata({ waitForReady: true });
    metadata.set(FORMAT_HEADER, String(FORMAT));
    const call: ClientWritableStream<Buffer> = this.#client.makeClientStreamRequest(
      this.#options.method,
      passThrough,
      () => ACKNOWLEDGED,
      metadata,
      (error) => this.#ended(stream, error),
    );
    const stream: OpenStream = { call, upAt: null, waitingBytes: 0 };
    this.#stream = stream;
    // The end is reported by the callback; without a listener an 'error' of the stream would be thrown.
    call.on('error', () => {});
    call.on('metadata', () => {
      if (this.#stream !== stream || stream.upAt !== null) return;
      stream.upAt = performance.now();
      this.#dialer.settle(true);
      this.#options.onUp();
    });
  }

  #ended(stream: OpenStream, error: ServiceError | null): void {
    if (this.#stream !== stream) return;
    this.#stream = null;
    this.#dialer.settle(false);
    this.#options.onDown(error?.details ?? 'the peer ended the stream', stream.upAt !== null);
    if (this.#isClosed) return;
    const hasLasted = stream.upAt !== null && performance.now() - stream.upAt > TIMES.settledMs;
    const spreadMs = TIMES.backoffMaxMs - TIMES.backoffMinMs;
    const delayMs = hasLasted ? 0 : TIMES.backoffMinMs + Math.random() * spreadMs;
    this.#reopening = setTimeout(() => this.#open(), delayMs);
  }
}
