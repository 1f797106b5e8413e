/**
 * The state that a controller starts with: JSON or YAML, checked once, here. Every error names file, line and place.
 */
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { QuorateError } from '../../../src/errors.ts';
import { canonicalCidr, inCidr, isLoopback } from './cidr.ts';
import { FaultsSchema } from './faults.ts';
import { checkTargetGroups, targetGroupsSchema } from './state-target-groups.ts';

const id = (prefix: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}-[0-9a-z-]{1,40}$`), `expected ${prefix}- and small letters or digits`);
const address = z.string().refine(isIPv4, 'expected an IPv4 address');
const cidr = z
  .string()
  .refine((text) => canonicalCidr(text) !== null, 'expected an IPv4 block such as 10.1.0.0/16');
const tags = z.record(z.string(), z.string()).default({});
const ms = z.number().min(0).max(600_000);

const StateSchema = z
  .strictObject({
    region: z.string().min(1).default('us-east-1'),
    ownerId: z
      .string()
      .regex(/^\d{12}$/)
      .default('123456789012'),
    vpc: z.strictObject({ id: id('vpc').default('vpc-0a1b2c3d'), cidr: cidr.optional() }).prefault({}),
    /** `cidr` limits which private addresses may be assigned in this subnet (and so in its zone). */
    subnets: z
      .array(z.strictObject({ id: id('subnet'), zone: z.string().min(1), cidr: cidr.optional() }))
      .default([]),
    securityGroups: z
      .array(
        z.strictObject({
          id: id('sg'),
          name: z.string().optional(),
          ingress: z.enum(['open', 'none']).default('open'),
        }),
      )
      .default([]),
    instances: z
      .array(
        z.strictObject({
          id: id('i'),
          zone: z.string().min(1),
          state: z.enum(['running', 'stopped', 'terminated']).default('running'),
          tags,
        }),
      )
      .default([]),
    interfaces: z
      .array(
        z.strictObject({
          id: id('eni'),
          instance: id('i').nullable().default(null),
          deviceIndex: z.int().min(0).max(15).optional(),
          /** Without it, a subnet is made up for the zone of the instance. */
          subnet: id('subnet').optional(),
          privateIps: z.array(address).min(1).max(15),
          sourceDestCheck: z.boolean().default(true),
          groups: z.array(id('sg')).default([]),
          description: z.string().default(''),
          tags,
        }),
      )
      .default([]),
    addresses: z
      .array(
        z.strictObject({
          allocationId: id('eipalloc'),
          publicIp: address,
          ports: z.array(z.int().min(1).max(65_535)).max(64).default([]),
          tags,
          associatedWith: z.strictObject({ interface: id('eni'), privateIp: address.optional() }).optional(),
        }),
      )
      .default([]),
    routeTables: z
      .array(
        z.strictObject({
          id: id('rtb'),
          main: z.boolean().default(false),
          subnets: z.array(id('subnet')).default([]),
          routes: z
            .array(
              z.strictObject({
                destination: cidr,
                interface: id('eni').optional(),
                gateway: z.string().optional(),
              }),
            )
            .default([]),
          tags,
        }),
      )
      .default([]),
    targetGroups: targetGroupsSchema.default([]),
    /**
     * Absent: every access key may do everything. Present: an unknown key gets AuthFailure, a known one
     * UnauthorizedOperation for what its list lacks (`*` and `Describe*` are understood).
     */
    accessKeys: z.record(z.string(), z.strictObject({ allow: z.array(z.string()) })).optional(),
    timing: z
      .strictObject({
        osShutdownMs: ms.default(2_000),
        stoppingMs: ms.default(3_000),
        pendingMs: ms.default(500),
        reassignMs: ms.default(300),
      })
      .prefault({}),
    /** How a dead link looks through an elastic IP (see the forwarder). */
    deadLinks: z.enum(['reset', 'silence']).default('reset'),
    faults: FaultsSchema.prefault({}),
  })
  .superRefine(checkReferences);

/** For the forwarder, which listens and dials on this machine. */
const LoopbackStateSchema = StateSchema.superRefine((state, context) => {
  const check = (path: (string | number)[], ip: string): void => {
    const message = 'expected an address of 127.0.0.0/8: this controller serves one machine';
    if (!isLoopback(ip)) context.addIssue({ code: 'custom', path, message });
  };
  for (const [index, one] of state.interfaces.entries())
    for (const [n, ip] of one.privateIps.entries()) check(['interfaces', index, 'privateIps', n], ip);
  for (const [index, one] of state.addresses.entries()) check(['addresses', index, 'publicIp'], one.publicIp);
});

/** Which addresses a state may have: those of one machine, or of a network that somebody else makes. */
export type StateAddresses = 'loopback' | 'any';

export type ControllerStateInput = z.input<typeof StateSchema>;
export type ControllerState = z.output<typeof StateSchema>;
type Unchecked = z.output<typeof StateSchema>;

function checkReferences(state: Unchecked, context: z.RefinementCtx): void {
  const report = (path: (string | number)[], message: string): void => {
    context.addIssue({ code: 'custom', path, message });
  };
  const known = (list: readonly { readonly id: string }[]) => new Set(list.map((one) => one.id));
  const ids = {
    instances: known(state.instances),
    subnets: known(state.subnets),
    groups: known(state.securityGroups),
  };
  for (const name of ['subnets', 'securityGroups', 'instances', 'interfaces', 'routeTables'] as const) {
    repeats(state[name].map((one) => one.id)).forEach((index) => {
      report([name, index, 'id'], 'is used twice');
    });
  }
  for (const key of ['allocationId', 'publicIp'] as const) {
    repeats(state.addresses.map((one) => one[key])).forEach((index) => {
      report(['addresses', index, key], 'is used twice');
    });
  }
  const owners = new Map<string, string>();
  for (const [index, one] of state.interfaces.entries()) {
    const at = (...rest: (string | number)[]) => ['interfaces', index, ...rest];
    if (one.instance !== null && !ids.instances.has(one.instance))
      report(at('instance'), 'is not in instances');
    if (one.subnet !== undefined && !ids.subnets.has(one.subnet)) report(at('subnet'), 'is not in subnets');
    if (one.subnet === undefined && one.instance === null)
      report(at('subnet'), 'is needed without an instance');
    for (const [n, group] of one.groups.entries()) {
      if (!ids.groups.has(group)) report(at('groups', n), 'is not in securityGroups');
    }
    const block = state.subnets.find((subnet) => subnet.id === one.subnet)?.cidr ?? '0.0.0.0/0';
    for (const [n, ip] of one.privateIps.entries()) {
      if (owners.has(ip)) report(at('privateIps', n), `is an address of ${owners.get(ip)} already`);
      if (!inCidr(ip, block)) report(at('privateIps', n), `is outside the subnet's ${block}`);
      owners.set(ip, one.id);
    }
  }
  checkHeld(state, report);
  checkTargetGroups(state, report);
}

function checkHeld(state: Unchecked, report: (path: (string | number)[], message: string) => void): void {
  const held = new Set<string>();
  for (const [index, { associatedWith }] of state.addresses.entries()) {
    if (associatedWith === undefined) continue;
    const one = state.interfaces.find(({ id: name }) => name === associatedWith.interface);
    const ip = associatedWith.privateIp ?? one?.privateIps[0] ?? '';
    const place = ['addresses', index, 'associatedWith'];
    if (one === undefined) report([...place, 'interface'], 'is not in interfaces');
    else if (!one.privateIps.includes(ip)) report([...place, 'privateIp'], `is not an address of ${one.id}`);
    if (held.has(ip)) report(place, `${ip} holds another elastic IP already`);
    held.add(ip);
  }
  for (const [index, table] of state.routeTables.entries()) {
    for (const [n, subnet] of table.subnets.entries()) {
      if (!state.subnets.some((one) => one.id === subnet)) {
        report(['routeTables', index, 'subnets', n], 'is not in subnets');
      }
    }
    for (const [n, route] of table.routes.entries()) {
      const place = ['routeTables', index, 'routes', n];
      if ((route.interface === undefined) === (route.gateway === undefined)) {
        report(place, 'needs either interface or gateway');
      }
      const isKnown = state.interfaces.some((one) => one.id === route.interface);
      if (route.interface !== undefined && !isKnown) report([...place, 'interface'], 'is not in interfaces');
    }
    repeats(table.routes.map((route) => canonicalCidr(route.destination) ?? '')).forEach((n) => {
      report(['routeTables', index, 'routes', n, 'destination'], 'is used twice');
    });
  }
}

function repeats(values: readonly string[]): number[] {
  return values.flatMap((value, index) => (values.indexOf(value) < index ? [index] : []));
}

/** Checks a state that a program made. `where` and `lineOf` are for the messages. */
export function parseState(
  input: unknown,
  where = 'state',
  lineOf: (path: readonly PropertyKey[]) => number | null = () => null,
  addresses: StateAddresses = 'loopback',
): ControllerState {
  const parsed = (addresses === 'any' ? StateSchema : LoopbackStateSchema).safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => {
    const line = lineOf(path);
    return `${where}${line === null ? '' : `:${line}`}: ${placeName(path)}: ${message}`;
  });
  throw new QuorateError('local-controller-state', problems.join('\n'), { context: { problems } });
}

function placeName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'the file';
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** JSON is YAML too, so one parser reads both and knows the lines. */
export function readStateFile(file: string): ControllerState {
  const fail = (message: string, cause?: unknown): QuorateError =>
    new QuorateError('local-controller-state', `${file}: ${message}`, { cause });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw fail(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [first] = document.errors;
  if (first !== undefined) throw fail(first.message, first);
  const lineOf = (path: readonly PropertyKey[]): number | null => {
    for (let length = path.length; length >= 0; length--) {
      const node = document.getIn(path.slice(0, length), true);
      const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : null;
      if (Array.isArray(range) && typeof range[0] === 'number') return lines.linePos(range[0]).line;
    }
    return null;
  };
  return parseState(document.toJS(), file, lineOf);
}
