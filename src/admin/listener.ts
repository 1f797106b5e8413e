/**
 * Who gets a connection to the admin service: TLS with a certificate of the cluster's CA, within limits that hold before
 * anything is known of the caller. What has passed is handed to gRPC.
 */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { QuorateError } from '../errors.ts';
import type { TlsMaterial } from '../peer/index.ts';

/** At a limit a connection is closed at once: gRPC clients try again by themselves. */
export const CONNECTION_LIMITS = {
  /** Altogether, those that have not shown a certificate yet among them. */
  connections: 256,
  /** From one address: nobody else may be kept out by it. */
  perAddress: 64,
  /** From the connection to the end of the handshake. */
  handshakeMs: 5_000,
} as const;

const MIN_VERSION = 'TLSv1.2';

export interface AdminListenerOptions {
  /** HOST:PORT */
  readonly listen: string;
  readonly tls: TlsMaterial;
  readonly onConnection: (socket: TLSSocket) => void;
}

export class AdminListener {
  readonly #listen: string;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #byAddress = new Map<string, number>();

  constructor({ listen, tls, onConnection }: AdminListenerOptions) {
    this.#listen = listen;
    this.#server = createServer({
      ...{ ca: tls.ca, cert: tls.cert, key: tls.key },
      ...{ requestCert: true, rejectUnauthorized: true, minVersion: MIN_VERSION },
      ...{ ALPNProtocols: ['h2'], handshakeTimeout: CONNECTION_LIMITS.handshakeMs },
    });
    this.#server.maxConnections = CONNECTION_LIMITS.connections;
    this.#server.on('connection', (socket) => this.#count(socket));
    this.#server.on('secureConnection', onConnection);
    // A caller whose handshake fails is told by TLS; there is nobody else to tell.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  /** Resolves with the port. Throws `port-in-use` or `address-not-available`. */
  start(): Promise<number> {
    const end = this.#listen.lastIndexOf(':');
    const host = this.#listen.slice(0, end).replaceAll(/^\[|\]$/g, '');
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(listenError(error, this.#listen)));
      this.#server.listen(Number(this.#listen.slice(end + 1)), host, () => {
        this.#server.on('error', () => undefined); // of one connection that could not be accepted
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  }

  /** For connections from now on; those that are open stay. */
  replaceTls({ ca, cert, key }: TlsMaterial): void {
    this.#server.setSecureContext({ ca, cert, key, minVersion: MIN_VERSION });
  }

  /** No new connections; those that are open stay. */
  stop(): void {
    this.#server.close();
  }

  /** Cuts what is still open. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #count(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const count = this.#byAddress.get(address) ?? 0;
    if (count >= CONNECTION_LIMITS.perAddress) {
      socket.destroy();
      return;
    }
    this.#byAddress.set(address, count + 1);
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    });
  }
}

function listenError(cause: NodeJS.ErrnoException, listen: string): QuorateError {
  if (cause.code === 'EADDRINUSE')
    return new QuorateError('port-in-use', `admin.listen ${listen} is in use`, { cause });
  return new QuorateError(
    'address-not-available',
    `cannot listen on admin.listen ${listen}: ${cause.message}`,
    { cause },
  );
}
