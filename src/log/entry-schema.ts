/**
 * The gateway for entry bodies (style 4): whatever comes from the disk or from a peer becomes an `EntryBody` here,
 * branded and within limits, or not at all. Unknown fields are refused: they would not survive into the chain hash.
 *
 * Limits hold in both directions: a proposer that checks a body by `entryBodySchema` can store it and read it back.
 */
import { z } from 'zod';
import type { ConfigChange, EntryBody, EntryKind, Member, Timing } from '../core/index.ts';
import { durationMs, epoch, logIndex, nodeId, term } from '../core/index.ts';

/** Characters of a string, or items of a list. A whole body is bounded by `MAX_BODY_BYTES` besides. */
export const ENTRY_LIMITS = {
  members: 16,
  removed: 512,
  address: 300,
  zone: 64,
  steps: 128,
  clusterName: 128,
  stepName: 128,
  stepResult: 512,
  who: 256,
  action: 4096,
  why: 4096,
  request: 64,
  evidence: 8192,
  note: 16_384,
} as const;

/** A body's canonical JSON in UTF-8. */
export const MAX_BODY_BYTES = 63 * 1024;

/** Runs a branding constructor of the core and turns its complaint into an issue of the schema. */
function branded<Input, Output>(base: z.ZodType<Input, Input>, make: (value: Input) => Output) {
  return base.transform((value, context): Output => {
    try {
      return make(value);
    } catch (error) {
      context.issues.push({ code: 'custom', message: (error as Error).message, input: value });
      return z.NEVER;
    }
  });
}

const node = branded(z.string(), nodeId);
const aTerm = branded(z.number(), term);
const anIndex = branded(z.number(), logIndex);
const anEpoch = branded(z.number(), epoch);
const duration = branded(z.number(), durationMs);
/** A measured time in ms, may have fractions. */
const milliseconds = z.number().nonnegative();
/** Up to the end of the year 9999, so that it can be written as a date. */
const instantOfWallClock = z.number().min(0).max(253_402_300_799_999);
const wallClock = z.number().nullable();
const text = (limit: number) => z.string().max(limit);

const member = z.strictObject({
  id: node,
  witness: z.boolean(),
  learner: z.boolean(),
  peer: text(ENTRY_LIMITS.address).exactOptional(),
  zone: text(ENTRY_LIMITS.zone).exactOptional(),
  snapshots: z.literal(true).exactOptional(),
}) satisfies z.ZodType<Member>;

const timing = z.strictObject({
  heartbeatMs: duration,
  leaseMs: duration,
  releaseMs: duration,
  guardMs: duration,
  watchdog: z.strictObject({ timeoutMs: duration, petWindowMs: duration }).nullable(),
  clockErrorRate: z.number().min(0).lt(1),
  promiseMs: duration,
}) satisfies z.ZodType<Timing>;

const change = z.strictObject({
  what: z.enum(['add', 'promote', 'remove', 'settings']),
  node: node.nullable(),
  who: text(ENTRY_LIMITS.who),
  why: text(ENTRY_LIMITS.why),
  request: text(ENTRY_LIMITS.request).nullable(),
  at: wallClock,
}) satisfies z.ZodType<ConfigChange>;

const step = z.strictObject({
  name: text(ENTRY_LIMITS.stepName),
  ms: milliseconds,
  result: text(ENTRY_LIMITS.stepResult),
});
const nodes = (limit: number) => z.array(node).max(limit);
const electionReason = z.enum([
  'boot',
  'leader-silent',
  'released',
  'transfer',
  'caretaker',
  'retry',
  'operator',
]);
const releaseReason = z.enum([
  'switchover',
  'lease-lost',
  'shutdown',
  'agent-died',
  'stale-data',
  'failure',
  'operator',
]);

/** One schema per kind; the compiler finds a forgotten kind or field. */
export const bodySchemas = {
  config: z.strictObject({
    kind: z.literal('config'),
    members: z.array(member).min(1).max(ENTRY_LIMITS.members),
    removed: nodes(ENTRY_LIMITS.removed),
    timing,
    inSync: nodes(ENTRY_LIMITS.members).nullable(),
    cluster: text(ENTRY_LIMITS.clusterName),
    goal: timing.exactOptional(),
    change: change.exactOptional(),
  }),
  elected: z.strictObject({
    kind: z.literal('elected'),
    leader: node,
    votes: nodes(ENTRY_LIMITS.members),
    reason: electionReason,
    detectMs: milliseconds.nullable(),
    electMs: milliseconds,
    caretaker: z.boolean(),
    at: wallClock,
  }),
  'tenure-granted': z.strictObject({ kind: z.literal('tenure-granted'), node, at: wallClock }),
  'tenure-released': z.strictObject({
    kind: z.literal('tenure-released'),
    epoch: anEpoch,
    node,
    reason: releaseReason,
    evidence: text(ENTRY_LIMITS.evidence),
    successor: node.nullable(),
    at: wallClock,
  }),
  'takeover-done': z.strictObject({
    kind: z.literal('takeover-done'),
    epoch: anEpoch,
    node,
    ok: z.boolean(),
    totalMs: milliseconds,
    steps: z.array(step).max(ENTRY_LIMITS.steps),
    at: wallClock,
  }),
  'peer-outdated': z.strictObject({ kind: z.literal('peer-outdated'), peer: node, epoch: anEpoch }),
  'peer-in-sync': z.strictObject({ kind: z.literal('peer-in-sync'), peer: node, epoch: anEpoch }),
  'node-outdated': z.strictObject({ kind: z.literal('node-outdated'), node, epoch: anEpoch }),
  repaired: z.strictObject({
    kind: z.literal('repaired'),
    node,
    markerIndex: anIndex,
    markerTerm: aTerm,
  }),
  fenced: z.strictObject({
    kind: z.literal('fenced'),
    epoch: anEpoch,
    node,
    outcome: z.enum(['stopped', 'terminated', 'unconfirmed']),
    detail: text(ENTRY_LIMITS.why),
    ms: milliseconds,
    at: wallClock,
  }),
  operator: z.strictObject({
    kind: z.literal('operator'),
    who: text(ENTRY_LIMITS.who),
    action: text(ENTRY_LIMITS.action),
    to: node.exactOptional(),
    request: text(ENTRY_LIMITS.request).exactOptional(),
    at: wallClock,
  }),
  'operator-result': z.strictObject({
    kind: z.literal('operator-result'),
    of: anIndex,
    ok: z.boolean(),
    result: text(ENTRY_LIMITS.why),
    at: wallClock,
  }),
  pause: z.strictObject({
    kind: z.literal('pause'),
    paused: z.boolean(),
    who: text(ENTRY_LIMITS.who),
    why: text(ENTRY_LIMITS.why),
    request: text(ENTRY_LIMITS.request).nullable(),
    at: wallClock,
  }),
  standby: z.strictObject({
    kind: z.literal('standby'),
    node,
    standby: z.boolean(),
    who: text(ENTRY_LIMITS.who),
    why: text(ENTRY_LIMITS.why),
    request: text(ENTRY_LIMITS.request).nullable(),
    at: wallClock,
  }),
  forced: z.strictObject({
    kind: z.literal('forced'),
    who: text(ENTRY_LIMITS.who),
    why: text(ENTRY_LIMITS.why),
    mayLose: text(ENTRY_LIMITS.why),
    node,
    request: text(ENTRY_LIMITS.request).exactOptional(),
    newCluster: z.strictObject({ fenced: nodes(ENTRY_LIMITS.members) }).exactOptional(),
    at: wallClock,
  }),
  'restart-begun': z.strictObject({
    kind: z.literal('restart-begun'),
    epoch: anEpoch,
    node,
    durationMs: duration,
    who: text(ENTRY_LIMITS.who).exactOptional(),
    request: text(ENTRY_LIMITS.request).exactOptional(),
    at: wallClock.exactOptional(),
  }),
  'switchover-scheduled': z.strictObject({
    kind: z.literal('switchover-scheduled'),
    to: node.nullable(),
    epoch: anEpoch,
    dueAt: instantOfWallClock,
    graceMs: duration,
    who: text(ENTRY_LIMITS.who),
    why: text(ENTRY_LIMITS.why),
    request: text(ENTRY_LIMITS.request).nullable(),
    at: wallClock,
  }),
  'switchover-begun': z.strictObject({
    kind: z.literal('switchover-begun'),
    of: anIndex,
    to: node,
    at: wallClock,
  }),
  'switchover-ended': z.strictObject({
    kind: z.literal('switchover-ended'),
    of: anIndex,
    outcome: z.enum(['done', 'cancelled', 'expired', 'refused']),
    who: text(ENTRY_LIMITS.who).nullable(),
    why: text(ENTRY_LIMITS.why),
    request: text(ENTRY_LIMITS.request).nullable(),
    at: wallClock,
  }),
  'tenure-adopted': z.strictObject({ kind: z.literal('tenure-adopted'), epoch: anEpoch, node }),
  'timing-persisted': z.strictObject({ kind: z.literal('timing-persisted'), node, promiseMs: duration }),
  note: z.strictObject({ kind: z.literal('note'), text: text(ENTRY_LIMITS.note) }),
} satisfies { readonly [Kind in EntryKind]: z.ZodType<Extract<EntryBody, { kind: Kind }>> };

export const entryBodySchema = z.discriminatedUnion('kind', [
  bodySchemas.config,
  bodySchemas.elected,
  bodySchemas['tenure-granted'],
  bodySchemas['tenure-released'],
  bodySchemas['takeover-done'],
  bodySchemas['peer-outdated'],
  bodySchemas['peer-in-sync'],
  bodySchemas['node-outdated'],
  bodySchemas.repaired,
  bodySchemas.fenced,
  bodySchemas.operator,
  bodySchemas['operator-result'],
  bodySchemas.pause,
  bodySchemas.standby,
  bodySchemas.forced,
  bodySchemas['restart-begun'],
  bodySchemas['switchover-scheduled'],
  bodySchemas['switchover-begun'],
  bodySchemas['switchover-ended'],
  bodySchemas['tenure-adopted'],
  bodySchemas['timing-persisted'],
  bodySchemas.note,
]);

export const envelopeSchema = z.strictObject({
  index: branded(z.number().min(1), logIndex),
  term: aTerm,
  previous: z.string().regex(/^[0-9a-f]{64}$/),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  body: z.looseObject({ kind: z.string().max(64) }),
});

export const hardStateSchema = z.strictObject({
  term: aTerm,
  votedFor: node.nullable(),
  commitIndex: anIndex,
  damaged: z.strictObject({ markerIndex: anIndex, markerTerm: aTerm }).nullable(),
});
