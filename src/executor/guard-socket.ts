/**
 * The guard's own socket (T4): the agent says here, with every confirmed round, until when its lease runs. Read by the
 * guard's thread alone, so that nothing that stalls the main thread can delay it.
 *
 * First line `{"session":"..."}`, then `{"epoch":7,"until":12345.6}` each. When the connection of the valid session
 * closes, the agent is gone: that is told at once.
 */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type Epoch, epoch, type Instant, instant } from '../core/index.ts';
import { readLines } from '../lines.ts';

export interface GuardSocketHandlers {
  onRenew(epoch: Epoch, until: Instant): void;
  onClosed(): void;
}

const MAX_CONNECTIONS = 8;

export class GuardSocket {
  readonly #server: Server;
  readonly #handlers: GuardSocketHandlers;
  #session: string | null = null;
  readonly #sessions = new Map<Socket, string>();

  private constructor(handlers: GuardSocketHandlers) {
    this.#handlers = handlers;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  static async listen(path: string, handlers: GuardSocketHandlers): Promise<GuardSocket> {
    const socket = new GuardSocket(handlers);
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      socket.#server.once('error', reject);
      socket.#server.listen(path, resolve);
    });
    return socket;
  }

  /** Only lines of this session count from now on. */
  setSession(session: string): void {
    this.#session = session;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sessions.keys()) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sessions.set(socket, '');
    socket.on('error', () => undefined);
    socket.once('close', () => {
      const session = this.#sessions.get(socket);
      this.#sessions.delete(socket);
      if (session === this.#session) this.#handlers.onClosed();
    });
    readLines(socket, {
      onLine: (line) => this.#read(socket, line),
      onTooLong: () => socket.destroy(),
    });
  }

  #read(socket: Socket, line: string): void {
    const said = parse(line);
    if (said === null) {
      socket.destroy();
      return;
    }
    if ('session' in said) this.#sessions.set(socket, said.session);
    else if (this.#session !== null && this.#sessions.get(socket) === this.#session) {
      this.#handlers.onRenew(said.epoch, said.until);
    }
  }
}

/** By hand instead of zod: two shapes, ten times a second, in a thread that should stay small. */
function parse(line: string): { session: string } | { epoch: Epoch; until: Instant } | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return null;
    if ('session' in value && typeof value.session === 'string') return { session: value.session };
    if (!('epoch' in value) || typeof value.epoch !== 'number') return null;
    if (!('until' in value) || typeof value.until !== 'number') return null;
    return { epoch: epoch(value.epoch), until: instant(value.until) };
  } catch {
    return null;
  }
}
