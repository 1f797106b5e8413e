/**
 * Bounds for what grpc-js leaves unbounded. It dials a connection in four steps — TCP, TLS, HTTP/2 settings, headers
 * of the call — and gives none of them a time-out: a black-holed TCP connect takes the kernel's two minutes, a peer
 * that accepts and then says nothing takes for ever. Channel credentials take part in every dial, so the bounds
 * stand here:
 *
 *   waitForReady   (before TCP)  knock: our own sockets, which we can close, find out that TCP works
 *   connect        (after TCP)   we hold the socket; at the deadline we close it, whatever step it is in
 *
 * Also here: the server's certificate must be that of the expected node of this cluster, whatever its address.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { ChannelCredentials, type experimental } from '@grpc/grpc-js';
import type { NodeId } from '../core/index.ts';
import { identityOf, identityUri } from './identity.ts';
import { TIMES } from './limits.ts';

type SecureConnector = experimental.SecureConnector;
type ConnectorParameters = Parameters<ChannelCredentials['_createSecureConnector']>;

export interface DialTarget {
  readonly address: string;
  readonly cluster: string;
  /** Null: any node of the cluster. */
  readonly node: NodeId | null;
}

export interface DialEvents {
  /** An attempt failed; grpc-js goes on trying. */
  onFailure(error: Error): void;
  /** An attempt hangs where its socket is not ours to close: only a new channel gets further. */
  onStuck(): void;
}

/**
 * By how much the limit of an attempt is multiplied after so many time-outs in a row. Mostly short, because an attempt
 * whose bytes were lost is only in the way once the link is healed; now and then long, for a peer under load.
 */
const PATIENCE = [1, 1, 2, 1, 1, 4] as const;

export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) };
}

/** Resolves with the time in ms that a TCP connection took; the sockets are closed again. */
export function knock(host: string, port: number, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const sockets: Socket[] = [];
    const finish = (settle: () => void) => {
      clearInterval(interval);
      clearTimeout(limit);
      signal.removeEventListener('abort', onAbort);
      for (const socket of sockets) socket.destroy();
      settle();
    };
    const onAbort = () => finish(() => reject(new Error('the dial was given up')));
    const start = () => {
      const startedAt = performance.now();
      const socket = connectTcp({ host, port }, () => finish(() => resolve(performance.now() - startedAt)));
      socket.on('error', (error) => finish(() => reject(error)));
      sockets.push(socket);
    };
    const interval = setInterval(start, TIMES.knockEveryMs);
    const limit = setTimeout(() => {
      finish(() => reject(new Error(`no TCP connection within ${TIMES.knockLimitMs} ms`)));
    }, TIMES.knockLimitMs);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else start();
  });
}

/** Credentials of one channel to one address; grpc-js dials one connection at a time for it. */
export class Dialer extends ChannelCredentials {
  readonly #target: DialTarget;
  readonly #events: DialEvents;
  readonly #context: () => SecureContext;
  readonly #closing = new AbortController();
  #socket: Socket | null = null;
  #deadline: NodeJS.Timeout | undefined;
  #timeoutsInARow = 0;
  #hasDialled = false;
  /** The peer has accepted a call on the present connection. */
  #isAccepted = false;

  /** `context`: asked at each attempt, because certificates are renewed while the channel goes on. */
  constructor(context: () => SecureContext, target: DialTarget, events: DialEvents) {
    super();
    this.#target = target;
    this.#events = events;
    this.#context = context;
  }

  /** Whether there was an attempt; there is none while the name in the address is not resolved. */
  get hasDialled(): boolean {
    return this.#hasDialled;
  }

  /** The attempt is over: the peer has accepted the call, or has ended it. */
  settle(isAccepted: boolean): void {
    clearTimeout(this.#deadline);
    if (!isAccepted) return;
    this.#timeoutsInARow = 0;
    this.#isAccepted = true;
  }

  /** Closes the connection, or the attempt for one, at once. */
  dispose(): void {
    this.#closing.abort();
    clearTimeout(this.#deadline);
    this.#socket?.destroy();
  }

  override compose(): ChannelCredentials {
    throw new Error('there are no call credentials between agents');
  }
  override _isSecure(): boolean {
    return true;
  }
  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }
  override _createSecureConnector(...parameters: ConnectorParameters): SecureConnector {
    const made = (): SecureConnector =>
      ChannelCredentials.createFromSecureContext(this.#context(), {
        checkServerIdentity: (_host, certificate) => checkServer(this.#target, certificate.raw),
      })._createSecureConnector(...parameters);
    let inner = made();
    return {
      waitForReady: () => this.#reporting(this.#begin()),
      connect: (socket) => {
        inner = made();
        return this.#reporting(this.#secure(inner, socket));
      },
      getCallCredentials: () => inner.getCallCredentials(),
      destroy: () => inner.destroy(),
    };
  }

  async #reporting<Value>(step: Promise<Value>): Promise<Value> {
    try {
      return await step;
    } catch (error) {
      clearTimeout(this.#deadline);
      if (!this.#closing.signal.aborted) this.#events.onFailure(explain(error as Error));
      throw error;
    }
  }

  async #begin(): Promise<void> {
    this.#hasDialled = true;
    this.#isAccepted = false;
    clearTimeout(this.#deadline);
    this.#socket = null;
    const { host, port } = splitAddress(this.#target.address);
    const roundTripMs = await knock(host, port, this.#closing.signal);
    const patience = PATIENCE[this.#timeoutsInARow % PATIENCE.length] ?? 1;
    const limitMs = (TIMES.handshakeMs + TIMES.handshakeRoundTrips * roundTripMs) * patience;
    this.#deadline = setTimeout(() => this.#expire(), limitMs);
  }

  #expire(): void {
    this.#timeoutsInARow += 1;
    const error = new Error('it takes connections but does not answer');
    if (this.#socket === null) {
      this.#events.onFailure(error);
      this.#events.onStuck();
    } else {
      this.#socket.destroy(error);
    }
  }

  async #secure(inner: SecureConnector, socket: Socket): ReturnType<SecureConnector['connect']> {
    this.#socket = socket;
    if (this.#closing.signal.aborted) throw new Error('the dial was given up');
    // grpc-js's own promise never settles when the socket is closed under it.
    const closed = new Promise<never>((_resolve, reject) => {
      let cause = new Error('the connection was closed in the TLS handshake');
      socket.once('error', (error) => {
        cause = error;
      });
      socket.once('close', () => reject(cause));
    });
    closed.catch(() => {});
    const result = await Promise.race([inner.connect(socket), closed]);
    this.#socket = result.socket;
    // In TLS 1.3 a server refuses a client's certificate only after the client's handshake has ended.
    let isTold = false;
    result.socket.once('error', (error) => {
      isTold = true;
      if (!this.#closing.signal.aborted) this.#events.onFailure(explain(error));
    });
    // Node's server says nothing at all to a client whose certificate it refuses: without this nobody would know why.
    result.socket.once('close', () => {
      if (isTold || this.#isAccepted || this.#socket !== result.socket || this.#closing.signal.aborted)
        return;
      this.#events.onFailure(
        new Error(
          "it closes the connection after the TLS handshake: it does not accept this node's certificate, or it is ending",
        ),
      );
    });
    return result;
  }
}

/** What TLS means by the codes that an operator meets; all else in its own words. */
const EXPLANATIONS: readonly (readonly [RegExp, string])[] = [
  [/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/, "its certificate is from another authority than this node's CA"],
  [/^CERT_HAS_EXPIRED/, 'its certificate has expired'],
  [/^CERT_NOT_YET_VALID/, "its certificate is not valid yet, or this host's clock is behind"],
  [/ALERT_UNKNOWN_CA/, "it does not trust the authority of this node's certificate"],
  [/ALERT_CERTIFICATE_EXPIRED/, "it finds this node's certificate expired"],
  [/ALERT_(BAD_)?CERTIFICATE/, "it does not accept this node's certificate"],
];

function explain(error: Error): Error {
  const { code = '' } = error as NodeJS.ErrnoException;
  const meaning = EXPLANATIONS.find(([pattern]) => pattern.test(code))?.[1];
  return meaning === undefined ? error : new Error(`${meaning} (${code})`, { cause: error });
}

function checkServer(target: DialTarget, certificate: Uint8Array): Error | undefined {
  const identity = identityOf(certificate);
  const found = identity === null ? 'a certificate without an identity' : identityUri(identity);
  if (identity === null || !('node' in identity)) return new Error(`expected a node there, found ${found}`);
  const isExpected =
    identity.cluster === target.cluster && (target.node === null || identity.node === target.node);
  if (isExpected) return undefined;
  const expected =
    target.node === null
      ? `a node of ${target.cluster}`
      : identityUri({ cluster: target.cluster, node: target.node });
  return new Error(`expected ${expected} there, found ${found}`);
}
