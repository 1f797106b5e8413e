/**
 * Messages to bytes and back: the gateway for everything that other agents say (style 4).
 *
 * Invariants of a decoded message: it is from the node that the certificate names, to this node, of this cluster,
 * on the stream that is for its kind; every number is in its range; an append's entries are contiguous behind
 * `previousIndex` and each passed the log's own gateway. Anything else throws a `WireError` and goes no further.
 */
import type { Entry, Message, NodeId } from '../core/index.ts';
import { type EntryParser, entryFromWire, entryToWire, kindFromWire, kindToWire, present } from './kinds.ts';
import { peerSchema } from './schema.ts';
import type { WireBootstrap, WireMessage } from './wire.ts';

/** Which of the two streams of a node a message travels on. */
export type Lane = 'heartbeats' | 'appends';

export const laneOf = (kind: Message['kind']): Lane =>
  kind === 'heartbeat' || kind === 'heartbeat-ack' ? 'heartbeats' : 'appends';

/** Why a message was dropped; the first words of its log line, and the label of its counter. */
export type WireProblem = 'malformed' | 'wrong-cluster' | 'wrong-sender' | 'wrong-receiver' | 'wrong-stream';

export class WireError extends Error {
  override readonly name = 'WireError';
  readonly problem: WireProblem;
  constructor(problem: WireProblem, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.problem = problem;
  }
}

export function encodeMessage(message: Message, cluster: string): Buffer {
  const wire: WireMessage = {
    cluster,
    from: message.from,
    to: message.to,
    term: message.term,
    ...kindToWire(message),
  };
  return peerSchema().message.encode(wire);
}

/** What the receiver knows before it reads a message: from the certificate, the stream, and its own configuration. */
export interface Receiving {
  readonly cluster: string;
  readonly self: NodeId;
  readonly from: NodeId;
  readonly parseEntry: EntryParser;
}

/** Throws `WireError` and nothing else. `lane` null: a single call, for `released` only. */
export function decodeMessage(bytes: Buffer, receiving: Receiving, lane: Lane | null): Message {
  try {
    const wire = peerSchema().message.decode(bytes);
    if (wire.cluster !== receiving.cluster)
      throw new WireError('wrong-cluster', `a message of cluster ${show(wire.cluster)}`);
    if (wire.from !== receiving.from)
      throw new WireError(
        'wrong-sender',
        `a message of ${show(wire.from)} with the certificate of ${receiving.from}`,
      );
    if (wire.to !== receiving.self)
      throw new WireError('wrong-receiver', `a message to ${show(wire.to)}, not to ${receiving.self}`);
    const message = kindFromWire(wire, { from: receiving.from, to: receiving.self }, receiving.parseEntry);
    const isRightStream = lane === null ? message.kind === 'released' : laneOf(message.kind) === lane;
    if (!isRightStream)
      throw new WireError('wrong-stream', `a message of kind ${message.kind} on the wrong stream`);
    return message;
  } catch (error) {
    throw asWireError(error);
  }
}

export function encodeBootstrap(entry: Entry, from: NodeId, cluster: string): Buffer {
  return peerSchema().bootstrap.encode({ cluster, from, entry: entryToWire(entry) });
}

/** Throws `WireError` and nothing else. */
export function decodeBootstrap(bytes: Buffer, receiving: Receiving): Entry {
  try {
    const wire: WireBootstrap = peerSchema().bootstrap.decode(bytes);
    if (wire.cluster !== receiving.cluster)
      throw new WireError('wrong-cluster', `an entry of cluster ${show(wire.cluster)}`);
    if (wire.from !== receiving.from)
      throw new WireError(
        'wrong-sender',
        `an entry from ${show(wire.from)} with the certificate of ${receiving.from}`,
      );
    return entryFromWire(present(wire.entry, 'entry'), receiving.parseEntry);
  } catch (error) {
    throw asWireError(error);
  }
}

function asWireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new WireError('malformed', why.slice(0, WHY_LIMIT), error);
}

/** Characters of a parser's complaint: it may quote what it was given. */
const WHY_LIMIT = 300;

/** Somebody else's text, short and on one line. */
function show(value: unknown): string {
  return JSON.stringify(String(value).slice(0, 80));
}
