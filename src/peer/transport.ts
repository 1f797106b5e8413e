/**
 * Carries messages between the agents of a cluster. This node dials every peer and sends all its own messages on two
 * streams of its own; what peers say arrives on the streams that they opened.
 *
 * Promised: messages of one kind of stream arrive in order while its connection lasts. Not promised: that a message
 * arrives. `send` never blocks and never throws.
 */
import type { SecureContext } from 'node:tls';
import type { Entry, Message, NodeId, Released } from '../core/index.ts';
import { REMOVED } from './callers.ts';
import { secureContext } from './channel.ts';
import { encodeMessage, type Lane, laneOf, type WireProblem } from './codec.ts';
import { splitAddress } from './dialer.ts';
import type { NodeFacts } from './facts.ts';
import { PeerServer } from './inbound.ts';
import { LIMITS, TIMES } from './limits.ts';
import type { PeerLogger } from './logger.ts';
import { OutboundStream } from './outbound.ts';
import type { PairAnswer, PairRequest } from './pair.ts';
import { METHOD } from './schema.ts';
import type { PeerTap } from './tap.ts';
import { checkTls, type TlsMaterial } from './tls.ts';
import { sendBootstrap, sendStatement } from './unary.ts';

export interface PeerTransportOptions {
  readonly self: NodeId;
  readonly cluster: string;
  /** HOST:PORT; port 0 lets the kernel choose (`port` says which). */
  readonly listen: string;
  readonly tls: TlsMaterial;
  onMessage(message: Message): void;
  onStatement(released: Released): void;
  /** Rejecting refuses the entry; the message goes to the caller. */
  onBootstrap(entry: Entry): Promise<void>;
  /** What this node says about itself when a peer's doctor asks; without it the question is refused. */
  facts?(): NodeFacts;
  /** What its pools hold, when a peer's `quorate replication` asks; rejects with why that cannot be said. */
  pools?(): Promise<string>;
  /** Takes a data node's keys for the replication over SSH, and says the own ones; rejects with why not. */
  pair?(from: NodeId, request: PairRequest): Promise<PairAnswer>;
  /** E5: that peer's log says that this node was removed. The peer's certificate was checked. */
  onRemoved?(by: NodeId, why: string): void;
  /** A hint and nothing more: a dead agent has released nothing (H5). */
  onLink(peer: NodeId, up: boolean): void;
  readonly logger: PeerLogger;
  /** Told of every message while somebody looks. */
  readonly tap?: PeerTap;
}

export interface PeerCounters {
  readonly sent: number;
  /** Not sent: the stream was down, its queue full, or the message too large. */
  readonly unsent: number;
  readonly received: number;
  /** Connections that were closed at a limit, before their handshake. */
  readonly refusedConnections: number;
  /** Received and refused, by problem. */
  readonly dropped: ReadonlyMap<WireProblem, number>;
}

interface PeerLink {
  readonly address: string;
  readonly streams: Readonly<Record<Lane, OutboundStream>>;
  /** Null until the first attempt has ended. */
  isUp: boolean | null;
  /** Reasons that have been logged since the link was last up. */
  readonly told: Set<string>;
}

const CERTIFICATE_WARNING_MS = 30 * 86_400_000;
const TOLD_LIMIT = 20;

export class PeerTransport {
  readonly #options: PeerTransportOptions;
  readonly #links = new Map<NodeId, PeerLink>();
  #peers: ReadonlyMap<NodeId, string> = new Map();
  #tls: TlsMaterial;
  #removed: readonly NodeId[] = [];
  /** Of the peers. A name is not looked up: who is written down by one comes within the limits for everybody. */
  #hosts: ReadonlySet<string> = new Set();
  #context: SecureContext | null = null;
  #server: PeerServer | null = null;
  #isClosed = false;
  #sent = 0;
  #unsent = 0;

  constructor(options: PeerTransportOptions) {
    this.#options = options;
    this.#tls = options.tls;
  }

  /** Throws QuorateError `certificate-…`, `port-in-use` or `address-not-available`. */
  async start(): Promise<void> {
    const { cluster, self, logger } = this.#options;
    const tls = this.#tls;
    const { validForMs } = checkTls(tls, { cluster, node: self });
    if (validForMs < CERTIFICATE_WARNING_MS) {
      const days = Math.floor(validForMs / 86_400_000);
      logger.warn({ event: 'certificate-ends', days }, `this node's certificate ends in ${days} days`);
    }
    // Loaded here, not above: the executor, which only makes statements, must not load the log's database.
    const { parseEntry, sha256 } = await import('../log/index.ts');
    const server = new PeerServer({
      ...this.#options,
      parseEntry: (json) => parseEntry(json, sha256),
      isMember: (node) => this.#peers.has(node),
      isRemoved: (node) => this.#removed.includes(node),
      isMemberAddress: (address) => this.#hosts.has(address),
    });
    await server.listen();
    if (this.#isClosed) return server.close();
    this.#server = server;
    this.#context = secureContext(this.#tls);
    if (this.#tls !== tls) server.replaceTls(this.#tls);
    this.#dialMissing();
  }

  /**
   * For connections from now on, in both directions; those that are open go on. The caller has checked it by `checkTls`: what
   * passed there cannot fail here.
   */
  replaceTls(tls: TlsMaterial): void {
    const isDialling = this.#context !== null;
    this.#tls = tls;
    if (isDialling) this.#context = secureContext(tls);
    this.#server?.replaceTls(tls);
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  get counters(): PeerCounters {
    const dropped = this.#server?.dropped ?? new Map<WireProblem, number>();
    const refusedConnections = this.#server?.refusedConnections ?? 0;
    const received = this.#server?.received ?? 0;
    return { sent: this.#sent, unsent: this.#unsent, received, refusedConnections, dropped };
  }

  isUp(peer: NodeId): boolean {
    return this.#links.get(peer)?.isUp === true;
  }

  /** What it has said that it understands (format.ts); null: nothing. */
  formatOf(peer: NodeId): number | null {
    return this.#server?.formatOf(peer) ?? null;
  }

  /** The other members and where they listen, and whose ids are used up (E5). Streams of those who are gone, or moved, are closed. */
  setPeers(peers: ReadonlyMap<NodeId, string>, removed: readonly NodeId[] = []): void {
    this.#removed = removed;
    this.#peers = new Map([...peers].filter(([peer]) => peer !== this.#options.self));
    this.#hosts = new Set([...this.#peers.values()].map((address) => splitAddress(address).host));
    for (const [peer, link] of this.#links) {
      if (this.#peers.get(peer) === link.address) continue;
      this.#links.delete(peer);
      closeStreams(link);
      if (link.isUp === true) this.#options.onLink(peer, false);
    }
    this.#server?.endStrangers();
    this.#dialMissing();
  }

  send(message: Message): void {
    const stream = this.#links.get(message.to)?.streams[laneOf(message.kind)];
    // Encoding costs most: not for a message that would be dropped.
    if (stream?.hasRoom) {
      const encoded = encodeWithin(message, this.#options.cluster);
      if (encoded !== null && stream.send(encoded.bytes)) {
        this.#sent += 1;
        if (this.#options.tap?.isWatched === true) this.#show(encoded.message, encoded.bytes.length);
        return;
      }
    }
    this.#unsent += 1;
    if (this.#options.tap?.isWatched === true) this.#show(message, null);
  }

  /** `bytes` null: it was not sent. */
  #show(message: Message, bytes: number | null): void {
    const { kind, to: peer } = message;
    const outcome = bytes === null ? 'not sent' : null;
    this.#options.tap?.message({
      direction: 'sent',
      peer,
      kind,
      bytes,
      outcome,
      message,
      latencyMs: null,
    });
  }

  sendStatement(address: string, released: Released): Promise<void> {
    return sendStatement(address, released, { ...this.#options, tls: this.#tls });
  }

  sendBootstrap(address: string, entry: Entry): Promise<void> {
    const { cluster, self, tap } = this.#options;
    const tls = this.#tls;
    const to = [...this.#peers].find(([, at]) => at === address)?.[0] ?? null;
    return sendBootstrap(address, entry, { tls, cluster, from: self, to, ...(tap && { tap }) });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const link of this.#links.values()) closeStreams(link);
    this.#links.clear();
    await this.#server?.close();
  }

  #dialMissing(): void {
    const first = this.#context;
    if (first === null || this.#isClosed) return;
    const context = (): SecureContext => this.#context ?? first;
    for (const [peer, address] of this.#peers) {
      if (!this.#links.has(peer)) this.#links.set(peer, this.#dial(peer, address, context));
    }
  }

  #dial(peer: NodeId, address: string, context: () => SecureContext): PeerLink {
    const stream = (method: string, queuedMessages: number, keepaliveMs: number, onLost: () => void) =>
      new OutboundStream({
        context,
        target: { address, cluster: this.#options.cluster, node: peer },
        method,
        queuedMessages,
        queuedBytes: LIMITS.queuedBytes,
        keepaliveMs,
        onUp: () => this.#onUp(peer, link),
        onDown: (reason, wasUp) => {
          this.#onDown(peer, link, reason);
          if (wasUp) onLost();
        },
      });
    const link: PeerLink = {
      address,
      streams: {
        // What ends the one has most often ended the other, whose own probes are rare.
        heartbeats: stream(METHOD.heartbeats, LIMITS.queuedHeartbeats, TIMES.keepaliveMs, () =>
          link.streams.appends.redial(),
        ),
        appends: stream(METHOD.appends, LIMITS.queuedMessages, TIMES.appendsKeepaliveMs, () => {}),
      },
      isUp: null,
      told: new Set(),
    };
    return link;
  }

  #onUp(peer: NodeId, link: PeerLink): void {
    const areBothUp = link.streams.heartbeats.isUp && link.streams.appends.isUp;
    if (!areBothUp || link.isUp === true || this.#links.get(peer) !== link) return;
    link.isUp = true;
    link.told.clear();
    this.#options.logger.info(
      { event: 'peer-up', node: peer, address: link.address },
      `connected to ${peer} at ${link.address}`,
    );
    this.#options.onLink(peer, true);
  }

  #onDown(peer: NodeId, link: PeerLink, reason: string): void {
    if (this.#isClosed || this.#links.get(peer) !== link) return;
    const hasChanged = link.isUp !== false;
    link.isUp = false;
    if (!link.told.has(reason) && link.told.size < TOLD_LIMIT) {
      link.told.add(reason);
      this.#options.logger.warn(
        { event: 'peer-down', node: peer, address: link.address, why: reason },
        `no connection to ${peer} at ${link.address}: ${reason}`,
      );
    }
    if (hasChanged) this.#options.onLink(peer, false);
    if (reason.startsWith(REMOVED)) this.#options.onRemoved?.(peer, reason.slice(REMOVED.length));
  }
}

/**
 * The message within the limits; an append that is over them loses entries from its end. It stays a true append, the
 * ack says how far it went, and a catch-up of large entries cannot repeat the same dropped message for ever.
 */
function encodeWithin(
  message: Message,
  cluster: string,
): { readonly message: Message; readonly bytes: Buffer } | null {
  let attempt = message;
  for (;;) {
    const isTooLong = attempt.kind === 'append' && attempt.entries.length > LIMITS.appendEntries;
    if (!isTooLong) {
      const bytes = encodeMessage(attempt, cluster);
      if (bytes.length <= LIMITS.messageBytes) return { message: attempt, bytes };
    }
    if (attempt.kind !== 'append' || attempt.entries.length < 2) return null;
    const half = Math.min(LIMITS.appendEntries, Math.floor(attempt.entries.length / 2));
    attempt = { ...attempt, entries: attempt.entries.slice(0, half) };
  }
}

function closeStreams(link: PeerLink): void {
  link.streams.heartbeats.close();
  link.streams.appends.close();
}
