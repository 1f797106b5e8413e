/**
 * Messages to bytes and back: the gateway for everything that other agents say (style 4).
 *
 * Invariants of a decoded message: it is from the node that the certificate names, to this node, of this cluster,
 * on the stream that is for its kind; every number is in its range; an append's entries are contiguous behind
 * `previousIndex` and each passed the log's own gateway. Anything else throws a `WireError` and goes no further.
 */
import {
  assertNever,
  type ChainHash,
  canonicalJson,
  chainHash,
  type DurationMs,
  durationMs,
  type ElectionReason,
  type Entry,
  epoch,
  logIndex,
  type Message,
  type NodeId,
  nodeId,
  type ReleaseProof,
  term,
} from '../core/index.ts';
import { LIMITS } from './limits.ts';
import { peerSchema } from './schema.ts';
import type { WireBootstrap, WireEntry, WireKinds, WireMessage, WireProof } from './wire.ts';

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

/** The log's gateway for an entry; checks its hash too. */
export type EntryParser = (json: unknown) => Entry;

const REASONS = {
  boot: 'ELECTION_REASON_BOOT',
  'leader-silent': 'ELECTION_REASON_LEADER_SILENT',
  released: 'ELECTION_REASON_RELEASED',
  transfer: 'ELECTION_REASON_TRANSFER',
  caretaker: 'ELECTION_REASON_CARETAKER',
  retry: 'ELECTION_REASON_RETRY',
  operator: 'ELECTION_REASON_OPERATOR',
} as const satisfies Record<ElectionReason, string>;
const REASON_OF = new Map<unknown, ElectionReason>(
  Object.entries(REASONS).map(([reason, name]) => [name, reason as ElectionReason]),
);

function entryToWire(entry: Entry): WireEntry {
  return {
    index: entry.index,
    term: entry.term,
    previous: entry.previous,
    hash: entry.hash,
    bodyJson: Buffer.from(canonicalJson(entry.body)),
  };
}

function kindToWire(message: Message): Partial<WireKinds> {
  switch (message.kind) {
    case 'heartbeat':
      return { heartbeat: message };
    case 'heartbeat-ack':
      return { heartbeatAck: message };
    case 'append':
      return { append: { ...message, entries: message.entries.map(entryToWire) } };
    case 'append-ack':
      return { appendAck: message };
    case 'pre-vote':
      return { preVote: message };
    case 'pre-vote-ack':
      return { preVoteAck: message };
    case 'vote':
      return { vote: { ...message, reason: REASONS[message.reason] } };
    case 'vote-ack':
      return { voteAck: message };
    case 'timeout-now':
      return { timeoutNow: message };
    case 'released':
      return {
        released: { epoch: message.epoch, evidence: message.evidence.slice(0, LIMITS.evidenceCharacters) },
      };
    case 'renounced':
      return { renounced: {} };
    default:
      return assertNever(message);
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
    const message = kindFromWire(wire, receiving);
    const isRightStream = lane === null ? message.kind === 'released' : laneOf(message.kind) === lane;
    if (!isRightStream)
      throw new WireError('wrong-stream', `a message of kind ${message.kind} on the wrong stream`);
    return message;
  } catch (error) {
    if (error instanceof WireError) throw error;
    throw new WireError('malformed', error instanceof Error ? error.message : String(error), error);
  }
}

function kindFromWire(wire: WireMessage, { from, self, parseEntry }: Receiving): Message {
  const envelope = { from, to: self, term: term(wire.term) };
  switch (wire.kind) {
    case 'heartbeat': {
      const it = present(wire.heartbeat, 'heartbeat');
      return {
        kind: 'heartbeat',
        ...envelope,
        seq: whole(it.seq, 'seq'),
        commit: logIndex(it.commit),
        renounced: it.renounced,
        promiseMs: duration(it.promiseMs),
      };
    }
    case 'heartbeatAck':
      return {
        kind: 'heartbeat-ack',
        ...envelope,
        seq: whole(present(wire.heartbeatAck, 'ack').seq, 'seq'),
      };
    case 'append': {
      const it = present(wire.append, 'append');
      const previousIndex = logIndex(it.previousIndex);
      return {
        kind: 'append',
        ...envelope,
        previousIndex,
        previousTerm: term(it.previousTerm),
        previousHash: hash(it.previousHash),
        entries: entriesFromWire(it.entries, previousIndex, parseEntry),
        commit: logIndex(it.commit),
        renounced: it.renounced,
        promiseMs: duration(it.promiseMs),
      };
    }
    case 'appendAck': {
      const it = present(wire.appendAck, 'append-ack');
      const healed = it.healed ?? null;
      return {
        kind: 'append-ack',
        ...envelope,
        success: it.success,
        match: logIndex(it.match),
        conflictIndex: logIndex(it.conflictIndex),
        conflictTerm: term(it.conflictTerm),
        healed: healed && { markerIndex: logIndex(healed.markerIndex), markerTerm: term(healed.markerTerm) },
      };
    }
    case 'preVote': {
      const it = present(wire.preVote, 'pre-vote');
      return {
        kind: 'pre-vote',
        ...envelope,
        nextTerm: term(it.nextTerm),
        round: whole(it.round, 'round'),
        lastIndex: logIndex(it.lastIndex),
        lastTerm: term(it.lastTerm),
        caretaker: it.caretaker,
        proof: proofFromWire(it.proof),
      };
    }
    case 'preVoteAck': {
      const it = present(wire.preVoteAck, 'pre-vote-ack');
      const retryAfterMs = it.retryAfterMs ?? null;
      return {
        kind: 'pre-vote-ack',
        ...envelope,
        round: whole(it.round, 'round'),
        granted: it.granted,
        retryAfterMs: retryAfterMs === null ? null : duration(retryAfterMs),
      };
    }
    case 'vote': {
      const it = present(wire.vote, 'vote');
      const reason = REASON_OF.get(it.reason);
      if (reason === undefined) throw new RangeError(`unknown reason of election ${show(it.reason)}`);
      return {
        kind: 'vote',
        ...envelope,
        lastIndex: logIndex(it.lastIndex),
        lastTerm: term(it.lastTerm),
        caretaker: it.caretaker,
        reason,
        proof: proofFromWire(it.proof),
      };
    }
    case 'voteAck': {
      const it = present(wire.voteAck, 'vote-ack');
      return { kind: 'vote-ack', ...envelope, candidateTerm: term(it.candidateTerm), granted: it.granted };
    }
    case 'timeoutNow': {
      const proof = proofFromWire(present(wire.timeoutNow, 'timeout-now').proof);
      return { kind: 'timeout-now', ...envelope, proof: present(proof, 'proof') };
    }
    case 'released': {
      const it = present(wire.released, 'released');
      if (it.evidence.length > LIMITS.evidenceCharacters) throw new RangeError('evidence is too long');
      return { kind: 'released', ...envelope, epoch: epoch(it.epoch), evidence: it.evidence };
    }
    case 'renounced':
      return { kind: 'renounced', ...envelope };
    case undefined:
      throw new RangeError('a message of a kind that this version does not know');
    default:
      return assertNever(wire.kind);
  }
}

function entriesFromWire(wire: readonly WireEntry[], previousIndex: number, parse: EntryParser): Entry[] {
  if (wire.length > LIMITS.appendEntries)
    throw new RangeError(`${wire.length} entries in one append, at most ${LIMITS.appendEntries}`);
  return wire.map((entry, at) => {
    if (entry.index !== previousIndex + 1 + at)
      throw new RangeError(`entry ${entry.index} where ${previousIndex + 1 + at} was due`);
    return entryFromWire(entry, parse);
  });
}

function entryFromWire(wire: WireEntry, parse: EntryParser): Entry {
  const body: unknown = JSON.parse(Buffer.from(wire.bodyJson).toString('utf8'));
  return parse({ index: wire.index, term: wire.term, previous: wire.previous, hash: wire.hash, body });
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
    if (error instanceof WireError) throw error;
    throw new WireError('malformed', error instanceof Error ? error.message : String(error), error);
  }
}

function proofFromWire(proof: WireProof | null | undefined): ReleaseProof | null {
  return proof ? { node: nodeId(proof.node), term: term(proof.term) } : null;
}

function present<Value>(value: Value | null | undefined, what: string): Value {
  if (value === null || value === undefined) throw new RangeError(`${what} is missing`);
  return value;
}

function whole(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${what} ${value} is out of range`);
  return value;
}

function duration(value: number): DurationMs {
  if (value > LIMITS.durationMs) throw new RangeError(`a duration of ${value} ms`);
  return durationMs(value);
}

function hash(value: string): ChainHash {
  if (!/^[\x21-\x7e]+$/.test(value) || value.length > LIMITS.hashCharacters)
    throw new RangeError(`${show(value)} is not a hash`);
  return chainHash(value);
}

/** Somebody else's text, short and on one line. */
function show(value: unknown): string {
  return JSON.stringify(String(value).slice(0, 80));
}
