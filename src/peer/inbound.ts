/**
 * What peers say to this node: the gRPC server, who may speak, and what becomes of a bad message.
 *
 * Invariants: a caller is the node that its certificate names, of this cluster, and a known member; a message that
 * reaches the agent has passed the codec. A bad message is dropped and counted, and the stream goes on: one wrong
 * message must not cost a lease. One stream per node and kind: a newer one replaces the older.
 */
import {
  type handleClientStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  type Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  assert,
  type Entry,
  InvariantError,
  type Message,
  type NodeId,
  type Released,
} from '../core/index.ts';
import { createServer } from './channel.ts';
import { decodeBootstrap, decodeMessage, type Lane, WireError, type WireProblem } from './codec.ts';
import { encodeFacts, type NodeFacts, readFactsRequest } from './facts.ts';
import { readFormat } from './format.ts';
import { identityOf, identityUri } from './identity.ts';
import type { EntryParser } from './kinds.ts';
import { CONNECTION_LIMITS } from './limits.ts';
import type { PeerLogger } from './logger.ts';
import { encodePairAnswer, type PairAnswer, type PairRequest, readPairRequest } from './pair.ts';
import { ACKNOWLEDGED, type Acknowledged, METHOD } from './schema.ts';
import { OUTCOME_CHARACTERS, type PeerCallKind, type PeerTap } from './tap.ts';
import type { TlsMaterial } from './tls.ts';
import { TlsListener } from './tls-listener.ts';

export interface InboundOptions {
  readonly self: NodeId;
  readonly cluster: string;
  readonly listen: string;
  readonly tls: TlsMaterial;
  readonly parseEntry: EntryParser;
  isMember(node: NodeId): boolean;
  /** One of them is dialled there: floods from elsewhere keep nobody out who comes from it. */
  isMemberAddress(address: string): boolean;
  /** E5: its id was used before, and never counts again. */
  isRemoved(node: NodeId): boolean;
  onMessage(message: Message): void;
  onStatement(released: Released): void;
  onBootstrap(entry: Entry): Promise<void>;
  /** What this node says about itself; without it the question is refused. */
  facts?(): NodeFacts;
  /** What its pools hold, packed; rejects with why that cannot be said. */
  pools?(): Promise<string>;
  /** Takes a data node's keys for the replication over SSH, and says the own ones; rejects with why not. */
  pair?(from: NodeId, request: PairRequest): Promise<PairAnswer>;
  readonly logger: PeerLogger;
  readonly tap?: PeerTap;
}

type StreamCall = ServerReadableStream<Buffer, Acknowledged>;
type Reply = sendUnaryData<Acknowledged>;
type Refusal = Pick<StatusObject, 'code' | 'details'>;

/** How the refusal of a removed node begins, which it understands. Text for ever: nodes of other versions read it. */
export const REMOVED = 'removed: ';

export class PeerServer {
  readonly #options: InboundOptions;
  readonly #server: Server = createServer();
  readonly #listener: TlsListener;
  readonly #open = new Map<string, { readonly call: StreamCall; readonly reply: Reply }>();
  /** By member: bounded by them. */
  readonly #formats = new Map<NodeId, number | null>();
  readonly #dropped = new Map<WireProblem, number>();
  readonly #logged = new Set<string>();
  /** The port that was bound: the configured one, or the kernel's choice for 0. */
  port = 0;
  received = 0;

  constructor(options: InboundOptions) {
    this.#options = options;
    // TLS ends at the listener; gRPC finds the certificate at the socket.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = new TlsListener({
      ...{ listen: options.listen, tls: options.tls, setting: 'the peer address', minVersion: 'TLSv1.3' },
      limits: CONNECTION_LIMITS,
      ownerOf: (certificate) => this.#memberOf(certificate),
      isFavoured: (address) => options.isMemberAddress(address),
      onConnection: (socket) => injector.injectConnection(socket),
    });
    const stream = (lane: Lane): handleClientStreamingCall<Buffer, Acknowledged> => {
      return (call, reply) => this.#onStream(lane, call, reply);
    };
    const released: handleUnaryCall<Buffer, Acknowledged> = (call, reply) => this.#onReleased(call, reply);
    const bootstrap: handleUnaryCall<Buffer, Acknowledged> = (call, reply) => this.#onBootstrap(call, reply);
    const facts: handleUnaryCall<Buffer, Buffer> = (call, reply) => this.#onFacts(call, reply);
    this.#server.addService(SERVICE, {
      heartbeats: stream('heartbeats'),
      appends: stream('appends'),
      reportReleased: released,
      bootstrap,
      facts,
      pair: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
        this.#onPair(call, reply),
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
    return this.#dropped;
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
      if (!this.#options.isMember(node))
        reply(refusal(status.PERMISSION_DENIED, this.#strangerSentence(node)));
    }
  }

  async close(): Promise<void> {
    const stopped = this.#listener.stop();
    this.#server.forceShutdown();
    this.#listener.cut();
    await stopped;
  }

  /** Null: a stranger, whose calls are refused one by one, with the reason. */
  #memberOf(certificate: Uint8Array): NodeId | null {
    const { cluster, self, isMember } = this.#options;
    const identity = identityOf(certificate);
    if (identity === null || identity.cluster !== cluster || !('node' in identity)) return null;
    return identity.node !== self && isMember(identity.node) ? identity.node : null;
  }

  #strangerSentence(node: NodeId): string {
    const { cluster, self, isRemoved } = this.#options;
    if (isRemoved(node)) return `${REMOVED}${node} was removed from ${cluster}, says the log of ${self} (E5)`;
    return `${node} is not a member that ${self} knows`;
  }

  /** The node that speaks, or why it may not. TLS has checked the issuer; here it is about the name. */
  #authenticate(
    call: StreamCall | ServerUnaryCall<Buffer, unknown>,
  ): { readonly ok: true; readonly node: NodeId } | { readonly ok: false; readonly why: Refusal } {
    const { cluster, self } = this.#options;
    const no = (code: status, details: string) => ({ ok: false, why: { code, details } }) as const;
    const certificate = call.getAuthContext().sslPeerCertificate?.raw;
    if (certificate === undefined)
      return no(status.UNAUTHENTICATED, `${self} wants a certificate of ${cluster}`);
    const identity = identityOf(certificate);
    if (identity === null) {
      return no(
        status.UNAUTHENTICATED,
        `the certificate names no node of ${cluster}; issue one with quorate pki`,
      );
    }
    if (identity.cluster !== cluster || !('node' in identity)) {
      const found = identityUri(identity);
      return no(
        status.PERMISSION_DENIED,
        `the certificate is for ${found}, but ${self} talks to nodes of ${cluster}`,
      );
    }
    if (identity.node === self) return no(status.PERMISSION_DENIED, `${self} is this node's own name`);
    if (!this.#options.isMember(identity.node)) {
      return no(status.PERMISSION_DENIED, this.#strangerSentence(identity.node));
    }
    return { ok: true, node: identity.node };
  }

  #onStream(lane: Lane, call: StreamCall, reply: Reply): void {
    const caller = this.#authenticate(call);
    let isEnded = false;
    const replyOnce: Reply = (error, value) => {
      if (isEnded) return;
      isEnded = true;
      reply(error, value);
    };
    // A broken connection or an oversized message ends the call by itself.
    call.on('error', () => {});
    if (!caller.ok) {
      this.#refuse(call.getPeer(), caller.why);
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
    const message = this.#checked(from, () => decodeMessage(bytes, this.#receiving(from), lane));
    const { tap } = this.#options;
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

  /** Shows a single call and, when it is given, its answer; the reply itself while nobody looks. */
  #shown<Answer>(
    kind: PeerCallKind,
    peer: NodeId,
    question: Buffer,
    reply: sendUnaryData<Answer>,
  ): sendUnaryData<Answer> {
    const { tap } = this.#options;
    if (tap?.isWatched !== true) return reply;
    const seen = { peer, message: null };
    const bytes = question.length;
    tap.message({ ...seen, direction: 'received', kind, bytes, outcome: null, latencyMs: null });
    const arrivedAt = performance.now();
    return (error, answer, ...rest) => {
      reply(error, answer, ...rest);
      tap.message({
        ...seen,
        direction: 'sent',
        kind: `${kind}-ack`,
        bytes: answer instanceof Uint8Array ? answer.length : 0,
        outcome: error === null ? null : `refused: ${error.details ?? ''}`.slice(0, OUTCOME_CHARACTERS),
        latencyMs: performance.now() - arrivedAt,
      });
    };
  }

  #receiving(from: NodeId) {
    const { cluster, self, parseEntry } = this.#options;
    return { cluster, self, from, parseEntry };
  }

  /** Counts what does not pass, and says so once per kind and peer: a peer cannot fill the log. */
  #checked<Value>(from: NodeId, decode: () => Value): Value | WireError {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const { problem, message } = error;
      this.#dropped.set(problem, (this.#dropped.get(problem) ?? 0) + 1);
      if (!this.#logged.has(`${from} ${problem}`)) {
        this.#logged.add(`${from} ${problem}`);
        this.#options.logger.warn(
          { event: 'peer-message-dropped', node: from, problem, why: message },
          `dropped a ${problem} message of ${from}: ${message}; further ones are only counted`,
        );
      }
      return error;
    }
  }

  #onReleased(call: ServerUnaryCall<Buffer, Acknowledged>, callback: Reply): void {
    const caller = this.#authenticate(call);
    if (!caller.ok) return callback(this.#refuse(call.getPeer(), caller.why));
    const { node } = caller;
    const reply = this.#shown('released', node, call.request, callback);
    const message = this.#checked(node, () => decodeMessage(call.request, this.#receiving(node), null));
    if (message instanceof WireError) return reply(refusal(status.INVALID_ARGUMENT, message.message));
    assert(message.kind === 'released', 'the codec lets only statements through outside the streams');
    this.#options.onStatement(message);
    reply(null, ACKNOWLEDGED);
  }

  #onBootstrap(call: ServerUnaryCall<Buffer, Acknowledged>, callback: Reply): void {
    const caller = this.#authenticate(call);
    if (!caller.ok) return callback(this.#refuse(call.getPeer(), caller.why));
    const { node } = caller;
    const reply = this.#shown('bootstrap', node, call.request, callback);
    const entry = this.#checked(node, () => decodeBootstrap(call.request, this.#receiving(node)));
    if (entry instanceof WireError) return reply(refusal(status.INVALID_ARGUMENT, entry.message));
    this.#options.onBootstrap(entry).then(
      () => reply(null, ACKNOWLEDGED),
      (error: unknown) =>
        reply(refusal(status.FAILED_PRECONDITION, String((error as Error).message ?? error))),
    );
  }

  #onFacts(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void {
    const caller = this.#authenticate(call);
    if (!caller.ok) return callback(this.#refuse(call.getPeer(), caller.why));
    const { cluster, self, facts, pools } = this.#options;
    const from = caller.node;
    const reply = this.#shown('facts', from, call.request, callback);
    const question = this.#checked(from, () => readFactsRequest(call.request, { cluster, from }));
    if (question instanceof WireError) return reply(refusal(status.INVALID_ARGUMENT, question.message));
    if (facts === undefined) return reply(refusal(status.UNIMPLEMENTED, `${self} says nothing about itself`));
    if (!question.pools) return reply(null, encodeFacts(facts(), cluster));
    if (pools === undefined)
      return reply(refusal(status.UNIMPLEMENTED, `${self} says nothing about its pools`));
    // By this the caller's dial has succeeded: a reading takes longer than a dial may.
    call.sendMetadata(new Metadata());
    pools().then(
      (reading) => reply(null, encodeFacts(facts(), cluster, reading)),
      (error: unknown) =>
        reply(refusal(status.FAILED_PRECONDITION, String((error as Error).message ?? error))),
    );
  }

  #onPair(call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void {
    const caller = this.#authenticate(call);
    if (!caller.ok) return reply(this.#refuse(call.getPeer(), caller.why));
    const { cluster, self, pair } = this.#options;
    const from = caller.node;
    const request = this.#checked(from, () => readPairRequest(call.request, { cluster, from }));
    if (request instanceof WireError) return reply(refusal(status.INVALID_ARGUMENT, request.message));
    if (pair === undefined) return reply(refusal(status.UNIMPLEMENTED, `${self} does not pair`));
    // By this the caller's dial has succeeded: files are written, which may take longer than a dial.
    call.sendMetadata(new Metadata());
    pair(from, request).then(
      (answer) => reply(null, encodePairAnswer(answer, self, cluster)),
      (error: unknown) =>
        reply(refusal(status.FAILED_PRECONDITION, String((error as Error).message ?? error))),
    );
  }

  #refuse(peer: string, why: Refusal): Refusal {
    if (!this.#logged.has(`${why.details}`)) {
      if (this.#logged.size < LOGGED_LIMIT) this.#logged.add(why.details);
      this.#options.logger.warn(
        { event: 'peer-refused', address: peer, why: why.details },
        `refused ${peer}: ${why.details}`,
      );
    }
    return why;
  }
}

/** Distinct refusals that are remembered in order not to be logged again. */
const LOGGED_LIMIT = 1000;

const refusal = (code: status, details: string): Refusal => ({ code, details });

/** Bytes in: what is in them is the codec's to judge, which can refuse without ending a stream. */
function method<Answer>(
  path: string,
  isStream: boolean,
  responseSerialize: (answer: Answer) => Buffer,
): MethodDefinition<Buffer, Answer> {
  return {
    path,
    requestStream: isStream,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize,
    responseDeserialize: () => {
      throw new InvariantError('a server reads no answers');
    },
  };
}

const asIs = (bytes: Buffer): Buffer => bytes;
const nothing = (_: Acknowledged): Buffer => Buffer.alloc(0);

const SERVICE = {
  heartbeats: method(METHOD.heartbeats, true, nothing),
  appends: method(METHOD.appends, true, nothing),
  reportReleased: method(METHOD.reportReleased, false, nothing),
  bootstrap: method(METHOD.bootstrap, false, nothing),
  facts: method(METHOD.facts, false, asIs),
  pair: method(METHOD.pair, false, asIs),
};
