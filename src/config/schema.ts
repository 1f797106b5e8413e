/**
 * The structure of each section but the resources: strict, with limits. Relations between sections are checked in `checks.ts`.
 * A schema's fields are the file's own names; `load.ts` turns them into `Config`.
 */
import { z } from 'zod';
import { durationMs, nodeId } from '../core/index.ts';
import { parsePercent } from './scalars.ts';
import { address, duration, filePath, HINT_MARK, parsed, poolName, text } from './schema-parts.ts';
import { sendSection } from './send-schema.ts';

/** `unset` keys take the default; the YAML value null ("timing:") counts as unset only where it says nullable. */
export const clusterName = z
  .string()
  .regex(
    /^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$/,
    `must be 1 to 63 letters, digits, ".", "_" or "-"${HINT_MARK}as "nas-prod"`,
  );

export const nodeName = parsed((value) => {
  const example = 'as "a" or "nas-1"';
  if (typeof value !== 'string')
    return { ok: false as const, why: `expected a node id, got ${JSON.stringify(value)}`, hint: example };
  try {
    return { ok: true as const, value: nodeId(value) };
  } catch (error) {
    return { ok: false as const, why: error instanceof Error ? error.message : String(error), hint: example };
  }
});

export const memberSection = z.strictObject({
  zone: text(63).optional(),
  peer: address,
  witness: z.boolean().default(false),
});

export const timingSection = z.strictObject({
  heartbeat: duration(10, 10_000).default(durationMs(100)),
  lease: duration(30, 60_000).default(durationMs(600)),
  release: duration(10, 600_000).default(durationMs(1000)),
  clock_error: parsed((value) => parsePercent(value, { min: 0, max: 0.09 })).default(0.005),
  guard: duration(1, 10_000).default(durationMs(25)),
  promise: duration(1, 3_600_000).optional(),
});

export const tlsSection = z.strictObject({ ca: filePath, cert: filePath, key: filePath });

export const listenSection = z.strictObject({ listen: address });

export const watchdogSection = z.strictObject({
  device: filePath.default('/dev/watchdog'),
  mode: z.enum(['required', 'automatic', 'off']).default('required'),
  timeout: duration(50, 300_000).optional(),
});

export const fencingSection = z.strictObject({
  ec2_stop: z.enum(['off', 'after', 'before']).default('after'),
  instances: z
    .record(
      z.string(),
      z.string().regex(/^i-[0-9a-f]{8,17}$/, `is not an instance id${HINT_MARK}as "i-256edbbc9d260071a"`),
    )
    .optional(),
  isolation_group: z
    .string()
    .regex(/^sg-[0-9a-f]{8,17}$/, `is not a security group id${HINT_MARK}as "sg-0a1b2c3d"`)
    .optional(),
});

export const maxDataLoss = duration(0, 30 * 24 * 3_600_000);

export const cloudSection = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z]{2,}(-[a-z0-9]+){1,4}$/, `is not a region${HINT_MARK}as "us-east-1"`)
    .nullable()
    .default(null),
  endpoint: z
    .url({
      protocol: /^https?$/,
      error: `is not an http(s) URL${HINT_MARK}leave it out for AWS's own endpoint`,
    })
    .nullable()
    .default(null),
});

const datasetPattern = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9_.:*-][A-Za-z0-9_.:* -]*(\/[A-Za-z0-9_.:* -]+)*$/, {
    error: `is not a dataset's name with or without "*"${HINT_MARK}as "tank/home" or "tank/*/cache"; what lies below is meant too`,
  });

const port = z.number().int().min(1).max(65_535);
const hosts = z.record(z.string(), text(253)).optional();

/** How the stream gets to the other data node, and the orders with it. */
const channelSection = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('ssh'),
    user: z
      .string()
      .regex(/^[a-z_][a-z0-9_-]{0,31}$/, `is not the name of a user${HINT_MARK}as "root"`)
      .default('root'),
    port: port.default(22),
    hosts,
    authorized_keys: filePath.optional(),
    host_keys: z.array(filePath).min(1).max(8).optional(),
    command: z.array(text(4096)).min(1).max(8).optional(),
  }),
  z.strictObject({ kind: z.literal('grpc'), port: port.default(7405), hosts }),
]);

export const replicationSection = z.strictObject({
  pools: z.array(poolName).min(1).max(16),
  include: z.array(datasetPattern).max(256).default([]),
  exclude: z.array(datasetPattern).max(256).default([]),
  channel: channelSection.optional(),
  send: sendSection(datasetPattern).nullable().default(null),
});

export const TOP_LEVEL_KEYS = [
  'cluster',
  'node',
  'data_dir',
  'members',
  'timing',
  'tls',
  'admin',
  'http',
  'alerts',
  'watchdog',
  'fencing',
  'max_data_loss',
  'cloud',
  'resources',
  'replication',
] as const;
