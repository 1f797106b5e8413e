import { describe, expect, test } from 'vitest';
import {
  canonicalJson,
  type EntryBody,
  GENESIS,
  hashEntry,
  logIndex,
  makeEntry,
  nodeId,
  term,
} from '../../src/core/index.ts';
import {
  decodeEntry,
  ENTRY_LIMITS,
  encodeEntry,
  entryBodySchema,
  MAX_BODY_BYTES,
  parseEntry,
  parseEntryBody,
  sha256,
} from '../../src/log/index.ts';
import { decodeRecord, encodeRecord } from '../../src/log/record.ts';
import { chain, note, SAMPLE_BODIES } from '../support/log-fixtures.ts';

const entries = chain([], 2, SAMPLE_BODIES);
const wire = (value: unknown) => JSON.parse(JSON.stringify(value));
const codeOf = (operation: () => unknown): string => {
  try {
    operation();
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).name;
  }
  return 'nothing thrown';
};

describe('entries of every kind', () => {
  test.each(entries.map((entry) => [entry.body.kind, entry] as const))(
    '%s survives disk and wire',
    (_, entry) => {
      expect(decodeEntry(encodeEntry(entry), sha256)).toEqual(entry);
      expect(parseEntry(wire(entry), sha256)).toEqual(entry);
      expect(entryBodySchema.parse(wire(entry.body))).toEqual(entry.body);
    },
  );

  test('the samples have every kind', () => {
    const kinds = entryBodySchema.options.map((option) => option.shape.kind.value);
    expect(new Set(entries.map(({ body }) => body.kind))).toEqual(new Set(kinds));
  });
});

describe('D1: an entry record', () => {
  test('is corrupt with any one bit flipped, at any byte', () => {
    for (const entry of [entries[0], entries[8]]) {
      if (entry === undefined) throw new Error('no sample');
      const bytes = encodeEntry(entry);
      for (let at = 0; at < bytes.length; at++) {
        const flipped = Uint8Array.from(bytes);
        flipped[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        expect(codeOf(() => decodeEntry(flipped, sha256))).toBe('CorruptRecordError');
      }
    }
  });

  test('is corrupt when it is cut short at any byte', () => {
    const bytes = encodeEntry(entries[8] ?? failing());
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(() => decodeEntry(bytes.subarray(0, length), sha256))).toBe('CorruptRecordError');
  });

  test('is corrupt when its checksum fits but its hash does not', () => {
    const forged = { ...(entries[8] ?? failing()), body: { kind: 'note', text: 'forged' } };
    expect(codeOf(() => decodeEntry(encodeRecord('entry', canonicalJson(forged)), sha256))).toBe(
      'CorruptRecordError',
    );
  });
});

const failing = (): never => {
  throw new Error('no sample');
};

describe('style 18: another version is refused with a sentence, never taken for corruption', () => {
  test('an intact record of another version', () => {
    const bytes = Buffer.from(encodeRecord('entry', '{}'));
    bytes.writeUInt8(2, 3);
    expect(() => decodeRecord('entry', bytes)).toThrow(/wrong checksum/);
    expect(codeOf(() => decodeRecord('entry', reseal(bytes)))).toBe('log-format-unknown');
    expect(() => decodeRecord('entry', reseal(bytes))).toThrow(
      /format version 2, this program reads version 1/,
    );
  });

  test('an intact entry of a kind, or with a field, that is not known', () => {
    for (const body of [
      { kind: 'from-the-future', x: 1 },
      { kind: 'note', text: 'a', colour: 'red' },
    ]) {
      const unhashed = { index: logIndex(1), term: term(1), previous: GENESIS, body: body as EntryBody };
      const record = encodeRecord('entry', canonicalJson({ ...unhashed, hash: hashEntry(sha256, unhashed) }));
      expect(codeOf(() => decodeEntry(record, sha256))).toBe('log-format-unknown');
    }
  });
});

/** The checksum anew, as the frame's header describes it. */
function reseal(bytes: Buffer): Buffer {
  const content = Buffer.concat([bytes.subarray(0, 8), bytes.subarray(24)]);
  const sum = Buffer.from(sha256(content.toString('latin1')), 'hex');
  // The header has no byte above 0x7f, so that the text's UTF-8 is the bytes themselves.
  sum.copy(bytes, 8, 0, 16);
  return bytes;
}

describe('the gateway refuses', () => {
  const good = entries[8] ?? failing();
  test.each([
    ['null', null, 'entry-invalid'],
    ['an array', [], 'entry-invalid'],
    ['an index of 0', { ...good, index: 0 }, 'entry-invalid'],
    ['a broken index', { ...good, index: 1.5 }, 'entry-invalid'],
    ['an index beyond 2^53', { ...good, index: 2 ** 53 }, 'entry-invalid'],
    ['a negative term', { ...good, term: -1 }, 'entry-invalid'],
    ['a text for a term', { ...good, term: '2' }, 'entry-invalid'],
    ['a short hash', { ...good, hash: 'abc' }, 'entry-invalid'],
    ['a wrong hash', { ...good, hash: GENESIS }, 'entry-invalid'],
    ['another body', { ...good, body: note('other') }, 'entry-invalid'],
    ['another term', { ...good, term: 7 }, 'entry-invalid'],
    ['an unknown field', { ...good, extra: 1 }, 'entry-invalid'],
    ['a body without kind', { ...good, body: {} }, 'entry-invalid'],
    ['an unknown kind', { ...good, body: { kind: 'zzz' } }, 'entry-kind-unknown'],
    ['a kind of the prototype', { ...good, body: { kind: 'toString' } }, 'entry-kind-unknown'],
  ])('%s', (_, value, code) => {
    expect(codeOf(() => parseEntry(wire(value), sha256))).toBe(code);
  });

  test.each<[string, unknown]>([
    ['a node id with a space', { kind: 'tenure-granted', node: 'a b', at: null }],
    ['a missing field', { kind: 'tenure-granted', node: 'a' }],
    ['a time that is no number', { kind: 'tenure-granted', node: 'a', at: Number.NaN }],
    ['an unknown field', { kind: 'tenure-granted', node: 'a', at: null, x: 1 }],
    ['an epoch of 0.5', { kind: 'peer-outdated', peer: 'b', epoch: 0.5 }],
    ['a note over its limit', { kind: 'note', text: 'x'.repeat(ENTRY_LIMITS.note + 1) }],
    ['a note over 63 KiB as UTF-8', { kind: 'note', text: '\u0001'.repeat(ENTRY_LIMITS.note) }],
    ['an unknown reason', { ...entries[2]?.body, reason: 'because' }],
    ['too many voters', { ...entries[2]?.body, votes: Array(ENTRY_LIMITS.members + 1).fill('a') }],
  ])('%s', (_, body) => {
    expect(codeOf(() => parseEntryBody(body))).toBe('entry-invalid');
  });

  test('to write what it would refuse to read: a proposer must have asked first', () => {
    const write = (body: EntryBody) => () =>
      encodeEntry(makeEntry(sha256, logIndex(1), term(1), GENESIS, body));
    expect(write(note('x'.repeat(ENTRY_LIMITS.note + 1)))).toThrow(/cannot be stored/);
    expect(write(note('\u0001'.repeat(ENTRY_LIMITS.note)))).toThrow(/over the size limit/);
  });

  test('nothing that fits the limits: the largest body has room in a record', () => {
    const step = { name: '', ms: 0, result: 'x'.repeat(ENTRY_LIMITS.stepResult) };
    const steps = Array.from({ length: ENTRY_LIMITS.steps }, () => step);
    const [filler = step] = steps;
    const body = (result: string) => ({
      kind: 'takeover-done' as const,
      epoch: 3,
      node: nodeId('a'),
      ok: true,
      totalMs: 1,
      steps: [...steps.slice(1, 112), { ...filler, result }],
      at: null,
    });
    const size = Buffer.byteLength(canonicalJson(body('')));
    const largest = parseEntryBody({
      ...body('y'.repeat(0)),
      steps: padded(body('').steps, MAX_BODY_BYTES - size),
    });
    expect(Buffer.byteLength(canonicalJson(largest))).toBe(MAX_BODY_BYTES);
    const entry = makeEntry(sha256, logIndex(2 ** 53 - 1), term(2 ** 53 - 1), GENESIS, largest);
    expect(decodeEntry(encodeEntry(entry), sha256)).toEqual(entry);
    expect(parseEntry(wire(entry), sha256)).toEqual(entry);
  });
});

/** The same steps with `bytes` more characters, by names up to their limit. */
function padded<Step extends { name: string }>(steps: readonly Step[], bytes: number): Step[] {
  let left = bytes;
  return steps.map((step) => {
    const take = Math.min(left, ENTRY_LIMITS.stepName);
    left -= take;
    return { ...step, name: 'n'.repeat(take) };
  });
}
