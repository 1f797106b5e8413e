/** The section `replication.send`: when snapshots are taken and sent, and for how long they are kept. */
import { z } from 'zod';
import { durationMs } from '../core/index.ts';
import type { KeepConfig, ReplicationPolicy, SendConfig } from './config.ts';
import { parseByteRate, parseTimeWindow } from './scalars.ts';
import { duration, parsed } from './schema-parts.ts';

const MAX_KEPT = 10_000;
const count = z.number().int().min(0).max(MAX_KEPT);

/** The newest always stays, so the last one at least. */
export const keepSection = z.strictObject({
  last: z.number().int().min(1).max(MAX_KEPT).default(60),
  hourly: count.default(24),
  daily: count.default(14),
  weekly: count.default(8),
  monthly: count.default(0),
  yearly: count.default(0),
});

const DEFAULT_KEEP: KeepConfig = { last: 60, hourly: 24, daily: 14, weekly: 8, monthly: 0, yearly: 0 };
const DEFAULT_PERIOD = durationMs(60_000);
/** Over SSH a Node begins for each answer; a guest without hardware help has taken more than 30 s for that. */
const DEFAULT_ANSWER = durationMs(60_000);

const policy = {
  period: duration(1000, 24 * 3_600_000).optional(),
  keep: keepSection.optional(),
  keep_copy: keepSection.optional(),
  windows: z.array(parsed(parseTimeWindow)).min(1).max(16).optional(),
};

type PolicyText = {
  [Key in keyof typeof policy]?: z.output<(typeof policy)[Key]> | undefined;
};

const overrideShape = (pattern: z.ZodString) => ({ datasets: z.array(pattern).min(1).max(64), ...policy });

/** What the documentation is checked against. */
export const SEND_KEYS: readonly string[] = [...Object.keys(policy), ...['bandwidth', 'overrides', 'answer']];

export const sendSection = (pattern: z.ZodString) =>
  z
    .strictObject({
      ...policy,
      bandwidth: parsed(parseByteRate).optional(),
      answer: duration(1000, 600_000).default(DEFAULT_ANSWER),
      overrides: z
        .array(z.strictObject(overrideShape(pattern)))
        .max(64)
        .default([]),
    })
    .transform(({ bandwidth = null, answer, overrides, ...rest }): SendConfig => {
      const general = policyWith(rest, {
        periodMs: DEFAULT_PERIOD,
        keep: DEFAULT_KEEP,
        keepCopy: rest.keep ?? DEFAULT_KEEP,
        windows: [],
      });
      return {
        policy: general,
        overrides: overrides.map(({ datasets, ...own }) => ({ datasets, policy: policyWith(own, general) })),
        bytesPerSecond: bandwidth,
        answerMs: answer,
      };
    });

/** What an override does not say is as for all the others. */
function policyWith(said: PolicyText, otherwise: ReplicationPolicy): ReplicationPolicy {
  return {
    periodMs: said.period ?? otherwise.periodMs,
    keep: said.keep ?? otherwise.keep,
    keepCopy: said.keep_copy ?? said.keep ?? otherwise.keepCopy,
    windows: said.windows ?? otherwise.windows,
  };
}
