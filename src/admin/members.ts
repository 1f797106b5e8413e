/** Members and settings as `--json` prints them: one type for the agent, the wire, and the commands. */
import { z } from 'zod';
import { nodeId } from '../core/index.ts';

const orNull = <Schema extends z.ZodType>(schema: Schema) => schema.nullable().default(null);
const index = z.number().int().nonnegative();
const milliseconds = z.number().nonnegative();

const memberSchema = z.object({
  id: z.string(),
  kind: z.enum(['data', 'witness']),
  /** False: a learner. */
  hasVote: z.boolean(),
  /** Its data comes by snapshots: it is never in sync. */
  snapshots: z.boolean(),
  zone: orNull(z.string()),
  /** Where the observer reaches it. */
  address: orNull(z.string()),
  inSync: orNull(z.boolean()),
  /** The leader has just heard it; null where another was asked. */
  answers: orNull(z.boolean()),
  matchIndex: orNull(index),
  /** Everything that is committed. */
  hasLog: orNull(z.boolean()),
});

export const membersSchema = z.object({
  cluster: z.string(),
  observer: z.string(),
  leader: orNull(z.string()),
  /** Of the entry that says who the members are; 0 before there is a log. */
  configIndex: index,
  members: z.array(memberSchema),
  /** Ids that are used up. */
  removed: z.array(z.string()),
  /** Where the observer's config file says otherwise. */
  differences: z.array(z.string()),
});

export const memberOutcomeSchema = z.object({
  node: z.string().transform(nodeId),
  /** Of the entry. */
  index,
  members: z.array(memberSchema),
  alreadyDone: z.boolean().default(false),
});

const valuesSchema = z.object({
  heartbeatMs: milliseconds,
  leaseMs: milliseconds,
  releaseMs: milliseconds,
  /** Null: the cluster counts on none. */
  watchdogMs: orNull(milliseconds),
  promiseMs: milliseconds,
});

export const settingsSchema = z.object({
  cluster: z.string(),
  observer: z.string(),
  timing: valuesSchema,
  /** What it shall become; null: nothing is on its way. */
  goal: orNull(valuesSchema),
  /** Why it has not come to its end, as the leader sees it. */
  waitingFor: z.array(z.string()),
  /** What the observer's config file says. It counts at bootstrap only. */
  file: valuesSchema,
  differs: z.boolean(),
});

export const settingsOutcomeSchema = settingsSchema.extend({
  changed: z.boolean(),
  index: orNull(index),
  alreadyDone: z.boolean().default(false),
});

export type MembersDocument = z.infer<typeof membersSchema>;
export type MemberStatus = z.infer<typeof memberSchema>;
export type MemberOutcome = z.infer<typeof memberOutcomeSchema>;
export type SettingsDocument = z.infer<typeof settingsSchema>;
export type SettingsOutcome = z.infer<typeof settingsOutcomeSchema>;
