/**
 * The executor's end of the channel: one agent at a time. A second hello while one is connected is refused.
 * An agent that does not read is not waited for: what it would only like to know is dropped.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { readLines } from '../lines.ts';
import { asKnown } from './newer-fields.ts';
import { ownProcess } from './processes.ts';
import { type Greeting, type Hello, type Order, orderSchema, type SentEvent } from './protocol.ts';

const MAX_CONNECTIONS = 8;
const MAX_UNSENT_BYTES = 256 * 1024;

export interface ChannelHandlers {
  /** Null: welcome. A text: why not. Returns the session for the guard's socket. */
  onHello(hello: Hello): { readonly session: string } | { readonly refusal: string };
  onOrder(order: Exclude<Order, { kind: 'hello' | 'features' | 'knows' }>): void;
  features(): Omit<Extract<Greeting, { kind: 'features' }>, 'kind' | 'knows'>;
  /** The agent's connection closed, or it broke the protocol. */
  onClosed(): void;
}

export class Channel {
  readonly #server: Server;
  readonly #handlers: ChannelHandlers;
  readonly #sockets = new Set<Socket>();
  #agent: Socket | null = null;
  /** What this very agent has said that it reads. */
  #known: ReadonlySet<string> = new Set();

  private constructor(handlers: ChannelHandlers) {
    this.#handlers = handlers;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  static async listen(path: string, handlers: ChannelHandlers): Promise<Channel> {
    const channel = new Channel(handlers);
    // The lock says that whoever left it there is dead.
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      channel.#server.once('error', reject);
      channel.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return channel;
  }

  get isConnected(): boolean {
    return this.#agent !== null;
  }

  send(event: SentEvent): void {
    const socket = this.#agent;
    if (socket === null) return;
    // All are told anew with the next change.
    const isDroppable = event.kind === 'probes' || event.kind === 'replication' || event.kind === 'resync';
    if (isDroppable && socket.writableLength > MAX_UNSENT_BYTES) return;
    socket.write(`${JSON.stringify(asKnown(event, this.#known))}\n`);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (socket !== this.#agent) return;
      this.#agent = null;
      this.#handlers.onClosed();
    });
    readLines(socket, {
      onLine: (line) => this.#read(socket, line),
      onTooLong: () => socket.destroy(),
    });
  }

  #read(socket: Socket, line: string): void {
    const order = parseOrder(line);
    if (order === null) {
      socket.destroy();
      return;
    }
    if (order.kind === 'hello') return this.#greet(socket, order);
    if (order.kind === 'features') {
      greet(socket, { kind: 'features', ...this.#handlers.features(), knows: true });
      // Of the agent's own channel it is as harmless as of any other.
      if (socket !== this.#agent) socket.end();
      return;
    }
    if (socket !== this.#agent) socket.destroy();
    else if (order.kind === 'knows') this.#known = new Set(order.fields);
    else this.#handlers.onOrder(order);
  }

  #greet(socket: Socket, hello: Hello): void {
    if (this.#agent !== null) return refuse(socket, 'another agent is connected');
    const answer = this.#handlers.onHello(hello);
    if ('refusal' in answer) return refuse(socket, answer.refusal);
    this.#agent = socket;
    this.#known = new Set();
    greet(socket, { kind: 'welcome', session: answer.session, ...ownProcess() });
  }
}

function refuse(socket: Socket, why: string): void {
  greet(socket, { kind: 'refused', why });
  socket.end();
}

function greet(socket: Socket, greeting: Greeting): void {
  socket.write(`${JSON.stringify(greeting)}\n`);
}

function parseOrder(line: string): Order | null {
  try {
    const result = orderSchema.safeParse(JSON.parse(line));
    return result.success ? result.data : null;
  } catch {
    // Not JSON, or a number out of its brand's range.
    return null;
  }
}
