/** Orders that are no streams: what is pruned, held, renamed and given up. */
import { expect, it } from 'vitest';
import { HOLD_TAG } from '../../../src/replication/holds.ts';
import {
  filesystem,
  held,
  host,
  receiver,
  registrations,
  send,
  signal,
  startReceiver,
} from '../support/receiving.ts';
import { makeStream, named } from '../support/streams.ts';

startReceiver();

const [S1, S2, S3, S4] = [1, 2, 3, 4].map((minute) => `quorate-2026-11-27T19:0${minute}:00Z-7`) as [
  string,
  string,
  string,
  string,
];

it('prunes by GUID: not what is held, not the newest, not another snapshot of that name', async () => {
  host.setDatasets({
    'tank/home': filesystem(held(S1, 71, 1), held(S2, 72, 2, 'x'), held(S3, 73, 3), held(S4, 74, 4)),
  });
  const prune = (...snapshots: ReturnType<typeof named>[]) =>
    receiver.perform(7, { kind: 'prune', snapshots }, signal);
  const names = () => host.datasets()['tank/home']?.snapshots.map(({ name }) => name);
  await expect(prune(named('tank/home', S1, 71), named('tank/home', S2, 72))).rejects.toThrow(/is held/);
  await expect(prune(named('tank/home', S1, 71), named('tank/home', S4, 74))).rejects.toThrow(
    /is the newest/,
  );
  await expect(prune(named('tank/home', S1, 73))).rejects.toThrow(
    /is called @quorate-2026-11-27T19:03:00Z-7 here/,
  );
  await expect(prune(named('tank/home', S1, 99))).rejects.toThrow(/another snapshot here/);
  // All of an order is looked at before any of it is done.
  expect(names()).toEqual([S1, S2, S3, S4]);
  await prune(named('tank/home', S1, 71), named('tank/home', 'gone', 70), named('tank/home', S3, 73));
  expect(names()).toEqual([S2, S4]);
  await prune(named('tank/home', S1, 71));
});

it('prunes nothing that somebody else has taken, whatever the sender says', async () => {
  const names = ['by-hand', 'quorate-diverged-7', 'quorate-2026', S1, S2];
  host.setDatasets({ 'tank/home': filesystem(...names.map((name, at) => held(name, 100 + at, at + 1))) });
  for (const [at, name] of names.slice(0, 3).entries())
    await expect(
      receiver.perform(7, { kind: 'prune', snapshots: [named('tank/home', name, 100 + at)] }, signal),
    ).rejects.toThrow(/was not taken by the replication/);
  expect(host.datasets()['tank/home']?.snapshots.map(({ name }) => name)).toEqual(names);
});

it('an order that meets a takeover makes no change after it', async () => {
  host.setDatasets({
    'tank/home': filesystem(held(S1, 75, 1), held(S3, 77, 3)),
    'tank/mail': filesystem(held(S2, 76, 2), held(S3, 78, 3)),
  });
  const { known } = host;
  let asked = 0;
  Object.defineProperty(host, 'known', {
    get: () => {
      asked += 1;
      // Twice each: before the order, before the first change. Then the takeover begins.
      return asked <= 4 ? known : { mayHold: true, tenure: null };
    },
  });
  const snapshots = [named('tank/home', S1, 75), named('tank/mail', S2, 76)];
  await expect(receiver.perform(7, { kind: 'prune', snapshots }, signal)).rejects.toThrow(/b holds/);
  const left = Object.values(host.datasets()).map((one) => one.snapshots.map(({ name }) => name));
  expect(left).toEqual([[S3], [S2, S3]]);
  expect(registrations()).toEqual([]);
});

it('prunes each dataset by one command, and what has a clone stays', async () => {
  const cloned = { ...held(S2, 172, 2), isCloned: true };
  host.setDatasets({
    'tank/home': filesystem(held(S1, 171, 1), cloned, held(S3, 173, 3), held(S4, 174, 4)),
    'tank/mail': filesystem(held(S1, 181, 1), held(S2, 182, 2), held(S4, 184, 4)),
  });
  const snapshots = [
    ...[named('tank/home', S1, 171), named('tank/home', S2, 172), named('tank/home', S3, 173)],
    ...[named('tank/mail', S1, 181), named('tank/mail', S2, 182), named('tank/gone', S1, 191)],
  ];
  await receiver.perform(7, { kind: 'prune', snapshots }, signal);
  const left = Object.values(host.datasets()).map((one) => one.snapshots.map(({ name }) => name));
  expect(left).toEqual([[S2, S4], [S4]]);
  const destroyed = host.calls().flatMap(([verb, what]) => (verb === 'destroy' ? [what] : []));
  expect(destroyed).toEqual([
    `tank/home@${[S1, S2, S3].join(',')}`,
    ...[S1, S2, S3].map((name) => `tank/home@${name}`),
    `tank/mail@${[S1, S2].join(',')}`,
  ]);
});

it('holds the new one before it lets go of the old one, and again without an error', async () => {
  host.setDatasets({ 'tank/home': filesystem(held('s1', 81, 1, HOLD_TAG), held('s2', 82, 2)) });
  const order = { kind: 'hold', keep: named('tank/home', 's2', 82), letGo: [named('tank/home', 's1', 81)] };
  for (let times = 0; times < 2; times++) {
    await receiver.perform(7, order, signal);
    expect(host.datasets()['tank/home']?.snapshots.map(({ holds }) => holds)).toEqual([[], [HOLD_TAG]]);
  }
  const verbs = host.calls().map(([verb]) => verb);
  expect(verbs.indexOf('hold')).toBeLessThan(verbs.indexOf('release'));
  const missing = { ...order, keep: named('tank/home', 's3', 83), letGo: [named('tank/home', 's2', 82)] };
  await expect(receiver.perform(7, missing, signal)).rejects.toThrow(/is not here/);
  expect(host.datasets()['tank/home']?.snapshots.at(-1)?.holds).toEqual([HOLD_TAG]);
});

it('lets go of a few at a time; what cannot be let go of fails neither the stream that has arrived nor the order', async () => {
  const names = Array.from({ length: 20 }, (_, at) => `h${at + 1}`);
  const all = names.map((name, at) => held(name, 100 + at, at + 1, HOLD_TAG));
  host.setDatasets({ 'tank/home': filesystem(...all) });
  host.set('stuck', '@h3\n');
  const letGo = names.map((name, at) => named('tank/home', name, 100 + at));
  const more = makeStream(host.directory, named('tank/home', 's2', 200), { from: '119' });
  expect(await send({ ...more, order: { ...more.order, letGo } })).toEqual({ kind: 'received' });
  const holds = () => host.datasets()['tank/home']?.snapshots.filter((one) => one.holds.includes(HOLD_TAG));
  expect(holds()?.map(({ name }) => name)).toEqual([...names.slice(0, 8), 's2']);
  const released = host.calls().filter(([verb]) => verb === 'release');
  expect(released.map((words) => words.length - 2)).toEqual([8, 8, 4]);
  await receiver.perform(7, { kind: 'hold', keep: named('tank/home', 's2', 200), letGo }, signal);
  host.set('stuck', null);
  await receiver.perform(7, { kind: 'hold', keep: named('tank/home', 's2', 200), letGo }, signal);
  expect(holds()?.map(({ name }) => name)).toEqual(['s2']);
});

it('renames within the pool what is free there, and gives up what broke off', async () => {
  host.setDatasets({
    'tank/old': filesystem(),
    'tank/taken': filesystem(),
    'tank/disk': { ...filesystem(), type: 'volume' },
  });
  const rename = (from: string, to: string) => receiver.perform(7, { kind: 'rename', from, to }, signal);
  await expect(rename('tank/old', 'tank/taken')).rejects.toThrow(/is here already/);
  await expect(rename('tank/old', 'tank/old/below')).rejects.toThrow(/would lie in itself/);
  await expect(rename('tank/none', 'tank/x')).rejects.toThrow(/is not here/);
  await rename('tank/old', 'tank/new');
  await rename('tank/disk', 'tank/disk2');
  expect(host.calls().filter(([verb]) => verb === 'rename')).toEqual([
    ['rename', '-u', 'tank/old', 'tank/new'],
    ['rename', 'tank/disk', 'tank/disk2'],
  ]);
  host.setDatasets({ 'tank/p': { ...filesystem(), token: '1-x', partial: { guid: '5', bytes: 1 } } });
  await receiver.perform(7, { kind: 'abandon', dataset: 'tank/p' }, signal);
  await receiver.perform(7, { kind: 'abandon', dataset: 'tank/p' }, signal);
  expect(host.datasets()).toEqual({});
});
