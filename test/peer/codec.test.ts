import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  durationMs,
  type ElectionReason,
  epoch,
  logIndex,
  type Message,
  nodeId,
  term,
} from '../../src/core/index.ts';
import { parseEntry, sha256 } from '../../src/log/index.ts';
import { decodeMessage, encodeMessage, laneOf, type Receiving, WireError } from '../../src/peer/codec.ts';
import { LIMITS } from '../../src/peer/limits.ts';
import { peerSchema } from '../../src/peer/schema.ts';
import type { WireMessage } from '../../src/peer/wire.ts';
import { A, append, B, CLUSTER, heartbeat, notes } from './harness.ts';

const receiving: Receiving = {
  cluster: CLUSTER,
  self: B,
  from: A,
  parseEntry: (json) => parseEntry(json, sha256),
};
const laneFor = (message: Message) => (message.kind === 'released' ? null : laneOf(message.kind));
const decode = (bytes: Buffer, lane: Parameters<typeof decodeMessage>[2] = 'appends') =>
  decodeMessage(bytes, receiving, lane);

const envelope = { from: A, to: B, term: term(Number.MAX_SAFE_INTEGER) };
const proof = { node: nodeId('c'), term: term(4) };
const reasons: ElectionReason[] = [
  'boot',
  'leader-silent',
  'released',
  'transfer',
  'caretaker',
  'retry',
  'operator',
];
/** At least one of every kind, with each optional part present and absent. */
const examples: Message[] = [
  heartbeat(A, B, 0),
  { ...heartbeat(A, B, 2 ** 40), renounced: true, promiseMs: durationMs(1012.5) },
  { kind: 'heartbeat-ack', ...envelope, seq: 9 },
  append(A, B, []),
  append(A, B, notes(3, 20)),
  {
    kind: 'append-ack',
    ...envelope,
    success: true,
    match: logIndex(17),
    conflictIndex: logIndex(0),
    conflictTerm: term(0),
    healed: null,
  },
  {
    kind: 'append-ack',
    ...envelope,
    success: false,
    match: logIndex(0),
    conflictIndex: logIndex(5),
    conflictTerm: term(2),
    healed: { markerIndex: logIndex(8), markerTerm: term(3) },
  },
  {
    kind: 'pre-vote',
    ...envelope,
    nextTerm: term(8),
    round: 3,
    lastIndex: logIndex(17),
    lastTerm: term(6),
    caretaker: true,
    proof,
    adopt: null,
  },
  {
    kind: 'pre-vote',
    ...envelope,
    nextTerm: term(8),
    round: 3,
    lastIndex: logIndex(17),
    lastTerm: term(6),
    caretaker: false,
    proof: null,
    adopt: epoch(12),
  },
  { kind: 'pre-vote-ack', ...envelope, round: 3, granted: true, retryAfterMs: null },
  { kind: 'pre-vote-ack', ...envelope, round: 3, granted: false, retryAfterMs: durationMs(0) },
  ...reasons.map(
    (reason): Message => ({
      kind: 'vote',
      ...envelope,
      lastIndex: logIndex(17),
      lastTerm: term(6),
      caretaker: false,
      reason,
      proof: null,
      adopt: reason === 'operator' ? epoch(12) : null,
    }),
  ),
  { kind: 'vote-ack', ...envelope, candidateTerm: term(8), granted: true },
  { kind: 'timeout-now', ...envelope, proof },
  { kind: 'released', ...envelope, epoch: epoch(12), evidence: 'tank exported; é ✓' },
  { kind: 'renounced', ...envelope },
];

describe('a message', () => {
  test.each(examples.map((message) => [message.kind, message] as const))(
    '%s is the same after the wire',
    (_kind, message) => {
      expect(decode(encodeMessage(message, CLUSTER), laneFor(message))).toEqual(message);
    },
  );

  test('the bytes of version 1 are still read', () => {
    const file = fileURLToPath(new URL('./wire.golden.json', import.meta.url));
    const golden = JSON.parse(readFileSync(file, 'utf8')) as { hex: string; message: Message }[];
    expect(golden.length).toBeGreaterThanOrEqual(examples.length);
    for (const { hex, message } of golden) {
      expect(decode(Buffer.from(hex, 'hex'), laneFor(message))).toEqual(message);
    }
  });

  test('whose evidence is too long is cut, not lost', () => {
    const long: Message = { kind: 'released', ...envelope, epoch: epoch(1), evidence: 'x'.repeat(10_000) };
    expect(decode(encodeMessage(long, CLUSTER), null)).toEqual({
      ...long,
      evidence: 'x'.repeat(LIMITS.evidenceCharacters),
    });
  });
});

/** Bytes of a message that our own types would not allow. */
function forged(change: object): Buffer {
  const wire = { cluster: CLUSTER, from: 'a', to: 'b', term: 7, ...change };
  return peerSchema().message.encode(wire as unknown as WireMessage);
}
const wireAppend = (change: object) => ({
  append: {
    previousIndex: 0,
    previousTerm: 0,
    previousHash: '0',
    entries: [],
    commit: 0,
    renounced: false,
    promiseMs: 1,
    ...change,
  },
});
const wireEntries = (count: number, characters = 5) =>
  notes(count, characters).map(({ body, ...entry }) => ({
    ...entry,
    bodyJson: Buffer.from(JSON.stringify(body)),
  }));

describe('refused', () => {
  test.each([
    ['no kind', {}],
    ['a term over 2^53', { term: '9007199254740993', renounced: {} }],
    ['a seq of 2^64 - 1', { heartbeatAck: { seq: '18446744073709551615' } }],
    ['a promise that is not a number', { heartbeat: { promiseMs: Number.NaN } }],
    ['a negative promise', { heartbeat: { promiseMs: -1 } }],
    ['a promise of years', { heartbeat: { promiseMs: 1e11 } }],
    ['an election for no reason', { vote: { reason: 0 } }],
    ['an election for an unknown reason', { vote: { reason: 99 } }],
    ['a transfer without proof', { timeoutNow: {} }],
    ['a proof about a node id that cannot be', { timeoutNow: { proof: { node: 'a b', term: 1 } } }],
    ['a hash with spaces', wireAppend({ previousHash: 'a b' })],
    ['an endless hash', wireAppend({ previousHash: 'a'.repeat(LIMITS.hashCharacters + 1) })],
    ['an append with a gap before', wireAppend({ previousIndex: 1, entries: wireEntries(2) })],
    ['an append with a gap inside', wireAppend({ entries: wireEntries(3).filter((_, at) => at !== 1) })],
    [
      'an entry that is no JSON',
      wireAppend({ entries: [{ ...wireEntries(1)[0], bodyJson: Buffer.from('{') }] }),
    ],
    [
      'an entry whose hash is not its own',
      wireAppend({
        entries: [{ ...wireEntries(1)[0], bodyJson: Buffer.from('{"kind":"note","text":"y"}') }],
      }),
    ],
    [
      'an entry of an unknown kind',
      wireAppend({ entries: [{ ...wireEntries(1)[0], bodyJson: Buffer.from('{"kind":"?"}') }] }),
    ],
    ['more entries than the limit', wireAppend({ entries: wireEntries(LIMITS.appendEntries + 1) })],
  ])('%s', (_name, change) => {
    const bytes = forged(change);
    const lane = 'heartbeat' in change || 'heartbeatAck' in change ? 'heartbeats' : 'appends';
    expect(() => decode(bytes, lane)).toThrow(WireError);
    expect(() => decode(bytes, lane)).toThrow(expect.objectContaining({ problem: 'malformed' }));
  });

  test('as many entries as the limit pass', () => {
    const entries = wireEntries(LIMITS.appendEntries);
    expect(decode(forged(wireAppend({ entries })))).toMatchObject({ kind: 'append' });
  });

  test('bytes of any kind give a valid message or a WireError, nothing else', () => {
    const valid = examples.map((message) => encodeMessage(message, CLUSTER));
    const flipped = fc
      .tuple(fc.constantFrom(...valid), fc.nat(), fc.integer({ min: 1, max: 255 }))
      .map(([bytes, at, mask]) => {
        const copy = Buffer.from(bytes);
        copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ mask;
        return copy;
      });
    const arbitrary = fc.oneof(
      flipped,
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    );
    let refused = 0;
    fc.assert(
      fc.property(arbitrary, (bytes) => {
        try {
          const message = decode(bytes);
          expect(encodeMessage(message, CLUSTER).length).toBeGreaterThan(0);
        } catch (error) {
          refused += 1;
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
