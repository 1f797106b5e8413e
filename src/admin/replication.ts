/** `quorate replication status --json`: one type for the agent that makes it, the wire, and the commands that read it. */
import { z } from 'zod';
import { DATASET_STATES } from '../replication/index.ts';

const orNull = <Schema extends z.ZodType>(schema: Schema) => schema.nullable().default(null);
const bytes = z.number().nonnegative();

/** Milliseconds since 1970, by the wall clock of the node that answers. */
const wallMs = z.number();

const datasetSchema = z.object({
  dataset: z.string(),
  state: z.enum(DATASET_STATES),
  why: z.string(),
  common: orNull(z.object({ name: z.string(), takenAt: orNull(wallMs) })),
  periodMs: z.number(),
  progress: orNull(
    z.object({
      snapshot: z.string(),
      bytes,
      totalBytes: orNull(bytes),
      bytesPerSecond: orNull(bytes),
      startedAt: wallMs,
    }),
  ),
  lastError: orNull(z.object({ at: wallMs, why: z.string() })),
  sentBytes: bytes,
  failures: z.number(),
});

export const replicationSchema = z.object({
  cluster: z.string(),
  observer: z.string(),
  /** As the observer knows it. */
  holder: orNull(z.string()),
  /** Null: it does not send. */
  to: orNull(z.string()),
  isSending: z.boolean(),
  round: z.object({ number: z.number(), startedAt: orNull(wallMs), problem: orNull(z.string()) }),
  datasets: z.array(datasetSchema),
  /** So many more there are. */
  omitted: z.number().default(0),
});

export const replicationRunSchema = z.object({ round: z.number() });

export type ReplicationDocument = Omit<z.output<typeof replicationSchema>, 'datasets'> & {
  readonly datasets: readonly z.output<typeof datasetSchema>[];
};
