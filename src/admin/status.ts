/** `quorate status --json`: one type for the agent that makes it, the wire, and the commands that read it. */
import { z } from 'zod';
import { BY_ITSELF, COPIES, type PoolCopyFacts, TROUBLES } from '../pool-copies.ts';
import type { ResyncFacts } from '../resync.ts';

export { DEGRADED } from '../degraded.ts';

export const NODE_ROLES = ['leader', 'follower', 'candidate', 'caretaker', 'unreachable', 'damaged'] as const;
export const PROBES = ['held', 'not-held', 'unknown'] as const;

/** Null where it is not known. What the wire left out is null too. */
const orNull = <Schema extends z.ZodType>(schema: Schema) => schema.nullable().default(null);

const milliseconds = z.number().nonnegative();
const index = z.number().int().nonnegative();

export const takeoverStepSchema = z.object({ name: z.string(), ms: milliseconds, result: z.string() });

export const nodeStatusSchema = z.object({
  id: z.string(),
  kind: z.enum(['data', 'witness']),
  zone: orNull(z.string()),
  role: orNull(z.enum(NODE_ROLES)),
  reachable: orNull(z.boolean()),
  matchIndex: orNull(index),
  inSync: orNull(z.boolean()),
  standby: z.boolean(),
  /** Hash of the node's log up to `matchIndex`; equal logs have equal chains. */
  chain: orNull(z.string()),
});

export const resourceStatusSchema = z.object({
  name: z.string(),
  kind: z.string(),
  probe: z.enum(PROBES),
  /** Begins with `DEGRADED` where the tenure goes on without it, as no other node could do better (H6), or DRBD stands alone. */
  detail: orNull(z.string()),
});

export const lastTakeoverSchema = z.object({
  epoch: index,
  reason: orNull(z.string()),
  /** ISO 8601, the wall clock of the node that took over: for people only (T3). */
  startedAt: orNull(z.string()),
  steps: z.array(takeoverStepSchema),
  totalMs: orNull(milliseconds),
});

/** A volume of a DRBD resource that is being made equal to its peer's, or the other way. */
export const resyncSchema = z.object({
  resource: z.string(),
  volume: index,
  peer: orNull(z.string()),
  /** `source`: the observer's data goes to the peer. */
  role: z.enum(['source', 'target']),
  paused: z.boolean(),
  /** 0 to 100. */
  donePercent: orNull(z.number().min(0).max(100)),
  outOfSyncBytes: orNull(index),
}) satisfies z.ZodType<ResyncFacts>;

/** A pool that snapshots keep alike on two nodes, as the observer knows of it. */
export const poolCopySchema = z.object({
  pool: z.string(),
  role: z.enum(['source', 'target']),
  peer: orNull(z.string()),
  copy: z.enum(COPIES),
  upTo: orNull(z.string()),
  why: orNull(z.string()),
  byItself: orNull(z.enum(BY_ITSELF)),
  problem: orNull(z.string()),
  sending: z
    .array(
      z.object({
        dataset: z.string(),
        bytes: index,
        totalBytes: orNull(index),
        bytesPerSecond: orNull(milliseconds),
      }),
    )
    .default([]),
  conflicts: index,
  late: index,
  trouble: z.array(z.object({ dataset: z.string(), kind: z.enum(TROUBLES), why: z.string() })).default([]),
  omitted: index,
}) satisfies z.ZodType<PoolCopyFacts>;

/** A switchover at a later time. */
export const scheduledSchema = z.object({
  /** Index of the entry that ordered it; null before it is written. */
  id: orNull(index),
  /** Null: the best other data node at that time. */
  to: orNull(z.string()),
  /** The tenure that it is about: where that ends first, it is off. */
  epoch: orNull(index),
  /** ISO 8601, by the wall clock of whoever leads then; later than `until` it is not begun. */
  at: z.string(),
  until: z.string(),
  who: z.string(),
  why: z.string(),
  state: z.enum(['waiting', 'begun', 'ended']),
  outcome: orNull(z.enum(['done', 'cancelled', 'expired', 'refused'])),
  /** Why it ended so, a sentence. */
  result: orNull(z.string()),
});

export const statusSchema = z.object({
  cluster: z.string(),
  /** The node that answered; everything is as it sees it. */
  observer: z.string(),
  term: index,
  leader: orNull(z.string()),
  holder: orNull(z.string()),
  epoch: orNull(index),
  /** Whether the observer knows of a majority of voters: as leader by its acks, else by hearing a leader. */
  quorum: orNull(z.boolean()),
  paused: z.boolean(),
  commitIndex: index,
  chain: orNull(z.string()),
  nodes: z.array(nodeStatusSchema),
  /** `remainingMs` is null at a node that has no lease. */
  lease: z.object({ remainingMs: orNull(milliseconds) }),
  resources: z.array(resourceStatusSchema),
  lastTakeover: orNull(lastTakeoverSchema),
  /** To come, under way, or came to nothing in this tenure. Older agents know of none. */
  scheduled: orNull(scheduledSchema),
  /** What somebody should do about the observer: its certificates, its checks that have failed; a sentence each. Older agents tell none. */
  warnings: z.array(z.string()).default([]),
  /** Of DRBD, on the observer; older agents tell none. */
  resync: z.array(resyncSchema).default([]),
  /** Pools that are replicated by snapshots; older agents tell of none. */
  replication: z.array(poolCopySchema).default([]),
});

export type StatusDocument = z.infer<typeof statusSchema>;
export type NodeStatus = z.infer<typeof nodeStatusSchema>;
export type ResourceStatus = z.infer<typeof resourceStatusSchema>;
export type ScheduledSwitchover = z.infer<typeof scheduledSchema>;
export type TakeoverStep = z.infer<typeof takeoverStepSchema>;
