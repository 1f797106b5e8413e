/**
 * What peers say to this node: the gRPC server, who may speak, and what becomes of a bad message.
 *
 * Invariants: a caller is the node that its certificate names, of this cluster, and a known member; a message that
 * reaches the agent has passed the codec. A bad message is dropped and counted, and the stream goes on: one wrong
 * message must not cost a lease. One stream per node and kind: a newer one replaces the older.
 */
import {
  type handleClientStreamingCall,
  Metadata,
  type Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { Message, NodeId } from '../core/index.ts';
import { Callers, type CallersOptions, refusal } from './callers.ts';
import { type CallsOptions, SingleCalls } from './calls.ts';
import { createServer } from './channel.ts';
import { decodeMessage, type Lane, WireError, type WireProblem } from './codec.ts';
import { DroppedMessages } from './dropped.ts';
import { readFormat } from './format.ts';
import { CONNECTION_LIMITS } from './limits.ts';
import { ACKNOWLEDGED, type Acknowledged } from './schema.ts';
import { PEER_SERVICE } from './service.ts';
import type { TlsMaterial } from './tls.ts';
import { TlsListener } from './tls-listener.ts';

export interface InboundOptions extends CallersOptions, CallsOptions {
  readonly listen: string;
  readonly tls: TlsMaterial;
  /** One of them is dialled there: floods from elsewhere keep nobody out who comes from it. */
  isMemberAddress(address: string): boolean;
  onMessage(message: Message): void;
}

type StreamCall = ServerReadableStream<Buffer, Acknowledged>;
type Reply = sendUnaryData<Acknowledged>;

export class PeerServer {
  readonly #options: InboundOptions;
  readonly #server: Server = createServer();
  readonly #listener: TlsListener;
  readonly #open = new Map<string, { readonly call: StreamCall; readonly reply: Reply }>();
  /** By member: bounded by them. */
  readonly #formats = new Map<NodeId, number | null>();
  readonly #callers: Callers;
  readonly #dropped: DroppedMessages;
  /** The port that was bound: the configured one, or the kernel's choice for 0. */
  port = 0;
  received = 0;

  constructor(options: InboundOptions) {
    this.#options = options;
    this.#callers = new Callers(options);
    this.#dropped = new DroppedMessages(options.logger);
    // TLS ends at the listener; gRPC finds the certificate at the socket.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = new TlsListener({
      ...{ listen: options.listen, tls: options.tls, setting: 'the peer address', minVersion: 'TLSv1.3' },
      limits: CONNECTION_LIMITS,
      ownerOf: (certificate) => this.#callers.memberOf(certificate),
      isFavoured: (address) => options.isMemberAddress(address),
      onConnection: (socket) => injector.injectConnection(socket),
    });
    const stream = (lane: Lane): handleClientStreamingCall<Buffer, Acknowledged> => {
      return (call, reply) => this.#onStream(lane, call, reply);
    };
    const calls = new SingleCalls(options, this.#callers, this.#dropped);
    type Unary<Answer> = [ServerUnaryCall<Buffer, Answer>, sendUnaryData<Answer>];
    this.#server.addService(PEER_SERVICE, {
      heartbeats: stream('heartbeats'),
      appends: stream('appends'),
      reportReleased: (...call: Unary<Acknowledged>) => calls.released(...call),
      bootstrap: (...call: Unary<Acknowledged>) => calls.bootstrap(...call),
      facts: (...call: Unary<Buffer>) => calls.facts(...call),
      pair: (...call: Unary<Buffer>) => calls.pair(...call),
    });
  }

  /** What the node has said of itself with its newest stream; null: nothing, or none has come yet. */
  formatOf(node: NodeId): number | null {
    return this.#formats.get(node) ?? null;
  }

  /** Connections that were closed at a limit since the start. */
  get refusedConnections(): number {
    return this.#listener.refused;
  }

  /** Messages dropped since the start, by problem. */
  get dropped(): ReadonlyMap<WireProblem, number> {
    return this.#dropped.counts;
  }

  async listen(): Promise<void> {
    this.port = await this.#listener.start();
  }

  /** For connections from now on. */
  replaceTls(tls: TlsMaterial): void {
    this.#listener.replaceTls(tls);
  }

  /** Ends the streams of a node that is no longer a member. */
  endStrangers(): void {
    for (const [key, { reply }] of this.#open) {
      const node = key.slice(0, key.indexOf(' ')) as NodeId; // the key was made of one
      if (!this.#options.isMember(node)) reply(this.#callers.whyStranger(node));
    }
  }

  async close(): Promise<void> {
    const stopped = this.#listener.stop();
    this.#server.forceShutdown();
    this.#listener.cut();
    await stopped;
  }

  #onStream(lane: Lane, call: StreamCall, reply: Reply): void {
    const caller = this.#callers.admit(call);
    let isEnded = false;
    const replyOnce: Reply = (error, value) => {
      if (isEnded) return;
      isEnded = true;
      reply(error, value);
    };
    // A broken connection or an oversized message ends the call by itself.
    call.on('error', () => {});
    if (!caller.ok) {
      replyOnce(caller.why);
      call.resume();
      return;
    }
    const { node } = caller;
    const key = `${node} ${lane}`;
    const mine = { call, reply: replyOnce };
    this.#open.get(key)?.reply(refusal(status.ABORTED, `${node} has opened a newer stream`));
    this.#open.set(key, mine);
    call.sendMetadata(new Metadata());
    this.#formats.set(node, readFormat(call.metadata));
    const finish = () => {
      if (this.#open.get(key) === mine) this.#open.delete(key);
      replyOnce(null, ACKNOWLEDGED);
    };
    call.on('data', (bytes: Buffer) => {
      if (!isEnded) this.#receive(bytes, node, lane);
    });
    call.on('end', finish);
    call.on('cancelled', finish);
  }

  #receive(bytes: Buffer, from: NodeId, lane: Lane): void {
    const { self, cluster, parseEntry, tap } = this.#options;
    const message = this.#dropped.checked(from, () =>
      decodeMessage(bytes, { cluster, self, from, parseEntry }, lane),
    );
    if (tap?.isWatched === true) {
      const isGood = !(message instanceof WireError);
      tap.message({
        direction: 'received',
        peer: from,
        kind: isGood ? message.kind : 'undecoded',
        bytes: bytes.length,
        outcome: isGood ? null : message.problem,
        message: isGood ? message : null,
        latencyMs: null,
      });
    }
    if (message instanceof WireError) return;
    this.received += 1;
    this.#options.onMessage(message);
  }
}
