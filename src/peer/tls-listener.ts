/**
 * Who gets a connection to one of our gRPC services: TLS with a certificate of the cluster's CA, within limits that hold before anything
 * is known of the caller. A handshake costs milliseconds on the thread that sends the heartbeats. What has passed is handed to gRPC.
 *
 * 1. At a limit a connection is closed at once, before its handshake: whoever has a right to one tries again by itself.
 * 2. Who is known (`ownerOf`) is counted apart once its handshake is over: strangers, however many, never end or keep out what
 *    is established. Of one owner the newest connections stay where a newer stream replaces the older, otherwise those that were there.
 * 3. Where a member is expected, or has come from before, strangers from elsewhere use nothing up.
 * 4. Nothing here says who may ask for what: that is the services' own matter, call by call.
 */
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { createServer, type SecureVersion, type Server, type TLSSocket } from 'node:tls';
import { QuorateError } from '../errors.ts';
import { type Rate, RateLimits } from './rate-limits.ts';
import type { TlsMaterial } from './tls.ts';

export interface ListenerLimits {
  /** Altogether, of those whose owner is not known (yet). */
  readonly connections: number;
  /** From one address that nobody has vouched for: nobody else may be kept out by it. */
  readonly perAddress: number;
  /** From the connection to the end of the handshake. */
  readonly handshakeMs: number;
  /** Of handshakes that are begun: from one address, and from all that are not `favoured`; null: no limit but those above. */
  readonly handshakes: { readonly perAddress: Rate; readonly others: Rate } | null;
  /** Of one owner, and which of them ends where it has one more. */
  readonly perOwner: number;
  readonly overOwner: 'oldest-ends' | 'newest-ends';
  /** Nobody's connection ends after this; null: it may stay. */
  readonly strangerMs: number | null;
}

export interface TlsListenerOptions {
  /** HOST:PORT */
  readonly listen: string;
  /** Of the config, for messages. */
  readonly setting: string;
  readonly tls: TlsMaterial;
  readonly minVersion: SecureVersion;
  readonly limits: ListenerLimits;
  readonly onConnection: (socket: TLSSocket) => void;
  /** Whose certificate it is; null, or not given: a stranger's. */
  readonly ownerOf?: (certificate: Uint8Array) => string | null;
  /** An address of its own budget: what comes from elsewhere does not use it up. */
  readonly isFavoured?: (address: string) => boolean;
}

interface Connection {
  readonly raw: Socket;
  readonly address: string;
  certificate: Uint8Array | null;
  owner: string | null;
  expiry: NodeJS.Timeout | undefined;
}

const CLOSE_LIMIT_MS = 500;
/** Nodes have a few addresses each. */
const MAX_VOUCHED = 64;

export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #tcp: TcpServer;
  readonly #tls: Server;
  readonly #rates: RateLimits | null;
  /** By the address and port of the other end. */
  readonly #open = new Map<string, Connection>();
  /** Of strangers. */
  readonly #byAddress = new Map<string, number>();
  #strangers = 0;
  /** From where somebody known has come, the one heard longest ago first: no flood from elsewhere keeps it from coming again. */
  readonly #vouched = new Set<string>();
  /** Closed at a limit since the start. */
  refused = 0;

  constructor(options: TlsListenerOptions) {
    this.#options = options;
    const { tls, minVersion, limits } = options;
    this.#rates = limits.handshakes && new RateLimits(limits.handshakes.perAddress, limits.handshakes.others);
    this.#tls = createServer({
      ...{ ca: tls.ca, cert: tls.cert, key: tls.key },
      ...{ requestCert: true, rejectUnauthorized: true, minVersion },
      ...{ ALPNProtocols: ['h2'], handshakeTimeout: limits.handshakeMs },
    });
    this.#tls.on('secureConnection', (socket) => this.#onSecure(socket));
    // A caller whose handshake fails is told by TLS; there is nobody else to tell.
    this.#tls.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#tcp = createTcpServer((socket) => this.#onTcp(socket));
  }

  /** Resolves with the port. Throws `port-in-use` or `address-not-available`. */
  start(): Promise<number> {
    const { listen, setting } = this.#options;
    const end = listen.lastIndexOf(':');
    const host = listen.slice(0, end).replaceAll(/^\[|\]$/g, '');
    return new Promise((resolve, reject) => {
      this.#tcp.once('error', (error) => reject(listenError(error, setting, listen)));
      this.#tcp.listen(Number(listen.slice(end + 1)), host, () => {
        this.#tcp.removeAllListeners('error');
        this.#tcp.on('error', () => undefined); // of one connection that could not be accepted
        const address = this.#tcp.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  }

  /** For connections from now on; those that are open stay. */
  replaceTls({ ca, cert, key }: TlsMaterial): void {
    this.#tls.setSecureContext({ ca, cert, key, minVersion: this.#options.minVersion });
  }

  /** No new connections; those that are open stay. Resolves when the port is free and they are gone, or after a moment. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      const limit = setTimeout(resolve, CLOSE_LIMIT_MS);
      this.#tcp.close(() => {
        clearTimeout(limit);
        resolve();
      });
    });
  }

  /** Cuts what is still open. */
  cut(): void {
    for (const { raw } of this.#open.values()) raw.destroy();
  }

  #onTcp(raw: Socket): void {
    const { remoteAddress, remotePort } = raw;
    // Gone again already.
    if (remoteAddress === undefined) return void raw.destroy();
    const address = remoteAddress.replace(/^::ffff:/i, '');
    if (!this.#mayBegin(address)) {
      this.refused += 1;
      raw.destroy();
      return;
    }
    const key = `${remoteAddress} ${remotePort}`;
    const connection: Connection = { raw, address, certificate: null, owner: null, expiry: undefined };
    this.#open.set(key, connection);
    this.#countStranger(address, 1);
    raw.once('close', () => {
      clearTimeout(connection.expiry);
      this.#open.delete(key);
      if (connection.owner === null) this.#countStranger(address, -1);
    });
    raw.on('error', () => undefined); // its end follows
    this.#tls.emit('connection', raw);
  }

  #mayBegin(address: string): boolean {
    const { limits, isFavoured } = this.#options;
    const favoured = this.#vouched.has(address) || (isFavoured?.(address) ?? false);
    // On a lossy path a member's own attempts outlive each other: there only how often it begins is bounded.
    if (!favoured && (this.#byAddress.get(address) ?? 0) >= limits.perAddress) return false;
    if (!favoured && this.#strangers >= limits.connections) return false;
    return this.#rates?.take(address, favoured, performance.now()) ?? true;
  }

  #countStranger(address: string, by: 1 | -1): void {
    this.#strangers += by;
    const count = (this.#byAddress.get(address) ?? 0) + by;
    if (count === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, count);
  }

  #onSecure(socket: TLSSocket): void {
    const connection = this.#open.get(`${socket.remoteAddress} ${socket.remotePort}`);
    if (connection === undefined) return void socket.destroy();
    connection.certificate = socket.getPeerCertificate().raw ?? null;
    this.#judge(connection);
    this.#options.onConnection(socket);
  }

  /** Again for a stranger whose time is over: a node that has become a member meanwhile keeps its connection. */
  #judge(connection: Connection): void {
    const { ownerOf, limits } = this.#options;
    const owner = connection.certificate === null ? null : (ownerOf?.(connection.certificate) ?? null);
    if (owner !== null) {
      connection.owner = owner;
      this.#vouchFor(connection.address);
      this.#countStranger(connection.address, -1);
      this.#endSurplus(owner);
    } else if (limits.strangerMs !== null) {
      if (connection.expiry !== undefined) return void connection.raw.destroy();
      connection.expiry = setTimeout(() => this.#judge(connection), limits.strangerMs);
    }
  }

  #vouchFor(address: string): void {
    this.#vouched.delete(address);
    this.#vouched.add(address);
    const [oldest] = this.#vouched;
    if (this.#vouched.size > MAX_VOUCHED && oldest !== undefined) this.#vouched.delete(oldest);
  }

  #endSurplus(owner: string): void {
    const { perOwner, overOwner } = this.#options.limits;
    const own = [...this.#open.values()].filter((one) => one.owner === owner);
    const surplus = Math.max(0, own.length - perOwner);
    this.refused += surplus;
    const ended = overOwner === 'oldest-ends' ? own.slice(0, surplus) : own.slice(own.length - surplus);
    for (const { raw } of ended) raw.destroy();
  }
}

function listenError(cause: NodeJS.ErrnoException, setting: string, listen: string): QuorateError {
  const context = { listen };
  if (cause.code === 'EADDRINUSE')
    return new QuorateError('port-in-use', `${setting} ${listen} is in use`, {
      cause,
      context,
    });
  return new QuorateError(
    'address-not-available',
    `cannot listen on ${setting} ${listen}: ${cause.message}`,
    { cause, context },
  );
}
