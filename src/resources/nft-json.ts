/**
 * Reads `nft -j list table` structurally: what is in the table, rule by rule, in a form that can be compared. Null for
 * everything that cannot be read; an object of a kind that we never make counts as surplus, not as nothing.
 */
import { z } from 'zod';
import { readCidr } from './ip-address.ts';

export interface NftChain {
  readonly name: string;
  /** The four of them are null where the chain hangs on no hook. */
  readonly type: string | null;
  readonly hook: string | null;
  readonly priority: number | null;
  readonly policy: string | null;
}

export interface NftTable {
  readonly name: string;
  /** `dormant` means that the kernel does not look at it. */
  readonly flags: readonly string[];
  readonly chains: readonly NftChain[];
  /** `CHAIN: expression, expression`, in order; expressions as `nftMatch` and `NFT_DROP` write them. */
  readonly rules: readonly string[];
  /** Kinds of other objects: sets, maps, counters. */
  readonly others: readonly string[];
}

export const NFT_DROP = 'drop';

/** One expression as text; the order of a set means nothing. */
export function nftMatch(left: string, operator: '==' | '!=', right: readonly (string | number)[]): string {
  return `${left} ${operator} ${right.map(String).sort().join('|')}`;
}

const scalar = z.union([z.string(), z.number()]);
const matchExpression = z.strictObject({
  match: z.strictObject({
    op: z.enum(['==', '!=']),
    left: z.union([
      z.strictObject({ payload: z.strictObject({ protocol: z.string(), field: z.string() }) }),
      z.strictObject({ meta: z.strictObject({ key: z.string() }) }),
    ]),
    right: z.union([scalar, z.strictObject({ set: z.array(scalar) })]),
  }),
});
const dropExpression = z.strictObject({ drop: z.null() });

const chainName = { family: z.literal('inet'), table: z.string(), name: z.string() };
const baseChain = z.looseObject({
  ...chainName,
  type: z.string(),
  hook: z.string(),
  prio: z.number(),
  policy: z.string(),
});
/** One that no packet reaches by itself: it has none of these, or the text is damaged. */
const plainChain = z.looseObject({
  ...chainName,
  type: z.undefined().optional(),
  hook: z.undefined().optional(),
  prio: z.undefined().optional(),
  policy: z.undefined().optional(),
});

/** We make none of these. */
const OTHER_KINDS = ['set', 'map', 'element', 'flowtable', 'counter', 'quota', 'limit', 'ct helper'] as const;

const object = z.union([
  z.strictObject({ metainfo: z.looseObject({ json_schema_version: z.literal(1) }) }),
  z.strictObject({
    table: z.looseObject({
      family: z.literal('inet'),
      name: z.string(),
      flags: z.union([z.string(), z.array(z.string())]).optional(),
    }),
  }),
  z.strictObject({ chain: z.union([baseChain, plainChain]) }),
  z.strictObject({
    rule: z.looseObject({
      family: z.literal('inet'),
      table: z.string(),
      chain: z.string(),
      expr: z.array(z.record(z.string(), z.unknown())),
    }),
  }),
  z.partialRecord(z.enum(OTHER_KINDS), z.unknown()).refine((value) => Object.keys(value).length === 1),
]);
const document = z.strictObject({ nftables: z.array(object) });

/** `nft -j list table inet NAME` */
export function parseNftTable(text: string, name: string): NftTable | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = document.safeParse(json);
  if (!parsed.success) return null;
  const objects = parsed.data.nftables;
  const tables = objects.flatMap((item) => ('table' in item ? [item.table] : []));
  const [table] = tables;
  if (table === undefined || tables.length !== 1 || table.name !== name) return null;
  const chains = objects.flatMap((item) => ('chain' in item ? [item.chain] : []));
  const rules = objects.flatMap((item) => ('rule' in item ? [item.rule] : []));
  if ([...chains, ...rules].some((item) => item.table !== name)) return null;
  return {
    name,
    flags: typeof table.flags === 'string' ? [table.flags] : (table.flags ?? []),
    chains: chains.map(({ name, type, hook, prio, policy }) => ({
      name,
      type: type ?? null,
      hook: hook ?? null,
      priority: prio ?? null,
      policy: policy ?? null,
    })),
    rules: rules.map(({ chain, expr }) => `${chain}: ${expr.map(expressionText).join(', ')}`),
    others: OTHER_KINDS.filter((kind) => objects.some((item) => kind in item)),
  };
}

/** What we do not write ourselves is quoted as it is, and so equals nothing that is wanted. */
function expressionText(expression: Readonly<Record<string, unknown>>): string {
  if (dropExpression.safeParse(expression).success) return NFT_DROP;
  const parsed = matchExpression.safeParse(expression);
  if (!parsed.success) return JSON.stringify(expression);
  const { left, op, right } = parsed.data.match;
  const what = 'meta' in left ? left.meta.key : `${left.payload.protocol} ${left.payload.field}`;
  const values = typeof right === 'object' ? right.set : [right];
  return nftMatch(what, op, values.map(canonical));
}

function canonical(value: string | number): string | number {
  return typeof value === 'string' ? (readCidr(value)?.address ?? value) : value;
}
