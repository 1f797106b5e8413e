/**
 * The single calls of peers: a statement, the first entry, facts, keys. Each is answered once; what is not understood is an answer too, and
 * is counted.
 */
import { Metadata, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { assert, type Entry, type NodeId, type Released } from '../core/index.ts';
import { type Callers, type Refusal, refusal } from './callers.ts';
import { decodeBootstrap, decodeMessage, WireError } from './codec.ts';
import type { DroppedMessages } from './dropped.ts';
import { encodeFacts, type NodeFacts, readFactsRequest } from './facts.ts';
import type { EntryParser } from './kinds.ts';
import { encodePairAnswer, type PairAnswer, type PairRequest, readPairRequest } from './pair.ts';
import { ACKNOWLEDGED, type Acknowledged } from './schema.ts';
import { OUTCOME_CHARACTERS, type PeerCallKind, type PeerTap } from './tap.ts';

export interface CallsOptions {
  readonly self: NodeId;
  readonly cluster: string;
  readonly parseEntry: EntryParser;
  onStatement(released: Released): void;
  onBootstrap(entry: Entry): Promise<void>;
  /** What this node says about itself; without it the question is refused. */
  facts?(): NodeFacts;
  /** What its pools hold, packed; rejects with why that cannot be said. */
  pools?(): Promise<string>;
  /** Takes a data node's keys for the replication over SSH, and says the own ones; rejects with why not. */
  pair?(from: NodeId, request: PairRequest): Promise<PairAnswer>;
  readonly tap?: PeerTap;
}

type Call = ServerUnaryCall<Buffer, unknown>;

export class SingleCalls {
  readonly #options: CallsOptions;
  readonly #callers: Callers;
  readonly #dropped: DroppedMessages;

  constructor(options: CallsOptions, callers: Callers, dropped: DroppedMessages) {
    this.#options = options;
    this.#callers = callers;
    this.#dropped = dropped;
  }

  released(call: Call, callback: sendUnaryData<Acknowledged>): void {
    const caller = this.#callers.admit(call);
    if (!caller.ok) return callback(caller.why);
    const { node } = caller;
    const reply = this.#shown('released', node, call.request, callback);
    const message = this.#dropped.checked(node, () => decodeMessage(call.request, this.#from(node), null));
    if (message instanceof WireError) return reply(invalid(message));
    assert(message.kind === 'released', 'the codec lets only statements through outside the streams');
    this.#options.onStatement(message);
    reply(null, ACKNOWLEDGED);
  }

  bootstrap(call: Call, callback: sendUnaryData<Acknowledged>): void {
    const caller = this.#callers.admit(call);
    if (!caller.ok) return callback(caller.why);
    const { node } = caller;
    const reply = this.#shown('bootstrap', node, call.request, callback);
    const entry = this.#dropped.checked(node, () => decodeBootstrap(call.request, this.#from(node)));
    if (entry instanceof WireError) return reply(invalid(entry));
    this.#options.onBootstrap(entry).then(
      () => reply(null, ACKNOWLEDGED),
      (error: unknown) => reply(failed(error)),
    );
  }

  facts(call: Call, callback: sendUnaryData<Buffer>): void {
    const caller = this.#callers.admit(call);
    if (!caller.ok) return callback(caller.why);
    const { cluster, self, facts, pools } = this.#options;
    const from = caller.node;
    const reply = this.#shown('facts', from, call.request, callback);
    const question = this.#dropped.checked(from, () => readFactsRequest(call.request, { cluster, from }));
    if (question instanceof WireError) return reply(invalid(question));
    if (facts === undefined) return reply(refusal(status.UNIMPLEMENTED, `${self} says nothing about itself`));
    if (!question.pools) return reply(null, encodeFacts(facts(), cluster));
    if (pools === undefined)
      return reply(refusal(status.UNIMPLEMENTED, `${self} says nothing about its pools`));
    // By this the caller's dial has succeeded: a reading takes longer than a dial may.
    call.sendMetadata(new Metadata());
    pools().then(
      (reading) => reply(null, encodeFacts(facts(), cluster, reading)),
      (error: unknown) => reply(failed(error)),
    );
  }

  pair(call: Call, reply: sendUnaryData<Buffer>): void {
    const caller = this.#callers.admit(call);
    if (!caller.ok) return reply(caller.why);
    const { cluster, self, pair } = this.#options;
    const from = caller.node;
    const request = this.#dropped.checked(from, () => readPairRequest(call.request, { cluster, from }));
    if (request instanceof WireError) return reply(invalid(request));
    if (pair === undefined) return reply(refusal(status.UNIMPLEMENTED, `${self} does not pair`));
    // By this the caller's dial has succeeded: files are written, which may take longer than a dial.
    call.sendMetadata(new Metadata());
    pair(from, request).then(
      (answer) => reply(null, encodePairAnswer(answer, self, cluster)),
      (error: unknown) => reply(failed(error)),
    );
  }

  #from(from: NodeId) {
    const { cluster, self, parseEntry } = this.#options;
    return { cluster, self, from, parseEntry };
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
}

const invalid = ({ message }: WireError): Refusal => refusal(status.INVALID_ARGUMENT, message);
const failed = (error: unknown): Refusal =>
  refusal(status.FAILED_PRECONDITION, String((error as Error).message ?? error));
