/**
 * The structure of each section: strict, with limits. Relations between sections are checked in `checks.ts`.
 * A schema's fields are the file's own names; `load.ts` turns them into `Config`.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { durationMs, nodeId } from '../core/index.ts';
import { formatAddress, type Parsed, parseAddress, parseDuration, parsePercent } from './scalars.ts';

/** The hint travels behind this mark, because zod's issues have a message only. */
export const HINT_MARK = '\u0000';

function parsed<Value>(parse: (value: unknown) => Parsed<Value>) {
  return z.unknown().transform((value, context): Value => {
    const result = parse(value);
    if (result.ok) return result.value;
    const message = result.hint === null ? result.why : `${result.why}${HINT_MARK}${result.hint}`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

const duration = (minMs: number, maxMs: number) =>
  parsed((value) => parseDuration(value, { minMs, maxMs })).transform((value) => durationMs(value));

const address = parsed(parseAddress).transform((value) => formatAddress(value));

const text = (maxLength: number) => z.string().min(1).max(maxLength);

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

export const filePath = text(4096).refine((value) => !value.includes('\u0000'), 'is not a file name');

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

const name = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/,
    `must be 1 to 63 of a-z, 0-9, "_", "-"${HINT_MARK}as "block"`,
  );
const common = { name, after: z.array(z.string()).max(64).optional() };
const localAddress = z.string().refine((value) => isIP(value) !== 0, {
  error: `must be a local IP address of this node${HINT_MARK}or one for each data node, as {a: 10.0.9.10, b: 10.0.9.11}`,
});
const command = z.union(
  [text(4096), z.array(text(4096)).min(1).max(64)],
  `expected a command${HINT_MARK}a text for the shell, or a list: program and arguments`,
);

export const resourceSections = {
  drbd: z.strictObject({
    ...common,
    kind: z.literal('drbd'),
    resource: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, `is not a DRBD resource name${HINT_MARK}as in /etc/drbd.d`),
  }),
  'elastic-ip': z.strictObject({
    ...common,
    kind: z.literal('elastic-ip'),
    allocation: z
      .string()
      .regex(/^eipalloc-[0-9a-f]{8,17}$/, `is not an allocation id${HINT_MARK}as "eipalloc-03a7e962"`),
    interfaces: z.record(
      z.string(),
      z.string().regex(/^eni-[0-9a-f]{8,17}$/, `is not a network interface id${HINT_MARK}as "eni-46561127"`),
    ),
    via: z.union([z.string(), z.record(z.string(), localAddress)]).optional(),
  }),
  service: z.strictObject({
    ...common,
    kind: z.literal('service'),
    unit: z
      .string()
      .regex(
        /^[A-Za-z0-9:_.\\@-]{1,250}\.(service|target|mount|socket|scope|slice|timer|path|automount)$/,
        `is not a systemd unit${HINT_MARK}as "nfs-server.service"`,
      )
      .optional(),
    start: command.optional(),
    stop: command.optional(),
    probe: command.optional(),
  }),
} as const;

export type ResourceKind = keyof typeof resourceSections;
export type ResourceSection = {
  readonly [Kind in ResourceKind]: z.infer<(typeof resourceSections)[Kind]>;
}[ResourceKind];

export const RESOURCE_KINDS = Object.keys(resourceSections) as ResourceKind[];

/** Kinds of the design that have no code yet: refused with a sentence of their own. */
export const PLANNED_KINDS = [
  'zfs-pool',
  'port',
  'route-table',
  'vpc-route',
  'private-ip',
  'target-group',
  'virtual-ip',
] as const;

export const TOP_LEVEL_KEYS = [
  'cluster',
  'node',
  'data_dir',
  'members',
  'timing',
  'tls',
  'admin',
  'http',
  'watchdog',
  'fencing',
  'max_data_loss',
  'cloud',
  'resources',
] as const;
