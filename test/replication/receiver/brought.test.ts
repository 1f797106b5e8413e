/** What a stream says of mounting, sharing and rights: what is not taken, and what is told where ZFS takes it all the same. */
import { expect, it } from 'vitest';
import { filesystem, held, host, receiver, send, signal, startReceiver } from '../support/receiving.ts';
import { makeStream, named } from '../support/streams.ts';

startReceiver();

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
