/** What is received: whole, by changes, in runs, what breaks off and goes on, and how it is told what did not work. */
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { HOLD_TAG } from '../../../src/replication/holds.ts';
import type { DatasetState } from '../support/hosts.ts';
import {
  BOTH,
  FILE_SYSTEM,
  filesystem,
  held,
  host,
  receiver,
  registrations,
  SHUT,
  send,
  signal,
  startReceiver,
} from '../support/receiving.ts';
import { makeStream, named, type TestStream } from '../support/streams.ts';

startReceiver();

it('receives whole, then changes: read-only, not mounted, and looked at afterwards', async () => {
  const first = makeStream(host.directory, named('tank/home', 's1', 11));
  expect(await send(first)).toEqual({ kind: 'received' });
  expect(host.data('11').equals(first.payload)).toBe(true);
  expect(host.datasets()['tank/home']?.properties).toEqual({
    readonly: 'on',
    'quorate:readonly': 'on',
  });
  expect(await send(makeStream(host.directory, named('tank/home', 's2', 12), { from: '11' }))).toEqual({
    kind: 'received',
  });
  expect(host.calls().filter(([verb]) => verb === 'receive')).toEqual([
    ['receive', '-s', '-u', ...SHUT, ...FILE_SYSTEM, ...BOTH, 'tank/home'],
    ['receive', '-s', '-u', ...SHUT, ...FILE_SYSTEM, ...BOTH, 'tank/home'],
  ]);
  expect(registrations()).toEqual([]);
});

/** Streams that come as one, each after the one before. */
function runOf(from: string, ...snapshots: ReturnType<typeof named>[]): TestStream {
  const streams = snapshots.map((one, at) =>
    makeStream(host.directory, one, { from: snapshots[at - 1]?.guid ?? from, bytes: 100_000 }),
  );
  const last = streams.at(-1);
  if (last === undefined) throw new Error('a run of nothing');
  const file = join(host.directory, `run-${last.order.snapshot.guid}`);
  writeFileSync(file, Buffer.concat(streams.map((one) => readFileSync(one.file))));
  return { file, payload: last.payload, order: { ...last.order, before: snapshots.slice(0, -1) } };
}

it('takes a run of snapshots, holds its last, and lets go of what was held before', async () => {
  host.setDatasets({ 'tank/home': filesystem(held('s1', 61, 1, HOLD_TAG, 'backup')) });
  const run = runOf(
    '61',
    named('tank/home', 's2', 62),
    named('tank/home', 's3', 63),
    named('tank/home', 's4', 64),
  );
  const letGo = [named('tank/home', 's1', 61)];
  expect(await send({ ...run, order: { ...run.order, letGo } })).toEqual({ kind: 'received' });
  const holds = host.datasets()['tank/home']?.snapshots.map((one) => [one.name, ...one.holds]);
  expect(holds).toEqual([['s1', 'backup'], ['s2'], ['s3'], ['s4', HOLD_TAG]]);
  expect(host.data('63').length).toBe(100_000);
  // Each process costs: what there is before, the stream, what there is after it, and what is held.
  expect(host.calls().map(([verb]) => verb)).toEqual(['get', 'receive', 'get', 'list', 'hold', 'release']);
  expect(registrations()).toEqual([]);
});

it('of a run each snapshot is looked for: one that is not as it was said means that it has not arrived', async () => {
  host.setDatasets({ 'tank/home': filesystem(held('s1', 61, 1, HOLD_TAG)) });
  const run = runOf('61', named('tank/home', 's2', 62), named('tank/home', 's3', 63));
  const before = [named('tank/home', 's2', 99)];
  const order = { ...run.order, before, letGo: [named('tank/home', 's1', 61)] };
  expect(await send({ ...run, order })).toMatchObject({
    ...{ kind: 'broken', code: 'stream' },
    why: expect.stringMatching(/tank\/home@s2 with the GUID 99 is not here/),
  });
  // What was held stays held.
  expect(host.datasets()['tank/home']?.snapshots.map(({ holds }) => holds)).toEqual([[HOLD_TAG], [], []]);
});

it('of a run that breaks off what has come whole stays, and the rest goes on', async () => {
  host.setDatasets({ 'tank/home': filesystem(held('s1', 61, 1)) });
  const run = runOf('61', named('tank/home', 's2', 62), named('tank/home', 's3', 63));
  const whole = readFileSync(run.file);
  writeFileSync(run.file, whole.subarray(0, whole.length - 40_000));
  expect(await send(run)).toMatchObject({ kind: 'broken', code: 'stream' });
  const { snapshots = [], partial } = host.datasets()['tank/home'] ?? {};
  expect(snapshots.map(({ name }) => name)).toEqual(['s1', 's2']);
  expect(partial).toEqual({ guid: '63', bytes: 60_000 });
  const what = { from: '62', offset: 60_000, payload: run.payload };
  expect(await send(makeStream(host.directory, named('tank/home', 's3', 63), what))).toEqual({
    kind: 'received',
  });
  expect(host.data('63').equals(run.payload)).toBe(true);
});

it('holds nothing for a sender that may not any more when its stream has arrived', async () => {
  host.setDatasets({ 'tank/home': filesystem(held('s1', 61, 1, HOLD_TAG)) });
  const { file, order } = makeStream(host.directory, named('tank/home', 's2', 62), { from: '61' });
  const running = await receiver.receive(
    7,
    { ...order, letGo: [named('tank/home', 's1', 61)] },
    'pipe',
    signal,
  );
  host.known = { mayHold: true, tenure: null };
  if (running.input === null) throw new Error('no input');
  createReadStream(file).pipe(running.input);
  const end = await running.ended;
  expect(end).toMatchObject({ kind: 'broken', code: expect.stringMatching(/refused|aborted/) });
  expect(host.datasets()['tank/home']?.snapshots[0]?.holds).toEqual([HOLD_TAG]);
});

it('a volume is received like a file system, whole or later', async () => {
  const type = 'volume';
  expect(await send(makeStream(host.directory, named('tank/disk', 's1', 21), { type }))).toEqual({
    kind: 'received',
  });
  const more = makeStream(host.directory, named('tank/disk', 's2', 22), { type, from: '21' });
  expect(await send(more)).toEqual({ kind: 'received' });
  expect(host.datasets()['tank/disk']?.properties).toEqual({ readonly: 'on', 'quorate:readonly': 'on' });
});

it('keeps what broke off, and goes on with it', async () => {
  const snapshot = named('tank/home', 's1', 31);
  const whole = makeStream(host.directory, snapshot);
  const running = await receiver.receive(7, whole.order, 'pipe', signal);
  createReadStream(whole.file, { end: 150_000 }).pipe(running.input as NodeJS.WritableStream);
  expect(await running.ended).toMatchObject({
    kind: 'broken',
    code: 'stream',
    why: expect.stringMatching(/incomplete stream/),
  });
  const { partial } = host.datasets()['tank/home'] as DatasetState;
  const rest = makeStream(host.directory, snapshot, {
    payload: whole.payload,
    offset: partial?.bytes as number,
  });
  expect(rest.order.kind).toBe('resume');
  expect(await send(rest)).toEqual({ kind: 'received' });
  expect(host.data('31').equals(whole.payload)).toBe(true);
});

it('tells a full pool, a refusal of ZFS, and a snapshot that is not what was said', async () => {
  host.set('full', '');
  const home = makeStream(host.directory, named('tank/home', 's1', 41));
  expect(await send(home)).toMatchObject({ kind: 'broken', code: 'full' });
  host.set('full', null);
  host.setDatasets({ 'tank/home': filesystem(held('s0', 40, 1)) });
  const other = makeStream(host.directory, named('tank/home', 's2', 42), { from: '39' });
  expect(await send(other)).toMatchObject({
    kind: 'broken',
    code: 'refused',
    why: expect.stringMatching(/does not match/),
  });
  const lie = makeStream(host.directory, named('tank/other', 's1', 43));
  const told = { ...lie, order: { ...lie.order, snapshot: named('tank/other', 's1', 44) } };
  expect(await send(told)).toMatchObject({
    kind: 'broken',
    code: 'stream',
    why: expect.stringMatching(/44 is not here/),
  });
});
