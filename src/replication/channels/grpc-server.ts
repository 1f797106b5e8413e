/**
 * The receiving side of the gRPC channel. It runs in a process of its own: every byte of a stream passes Node here, which costs
 * about a core at full speed, and neither agent nor executor may feel that.
 *
 * 1. Only the other data node of this cluster is answered, whoever else has a certificate of the CA, and only while the log has it as
 *    a member (E5): its streams end with that.
 * 2. Of a stream no more is in memory than gRPC's window and one pipe: it is read only as fast as `zfs receive` takes it.
 * 3. Connections, handshakes, calls and messages have limits (grpc-limits.ts, grpc-schema.ts).
 */
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { identityOf, identityUri, TlsListener, type TlsMaterial } from '../../peer/index.ts';
import type { Receiver } from '../receiver/index.ts';
import { answerPerform, answerRead } from './answering.ts';
import { CallLimits } from './call-limits.ts';
import { REPLICATION_CONNECTIONS } from './grpc-limits.ts';
import { GRPC_LIMITS, replicationService, type WirePart, type WireText } from './grpc-schema.ts';
import { IncomingStream } from './incoming-stream.ts';
import {
  type Answer,
  failedBy,
  PROTOCOL_LIMITS,
  type Question,
  readQuestion,
  writeAnswer,
} from './protocol.ts';

export interface ReplicationServerOptions {
  readonly cluster: string;
  readonly self: NodeId;
  readonly peer: NodeId;
  /** HOST:PORT; port 0 lets the kernel choose. */
  readonly listen: string;
  /** Where the other data node is reached by this channel: what comes from there does not need the room of strangers. */
  readonly peerAddress?: string;
  readonly tls: TlsMaterial;
  readonly receiver: Receiver;
  readonly log: (level: 'info' | 'warn', fields: Record<string, unknown>, text: string) => void;
}

type Unary = ServerUnaryCall<WireText, WireText>;
type Refusal = Pick<StatusObject, 'code' | 'details'>;

const CLOSE_LIMIT_MS = 500;
/** Longer than a `zfs receive` has to end when it is asked to (receive.ts); what outlives it is in the registry, for a takeover. */
const STREAMS_LIMIT_MS = 5000;
/** Of refusals that are logged once each. */
const MAX_LOGGED = 100;

export class ReplicationServer {
  readonly #options: ReplicationServerOptions;
  readonly #server = new Server({
    'grpc.max_receive_message_length': GRPC_LIMITS.messageBytes,
    'grpc.max_metadata_size': 8 * 1024,
    'grpc.max_concurrent_streams': 16,
    'grpc.keepalive_time_ms': GRPC_LIMITS.keepaliveMs,
    'grpc.keepalive_timeout_ms': GRPC_LIMITS.keepaliveMs,
  });
  readonly #listener: TlsListener;
  readonly #limits = new CallLimits();
  readonly #logged = new Set<string>();
  readonly #ending = new AbortController();
  readonly #streams = new Set<Promise<void>>();
  /** Aborted when the other data node is removed. */
  #membership = new AbortController();

  constructor(options: ReplicationServerOptions) {
    this.#options = options;
    // TLS ends at the listener; gRPC finds the certificate at the socket.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = new TlsListener({
      ...{ listen: options.listen, setting: 'replication.channel', minVersion: 'TLSv1.3', tls: options.tls },
      limits: REPLICATION_CONNECTIONS,
      ownerOf: (certificate) => (this.#whyNot(certificate) === null ? options.peer : null),
      isFavoured: (address) => address === options.peerAddress,
      onConnection: (socket) => injector.injectConnection(socket),
    });
    this.#server.addService(replicationService(), {
      Read: (call: Unary, reply: sendUnaryData<WireText>) =>
        void this.#unary(call, reply, (question) => answerRead(options.receiver, question)),
      Perform: (call: Unary, reply: sendUnaryData<WireText>) =>
        void this.#unary(call, reply, (question, signal) =>
          answerPerform(options.receiver, question, signal),
        ),
      Receive: (call: ServerDuplexStream<WirePart, WireText>) => this.#receive(call),
    });
  }

  /** Resolves with the port. */
  listen(): Promise<number> {
    return this.#listener.start();
  }

  /** Connections that were closed at a limit since the start. */
  get refusedConnections(): number {
    return this.#listener.refused;
  }

  /** For connections from now on; those that are open stay. */
  replaceTls(tls: TlsMaterial): void {
    this.#listener.replaceTls(tls);
  }

  /** The other members, as the log has them: the config file of when this process began may name one that was removed since. */
  setMembers(ids: readonly string[]): void {
    const isMember = ids.includes(this.#options.peer);
    if (isMember === !this.#membership.signal.aborted) return;
    if (isMember) this.#membership = new AbortController();
    else this.#membership.abort();
  }

  /** Ends every stream: what has arrived is kept by ZFS. One that hangs, in a kernel that waits for a disk, is not waited for. */
  async close(): Promise<void> {
    this.#ending.abort();
    await Promise.race([
      Promise.all(this.#streams),
      new Promise((resolve) => setTimeout(resolve, STREAMS_LIMIT_MS).unref()),
    ]);
    const stopped = this.#listener.stop();
    await new Promise<void>((resolve) => {
      const limit = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, CLOSE_LIMIT_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(limit);
        resolve();
      });
    });
    this.#listener.cut();
    await stopped;
  }

  /** Null: it may ask. TLS has checked the issuer; here it is about the name. */
  #whyNot(certificate: Uint8Array | undefined): string | null {
    const { cluster, self, peer } = this.#options;
    const identity = certificate === undefined ? null : identityOf(certificate);
    const isPeer =
      identity !== null && 'node' in identity && identity.cluster === cluster && identity.node === peer;
    if (isPeer)
      return this.#membership.signal.aborted
        ? `${peer} was removed from ${cluster}, says the log of ${self} (E5)`
        : null;
    const found = identity === null ? 'no node of a cluster' : identityUri(identity);
    return `the certificate names ${found}, and ${self} receives from ${peer} of ${cluster} only`;
  }

  /** Null: it may ask now. Every null of a kind is followed by the end of it. */
  #refusal(call: Pick<Unary, 'getAuthContext' | 'getPeer'>, kind: 'streams' | 'questions'): Refusal | null {
    const details = this.#whyNot(call.getAuthContext().sslPeerCertificate?.raw);
    if (details === null) {
      const why = this.#limits.begin(kind);
      return why === null ? null : { code: status.RESOURCE_EXHAUSTED, details: why };
    }
    if (this.#logged.size < MAX_LOGGED && !this.#logged.has(details)) {
      this.#logged.add(details);
      this.#options.log('warn', { event: 'replication-caller-refused', address: call.getPeer() }, details);
    }
    return { code: status.PERMISSION_DENIED, details };
  }

  #question({ json }: WireText): Question {
    if (json.length > PROTOCOL_LIMITS.questionCharacters)
      throw new QuorateError('replication-refused', 'the question is too long');
    const { cluster, self, peer } = this.#options;
    return readQuestion(json, { cluster, from: peer, to: self });
  }

  async #unary(
    call: Unary,
    reply: sendUnaryData<WireText>,
    handle: (question: Question, signal: AbortSignal) => Promise<Answer>,
  ): Promise<void> {
    const no = this.#refusal(call, 'questions');
    if (no !== null) return reply(no);
    // The caller's dial has succeeded with this, however long the answer takes.
    call.sendMetadata(new Metadata());
    const over = new AbortController();
    call.on('cancelled', () => over.abort());
    let answer: Answer;
    try {
      const signal = AbortSignal.any([over.signal, this.#ending.signal, this.#membership.signal]);
      answer = await handle(this.#question({ json: call.request.json ?? '' }), signal);
    } catch (error) {
      answer = failedBy(error);
    }
    this.#limits.end('questions');
    reply(null, { json: writeAnswer(answer) });
  }

  #receive(call: ServerDuplexStream<WirePart, WireText>): void {
    // A broken connection ends the call by itself.
    call.on('error', () => {});
    const no = this.#refusal(call, 'streams');
    if (no !== null) {
      call.emit('error', no);
      return;
    }
    call.sendMetadata(new Metadata());
    const { receiver } = this.#options;
    const ending = AbortSignal.any([this.#ending.signal, this.#membership.signal]);
    const stream = new IncomingStream(call, ending);
    const done = stream
      .run(async (json, signal) => {
        const { epoch, order } = this.#question({ json });
        return receiver.receive(epoch, order, 'pipe', signal);
      })
      .finally(() => {
        this.#limits.end('streams');
        this.#streams.delete(done);
      });
    this.#streams.add(done);
  }
}
