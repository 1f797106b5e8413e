/** The gateway: what no order may be about, whatever says it. */
import { expect, it } from 'vitest';
import { ORDER_LIMITS } from '../../../src/replication/receiver/index.ts';
import { inParts, receiverOrderSchema } from '../../../src/replication/receiver/orders.ts';
import { host, receiver, signal, startReceiver } from '../support/receiving.ts';
import { named } from '../support/streams.ts';

startReceiver();

const COMPLETE = {
  kind: 'complete' as const,
  ...{ pool: 'tank', isFinal: false, snapshots: [named('tank/home', 's1', 11)] },
};

it.each([
  ['what has arrived', { leftOut: [{ dataset: 'tank/home', since: 1 }] }, /left out at once/],
  ['what is in another pool', { leftOut: [{ dataset: 'bank/home', since: 1 }] }, /of another pool/],
  ['at a time that is none', { leftOut: [{ dataset: 'tank/x', since: -1 }] }, /since/],
  [
    'too much at once',
    { leftOut: Array.from({ length: 65 }, (_, at) => ({ dataset: `tank/x${at}`, since: 1 })) },
    /leftOut/,
  ],
] as const)('to leave out %s is refused', async (_what, change, why) => {
  await expect(receiver.perform(7, { ...COMPLETE, ...change }, signal)).rejects.toThrow(why);
  expect(host.calls()).toEqual([]);
});

it.each([
  [1, 0, 1],
  [64, 64, 1],
  [1, 65, 2],
  [200, 3, 4],
  [3, 200, 4],
])('a word of %i datasets, beside %i that are left out, comes in %i parts', (part, out, count) => {
  const snapshots = Array.from({ length: part }, (_, at) => named(`tank/p${at}`, 's1', 100 + at));
  const leftOut = Array.from({ length: out }, (_, at) => ({ dataset: `tank/x${at}`, since: at }));
  const parts = inParts({ ...COMPLETE, snapshots, ...(out === 0 ? {} : { leftOut }) }).flatMap((one) =>
    one.kind === 'complete' ? [one] : [],
  );
  expect(parts.map(({ hasMore }) => hasMore)).toEqual([...Array(count - 1).fill(true), false]);
  expect(new Set(parts.flatMap((one) => one.snapshots))).toEqual(new Set(snapshots));
  expect(parts.flatMap((one) => one.leftOut ?? [])).toEqual(leftOut);
  // A receiver of before does not know the word.
  expect(parts.some((one) => 'leftOut' in one)).toBe(out > 0);
  for (const one of parts) {
    expect(receiverOrderSchema.safeParse(one).error).toBeUndefined();
    expect((one.leftOut ?? []).length).toBeLessThanOrEqual(ORDER_LIMITS.leftOut);
  }
});

it.each([
  ['of another dataset', { before: [named('tank/mail', 's1', 11)] }, /of another dataset/],
  ['with a hold of another dataset', { letGo: [named('tank/mail', 's1', 11)] }, /of another dataset/],
  ['of a first copy', { kind: 'full', makes: 'filesystem', before: [] }, /only changes come in a run/],
  ['that is too long', { before: Array.from({ length: 64 }, () => named('tank/home', 's1', 11)) }, /before/],
] as const)('a run %s is refused', async (_what, change, why) => {
  const snapshot = named('tank/home', 's2', 12);
  const order = { dataset: 'tank/home', snapshot, kind: 'incremental', ...change };
  await expect(receiver.receive(7, order, 'pipe', signal)).rejects.toThrow(why);
  expect(host.calls()).toEqual([]);
});

it.each([
  ['another pool', 'rpool/root'],
  ['the pool itself', 'tank'],
  ['what a change of roles has put away', 'tank/.diverged/7/home'],
  ['a beginning of its name', 'tank/.d'],
  ['what lies in one', 'tank/.diverge/home'],
  ['an option', '-r/x'],
  ['a way up', 'tank/../rpool'],
  ['a snapshot', 'tank/home@s1'],
  ['an empty part', 'tank//home'],
  ['a line break', 'tank/home\nrpool'],
])('%s is not changed', async (_what, dataset) => {
  const snapshot = { ...named('tank/x', 's1', 61), dataset };
  const orders = [
    { kind: 'abandon', dataset },
    { kind: 'rename', from: 'tank/x', to: dataset },
    { kind: 'prune', snapshots: [snapshot] },
    { kind: 'hold', keep: snapshot, letGo: [] },
    { ...COMPLETE, leftOut: [{ dataset, since: null }] },
  ];
  for (const order of orders)
    await expect(receiver.perform(7, order, signal)).rejects.toMatchObject({ code: 'replication-refused' });
  await expect(
    receiver.receive(7, { dataset, snapshot, kind: 'full', makes: 'filesystem' }, 'pipe', signal),
  ).rejects.toMatchObject({ code: 'replication-refused' });
  expect(host.calls()).toEqual([]);
});

it('other names that begin with a dot are like any other', async () => {
  for (const dataset of ['tank/.system', 'tank/.divergedness', 'tank/home/.d'])
    await receiver.perform(7, { kind: 'abandon', dataset }, signal);
});
