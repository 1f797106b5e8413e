/** The receiving side without a channel: what it takes, what it refuses, and how a receive is ended. */
import { createReadStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { instant, nodeId } from '../../../src/core/index.ts';
import { hostReceiver } from '../../../src/replication/channels/index.ts';
import { endReceives, HOLD_TAG, type Receiver, registered } from '../../../src/replication/receiver/index.ts';
import { type DatasetState, startHost, type TestHost, until } from '../support/hosts.ts';
import { makeStream, named, type TestStream } from '../support/streams.ts';

const { signal } = new AbortController();
const path = process.env.PATH;
let host: TestHost;
let receiver: Receiver;
let stop = async (): Promise<void> => {};
beforeEach(async () => {
  host = await startHost({ node: 'b', channel: () => '{kind: ssh}' });
  host.known = { mayHold: false, tenure: { epoch: 7, node: 'a', isReleased: false } };
  process.env.PATH = `${host.bin}:${path}`;
  ({ receiver, stop } = hostReceiver(host.config, nodeId('a')));
});
afterEach(async () => {
  await stop();
  await host.close();
});
afterAll(() => {
  process.env.PATH = path;
});

const filesystem = (...snapshots: DatasetState['snapshots']): DatasetState => ({
  type: 'filesystem',
  token: null,
  partial: null,
  properties: {},
  snapshots,
});
const held = (name: string, guid: number, createtxg: number, ...holds: string[]) => ({
  name,
  guid: String(guid),
  createtxg,
  holds,
});
const SHUT = ['-o', 'readonly=on', '-o', 'quorate:readonly=on'];
const excluded = (...properties: string[]): string[] => properties.flatMap((property) => ['-x', property]);
const BOTH = excluded('snapdev', 'volmode', 'quorate:set-aside', 'quorate:replicate');
const FILE_SYSTEM = excluded(
  ...['mountpoint', 'overlay', 'sharenfs', 'sharesmb', 'setuid', 'devices', 'exec'],
);
const registrations = (): string[] => readdirSync(join(host.config.dataDir, 'replication', 'receiving'));

async function send(stream: TestStream, epoch = 7) {
  const running = await receiver.receive(epoch, stream.order, 'pipe', signal);
  if (running.input === null) throw new Error('no input');
  createReadStream(stream.file).pipe(running.input);
  return running.ended;
}

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

it('a volume is received like a file system, whole or later', async () => {
  const type = 'volume';
  expect(await send(makeStream(host.directory, named('tank/disk', 's1', 21), { type }))).toEqual({
    kind: 'received',
  });
  const more = makeStream(host.directory, named('tank/disk', 's2', 22), { type, from: '21' });
  expect(await send(more)).toEqual({ kind: 'received' });
  expect(host.datasets()['tank/disk']?.properties).toEqual({ readonly: 'on', 'quorate:readonly': 'on' });
});

it('what a stream says of mounting, sharing and setuid is not taken; what was set here stays', async () => {
  const properties = {
    ...{ mountpoint: '/etc', sharenfs: 'rw=*', sharesmb: 'on', setuid: 'on', devices: 'on', exec: 'on' },
    ...{ overlay: 'on', 'quorate:set-aside': '1:7:1:1:tank/home', compression: 'lz4' },
  };
  const own = { mountpoint: '/srv/home', setuid: 'off' };
  host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 51, 1)), properties: own } });
  const more = makeStream(host.directory, named('tank/home', 's2', 52), { from: '51', properties });
  expect(await send(more)).toEqual({ kind: 'received' });
  const shut = { readonly: 'on', 'quorate:readonly': 'on' };
  const taken = { compression: 'lz4' };
  expect(host.datasets()['tank/home']).toMatchObject({ properties: { ...own, ...shut }, received: taken });
  const first = makeStream(host.directory, named('tank/new', 's1', 53), { properties });
  expect(await send(first)).toEqual({ kind: 'received' });
  expect(host.datasets()['tank/new']).toMatchObject({ properties: shut, received: taken });
  expect(Object.keys(host.datasets()['tank/new']?.received ?? {})).toEqual(['compression']);
});

it('a copy that was seeded with its properties keeps its mount point, its shares and its wish', async () => {
  const received = { mountpoint: '/srv/home', sharenfs: 'rw=@10.0.0.0/24', 'quorate:replicate': 'off' };
  host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 51, 1)), received } });
  const more = (name: string, guid: number, properties = {}) =>
    send(makeStream(host.directory, named('tank/home', name, guid), { from: String(guid - 1), properties }));
  expect(await more('s2', 52)).toEqual({ kind: 'received' });
  expect(host.datasets()['tank/home']?.received).toEqual(received);
  // Another one is not mounted where a stream says.
  expect(await more('s3', 53, { ...received, mountpoint: '/etc' })).toMatchObject({
    kind: 'broken',
    code: 'refused',
    why: expect.stringMatching(/brought mountpoint.*zfs set canmount=on tank\/home/),
  });
  expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
});

/** Ended by a takeover, or killed: nobody has looked at what came with it. */
async function diesWith(stream: TestStream): Promise<void> {
  host.set('slow', '20');
  const running = await receiver.receive(7, stream.order, 'pipe', signal);
  if (running.input === null) throw new Error('no input');
  createReadStream(stream.file).pipe(running.input);
  await until('part of it has come', () =>
    existsSync(join(host.directory, 'zfs', `data-${stream.order.snapshot.guid}`)),
  );
  const { known } = host;
  host.known = { mayHold: true, tenure: null };
  expect(await running.ended).toMatchObject({ kind: 'broken', code: 'refused' });
  host.known = known;
  host.set('slow', null);
}

it('what a stream has brought that nobody has looked at is no property of before for the next one', async () => {
  const received = { sharenfs: 'rw=@10.0.0.0/24' };
  host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 51, 1)), received } });
  await diesWith(makeStream(host.directory, named('tank/home', 's2', 52), { from: '51', bytes: 3_000_000 }));
  // As the kernel has set it by then; what was there before stays as it is.
  const home = host.datasets()['tank/home'];
  if (home === undefined) throw new Error('tank/home has gone');
  const withBrought = { ...received, mountpoint: '/etc' };
  host.setDatasets({ 'tank/home': { ...home, token: null, partial: null, received: withBrought } });
  const more = makeStream(host.directory, named('tank/home', 's2', 52), { from: '51' });
  expect(await send(more)).toMatchObject({
    code: 'refused',
    why: expect.stringMatching(/brought mountpoint of/),
  });
  const { properties, received: left } = host.datasets()['tank/home'] ?? {};
  expect([properties?.canmount, left]).toEqual(['off', withBrought]);
  // Then it has been looked at.
  expect(readdirSync(join(host.config.dataDir, 'replication', 'received'))).toEqual([]);
});

it('what was received before goes with a renamed copy, and not with another one of its name', async () => {
  const home = filesystem(held('s1', 51, 1));
  const received = { mountpoint: '/srv/home' };
  const next = (dataset: string) => makeStream(host.directory, named(dataset, 's2', 52), { from: '51' });
  host.setDatasets({ 'tank/home': home });
  await diesWith(makeStream(host.directory, named('tank/home', 's2', 52), { from: '51', bytes: 3_000_000 }));
  // Somebody has destroyed it, and has seeded it anew.
  host.setDatasets({ 'tank/home': { ...home, guid: '4712', received } });
  expect(await send(next('tank/home'))).toEqual({ kind: 'received' });
  expect(host.datasets()['tank/home']?.received).toEqual(received);
  host.setDatasets({ 'tank/moved': { ...home, received: { mountpoint: '/etc' } } });
  expect(await send(next('tank/moved'))).toMatchObject({
    ...{ code: 'refused', why: expect.stringMatching(/brought mountpoint of tank\/moved/) },
  });
});

it('a record that is left over resets nothing of a copy that somebody has seeded since', async () => {
  const stream = makeStream(host.directory, named('tank/home', 's1', 51), { bytes: 3_000_000 });
  await diesWith(stream);
  const record = () => readdirSync(join(host.config.dataDir, 'replication', 'received'));
  expect(record()).toHaveLength(1);
  const received = { mountpoint: '/srv/home', sharenfs: 'rw=@10.0.0.0/24' };
  host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 51, 1)), guid: '4712', received } });
  const more = (name: string, guid: number) =>
    send(makeStream(host.directory, named('tank/home', name, guid), { from: String(guid - 1) }));
  expect(await more('s2', 52)).toMatchObject({
    code: 'refused',
    why: expect.stringMatching(/mountpoint, sharenfs/),
  });
  expect(host.datasets()['tank/home']?.received).toEqual(received);
  // Somebody has been told: that was all.
  expect([await more('s3', 53), host.datasets()['tank/home']?.received]).toEqual([
    { kind: 'received' },
    received,
  ]);
});

it('a first stream that is given up leaves no record', async () => {
  await diesWith(makeStream(host.directory, named('tank/home', 's1', 51), { bytes: 3_000_000 }));
  await receiver.perform(7, { kind: 'abandon', dataset: 'tank/home' }, signal);
  expect(host.datasets()['tank/home']).toBeUndefined();
  expect(readdirSync(join(host.config.dataDir, 'replication', 'received'))).toEqual([]);
  // Of a copy that is here it stays: something of the stream may be in it.
  host.setDatasets({ 'tank/mail': filesystem(held('s1', 61, 1)) });
  await diesWith(makeStream(host.directory, named('tank/mail', 's2', 62), { from: '61', bytes: 3_000_000 }));
  await receiver.perform(7, { kind: 'abandon', dataset: 'tank/mail' }, signal);
  expect(readdirSync(join(host.config.dataDir, 'replication', 'received'))).toHaveLength(1);
  expect(registrations()).toEqual([]);
});

/** A run of two for a copy that inherits `setuid=off`: the first brings `setuid=on`, of the second the end is missing. */
function runThatBrings() {
  const inherited = { setuid: 'off' };
  host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 51, 1)), inherited } });
  const [first, last] = [named('tank/home', 's2', 52), named('tank/home', 's3', 53)];
  const streams = [
    makeStream(host.directory, first, { from: '51', bytes: 1000, properties: { setuid: 'on' } }),
    makeStream(host.directory, last, { from: '52', bytes: 1000 }),
  ];
  const payload = Buffer.concat(streams.map(({ file }) => readFileSync(file)));
  const order = { dataset: 'tank/home', snapshot: last, kind: 'incremental', before: [first] } as const;
  return { order, payload, cut: payload.subarray(0, payload.length - 10) };
}

const BROUGHT = { kind: 'broken', code: 'refused', why: expect.stringMatching(/brought setuid/) };

it('of a run that breaks off by itself it is looked at what came whole', async () => {
  const { order, payload, cut } = runThatBrings();
  const file = join(host.directory, 'run');
  writeFileSync(file, cut);
  expect(await send({ file, order, payload })).toMatchObject(BROUGHT);
  expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
});

it('a sender that goes away after the first of a run is looked after: what it has brought is mounted by no takeover', async () => {
  const { order, cut } = runThatBrings();
  const gone = new AbortController();
  const running = await receiver.receive(7, order, 'pipe', gone.signal);
  running.input?.write(cut);
  await until('the first is whole', () =>
    (host.datasets()['tank/home']?.snapshots ?? []).some(({ name }) => name === 's2'),
  );
  gone.abort();
  expect(await running.ended).toMatchObject(BROUGHT);
  expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
});

it('a record of what was before that is not understood lets no stream begin', async () => {
  host.setDatasets({ 'tank/home': filesystem(held('s1', 51, 1)) });
  await diesWith(makeStream(host.directory, named('tank/home', 's2', 52), { from: '51', bytes: 3_000_000 }));
  const directory = join(host.config.dataDir, 'replication', 'received');
  for (const name of readdirSync(directory)) writeFileSync(join(directory, name), '{');
  const { order } = makeStream(host.directory, named('tank/home', 's2', 52), { from: '51' });
  await expect(receiver.receive(7, order, 'pipe', signal)).rejects.toThrow(
    /is not understood.*remove the file/,
  );
  expect(registrations()).toEqual([]);
});

it('what a copy inherits is not replaced by a stream, although ZFS does not keep to -x there', async () => {
  const home = { ...filesystem(held('s1', 51, 1)), inherited: { mountpoint: '/srv', setuid: 'off' } };
  host.setDatasets({ 'tank/home': home });
  const properties = { setuid: 'on' };
  const end = await send(
    makeStream(host.directory, named('tank/home', 's2', 52), { from: '51', properties }),
  );
  expect(end).toMatchObject({ code: 'refused', why: expect.stringMatching(/brought setuid/) });
  expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
});

it.each([
  ['setuid', 'off\nmountpoint\tlocal\t/srv/home'],
  ['quorate:replicate', 'on\nmountpoint\tlocal\t/srv/home'],
  ['quorate:replicate', 'on\nsetuid\t-\t-\ndevices\t-\t-'],
])(
  'a line break in %s hides nothing that a stream has brought: it is mounted by no takeover',
  async (name, value) => {
    // What is inherited a stream's value replaces, whatever is said (OpenZFS issue 17240).
    const inherited = { mountpoint: '/srv', setuid: 'off', 'quorate:replicate': 'on' };
    host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 51, 1)), inherited } });
    const properties = { mountpoint: '/etc', [name]: value };
    const letGo: [] = [];
    const { order, ...more } = makeStream(host.directory, named('tank/home', 's2', 52), {
      from: '51',
      properties,
    });
    expect(await send({ ...more, order: { ...order, letGo } })).toMatchObject({
      ...{ kind: 'broken', code: 'refused' },
      why: expect.stringMatching(/line break.*zfs inherit.*zfs set canmount=on tank\/home/),
    });
    expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
    // Nothing goes on until somebody has looked; then what is left of it is told by its name.
    const next = makeStream(host.directory, named('tank/home', 's3', 53), { from: '52' });
    const left = host.datasets()['tank/home'];
    if (left === undefined) throw new Error('tank/home has gone');
    host.setDatasets({ 'tank/home': { ...left, properties: { ...left.properties, canmount: 'on' } } });
    await expect(receiver.receive(7, next.order, 'pipe', signal)).rejects.toThrow(
      /line break.*zfs set canmount=on/,
    );
    expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
    const home = host.datasets()['tank/home'];
    if (home === undefined) throw new Error('tank/home has gone');
    host.setDatasets({ 'tank/home': { ...home, received: { mountpoint: '/etc' } } });
    expect(await send(next)).toMatchObject({
      code: 'refused',
      why: expect.stringMatching(/brought mountpoint/),
    });
  },
);

it('what a stream has brought is told although a snapshot is missing', async () => {
  const inherited = { mountpoint: '/srv' };
  host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 51, 1)), inherited } });
  const properties = { mountpoint: '/etc' };
  const more = makeStream(host.directory, named('tank/home', 's2', 52), { from: '51', properties });
  const snapshot = named('tank/home', 's2', 99);
  expect(await send({ ...more, order: { ...more.order, snapshot } })).toMatchObject({
    ...{ kind: 'broken', code: 'refused' },
    why: expect.stringMatching(/brought mountpoint/),
  });
  expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
});

it('a file system that came as a volume, with its properties, is mounted by no takeover', async () => {
  const properties = { mountpoint: '/etc' };
  const { file, order, payload } = makeStream(host.directory, named('tank/home', 's1', 54), { properties });
  const end = await send({ file, payload, order: { ...order, makes: 'volume' } });
  expect(end).toMatchObject({
    kind: 'broken',
    code: 'refused',
    why: expect.stringMatching(/is a filesystem/),
  });
  expect(host.datasets()['tank/home']?.properties).toMatchObject({ canmount: 'off' });
  const { makes: _, ...silent } = order;
  await expect(receiver.receive(7, silent, 'pipe', signal)).rejects.toThrow(/says what it makes/);
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

it.each([
  ['this node holds', { mayHold: true, tenure: null }, 7, /b holds, or may hold, itself/],
  [
    'an older epoch',
    { mayHold: false, tenure: { epoch: 9, node: 'a', isReleased: false } },
    7,
    /epoch 7, and b knows of epoch 9/,
  ],
  [
    'an epoch of somebody else',
    { mayHold: false, tenure: { epoch: 7, node: 'b', isReleased: true } },
    7,
    /is of b, not of a/,
  ],
  [
    'a released epoch',
    { mayHold: false, tenure: { epoch: 7, node: 'a', isReleased: true } },
    7,
    /a has released epoch 7/,
  ],
  ['an agent that does not answer', null, 7, /not known, so nothing is changed/],
  ['an epoch that is none', { mayHold: false, tenure: null }, 0, /the order is not valid/],
])('H2: %s: nothing is changed', async (_what, known, epoch, why) => {
  host.known = known;
  const { order } = makeStream(host.directory, named('tank/home', 's1', 51));
  await expect(receiver.receive(epoch, order, 'pipe', signal)).rejects.toThrow(why);
  await expect(receiver.perform(epoch, { kind: 'abandon', dataset: 'tank/home' }, signal)).rejects.toThrow(
    why,
  );
  expect(host.calls()).toEqual([]);
  if (epoch > 0) expect(registrations()).toEqual([]);
});

it('a newer epoch than its log has is taken: the log may be behind', async () => {
  expect(await send(makeStream(host.directory, named('tank/home', 's1', 52)), 8)).toEqual({
    kind: 'received',
  });
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

it('one receive for a dataset at a time; one that replaces ends the one that is left over', async () => {
  const stream = makeStream(host.directory, named('tank/home', 's1', 91));
  const first = await receiver.receive(7, stream.order, 'pipe', signal);
  await expect(receiver.receive(7, stream.order, 'pipe', signal)).rejects.toThrow(/runs already/);
  expect(await registered(host.config.dataDir)).toMatchObject([
    { dataset: 'tank/home', peer: 'a', epoch: 7 },
  ]);
  const second = await receiver.receive(7, { ...stream.order, replaces: true }, 'pipe', signal);
  expect(await first.ended).toMatchObject({ kind: 'broken' });
  createReadStream(stream.file).pipe(second.input as NodeJS.WritableStream);
  expect(await second.ended).toEqual({ kind: 'received' });
});

it("ends by itself when the local agent's epoch moves past its own", async () => {
  const { order } = makeStream(host.directory, named('tank/home', 's1', 92));
  const running = await receiver.receive(7, order, 'pipe', signal);
  host.known = { mayHold: false, tenure: { epoch: 9, node: 'b', isReleased: false } };
  expect(await running.ended).toMatchObject({ code: 'refused', why: expect.stringMatching(/epoch 9 of b/) });
  expect(registrations()).toEqual([]);
});

it('a takeover ends what runs, keeps what has arrived, and nothing begins after it', async () => {
  const { order, file } = makeStream(host.directory, named('tank/home', 's1', 93));
  const running = await receiver.receive(7, order, 'pipe', signal);
  running.input?.write(readFileSync(file).subarray(0, 200_000));
  await until('some has arrived', () => {
    try {
      return host.data('93').length > 100_000;
    } catch {
      return false;
    }
  });
  host.known = { mayHold: true, tenure: { epoch: 7, node: 'a', isReleased: false } };
  const ended = await endReceives(host.config.dataDir, instant(systemClock.now() + 5000));
  expect(ended).toEqual({ kind: 'ended', count: 1 });
  expect(await running.ended).toMatchObject({ kind: 'broken' });
  expect(host.datasets()['tank/home']?.partial?.bytes).toBeGreaterThan(100_000);
  await expect(receiver.receive(7, order, 'pipe', signal)).rejects.toThrow(/holds/);
  expect(await endReceives(host.config.dataDir, instant(systemClock.now()))).toEqual({
    kind: 'ended',
    count: 0,
  });
});
