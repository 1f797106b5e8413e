/** Target groups in the state file: their fields, and that they fit the rest. */
import { isIPv4 } from 'node:net';
import { z } from 'zod';

const ms = (least: number) => z.number().min(least).max(600_000);
const port = z.int().min(1).max(65_535);
const threshold = z.int().min(1).max(10);
const CODES = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/;

/** Shorter than ELB's own defaults (30 s, 5 s, 5 and 2 checks, 300 s): this is for tests and demonstrations. */
const healthCheckSchema = z.strictObject({
  protocol: z.enum(['TCP', 'HTTP']).default('TCP'),
  port: port.nullable().default(null),
  path: z.string().startsWith('/').max(1024).default('/'),
  codes: z.string().regex(CODES, 'expected an HTTP status or a range, such as 200 or 200-399').default('200'),
  intervalMs: ms(10).default(1_000),
  timeoutMs: ms(10).default(500),
  healthyThreshold: threshold.default(2),
  unhealthyThreshold: threshold.default(2),
});

const GROUP_ARN =
  /^arn:aws:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup\/[A-Za-z0-9-]{1,32}\/[0-9a-f]{16}$/;

export const targetGroupsSchema = z
  .array(
    z.strictObject({
      arn: z
        .string()
        .regex(
          GROUP_ARN,
          'expected arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/16 hex digits',
        ),
      protocol: z.enum(['TCP', 'HTTP']).default('TCP'),
      port,
      targetType: z.enum(['instance', 'ip']).default('instance'),
      healthCheck: healthCheckSchema.prefault({}),
      deregistrationDelayMs: ms(0).default(1_000),
      /** Registered from the beginning; without a port, at the group's. */
      targets: z.array(z.strictObject({ id: z.string().min(1), port: port.optional() })).default([]),
    }),
  )
  .max(64);

/** `200` or `200-399`, as numbers. */
export function codeRange(text: string): { least: number; most: number } {
  const [, least = '', most = least] = CODES.exec(text) ?? [];
  return { least: Number(least), most: Number(most) };
}

interface Known {
  readonly targetGroups: z.output<typeof targetGroupsSchema>;
  readonly instances: readonly { readonly id: string }[];
  readonly interfaces: readonly { readonly privateIps: readonly string[] }[];
}

export function checkTargetGroups(
  state: Known,
  report: (path: (string | number)[], message: string) => void,
): void {
  const arns = new Set<string>();
  for (const [index, group] of state.targetGroups.entries()) {
    const at = (...rest: (string | number)[]) => ['targetGroups', index, ...rest];
    if (arns.has(group.arn)) report(at('arn'), 'is used twice');
    arns.add(group.arn);
    const places = new Set<string>();
    for (const [n, target] of group.targets.entries()) {
      const place = `${target.id}:${target.port ?? group.port}`;
      if (places.has(place)) report(at('targets', n), `${place} is there twice`);
      places.add(place);
      const isKnown =
        group.targetType === 'instance'
          ? state.instances.some(({ id }) => id === target.id)
          : isIPv4(target.id) && state.interfaces.some(({ privateIps }) => privateIps.includes(target.id));
      if (isKnown) continue;
      const where = group.targetType === 'instance' ? 'instances' : "any interface's privateIps";
      report(at('targets', n, 'id'), `is not in ${where}`);
    }
  }
}
