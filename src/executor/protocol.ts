/**
 * The channel between agent and executor: one JSON document a line on `executor.sock`, validated at both ends.
 *
 *     agent → executor   hello, arm, disarm, take, release, keep, fence, resume-io, look, follow-resync, read-pools, replicate, read-copies,
 *                        members, timing, bye, hand-over, bind, adopt, knows
 *     executor → agent   welcome, refused, then ExecutorEvents
 *
 * Either end may be of the version before (an upgrade restarts one of them first), and drops a connection that says what it
 * does not know. So whoever wants to use something newer asks first, by `features` on a connection of its own; and what an event has
 * beyond version 1 is sent only to an agent that has said that it knows it (newer-fields.ts).
 *
 * The lease itself does not travel here but on the guard's own socket (T4).
 */
import { z } from 'zod';
import { durationMs, epoch, instant, nodeId, term } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { MAX_LINE_BYTES } from '../lines.ts';
import { MAX_DATASET_NAME, reportSchema } from '../replication/index.ts';
import type { ResyncFacts } from '../resync.ts';
import type { CopyWords } from '../state/index.ts';

const text = (most: number) => z.string().max(most);
const asEpoch = z.number().transform((value) => epoch(value));
const asTerm = z.number().transform((value) => term(value));
const asInstant = z.number().transform((value) => instant(value));
const asNode = z.string().transform((value) => nodeId(value));
const asDuration = z.number().transform((value) => durationMs(value));

export const PROTOCOL_VERSION = 1;
const MAX_MEMBERS = 16;
const MAX_TEXT = 4096;
const MAX_FIELDS = 100;
/** Of one report. */
export const MAX_RESYNCS = 64;
/** A line has 64 KiB. */
const MAX_PIECE = 32 * 1024;

const timing = z.strictObject({
  heartbeatMs: asDuration,
  leaseMs: asDuration,
  releaseMs: asDuration,
  guardMs: asDuration,
  watchdog: z.strictObject({ timeoutMs: asDuration, petWindowMs: asDuration }).nullable(),
  clockErrorRate: z.number(),
  promiseMs: asDuration,
});

const members = z
  .record(z.string(), text(300))
  .refine((value) => Object.keys(value).length <= MAX_MEMBERS, 'too many members')
  .transform((value) => new Map(Object.entries(value).map(([id, address]) => [nodeId(id), address])));

const mode = z.enum(['planned', 'abrupt']);

export const orderSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('hello'),
    version: z.literal(PROTOCOL_VERSION),
    node: asNode,
    cluster: text(63),
    config: text(MAX_TEXT),
    /** The agent's process, to make sure that it is gone (R4). */
    pid: z.number().int().positive(),
    startTime: z.string().regex(/^\d{1,20}$/),
    /** Peer addresses of the other members, for the statement (R4). */
    members,
    timing,
    /** L7: the epoch that the executor has said to keep for whoever comes. */
    adopt: asEpoch.optional(),
  }),
  /** What the executor can do beyond version 1; the answer ends the connection. */
  z.strictObject({ kind: z.literal('features') }),
  /** Which fields of events the sender reads beyond version 1; what else a later one says is not looked at. Not answered. */
  z.strictObject({ kind: z.literal('knows'), fields: z.array(text(100)).max(MAX_FIELDS) }),
  /** L7: the sender ends, and the epoch is kept until then; answered by `handed-over` or `hand-over-refused`. */
  z.strictObject({ kind: z.literal('hand-over'), epoch: asEpoch, until: asInstant }),
  /** L7: the lease of the sender's term bounds what was kept; answered by `bound`. */
  z.strictObject({ kind: z.literal('bind'), epoch: asEpoch, term: asTerm, until: asInstant }),
  /** L7: the adoption is committed. */
  z.strictObject({ kind: z.literal('adopt'), epoch: asEpoch, until: asInstant }),
  /** H2: the answer carries the same number. */
  z.strictObject({ kind: z.literal('arm'), id: z.number().int() }),
  z.strictObject({ kind: z.literal('disarm') }),
  z.strictObject({
    kind: z.literal('take'),
    epoch: asEpoch,
    term: asTerm,
    until: asInstant,
    previousReleased: z.boolean(),
    /** Of everybody who has held before. Sent only where it is so, as `isForced`. */
    hasProof: z.boolean().default(false),
    /** O3: the first tenure after an operator's override. Sent only where it is so: an executor of before need not know it. */
    isForced: z.boolean().default(false),
  }),
  z.strictObject({ kind: z.literal('release'), epoch: asEpoch, mode }),
  z.strictObject({ kind: z.literal('resume-io'), epoch: asEpoch }),
  /** Read the replicated data now; answered by `data-read`. */
  z.strictObject({ kind: z.literal('look') }),
  /** Tell from now on how far resyncs are, by `resync`. */
  z.strictObject({ kind: z.literal('follow-resync') }),
  /** Read the pools that are replicated by snapshots; answered by `pools-read` or `pools-unread` with the same number. */
  z.strictObject({ kind: z.literal('read-pools'), id: z.number().int() }),
  /** A round of snapshot replication now, where this node sends; null: of everything. Not answered. */
  z.strictObject({ kind: z.literal('replicate'), dataset: z.string().max(MAX_DATASET_NAME).nullable() }),
  /** Read what the copies of replicated pools say of themselves; answered by `copies-read` with the same number. */
  z.strictObject({ kind: z.literal('read-copies'), id: z.number().int() }),
  /** R5: stop the machine of a node that may still hold. The sender leads until `until`: that was confirmed at `confirmedAt` (L1). */
  z.strictObject({
    kind: z.literal('fence'),
    id: z.number().int(),
    node: asNode,
    until: asInstant,
    confirmedAt: asInstant,
  }),
  /** H6: the takeover of this epoch failed and nobody else can do better: keep what there is and repair the rest. */
  z.strictObject({ kind: z.literal('keep'), epoch: asEpoch }),
  z.strictObject({
    kind: z.literal('members'),
    members,
    /** The other nodes that a block layer mirrors, where the log has others than the config file; not there: the file's. */
    dataNodes: z.array(asNode).max(MAX_MEMBERS).optional(),
  }),
  z.strictObject({ kind: z.literal('timing'), timing }),
  /** An orderly farewell: no statement, no kill. */
  z.strictObject({ kind: z.literal('bye') }),
]);

export type Order = z.output<typeof orderSchema>;
export type OrderText = z.input<typeof orderSchema>;
export type Hello = Extract<Order, { kind: 'hello' }>;

const steps = z.array(z.strictObject({ name: text(100), ms: z.number(), result: text(MAX_TEXT) })).max(100);
const probe = z.enum(['held', 'not-held', 'unknown']);
/** `CopyWords` of src/state. */
const copyWords = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('read'),
    pool: text(128),
    written: z.number().nullable(),
    complete: z
      .strictObject({
        epoch: z.number(),
        snapshot: text(300),
        takenAtMs: z.number(),
        isFinal: z.boolean(),
        /** An executor of before does not say. */
        of: z.strictObject({ guid: text(20), dataset: text(256) }).nullish(),
      })
      .nullable(),
  }),
  z.strictObject({ kind: z.literal('unknown'), pool: text(128), why: text(MAX_TEXT) }),
]) satisfies z.ZodType<CopyWords>;
const asNullableEpoch = asEpoch.nullable();

export const eventSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ready'), evidence: text(MAX_TEXT) }),
  /** R2: something reads as held that must not be; `ready` follows when it is verified as released. */
  z.strictObject({ kind: z.literal('unverified'), why: text(MAX_TEXT) }),
  /** L7: instead of `ready`: nothing was released, the epoch is kept until then. */
  z.strictObject({ kind: z.literal('kept'), epoch: asEpoch, until: asInstant }),
  z.strictObject({ kind: z.literal('handed-over'), epoch: asEpoch }),
  /** Nothing has changed: it is held as before. */
  z.strictObject({ kind: z.literal('hand-over-refused'), epoch: asEpoch, why: text(MAX_TEXT) }),
  z.strictObject({ kind: z.literal('bound'), epoch: asEpoch, ok: z.boolean() }),
  /** The guard lets go of this epoch by itself: `released` follows when that is verified. */
  z.strictObject({ kind: z.literal('revoked'), epoch: asEpoch, why: text(MAX_TEXT) }),
  z.strictObject({ kind: z.literal('armed'), id: z.number().int() }),
  z.strictObject({ kind: z.literal('arm-failed'), id: z.number().int(), why: text(MAX_TEXT) }),
  z.strictObject({ kind: z.literal('taken'), epoch: asEpoch, steps, totalMs: z.number() }),
  z.strictObject({
    kind: z.literal('take-failed'),
    epoch: asEpoch,
    step: text(100),
    why: text(MAX_TEXT),
    /** The cloud did not answer, or not yet: it says nothing about this node. */
    mayPass: z.boolean(),
    steps,
    totalMs: z.number(),
  }),
  z.strictObject({
    kind: z.literal('released'),
    epoch: asNullableEpoch,
    evidence: text(MAX_TEXT),
    ms: z.number(),
    mode,
  }),
  /** R1: a planned step could not end; what was given up has been taken again, the tenure goes on. */
  z.strictObject({ kind: z.literal('release-failed'), epoch: asEpoch, step: text(100), why: text(MAX_TEXT) }),
  z.strictObject({
    kind: z.literal('fence-ended'),
    id: z.number().int(),
    node: asNode,
    outcome: z.enum(['stopped', 'terminated', 'unconfirmed']),
    detail: text(MAX_TEXT),
    ms: z.number(),
  }),
  /** L8: the guard works with these values; answer to `timing`. */
  z.strictObject({ kind: z.literal('timing-applied'), timing }),
  /** H6: so many repairs in a row have failed, or have not lasted. */
  z.strictObject({
    kind: z.literal('repair-failed'),
    epoch: asEpoch,
    name: text(100),
    count: z.number().int(),
    why: text(MAX_TEXT),
  }),
  /** What the own checks have found to stand in the way of a takeover: sentences; none where all is well. */
  z.strictObject({ kind: z.literal('doctor'), failed: z.array(text(MAX_TEXT)).max(100) }),
  /** `unknown`: the command may still take effect (it hung, or was called off). */
  z.strictObject({
    kind: z.literal('io-resumed'),
    epoch: asEpoch,
    outcome: z.enum(['done', 'failed', 'unknown']),
  }),
  /** H3: read by commands that began at `readAt` (CLOCK_MONOTONIC, ms) or later. */
  z.strictObject({
    kind: z.literal('data-read'),
    readAt: asInstant,
    peers: z.record(z.string(), z.enum(['in-sync', 'not-in-sync', 'unknown'])),
    disk: z.enum(['up-to-date', 'failed', 'unknown']),
    /** O3: however old, of one moment; an executor of before does not say. */
    isWhole: z.boolean().nullable().default(null),
  }),
  /** A piece of a packed reading, in order; the agent only carries it on. */
  z.strictObject({
    kind: z.literal('pools-read'),
    id: z.number().int(),
    text: text(MAX_PIECE),
    isLast: z.boolean(),
  }),
  /** What has changed of the replication by snapshots since the last one. */
  z.strictObject({ kind: z.literal('replication'), report: reportSchema }),
  z.strictObject({
    kind: z.literal('copies-read'),
    id: z.number().int(),
    copies: z.array(copyWords).max(64),
  }),
  z.strictObject({ kind: z.literal('pools-unread'), id: z.number().int(), why: text(MAX_TEXT) }),
  /** All resyncs of DRBD that run, at most once a second; only to an agent that follows them. */
  z.strictObject({
    kind: z.literal('resync'),
    volumes: z
      .array(
        z.strictObject({
          resource: text(100),
          volume: z.number().int().nonnegative(),
          peer: text(63).nullable(),
          role: z.enum(['source', 'target']),
          paused: z.boolean(),
          donePercent: z.number().min(0).max(100).nullable(),
          outOfSyncBytes: z.number().int().nonnegative().nullable(),
        }) satisfies z.ZodType<ResyncFacts>,
      )
      .max(MAX_RESYNCS),
  }),
  z.strictObject({
    kind: z.literal('probes'),
    resources: z
      .array(z.strictObject({ name: text(100), kind: text(50), probe, detail: text(MAX_TEXT) }))
      .max(100),
    peers: z.record(z.string(), z.enum(['in-sync', 'not-in-sync', 'unknown'])),
    disk: z.enum(['up-to-date', 'failed', 'unknown']),
    ioSuspended: z.boolean(),
  }),
]);

/** What the executor tells the agent. `gone` is added by the client when the channel closes. */
export type ExecutorEvent = z.output<typeof eventSchema> | { readonly kind: 'gone' };
export type SentEvent = z.output<typeof eventSchema>;

export const greetingSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('welcome'),
    session: text(64),
    pid: z.number().int(),
    startTime: text(20),
  }),
  z.strictObject({ kind: z.literal('refused'), why: text(MAX_TEXT) }),
  /**
   * `kept`: of a tenure that waits for a new agent (L7). `knows`: that order may be sent; one of before does not say. What else a
   * later version says is not looked at.
   */
  z.object({
    kind: z.literal('features'),
    adoption: z.boolean(),
    kept: asNullableEpoch,
    knows: z.boolean().default(false),
    /** It knows `follow-resync`. */
    resync: z.boolean().default(false),
  }),
]);

export type Greeting = z.output<typeof greetingSchema>;

/** Characters of all texts of one line: a longer line would cost the channel, and with it what is held. Each may need an escape. */
const LINE_CHARACTERS = MAX_LINE_BYTES / 2;

/** `count`: how many such texts are in its line. */
export function clip(value: string, count = 1): string {
  const most = Math.min(MAX_TEXT, Math.floor(LINE_CHARACTERS / Math.max(1, count)));
  return value.length <= most ? value : `${value.slice(0, most - 1)}…`;
}

/** An error for a line on the channel. */
export function words(error: unknown): string {
  if (error instanceof QuorateError) return clip(`${error.message} [${error.code}]`);
  return clip(error instanceof Error ? error.message : String(error));
}
