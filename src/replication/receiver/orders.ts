/**
 * The gateway for what a sender says, whatever carried it (style 4): shapes, limits, and the names that it may name. What
 * has passed here is a dataset below an agreed pool, never the pool itself, and never what a change of roles has put away.
 */
import { z } from 'zod';
import { type Epoch, epoch } from '../../core/index.ts';
import { isNearKept, KEPT } from '../../resources/index.ts';
import type { ReceiveOrder, ReceiverOrder } from '../channel.ts';
import { guid } from '../pool.ts';
import { MAX_RUN } from '../runs.ts';

export const ORDER_LIMITS = {
  /** ZFS's own, of a dataset with its snapshot. */
  nameCharacters: 255,
  /** Of one order; a sender with more sends several. */
  snapshots: 64,
  /** Of a stream, but its last. */
  before: MAX_RUN - 1,
  /** Likewise; each takes a dozen commands here. */
  tails: 32,
  /** Likewise of what is left out. */
  leftOut: 64,
} as const;

const DATASET = /^[A-Za-z][A-Za-z0-9_.:-]*(\/[A-Za-z0-9_.:-][A-Za-z0-9_.: -]*)+$/;
const POOL = /^[A-Za-z][A-Za-z0-9_.:-]*$/;
const SNAPSHOT = /^[A-Za-z0-9_.:-][A-Za-z0-9_.: -]*$/;
/** Of ZFS itself. */
const DOTS = /(^|\/)\.{1,2}(\/|$)/;

const datasetName = z
  .string()
  .max(ORDER_LIMITS.nameCharacters)
  .regex(DATASET, 'is not the name of a dataset below a pool')
  .refine((name) => !DOTS.test(name), 'has a part that is "." or ".."')
  .refine((name) => name.split('/')[1] !== KEPT, `lies in ${KEPT}, which no sender touches`)
  .refine((name) => !isNearKept(name), `lies in a beginning of the name ${KEPT}`);

const guidText = z.string().transform((text, context) => {
  const id = guid(text);
  if (id !== null) return id;
  context.addIssue({ code: 'custom', message: 'is not a GUID' });
  return z.NEVER;
});

const snapshotSchema = z
  .strictObject({
    dataset: datasetName,
    name: z.string().max(ORDER_LIMITS.nameCharacters).regex(SNAPSHOT, 'is not the name of a snapshot'),
    guid: guidText,
  })
  .refine(
    ({ dataset, name }) => dataset.length + 1 + name.length <= ORDER_LIMITS.nameCharacters,
    'is longer than ZFS allows',
  );

const snapshots = z.array(snapshotSchema).max(ORDER_LIMITS.snapshots);

const poolName = z.string().max(ORDER_LIMITS.nameCharacters).regex(POOL, 'is not the name of a pool');
const tailSchema = z.strictObject({ dataset: datasetName, common: guidText });
const leftOutSchema = z.strictObject({
  dataset: datasetName,
  since: z.number().int().nonnegative().max(999_999_999_999).nullable(),
});
const isIn = (pool: string) => (one: { readonly dataset: string }) => one.dataset.startsWith(`${pool}/`);

export const receiverOrderSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('rename'), from: datasetName, to: datasetName }),
  z.strictObject({ kind: z.literal('abandon'), dataset: datasetName }),
  z.strictObject({ kind: z.literal('hold'), keep: snapshotSchema, letGo: snapshots }),
  z.strictObject({ kind: z.literal('prune'), snapshots }),
  z
    .strictObject({
      kind: z.literal('set-aside'),
      pool: poolName,
      tails: z.array(tailSchema).min(1).max(ORDER_LIMITS.tails),
    })
    .refine(({ pool, tails }) => tails.every(isIn(pool)), 'a tail is of another pool'),
  z
    .strictObject({
      kind: z.literal('complete'),
      pool: poolName,
      snapshots: snapshots.min(1),
      isFinal: z.boolean(),
      hasMore: z.boolean().optional(),
      leftOut: z.array(leftOutSchema).max(ORDER_LIMITS.leftOut).optional(),
    })
    .refine((order) => order.snapshots.every(isIn(order.pool)), 'a snapshot is of another pool')
    .refine(({ pool, leftOut = [] }) => leftOut.every(isIn(pool)), 'what is left out is of another pool')
    .refine(
      ({ snapshots: all, leftOut = [] }) =>
        leftOut.every((out) => all.every(({ dataset }) => dataset !== out.dataset)),
      'what has arrived is left out at once',
    )
    .refine(
      (order) => order.snapshots.every(({ name }) => name === order.snapshots[0]?.name),
      'the snapshots are not of one name, so not of one moment',
    ),
]);

export const receiveOrderSchema = z
  .strictObject({
    dataset: datasetName,
    snapshot: snapshotSchema,
    kind: z.enum(['full', 'incremental', 'resume']),
    makes: z.enum(['filesystem', 'volume']).optional(),
    before: z.array(snapshotSchema).max(ORDER_LIMITS.before).optional(),
    letGo: snapshots.optional(),
    /** The sender knows that an earlier receive of this dataset, if one still runs, is left over from a broken connection. */
    replaces: z.boolean().default(false),
  })
  .refine(
    ({ dataset, snapshot, before = [], letGo = [] }) =>
      [snapshot, ...before, ...letGo].every((one) => one.dataset === dataset),
    'the snapshot is of another dataset',
  )
  .refine(({ kind, before }) => before === undefined || kind === 'incremental', 'only changes come in a run')
  .refine(
    ({ kind, makes }) => (kind === 'full') === (makes !== undefined),
    'only a first stream says what it makes, and that it must',
  );

export type CheckedReceiveOrder = ReceiveOrder & { readonly replaces: boolean };

export const epochSchema = z
  .number()
  .int()
  .positive()
  .max(Number.MAX_SAFE_INTEGER)
  .transform((value): Epoch => epoch(value));

/** Whether an order may name it: no copy of ours has another name. */
export const mayBeNamed = (dataset: string): boolean => datasetName.safeParse(dataset).success;

/** The datasets that an order would change. */
export function datasetsOf(order: ReceiverOrder): readonly string[] {
  switch (order.kind) {
    case 'rename':
      return [order.from, order.to];
    case 'abandon':
      return [order.dataset];
    case 'hold':
      return [order.keep, ...order.letGo].map(({ dataset }) => dataset);
    case 'prune':
      return order.snapshots.map(({ dataset }) => dataset);
    case 'complete':
      return [...order.snapshots, ...(order.leftOut ?? [])].map(({ dataset }) => dataset);
    case 'set-aside':
      return order.tails.map(({ dataset }) => dataset);
  }
}

/** An order that the receiver takes only in parts, as those parts, in order. */
export function inParts(order: ReceiverOrder): readonly ReceiverOrder[] {
  if (order.kind === 'prune')
    return pieces(order.snapshots, ORDER_LIMITS.snapshots).map((some) => ({
      kind: 'prune',
      snapshots: some,
    }));
  // Written down with the last part, and only when the others were there.
  if (order.kind === 'complete') {
    const { leftOut, ...rest } = order;
    const parts = pieces(order.snapshots, ORDER_LIMITS.snapshots);
    const outs = pieces(leftOut ?? [], ORDER_LIMITS.leftOut);
    const count = Math.max(parts.length, outs.length);
    return Array.from({ length: count }, (_, at) => ({
      ...rest,
      // There is no part without one: the last one comes again.
      snapshots: parts[at] ?? parts.at(-1) ?? [],
      hasMore: at < count - 1,
      ...(outs[at] === undefined ? {} : { leftOut: outs[at] }),
    }));
  }
  if (order.kind !== 'hold' || order.letGo.length <= ORDER_LIMITS.snapshots) return [order];
  return pieces(order.letGo, ORDER_LIMITS.snapshots).map((letGo) => ({
    kind: 'hold',
    keep: order.keep,
    letGo,
  }));
}

function pieces<One>(all: readonly One[], most: number): readonly (readonly One[])[] {
  const count = Math.ceil(all.length / most);
  return Array.from({ length: count }, (_, piece) => all.slice(piece * most, (piece + 1) * most));
}
