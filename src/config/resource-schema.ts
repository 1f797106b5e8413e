/** The structure of each kind of resource. What depends on the members is checked in `resource-kinds.ts`. */
import { isIP, isIPv6 } from 'node:net';
import { normalize } from 'node:path';
import { z } from 'zod';
import { parseDuration } from './scalars.ts';
import { filePath, HINT_MARK, parsed, poolName, text } from './schema-parts.ts';

const name = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/,
    `must be 1 to 63 of a-z, 0-9, "_", "-"${HINT_MARK}as "block"`,
  );
const common = { name, after: z.array(z.string()).max(64).optional() };

/** One value for all data nodes, or a map from node id to value. */
export type PerNode<Value> =
  | { readonly kind: 'all'; readonly value: Value }
  | { readonly kind: 'each'; readonly values: Readonly<Record<string, Value>> };

/** A map is always taken as one from node id to value: none of the values is a map itself. */
function perNode<Schema extends z.ZodType>(schema: Schema) {
  return z.unknown().transform((value, context): PerNode<z.output<Schema>> => {
    const read = (one: unknown, path: readonly string[]): z.output<Schema> | undefined => {
      const result = schema.safeParse(one);
      if (result.success) return result.data;
      for (const { message, path: inner } of result.error.issues)
        context.addIssue({ code: 'custom', message, path: [...path, ...inner], input: one });
      return undefined;
    };
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const one = read(value, []);
      return one === undefined ? z.NEVER : { kind: 'all', value: one };
    }
    const values: Record<string, z.output<Schema>> = {};
    for (const [id, raw] of Object.entries(value)) {
      const one = read(raw, [id]);
      if (one === undefined) return z.NEVER;
      values[id] = one;
    }
    return { kind: 'each', values };
  });
}

const ip = z
  .string(`must be an IP address${HINT_MARK}as "10.0.1.1"`)
  .refine(isAddress, { error: `is not an IP address${HINT_MARK}as "10.0.1.1"` });
const ipv4 = z
  .string(`must be an IPv4 address${HINT_MARK}as "10.0.1.50"`)
  .refine((value) => isIP(value) === 4, { error: `is not an IPv4 address${HINT_MARK}as "10.0.1.50"` });

/** An address with the length of its network's prefix. */
const interfaceAddress = z
  .string(`must be an address and a prefix length${HINT_MARK}as "10.0.1.11/24"`)
  .refine(isCidr, { error: `is not an address with a prefix length${HINT_MARK}as "10.0.1.11/24"` });

const destination = z
  .string(`must be a network${HINT_MARK}as "192.168.77.77/32"`)
  .refine((value) => value === 'default' || isCidr(value), {
    error: `is not a network${HINT_MARK}as "192.168.77.77/32"`,
  });

/** Without a zone, as "%eth1": which interface is meant stands beside it. */
function isAddress(value: string): boolean {
  return isIP(value) !== 0 && !value.includes('%');
}

export function isCidr(value: string): boolean {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(value);
  const [, address = '', length = ''] = match ?? [];
  return isAddress(address) && Number(length) <= (isIPv6(address) ? 128 : 32);
}

/** As the kernel's table of mounts writes it: the same place is never written in two ways. */
const isPlainPath = (value: string): boolean =>
  /^\/./.test(value) && normalize(value) === value && !value.endsWith('/');

const poolDevice = filePath.refine(isPlainPath, {
  error: `must be the absolute path of a device, or of a directory of devices${HINT_MARK}as "/dev/disk/by-id"`,
});

/** The kernel allows more (at most 15 bytes, neither "/" nor a space), but other tools read some of it as patterns. */
const interfaceName = z
  .string(`must be the name of a network interface${HINT_MARK}as "eth1"`)
  .regex(
    /^(?!\.{1,2}$)[A-Za-z0-9_.@-]{1,15}$/,
    `is not the name of a network interface${HINT_MARK}as "eth1"`,
  );

const command = z.union(
  [text(4096), z.array(text(4096)).min(1).max(64)],
  `expected a command${HINT_MARK}a text for the shell, or a list: program and arguments`,
);

const cloudInterfaces = z.record(
  z.string(),
  z.string().regex(/^eni-[0-9a-f]{8,17}$/, `is not a network interface id${HINT_MARK}as "eni-46561127"`),
);

/** An IP address, or the name of a `port`; which of both is seen later. */
const via = perNode(
  z.string(
    `must be a local address or the name of a port${HINT_MARK}as "port2", or {a: 10.0.9.10, b: 10.0.9.11}`,
  ),
).optional();

const port = parsed((value) => {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(String(value));
  const number = Number(match?.[1] ?? 0);
  if (match === null || number < 1 || number > 65_535)
    return { ok: false as const, why: 'is not a port', hint: 'as "2049/tcp" or "111/udp"' };
  return {
    ok: true as const,
    value: { protocol: match[2] === 'udp' ? 'udp' : 'tcp', port: number } as const,
  };
});

const duration = (minMs: number, maxMs: number) => parsed((value) => parseDuration(value, { minMs, maxMs }));

export const resourceSections = {
  drbd: z.strictObject({
    ...common,
    kind: z.literal('drbd'),
    resource: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, `is not a DRBD resource name${HINT_MARK}as in /etc/drbd.d`),
  }),
  mount: z.strictObject({
    ...common,
    kind: z.literal('mount'),
    device: filePath.refine(isPlainPath, {
      error: `must be the absolute path of a block device${HINT_MARK}as "/dev/drbd0"; instead of UUID= or LABEL= write /dev/disk/by-uuid/... or /dev/disk/by-label/...`,
    }),
    mount_point: filePath.refine(isPlainPath, {
      error: `must be an absolute path, not /, without "//", "." or "..", and with no "/" at its end${HINT_MARK}as "/srv"`,
    }),
    fstype: z
      .string()
      .regex(/^[a-z0-9._]{1,32}$/, 'is not a file system type')
      .optional(),
    options: z
      .string()
      .regex(/^[^\s]{1,512}$/, `must have no spaces${HINT_MARK}as "noatime,nodiratime"`)
      .optional(),
  }),
  'zfs-pool': z.strictObject({
    ...common,
    kind: z.literal('zfs-pool'),
    pool: poolName,
    devices: perNode(
      z.union(
        [poolDevice.transform((one) => [one]), z.array(poolDevice).min(1).max(64)],
        `must be absolute paths of devices, or of a directory of devices${HINT_MARK}as ["/dev/disk/by-id"]`,
      ),
    ).optional(),
    load_keys: z.boolean().default(false),
    hosts: z
      .record(
        z.string(),
        z
          .string()
          .regex(
            /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/,
            `is not a host name${HINT_MARK}what "uname -n" says there`,
          ),
      )
      .optional(),
  }),
  'replicated-pool': z.strictObject({
    ...common,
    kind: z.literal('replicated-pool'),
    pool: poolName,
    load_keys: z.boolean().default(false),
  }),
  port: z.strictObject({
    ...common,
    kind: z.literal('port'),
    interface: perNode(interfaceName),
    addresses: perNode(
      z.union(
        [interfaceAddress.transform((one) => [one]), z.array(interfaceAddress).max(16)],
        `must be addresses with prefix lengths${HINT_MARK}as ["10.0.1.11/24"]`,
      ),
    ).optional(),
    gateway: perNode(ip).optional(),
  }),
  'route-table': z.strictObject({
    ...common,
    kind: z.literal('route-table'),
    /** This one and the next number are used in turn. 253 to 255 are the kernel's own. */
    table: z
      .number()
      .int()
      .min(1)
      .max(4_294_967_294)
      .refine((value) => value < 252 || value > 255, {
        error: `and the number after it are used in turn, and 253 to 255 are the kernel's own${HINT_MARK}as 200`,
      }),
    interface: perNode(interfaceName),
    gateway: perNode(ip).optional(),
    from: perNode(
      z.union(
        [
          ip.transform((one) => [one]),
          z
            .array(z.union([ip, interfaceAddress]))
            .min(1)
            .max(16),
        ],
        `must be addresses${HINT_MARK}as ["10.0.1.11"]`,
      ),
    ).optional(),
    routes: z
      .array(z.strictObject({ to: destination, via: perNode(ip).optional() }))
      .max(64)
      .default([]),
    priority: z.number().int().min(1).max(32_765).default(1000),
  }),
  'virtual-ip': z.strictObject({
    ...common,
    kind: z.literal('virtual-ip'),
    address: interfaceAddress,
    interface: perNode(interfaceName),
    announce: z.boolean().default(true),
  }),
  'elastic-ip': z.strictObject({
    ...common,
    kind: z.literal('elastic-ip'),
    allocation: z
      .string()
      .regex(/^eipalloc-[0-9a-f]{8,17}$/, `is not an allocation id${HINT_MARK}as "eipalloc-03a7e962"`),
    interfaces: cloudInterfaces,
    private_ip: perNode(ipv4).optional(),
    via,
  }),
  'vpc-route': z.strictObject({
    ...common,
    kind: z.literal('vpc-route'),
    tables: z
      .array(z.string().regex(/^rtb-[0-9a-f]{8,17}$/, `is not a route table id${HINT_MARK}as "rtb-8314a291"`))
      .min(1)
      .max(32),
    destination: z
      .string(`must be a network${HINT_MARK}as "192.168.77.77/32"`)
      .refine((value) => isCidr(value) && !value.includes(':'), {
        error: `is not an IPv4 network${HINT_MARK}as "192.168.77.77/32"`,
      }),
    interfaces: cloudInterfaces,
    via,
  }),
  'private-ip': z.strictObject({
    ...common,
    kind: z.literal('private-ip'),
    address: ipv4,
    interfaces: cloudInterfaces,
    via,
  }),
  'target-group': z.strictObject({
    ...common,
    kind: z.literal('target-group'),
    group: z
      .string()
      .regex(
        /^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup\/[A-Za-z0-9-]{1,32}\/[0-9a-f]{1,32}$/,
        `is not the ARN of a target group${HINT_MARK}as "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067"`,
      ),
    mode: z.enum(['role-checks', 'move']).default('role-checks'),
    targets: z.record(
      z.string(),
      z.string().refine((value) => /^i-[0-9a-f]{8,17}$/.test(value) || isIP(value) !== 0, {
        error: `is neither an instance id nor an IP address${HINT_MARK}as "i-256edbbc9d260071a"`,
      }),
    ),
    port: z.number().int().min(1).max(65_535).optional(),
    via,
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
  hook: z.strictObject({
    ...common,
    kind: z.literal('hook'),
    script: command,
    environment: z
      .record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable'),
        z.string().max(4096),
      )
      .default({}),
  }),
  'port-block': z.strictObject({
    ...common,
    kind: z.literal('port-block'),
    ports: z.array(port).min(1).max(128),
    addresses: z.array(ip).max(16).default([]),
    reset_connections: z.boolean().default(true),
  }),
  inbound: z.strictObject({
    ...common,
    kind: z.literal('inbound'),
    interface: perNode(interfaceName),
    addresses: perNode(z.array(ip).min(1).max(16)).optional(),
    within: duration(100, 10_000).default(2000),
    required: z.boolean().default(false),
  }),
} as const;

export type ResourceKind = keyof typeof resourceSections;
export type ResourceSection = {
  readonly [Kind in ResourceKind]: z.infer<(typeof resourceSections)[Kind]>;
}[ResourceKind];

export const RESOURCE_KINDS = Object.keys(resourceSections) as ResourceKind[];
