/**
 * The single calls to a peer, on a connection of their own that ends with them, or that waits for one. The executor makes the first when its
 * agent is gone, and `quorate doctor` the last, so they need no transport.
 */
import { Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Entry, NodeId, Released } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { channelOptions, secureContext } from './channel.ts';
import { encodeBootstrap, encodeMessage, WireError } from './codec.ts';
import { Dialer, type DialTarget } from './dialer.ts';
import { decodeFacts, decodePools, encodeFactsRequest, type NodeFacts } from './facts.ts';
import { encodePairRequest, type PairAnswer, type PairRequest, readPairAnswer } from './pair.ts';
import { METHOD } from './schema.ts';
import { OUTCOME_CHARACTERS, type PeerCallKind, type PeerTap } from './tap.ts';
import type { TlsMaterial } from './tls.ts';

export interface UnaryOptions {
  readonly tls: TlsMaterial;
  readonly cluster: string;
  /** Ends the call as `peer-unreachable`; default 2 s. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Told of the call while somebody looks. */
  readonly tap?: PeerTap;
}

const DEADLINE_MS = 2000;

/**
 * Says to `released.to`, which listens on `address`, that `released.from` has released (R4); resolves when the peer's
 * agent has it. Throws `peer-unreachable` (nobody there, or no answer: unknown) or `peer-refused`.
 */
export function sendStatement(address: string, released: Released, options: UnaryOptions): Promise<void> {
  const bytes = encodeMessage(released, options.cluster);
  return callOnce(METHOD.reportReleased, address, released.to, bytes, options);
}

/**
 * Gives the first entry of a new cluster's log to the node on `address` (H7). `to`: the node expected there, null for
 * any of the cluster. Throws as `sendStatement`; `peer-refused` carries the peer's reason.
 */
export function sendBootstrap(
  address: string,
  entry: Entry,
  options: UnaryOptions & { readonly from: NodeId; readonly to: NodeId | null },
): Promise<void> {
  const bytes = encodeBootstrap(entry, options.from, options.cluster);
  return callOnce(METHOD.bootstrap, address, options.to, bytes, options);
}

export interface FactsAnswer {
  readonly facts: NodeFacts;
  /** From the call to its answer, on a connection that was there already. */
  readonly roundTripMs: number;
  /** Wall clock of this host when it was asked, ms since 1970. */
  readonly askedAtMs: number;
}

/**
 * Asks the node on `address` about itself, `times` after a first call that makes the connection; the deadline bounds them
 * all. Throws as `sendStatement`; `peer-refused` also where its version does not know the question.
 */
export async function askFacts(
  address: string,
  options: UnaryOptions & { readonly from: NodeId; readonly to: NodeId; readonly times: number },
): Promise<FactsAnswer[]> {
  const bytes = encodeFactsRequest(options.from, options.cluster);
  return withPeer(address, options.to, options, async (call) => {
    await call(METHOD.facts, bytes);
    const answers: FactsAnswer[] = [];
    while (answers.length < options.times) {
      const askedAtMs = Date.now();
      const startedAt = performance.now();
      const answer = await call(METHOD.facts, bytes);
      const roundTripMs = performance.now() - startedAt;
      answers.push({ facts: understood(decodeFacts, answer, options), roundTripMs, askedAtMs });
    }
    return answers;
  });
}

/**
 * Asks the node on `address` what its pools hold: a packed reading, null where its version does not say it. Throws as
 * `sendStatement`; `peer-refused` also where its executor does not answer.
 */
export async function askPools(
  address: string,
  options: UnaryOptions & { readonly from: NodeId; readonly to: NodeId },
): Promise<string | null> {
  const bytes = encodeFactsRequest(options.from, options.cluster, true);
  const answer = await withPeer(address, options.to, options, async (call, ready) => {
    await ready();
    return call(METHOD.facts, bytes);
  });
  return understood(decodePools, answer, options);
}

/** `quorate replication pair`: gives the node on `address` the own keys, and gets its. Throws as `askPools`. */
export async function askPair(
  address: string,
  request: PairRequest,
  options: UnaryOptions & { readonly from: NodeId; readonly to: NodeId },
): Promise<PairAnswer> {
  const bytes = encodePairRequest(request, options.from, options.cluster);
  const answer = await withPeer(address, options.to, options, async (call, ready) => {
    await ready();
    return call(METHOD.pair, bytes);
  });
  return understood(readPairAnswer, answer, options);
}

function understood<Value>(
  decode: (bytes: Buffer, expected: { readonly cluster: string; readonly node: NodeId }) => Value,
  bytes: Buffer,
  { cluster, to }: { readonly cluster: string; readonly to: NodeId },
): Value {
  try {
    return decode(bytes, { cluster, node: to });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new QuorateError('peer-refused', `${to} answered ${error.message}`, { cause: error });
  }
}

function callOnce(
  method: string,
  address: string,
  node: NodeId | null,
  bytes: Buffer,
  options: UnaryOptions,
): Promise<void> {
  return withPeer(address, node, options, async (call) => void (await call(method, bytes)));
}

/** A connection for statements to one peer, that can be made before there is anything to say (R4). */
export interface StatementLine {
  /** Connects in the background, where it is not connected; whether it can is seen by `send`. */
  dial(): void;
  /** As `sendStatement`; connects where that is left to do. */
  send(released: Released, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Idle, it costs one of the server's probes every five seconds. */
export function openStatementLine(
  address: string,
  to: NodeId,
  options: Pick<UnaryOptions, 'tls' | 'cluster'>,
): StatementLine {
  const connection = new Connection({ address, cluster: options.cluster, node: to }, options.tls, null);
  return {
    dial: () => connection.dial(Date.now() + DEADLINE_MS),
    send: async (released, signal) => {
      const bytes = encodeMessage(released, options.cluster);
      await connection.call(METHOD.reportReleased, bytes, Date.now() + DEADLINE_MS, signal);
    },
    close: () => connection.close(),
  };
}

type Call = (method: string, bytes: Buffer) => Promise<Buffer>;

/** One connection for all calls of `work`, one deadline, and both ended with it. */
async function withPeer<Result>(
  address: string,
  node: NodeId | null,
  { tls, cluster, deadlineMs = DEADLINE_MS, signal, tap }: UnaryOptions,
  work: (call: Call, ready: () => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const deadline = Date.now() + deadlineMs;
  const connection = new Connection({ address, cluster, node }, tls, tap ?? null);
  try {
    return await work(
      (method, bytes) => connection.call(method, bytes, deadline, signal),
      () => connection.ready(deadline),
    );
  } finally {
    connection.close();
  }
}

class Connection {
  readonly #target: DialTarget;
  readonly #dialer: Dialer;
  readonly #client: Client;
  readonly #tap: PeerTap | null;
  #lastFailure: Error | null = null;

  constructor(target: DialTarget, tls: TlsMaterial, tap: PeerTap | null) {
    this.#target = target;
    this.#tap = tap;
    const context = secureContext(tls);
    this.#dialer = new Dialer(() => context, target, {
      onFailure: (error) => {
        this.#lastFailure = error;
      },
      onStuck: () => {},
    });
    this.#client = new Client(target.address, this.#dialer, channelOptions(target));
  }

  dial(deadline: number): void {
    this.#client.waitForReady(deadline, (error) => {
      // Nothing is asked yet that the peer could consent to: what bounds the dial must not close an idle connection.
      if (error === undefined) this.#dialer.settle(true);
    });
  }

  /** Before a question whose answer takes long: from here on its deadline bounds it, and not the dial's. */
  ready(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(deadline, (error) => {
        if (error === undefined) {
          this.#dialer.settle(true);
          return resolve();
        }
        const { node, address } = this.#target;
        const why = this.#lastFailure?.message ?? error.message;
        reject(
          new QuorateError('peer-unreachable', `${node ?? 'a node'} (${address}) does not answer: ${why}`, {
            cause: error,
            context: { address, node },
          }),
        );
      });
    });
  }

  call(method: string, bytes: Buffer, deadline: number, signal?: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const onAbort = () => request.cancel();
      const shown = this.#tap?.isWatched === true ? this.#show(this.#tap, method, bytes) : null;
      const request = this.#client.makeUnaryRequest(
        method,
        asIs,
        asIs,
        bytes,
        new Metadata({ waitForReady: true }),
        { deadline },
        (error, answer) => {
          signal?.removeEventListener('abort', onAbort);
          shown?.(error, answer);
          if (error !== null) reject(asQuorateError(error, this.#target, this.#lastFailure));
          else resolve(answer ?? Buffer.alloc(0));
        },
      );
      // The handler may take its time (a bootstrap writes to disk): the deadline of the call bounds it, not the dial's.
      request.on('metadata', () => this.#dialer.settle(true));
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted) onAbort();
    });
  }

  close(): void {
    this.#client.close();
    this.#dialer.dispose();
  }

  /** Shows the question; what it returns shows the answer. Null where the peer's name, or the method's, is not known. */
  #show(
    tap: PeerTap,
    method: string,
    question: Buffer,
  ): ((error: ServiceError | null, answer?: Buffer) => void) | null {
    const { node: peer } = this.#target;
    const kind = CALL_KINDS.get(method);
    if (peer === null || kind === undefined) return null;
    const seen = { peer, message: null };
    tap.message({
      ...seen,
      direction: 'sent',
      kind,
      bytes: question.length,
      outcome: null,
      latencyMs: null,
    });
    const askedAt = performance.now();
    return (error, answer) =>
      tap.message({
        ...seen,
        direction: 'received',
        kind: `${kind}-ack`,
        bytes: answer?.length ?? 0,
        outcome: error === null ? null : `failed: ${error.details}`.slice(0, OUTCOME_CHARACTERS),
        latencyMs: performance.now() - askedAt,
      });
  }
}

const CALL_KINDS: ReadonlyMap<string, PeerCallKind> = new Map([
  [METHOD.reportReleased, 'released'],
  [METHOD.bootstrap, 'bootstrap'],
  [METHOD.facts, 'facts'],
]);

const asIs = (bytes: Buffer): Buffer => bytes;

/** What says that the peer's agent never decided: nobody answered, or the connection broke. */
const UNANSWERED: ReadonlySet<status> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
]);

function asQuorateError(
  error: ServiceError,
  target: { readonly address: string; readonly node: NodeId | null },
  lastFailure: Error | null,
): QuorateError {
  const peer = target.node === null ? target.address : `${target.node} (${target.address})`;
  const context = { address: target.address, node: target.node };
  if (!UNANSWERED.has(error.code)) {
    return new QuorateError('peer-refused', `${peer} refused: ${error.details}`, { cause: error, context });
  }
  const why = lastFailure?.message ?? error.details;
  return new QuorateError('peer-unreachable', `${peer} does not answer: ${why}`, { cause: error, context });
}
