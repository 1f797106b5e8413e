/** The gateway: what no order may be about, whatever says it. */
import { expect, it } from 'vitest';
import { host, receiver, signal, startReceiver } from '../support/receiving.ts';
import { named } from '../support/streams.ts';

startReceiver();

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
