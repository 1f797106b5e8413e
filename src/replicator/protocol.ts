/**
 * Between the executor and its replicator: one JSON document a line, orders by its standard input, reports by its standard
 * output. When its standard input closes, it ends with everything that it has started.
 */
import { z } from 'zod';
import { epoch } from '../core/index.ts';
import { MAX_DATASET_NAME, reportSchema } from '../replication/index.ts';

const epochNumber = z.number().transform((value) => epoch(value));

export const orderSchema = z.discriminatedUnion('kind', [
  /** The first one, and there is no second: each tenure has a process of its own. */
  z.strictObject({ kind: z.literal('send'), epoch: epochNumber }),
  /** Instead: one last snapshot of the pools of a planned release, and the end. */
  z.strictObject({ kind: z.literal('last'), epoch: epochNumber }),
  /** A round now; null: of everything. */
  z.strictObject({ kind: z.literal('run'), dataset: z.string().max(MAX_DATASET_NAME).nullable() }),
]);

export type ReplicatorOrder = z.output<typeof orderSchema>;
export { reportSchema as replicatorReportSchema };
