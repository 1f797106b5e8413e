/**
 * The unix socket in the data directory, for commands of this host that must start fast: DRBD's fence-peer handler
 * runs while all I/O is suspended, and loading gRPC takes longer than the whole answer. JSON lines, one request and one
 * answer per connection. Its mode 0600 is the whole access control: who may open it may read the node's key too.
 */
import { chmod, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { InvariantError, nodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { AdminBackend } from './backend.ts';

const MAX_REQUEST_BYTES = 4096;
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 64;

const requestSchema = z.discriminatedUnion('command', [
  z.object({ command: z.literal('fence-peer'), peer: z.string().nullable() }),
  z.object({ command: z.literal('authority') }),
]);

export type LocalAnswer =
  | { readonly ok: true; readonly result: string }
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface LocalBackend extends Pick<AdminBackend, 'fencePeer'> {
  /** What this node knows of tenures, for processes of this host that act for another node. */
  authority(): object;
}

export class LocalSocket {
  readonly #path: string;
  readonly #backend: LocalBackend;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  constructor(path: string, backend: LocalBackend) {
    this.#path = path;
    this.#backend = backend;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** The data directory must exist. Throws `port-in-use` when another agent answers on the socket. */
  async start(): Promise<void> {
    if (await isAnswered(this.#path))
      throw new QuorateError('port-in-use', `another agent listens on ${this.#path}`);
    await unlink(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw listenError(this.#path, error);
    });
    // Never open to others, not even between bind and chmod. `listen` binds a path before it returns.
    const before = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen(this.#path, resolve);
        process.umask(before);
      });
    } catch (error) {
      throw listenError(this.#path, error);
    } finally {
      process.umask(before);
    }
    await chmod(this.#path, 0o600);
  }

  /** Also removes the socket's file. Open requests get no answer: their command then fails closed. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setEncoding('utf8');
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
    let text = '';
    const onData = (chunk: string): void => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= MAX_REQUEST_BYTES) return;
      socket.off('data', onData);
      socket.setTimeout(0);
      void this.#answer(end < 0 ? '' : text.slice(0, end)).then((answer) =>
        socket.end(`${JSON.stringify(answer)}\n`),
      );
    };
    socket.on('data', onData);
  }

  async #answer(line: string): Promise<LocalAnswer> {
    try {
      const request = requestSchema.parse(JSON.parse(line));
      if (request.command === 'authority')
        return { ok: true, result: JSON.stringify(this.#backend.authority()) };
      const { peer } = request;
      return { ok: true, result: await this.#backend.fencePeer(peer === null ? null : nodeId(peer), null) };
    } catch (error) {
      if (error instanceof InvariantError)
        setImmediate(() => {
          throw error;
        });
      if (error instanceof QuorateError) return { ok: false, code: error.code, message: error.message };
      return { ok: false, code: 'usage', message: error instanceof Error ? error.message : String(error) };
    }
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

function listenError(path: string, cause: unknown): QuorateError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new QuorateError('address-not-available', `cannot listen on ${path}: ${reason}`, { cause });
}
