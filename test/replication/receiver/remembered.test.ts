/** What was there before a stream, for what one has brought that ended before anybody had looked at it. */
import { createReadStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../support/hosts.ts';
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
import { makeStream, named, type TestStream } from '../support/streams.ts';

startReceiver();

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
