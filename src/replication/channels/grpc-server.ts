/**
 * The receiving side of the gRPC channel. It runs in a process of its own: every byte of a stream passes Node here, which costs
 * about a core at full speed, and neither agent nor executor may feel that.
 *
 * 1. Only the other data node of this cluster is answered, whoever else has a certificate of the CA.
 * 2. Of a stream no more is in memory than gRPC's window and one pipe: it is read only as fast as `zfs receive` takes it.
 */
import {
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { identityOf, identityUri, LiveServerCredentials, type TlsMaterial } from '../../peer/index.ts';
import type { Receiver } from '../receiver/index.ts';
import { answerPerform, answerRead } from './answering.ts';
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
  readonly #credentials: LiveServerCredentials;
  readonly #logged = new Set<string>();
  readonly #ending = new AbortController();
  readonly #streams = new Set<Promise<void>>();

  constructor(options: ReplicationServerOptions) {
    this.#options = options;
    this.#credentials = new LiveServerCredentials(options.tls);
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
  async listen(): Promise<number> {
    const { listen } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(listen, this.#credentials, (error, port) => {
        if (error === null) return resolve(port);
        const isTaken = /EADDRINUSE/.test(error.message);
        const why = isTaken ? 'it is in use by another process' : error.message;
        const code = isTaken ? 'port-in-use' : 'address-not-available';
        reject(new QuorateError(code, `cannot listen on ${listen}: ${why}`, { cause: error }));
      });
    });
  }

  /** For connections from now on; those that are open stay. */
  replaceTls(tls: TlsMaterial): void {
    this.#credentials.replace(tls);
  }

  /** Ends every stream: what has arrived is kept by ZFS. One that hangs, in a kernel that waits for a disk, is not waited for. */
  async close(): Promise<void> {
    this.#ending.abort();
    await Promise.race([
      Promise.all(this.#streams),
      new Promise((resolve) => setTimeout(resolve, STREAMS_LIMIT_MS).unref()),
    ]);
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
  }

  /** Null: it may ask. TLS has checked the issuer; here it is about the name. */
  #refusal(call: Pick<Unary, 'getAuthContext' | 'getPeer'>): Refusal | null {
    const { cluster, self, peer, log } = this.#options;
    const certificate = call.getAuthContext().sslPeerCertificate?.raw;
    const identity = certificate === undefined ? null : identityOf(certificate);
    if (identity !== null && 'node' in identity && identity.cluster === cluster && identity.node === peer)
      return null;
    const found = identity === null ? 'no node of a cluster' : identityUri(identity);
    const details = `the certificate names ${found}, and ${self} receives from ${peer} of ${cluster} only`;
    if (this.#logged.size < MAX_LOGGED && !this.#logged.has(details)) {
      this.#logged.add(details);
      log('warn', { event: 'replication-caller-refused', address: call.getPeer() }, details);
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
    const no = this.#refusal(call);
    if (no !== null) return reply(no);
    // The caller's dial has succeeded with this, however long the answer takes.
    call.sendMetadata(new Metadata());
    const over = new AbortController();
    call.on('cancelled', () => over.abort());
    let answer: Answer;
    try {
      const signal = AbortSignal.any([over.signal, this.#ending.signal]);
      answer = await handle(this.#question({ json: call.request.json ?? '' }), signal);
    } catch (error) {
      answer = failedBy(error);
    }
    reply(null, { json: writeAnswer(answer) });
  }

  #receive(call: ServerDuplexStream<WirePart, WireText>): void {
    // A broken connection ends the call by itself.
    call.on('error', () => {});
    const no = this.#refusal(call);
    if (no !== null) {
      call.emit('error', no);
      return;
    }
    call.sendMetadata(new Metadata());
    const { receiver } = this.#options;
    const stream = new IncomingStream(call, this.#ending.signal);
    const done = stream
      .run(async (json, signal) => {
        const { epoch, order } = this.#question({ json });
        return receiver.receive(epoch, order, 'pipe', signal);
      })
      .finally(() => this.#streams.delete(done));
    this.#streams.add(done);
  }
}
