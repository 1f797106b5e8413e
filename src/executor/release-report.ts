/** What `executor.mjs --release-within` says on stdout, and `quorate release --json` too: one document. */
import { z } from 'zod';

const text = z.string().max(8192);

export const releaseReportSchema = z.strictObject({
  node: text,
  /** `unverified`: the limit came before every local resource read `not-held` (R2). */
  outcome: z.enum(['released', 'unverified']),
  /** The tenure that was found open here: dead for ever from now on. Null: there was none, or it is not verified. */
  epoch: z.number().int().nullable(),
  /** The executor that was ended for this, by its pid. */
  replaced: z.number().int().nullable(),
  /** As the log of a cluster would keep it; null where it is not verified. */
  evidence: text.nullable(),
  /** From the first step to the verification: what D bounds (R1). Null where it is not verified. */
  ms: z.number().nullable(),
  /** From the end of the executor that was here before. */
  totalMs: z.number(),
  /** D, as this node's config has it. */
  releaseMs: z.number(),
  resources: z.array(
    z.strictObject({
      name: text,
      kind: text,
      scope: z.enum(['local', 'cloud']),
      /** Null in the cloud: where an address points is not a fact of this host (R2), and is left to the next holder. */
      probe: z.enum(['held', 'not-held', 'unknown']).nullable(),
      detail: text.nullable(),
      /** What its release said; null: nothing had to be done. */
      action: text.nullable(),
    }),
  ),
  /** False: `executor-state.json` is damaged, so that which epochs are dead is not known, and no executor starts. */
  isRemembered: z.boolean(),
  /** It could not be closed (`nowayout`, or nothing is verified): it resets the host unless an executor pets it. Null: not known. */
  isWatchdogTicking: z.boolean().nullable(),
});

export type ReleaseReport = z.output<typeof releaseReportSchema>;
