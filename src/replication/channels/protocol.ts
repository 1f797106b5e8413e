/**
 * What the two ends of a channel say to each other, the same over SSH and gRPC: one question, as JSON of this version, and one
 * line of JSON for each answer. Over SSH the question is a command line (`commandOf`), which the receiving side takes apart
 * by one pattern: a shell never sees it.
 */
import { z } from 'zod';
import { nodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { FEATURES, type Feature, type ReceiveEnd } from '../channel.ts';
import { type PoolsReading, unpackReading } from '../reading.ts';

export const PROTOCOL = 'quorate-replication/1';
export const VERBS = ['read', 'perform', 'receive', 'probe', 'probe-back'] as const;
export type Verb = (typeof VERBS)[number];

export const PROTOCOL_LIMITS = {
  /** Of a question, as base64: 64 snapshots with the longest names are half of it. */
  questionCharacters: 98_304,
  /** Of an answer: a packed reading has up to 1 MiB. */
  answerCharacters: 1_310_720,
  whyCharacters: 1000,
} as const;

export interface Question {
  readonly cluster: string;
  readonly from: string;
  readonly to: string;
  /** Judged by the receiver, whoever carried them. */
  readonly epoch?: unknown;
  readonly order?: unknown;
}

const questionSchema = z.strictObject({
  cluster: z.string().max(63),
  from: z.string().max(63),
  to: z.string().max(63),
  epoch: z.unknown().optional(),
  order: z.unknown().optional(),
});

/** Whom the carrier has shown the sender to be, and who is asked. */
export interface Ends {
  readonly cluster: string;
  readonly from: string;
  readonly to: string;
}

/** Throws `replication-refused`. */
export function readQuestion(json: string, ends: Ends): Question {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw refusal('the question is no JSON', cause);
  }
  const result = questionSchema.safeParse(parsed);
  if (!result.success) throw refusal('the question is not understood: is the sender of another version?');
  for (const key of ['cluster', 'from', 'to'] as const)
    if (result.data[key] !== ends[key])
      throw refusal(
        `the question is ${WORDS[key]} ${JSON.stringify(result.data[key])}, and this is about ${ends[key]}`,
      );
  return result.data;
}

const WORDS = { cluster: 'of cluster', from: 'from', to: 'to' } as const;

const refusal = (why: string, cause?: unknown): QuorateError =>
  new QuorateError('replication-refused', why, cause === undefined ? {} : { cause });

// ---- the question as a command line

/** No character in it means anything to a shell. */
export function commandOf(verb: Verb, question: Question): string {
  const text = Buffer.from(JSON.stringify(question)).toString('base64url');
  if (text.length > PROTOCOL_LIMITS.questionCharacters)
    throw new QuorateError('replication-refused', 'the order is longer than a channel carries');
  return `${PROTOCOL} ${verb} ${text}`;
}

const COMMAND = new RegExp(
  `^(quorate-replication/[0-9]{1,4}) ([a-z-]{1,16}) ([A-Za-z0-9_-]{1,${PROTOCOL_LIMITS.questionCharacters}})$`,
);

/** Throws `replication-refused` for anything that `commandOf` does not write. */
export function parseCommand(command: string): { readonly verb: Verb; readonly json: string } {
  const [, version, word, text = ''] = COMMAND.exec(command) ?? [];
  if (version === undefined)
    throw refusal('this key is for the replication of quorate only, and that is none of its commands');
  if (version !== PROTOCOL) throw refusal(`the sender speaks ${version}, and here it is ${PROTOCOL}`);
  const verb = VERBS.find((known) => known === word);
  if (verb === undefined) throw refusal(`there is no command "${word}"`);
  return { verb, json: Buffer.from(text, 'base64url').toString('utf8') };
}

// ---- answers

const why = z.string().max(PROTOCOL_LIMITS.whyCharacters);
const endSchema: z.ZodType<ReceiveEnd> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('received') }),
  z.strictObject({
    kind: z.literal('broken'),
    code: z.enum(['refused', 'full', 'connection', 'stream', 'aborted']),
    why,
  }),
]);

/** Of a newer one there may be words that mean nothing here. */
const featuresSchema = z.array(z.string().max(32)).max(32);

const answerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('reading'),
    packed: z.string().max(PROTOCOL_LIMITS.answerCharacters),
    /** Only for a sender that has asked (`ASKS`): an older one would not understand the answer. */
    features: featuresSchema.optional(),
  }),
  z.strictObject({ kind: z.literal('done') }),
  /** The stream may begin. */
  z.strictObject({ kind: z.literal('started') }),
  z.strictObject({ kind: z.literal('ended'), end: endSchema }),
  z.strictObject({ kind: z.literal('probed'), node: z.string().transform(nodeId), version: why }),
  z.strictObject({ kind: z.literal('failed'), isRefused: z.boolean(), why }),
]);
export type Answer = z.output<typeof answerSchema>;

export const writeAnswer = (answer: Answer): string => JSON.stringify(answer);

/** Null: not an answer of this version. */
export function readAnswer(line: string): Answer | null {
  if (line.length > PROTOCOL_LIMITS.answerCharacters) return null;
  try {
    const result = answerSchema.safeParse(JSON.parse(line));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

export function failedBy(error: unknown): Answer {
  const message = error instanceof Error ? error.message : String(error);
  return {
    kind: 'failed',
    isRefused: error instanceof QuorateError && error.code === 'replication-refused',
    why: printable(message),
  };
}

export const printable = (text: string): string =>
  text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, PROTOCOL_LIMITS.whyCharacters);

/** What the other side said instead of what was awaited, as an error. */
export function unexpected(answer: Answer | null, to: string): QuorateError {
  if (answer?.kind !== 'failed')
    return new QuorateError(
      'peer-refused',
      `what ${to} answered is not understood: is it of another version?`,
    );
  return new QuorateError(
    answer.isRefused ? 'replication-refused' : 'peer-refused',
    `${to} ${answer.isRefused ? 'refuses' : 'cannot'}: ${printable(answer.why)}`,
  );
}

/** Throws where it is not understood. */
export async function readingOf(answer: Answer | null, to: string): Promise<ReadingAnswer> {
  if (answer?.kind !== 'reading') throw unexpected(answer, to);
  const reading = await unpackReading(answer.packed);
  if (reading === null) throw unexpected(null, to);
  return { reading, features: new Set(FEATURES.filter((known) => answer.features?.includes(known))) };
}

export interface ReadingAnswer {
  readonly reading: PoolsReading;
  readonly features: ReadonlySet<Feature>;
}

// ---- between versions

/**
 * Goes with the question for a reading, where a receiver of before it looks at no order: so the version that cannot be asked is not asked,
 * and what a receiver can is known without a question more.
 */
export const ASKS = { order: { kind: 'features' } } as const;

const asksSchema = z.object({ kind: z.literal('features') });

export const asksForFeatures = ({ order }: Question): boolean => asksSchema.safeParse(order).success;
