/**
 * DRBD stand-in: the TCP connection to the other daemon. The node with the smaller name dials, the other accepts.
 * A channel on which nothing arrives for the ping time-out is closed: a stalled link is noticed, not only a closed one.
 */
import { createServer, connect as dialSocket, type Server, type Socket } from 'node:net';
import { encodeFrame, FRAME, type Frame, FrameReader } from './wire.ts';

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface ChannelHandlers {
  onOpen(channel: PeerChannel): void;
  onFrame(channel: PeerChannel, frame: Frame): void;
  onClosed(channel: PeerChannel, why: string): void;
}

export class PeerChannel {
  readonly #socket: Socket;
  readonly #handlers: ChannelHandlers;
  readonly #ping: NodeJS.Timeout;
  #lastReceivedAt = now();
  #isOpen = true;

  constructor(socket: Socket, pingTimeoutMs: number, handlers: ChannelHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    const reader = new FrameReader();
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#lastReceivedAt = now();
      try {
        for (const frame of reader.push(chunk)) {
          if (!this.#isOpen) return;
          if (frame.kind !== FRAME.ping) handlers.onFrame(this, frame);
        }
      } catch (error) {
        this.close(`protocol error: ${String(error)}`);
      }
    });
    socket.on('error', (error) => this.close(error.message));
    socket.on('close', () => this.close('closed by the peer'));
    socket.on('end', () => this.close('closed by the peer'));
    this.#ping = setInterval(() => {
      if (now() - this.#lastReceivedAt > pingTimeoutMs) this.close('PingAck did not arrive in time.');
      else this.send(encodeFrame(FRAME.ping, 0, 0));
    }, pingTimeoutMs / 5);
    handlers.onOpen(this);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  send(frame: Buffer): void {
    if (this.#isOpen) this.#socket.write(frame);
  }

  /** What was sent before still leaves; nothing more is received. */
  close(why: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearInterval(this.#ping);
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 200).unref();
    this.#handlers.onClosed(this, why);
  }
}

export interface PeerConnectorOptions {
  readonly listen: Endpoint;
  /** null: wait to be dialled. */
  readonly dial: Endpoint | null;
  readonly pingTimeoutMs: number;
  readonly connectIntervalMs: number;
}

/** Makes channels for as long as it is enabled. */
export class PeerConnector {
  readonly #options: PeerConnectorOptions;
  readonly #handlers: ChannelHandlers;
  #server: Server | null = null;
  #isEnabled = false;
  #dialling: Socket | null = null;
  #redial: NodeJS.Timeout | null = null;

  constructor(options: PeerConnectorOptions, handlers: ChannelHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => {
      if (this.#isEnabled) this.#open(socket);
      else socket.destroy();
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#options.listen.port, this.#options.listen.host, resolve);
    });
  }

  enable(): void {
    this.#isEnabled = true;
    this.#dialSoon(0);
  }

  disable(): void {
    this.#isEnabled = false;
    if (this.#redial !== null) clearTimeout(this.#redial);
    this.#redial = null;
    this.#dialling?.destroy();
    this.#dialling = null;
  }

  close(): void {
    this.disable();
    this.#server?.close();
  }

  /** Asked for again whenever a channel has ended. */
  dialAgain(): void {
    this.#dialSoon(this.#options.connectIntervalMs);
  }

  #dialSoon(delayMs: number): void {
    if (!this.#isEnabled || this.#options.dial === null || this.#redial !== null || this.#dialling !== null)
      return;
    this.#redial = setTimeout(() => {
      this.#redial = null;
      this.#dial();
    }, delayMs);
  }

  #dial(): void {
    const { dial, pingTimeoutMs } = this.#options;
    if (dial === null || !this.#isEnabled) return;
    const socket = dialSocket(dial.port, dial.host);
    this.#dialling = socket;
    const failed = (): void => {
      if (this.#dialling !== socket) return;
      this.#dialling = null;
      socket.destroy();
      this.dialAgain();
    };
    socket.setTimeout(pingTimeoutMs, failed);
    socket.once('error', failed);
    socket.once('connect', () => {
      if (this.#dialling !== socket) return;
      this.#dialling = null;
      socket.setTimeout(0);
      socket.off('error', failed);
      this.#open(socket);
    });
  }

  #open(socket: Socket): void {
    new PeerChannel(socket, this.#options.pingTimeoutMs, {
      onOpen: (channel) => this.#handlers.onOpen(channel),
      onFrame: (channel, frame) => this.#handlers.onFrame(channel, frame),
      onClosed: (channel, why) => {
        this.#handlers.onClosed(channel, why);
        this.dialAgain();
      },
    });
  }
}
