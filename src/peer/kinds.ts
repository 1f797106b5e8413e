/**
 * Each kind of message as the wire has it, and back: one line a field, every number through its gate. A reader throws
 * a RangeError (or the log's own error, for an entry) on what is out of range; codec.ts turns that into a WireError.
 */
import {
  assertNever,
  bodyText,
  type ChainHash,
  chainHash,
  type DurationMs,
  durationMs,
  type ElectionReason,
  type Entry,
  type Epoch,
  epoch,
  logIndex,
  type Message,
  type NodeId,
  nodeId,
  type ReleaseProof,
  type Term,
  term,
} from '../core/index.ts';
import { LIMITS } from './limits.ts';
import type { WireEntry, WireKinds, WireMessage, WireProof } from './wire.ts';

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

export function entryToWire(entry: Entry): WireEntry {
  return {
    index: entry.index,
    term: entry.term,
    previous: entry.previous,
    hash: entry.hash,
    bodyJson: Buffer.from(bodyText(entry.body)),
  };
}

export function kindToWire(message: Message): Partial<WireKinds> {
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

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
}
type Reader<Wire> = (wire: Wire, envelope: Envelope, parse: EntryParser) => Message;

const READERS: { readonly [Kind in keyof WireKinds]: Reader<WireKinds[Kind]> } = {
  heartbeat: (it, envelope) => ({
    kind: 'heartbeat',
    ...envelope,
    seq: whole(it.seq, 'seq'),
    commit: logIndex(it.commit),
    renounced: it.renounced,
    promiseMs: duration(it.promiseMs),
  }),
  heartbeatAck: (it, envelope) => ({ kind: 'heartbeat-ack', ...envelope, seq: whole(it.seq, 'seq') }),
  append: (it, envelope, parse) => ({
    kind: 'append',
    ...envelope,
    previousIndex: logIndex(it.previousIndex),
    previousTerm: term(it.previousTerm),
    previousHash: hash(it.previousHash),
    entries: entriesFromWire(it.entries, it.previousIndex, parse),
    commit: logIndex(it.commit),
    renounced: it.renounced,
    promiseMs: duration(it.promiseMs),
  }),
  appendAck: (it, envelope) => ({
    kind: 'append-ack',
    ...envelope,
    success: it.success,
    match: logIndex(it.match),
    conflictIndex: logIndex(it.conflictIndex),
    conflictTerm: term(it.conflictTerm),
    healed: it.healed
      ? { markerIndex: logIndex(it.healed.markerIndex), markerTerm: term(it.healed.markerTerm) }
      : null,
  }),
  preVote: (it, envelope) => ({
    kind: 'pre-vote',
    ...envelope,
    nextTerm: term(it.nextTerm),
    round: whole(it.round, 'round'),
    lastIndex: logIndex(it.lastIndex),
    lastTerm: term(it.lastTerm),
    caretaker: it.caretaker,
    proof: proofFromWire(it.proof),
    adopt: adoptFromWire(it.adopt),
  }),
  preVoteAck: (it, envelope) => {
    const retryAfterMs = it.retryAfterMs ?? null;
    return {
      kind: 'pre-vote-ack',
      ...envelope,
      round: whole(it.round, 'round'),
      granted: it.granted,
      retryAfterMs: retryAfterMs === null ? null : duration(retryAfterMs),
    };
  },
  vote: (it, envelope) => ({
    kind: 'vote',
    ...envelope,
    lastIndex: logIndex(it.lastIndex),
    lastTerm: term(it.lastTerm),
    caretaker: it.caretaker,
    reason: present(REASON_OF.get(it.reason), `a known reason of the election, not ${it.reason},`),
    proof: proofFromWire(it.proof),
    adopt: adoptFromWire(it.adopt),
  }),
  voteAck: (it, envelope) => ({
    kind: 'vote-ack',
    ...envelope,
    candidateTerm: term(it.candidateTerm),
    granted: it.granted,
  }),
  timeoutNow: (it, envelope) => ({
    kind: 'timeout-now',
    ...envelope,
    proof: present(proofFromWire(it.proof), 'proof'),
  }),
  released: (it, envelope) => {
    if (it.evidence.length > LIMITS.evidenceCharacters) throw new RangeError('evidence is too long');
    return { kind: 'released', ...envelope, epoch: epoch(it.epoch), evidence: it.evidence };
  },
  renounced: (_it, envelope) => ({ kind: 'renounced', ...envelope }),
};

function readAs<Kind extends keyof WireKinds>(
  kind: Kind,
  kinds: Partial<WireKinds>,
  envelope: Envelope,
  parse: EntryParser,
): Message {
  const it: WireKinds[Kind] | undefined = kinds[kind];
  return READERS[kind](present<WireKinds[Kind]>(it, kind), envelope, parse);
}

export function kindFromWire(
  wire: WireMessage,
  ids: { readonly from: NodeId; readonly to: NodeId },
  parse: EntryParser,
): Message {
  const kind = present(wire.kind, 'a kind that this version knows');
  return readAs(kind, wire, { ...ids, term: term(wire.term) }, parse);
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

export function entryFromWire(wire: WireEntry, parse: EntryParser): Entry {
  const body: unknown = JSON.parse(Buffer.from(wire.bodyJson).toString('utf8'));
  return parse({ index: wire.index, term: wire.term, previous: wire.previous, hash: wire.hash, body });
}

/** A sender of before L7 does not say it: then it is an election like any other. */
function adoptFromWire(adopt: number | null | undefined): Epoch | null {
  return adopt === null || adopt === undefined ? null : epoch(adopt);
}

function proofFromWire(proof: WireProof | null | undefined): ReleaseProof | null {
  return proof ? { node: nodeId(proof.node), term: term(proof.term) } : null;
}

export function present<Value>(value: Value | null | undefined, what: string): Value {
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
    throw new RangeError(`${JSON.stringify(value.slice(0, 80))} is not a hash`);
  return chainHash(value);
}
