/**
 * Entries to and from bytes (disk) and JSON values (wire). Whatever leaves this file as an `Entry` has a known kind, is
 * within the limits, and its hash is the hash of its content; the link to the entry before it is `recover`'s and the core's.
 */
import type { ChainHash, Digest, Entry, EntryBody } from '../core/index.ts';
import { assert, bodyText, hashEntry } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { bodySchemas, envelopeSchema, MAX_BODY_BYTES } from './entry-schema.ts';
import { CorruptRecordError, decodeRecord, encodeRecord } from './record.ts';

const invalid = (message: string, context: Record<string, unknown> = {}) =>
  new QuorateError('entry-invalid', message, { context });

interface Issues {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}
function firstIssue(error: Issues): string {
  const issue = error.issues[0];
  return issue === undefined ? 'not valid' : `${issue.path.join('.') || 'value'}: ${issue.message}`;
}

/**
 * A body from a JSON value, branded and within limits.
 * @throws QuorateError `entry-kind-unknown` or `entry-invalid`
 */
export function parseEntryBody(json: unknown): EntryBody {
  const kind = (json as { kind?: unknown } | null)?.kind;
  if (typeof kind !== 'string') throw invalid('an entry has no kind');
  if (!Object.hasOwn(bodySchemas, kind))
    throw new QuorateError(
      'entry-kind-unknown',
      `an entry has the kind ${JSON.stringify(kind.slice(0, 64))}`,
    );
  const parsed = bodySchemas[kind as keyof typeof bodySchemas].safeParse(json);
  if (!parsed.success) throw invalid(`an entry of kind ${kind} is not valid: ${firstIssue(parsed.error)}`);
  const bytes = Buffer.byteLength(bodyText(parsed.data));
  if (bytes > MAX_BODY_BYTES)
    throw invalid(`an entry of kind ${kind} has ${bytes} bytes, the limit is ${MAX_BODY_BYTES}`);
  parsedBodies.add(parsed.data);
  return parsed.data;
}

/** What came through `parseEntryBody` need not be looked at again on its way to the disk. */
const parsedBodies = new WeakSet<EntryBody>();

function parseEnvelope(json: unknown): Omit<Entry, 'body'> & { readonly body: { readonly kind: string } } {
  const parsed = envelopeSchema.safeParse(json);
  if (!parsed.success) throw invalid(`an entry is not valid: ${firstIssue(parsed.error)}`);
  const { index, term, previous, hash, body } = parsed.data;
  return { index, term, previous: previous as ChainHash, hash: hash as ChainHash, body };
}

/**
 * An entry from a JSON value, as it comes from a peer. The hash is computed anew.
 * @throws QuorateError `entry-kind-unknown` or `entry-invalid`
 */
export function parseEntry(json: unknown, digest: Digest): Entry {
  const envelope = parseEnvelope(json);
  const entry: Entry = { ...envelope, body: parseEntryBody(envelope.body) };
  if (hashEntry(digest, entry) !== entry.hash)
    throw invalid(`entry ${entry.index} does not have the hash that it states`, { index: entry.index });
  return entry;
}

/** @throws InvariantError for an entry that `decodeEntry` would refuse: proposers check by `parseEntryBody` first. */
export function encodeEntry(entry: Entry): Uint8Array {
  const { index, term, previous, hash, body } = entry;
  const text = bodyText(body);
  if (!parsedBodies.has(body)) {
    const parsed = bodySchemas[body.kind].safeParse(body);
    assert(
      parsed.success,
      `entry ${index} of kind ${body.kind} cannot be stored: ${parsed.success || firstIssue(parsed.error)}`,
    );
    assert(
      Buffer.byteLength(text) <= MAX_BODY_BYTES,
      `entry ${index} of kind ${body.kind} is over the size limit`,
    );
  }
  // Canonical: the keys in order, without a second pass over the body.
  return encodeRecord(
    'entry',
    `{"body":${text},"hash":${JSON.stringify(hash)},"index":${index},"previous":${JSON.stringify(previous)},"term":${term}}`,
  );
}

/**
 * @throws CorruptRecordError when the bytes are not what was written;
 *   QuorateError `log-format-unknown` when they are, but another version of this program wrote them.
 */
export function decodeEntry(bytes: Uint8Array, digest: Digest): Entry {
  const json = decodeRecord('entry', bytes);
  let envelope: ReturnType<typeof parseEnvelope>;
  try {
    envelope = parseEnvelope(json);
  } catch (cause) {
    throw new QuorateError('log-format-unknown', 'the log has an intact record that is no entry', { cause });
  }
  const unknownBody = { ...envelope, body: envelope.body as EntryBody };
  if (hashEntry(digest, unknownBody) !== envelope.hash)
    throw new CorruptRecordError(`entry ${envelope.index} does not have the hash that it states`);
  try {
    return { ...envelope, body: parseEntryBody(envelope.body) };
  } catch (cause) {
    throw new QuorateError(
      'log-format-unknown',
      `entry ${envelope.index} is intact, but this program does not know it: ${(cause as Error).message}`,
      { cause, context: { index: envelope.index } },
    );
  }
}
