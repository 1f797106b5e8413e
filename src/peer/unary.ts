/**
 * The two single calls to a peer, each on a connection of its own that ends with it. The executor makes the first
 * when its agent is gone, so they need no transport.
 */
import { Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Entry, NodeId, Released } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { channelOptions, secureContext } from './channel.ts';
import { encodeBootstrap, encodeMessage } from './codec.ts';
import { Dialer } from './dialer.ts';
import { ACKNOWLEDGED, METHOD } from './schema.ts';
import type { TlsMaterial } from './tls.ts';

export interface UnaryOptions {
  readonly tls: TlsMaterial;
  readonly cluster: string;
  /** Ends the call as `peer-unreachable`; default 2 s. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
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

function callOnce(
  method: string,
  address: string,
  node: NodeId | null,
  bytes: Buffer,
  { tls, cluster, deadlineMs = DEADLINE_MS, signal }: UnaryOptions,
): Promise<void> {
  const target = { address, cluster, node };
  let lastFailure: Error | null = null;
  return new Promise<void>((resolve, reject) => {
    const dialer = new Dialer(secureContext(tls), target, {
      onFailure: (error) => {
        lastFailure = error;
      },
      onStuck: () => {},
    });
    const client = new Client(address, dialer, channelOptions(target));
    const onAbort = () => call.cancel();
    const call = client.makeUnaryRequest(
      method,
      (value: Buffer) => value,
      () => ACKNOWLEDGED,
      bytes,
      new Metadata({ waitForReady: true }),
      { deadline: Date.now() + deadlineMs },
      (error) => {
        signal?.removeEventListener('abort', onAbort);
        client.close();
        dialer.dispose();
        if (error === null) resolve();
        else reject(asQuorateError(error, target, lastFailure));
      },
    );
    // The handler may take its time (a bootstrap writes to disk): the deadline of the call bounds it, not the dial's.
    call.on('metadata', () => dialer.settle(true));
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
  });
}

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
