/** The channel over gRPC: the same receiver behind mutual TLS, in memory that does not grow with the stream. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { epoch, nodeId } from '../../../src/core/index.ts';
import { createAuthority, issueNode, type TlsMaterial } from '../../../src/peer/index.ts';
import type { ReceiveEnd } from '../../../src/replication/channel.ts';
import { openGrpcChannel } from '../../../src/replication/channels/grpc-channel.ts';
import {
  GrpcChannel,
  type HostReceiver,
  hostReceiver,
  openChannel,
  ReplicationServer,
  spawnInto,
} from '../../../src/replication/channels/index.ts';
import { registered } from '../../../src/replication/receiver/index.ts';
import { testAuthority, testTls } from '../../support/pki.ts';
import { CLUSTER, startHost, type TestHost } from '../support/hosts.ts';
import { CuttingProxy, freePort } from '../support/sshd.ts';
import { makeStream, named, type TestStream } from '../support/streams.ts';

const { signal } = new AbortController();
const limits = { signal, limitMs: 20_000 };
const EPOCH = epoch(7);
const path = process.env.PATH;
let b: TestHost;
let host: HostReceiver;
let server: ReplicationServer;
let port = 0;
let channel: GrpcChannel;
const warnings: string[] = [];
let guids = 100;

beforeAll(async () => {
  b = await startHost({ node: 'b', channel: () => '{kind: grpc}' });
  process.env.PATH = `${b.bin}:${path}`;
  host = hostReceiver(b.config, nodeId('a'));
  server = new ReplicationServer({
    ...{ cluster: CLUSTER, self: nodeId('b'), peer: nodeId('a'), listen: '127.0.1.2:0' },
    tls: await testTls(CLUSTER, 'b'),
    receiver: host.receiver,
    log: (_level, _fields, text) => void warnings.push(text),
  });
  port = await server.listen();
  channel = await channelOf(CLUSTER, 'a');
});
afterAll(async () => {
  await channel.close();
  await server.close();
  await host.stop();
  await b.close();
  process.env.PATH = path;
});
beforeEach(() => {
  b.known = { mayHold: false, tenure: { epoch: 7, node: 'a', isReleased: false } };
});
afterEach(() => {
  for (const name of ['slow', 'full'] as const) b.set(name, null);
});

async function channelOf(cluster: string, node: string, address = `127.0.1.2:${port}`): Promise<GrpcChannel> {
  return new GrpcChannel({
    ...{ cluster, self: nodeId(node), to: nodeId('b'), address },
    tls: () => testTls(cluster, node),
  });
}

it('renewed certificates are used by the next connection, on both sides', async () => {
  // Of another authority: what is in use after it can only be the new ones.
  const next = await createAuthority(CLUSTER);
  const issue = async (node: string): Promise<TlsMaterial> => {
    const { certificate, key } = await issueNode(next, nodeId(node), { hosts: ['127.0.0.1'] });
    return { ca: next.certificate, cert: certificate, key };
  };
  const old = { a: await testTls(CLUSTER, 'a'), b: await testTls(CLUSTER, 'b') };
  let own = old.a;
  const renewing = new GrpcChannel({
    ...{ cluster: CLUSTER, self: nodeId('a'), to: nodeId('b'), address: `127.0.1.2:${port}` },
    tls: async () => own,
  });
  await renewing.read(limits);
  server.replaceTls(await issue('b'));
  await expect(renewing.read({ signal, limitMs: 2000 })).rejects.toMatchObject({ code: 'peer-unreachable' });
  own = await issue('a');
  await renewing.read(limits);
  server.replaceTls(old.b);
  await renewing.close();
});

it('the channel looks at the files before each call', async () => {
  const old = await testTls(CLUSTER, 'b');
  const opened = await openGrpcChannel(
    b.config,
    { kind: 'grpc', port, hosts: { [nodeId('a')]: '127.0.1.2' } },
    nodeId('a'),
  );
  const files = { 'n.pem': 'cert', 'n.key': 'key' } as const;
  const { certificate, key } = await issueNode(await testAuthority(CLUSTER), nodeId('b'), {
    hosts: ['127.0.0.1'],
  });
  const renewed = { cert: certificate, key };
  const said: string[] = [];
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  for (const [name, what] of Object.entries(files)) writeFileSync(join(b.directory, name), renewed[what]);
  await opened.read({ signal, limitMs: 300 }).catch(() => undefined);
  for (const [name, what] of Object.entries(files)) writeFileSync(join(b.directory, name), old[what]);
  write.mockRestore();
  expect(said.join('')).toContain('"event":"certificate-renewed"');
  await opened.close();
});

const fresh = (dataset: string, bytes = 300_000): TestStream =>
  makeStream(b.directory, named(dataset, 's1', guids++), { bytes });

async function send(stream: TestStream, by = channel): Promise<ReceiveEnd> {
  const receiving = await by.receive(EPOCH, stream.order, limits);
  spawnInto(receiving, ['cat', stream.file]);
  return receiving.ended;
}

async function nothingReceived(): Promise<void> {
  const end = performance.now() + 10_000;
  while ((await registered(b.config.dataDir)).length > 0) {
    if (performance.now() > end) throw new Error('a receive has not ended within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Two snapshots in one stream, after one that is there. */
async function sendRun(): Promise<void> {
  const [first, second] = [named('tank/run', 's1', guids++), named('tank/run', 's2', guids++)];
  const third = named('tank/run', 's3', guids++);
  expect(await send(makeStream(b.directory, first, { bytes: 1000 }))).toEqual({ kind: 'received' });
  const streams = [
    makeStream(b.directory, second, { from: first.guid, bytes: 1000 }),
    makeStream(b.directory, third, { from: second.guid, bytes: 1000 }),
  ];
  const file = join(b.directory, 'run');
  writeFileSync(file, Buffer.concat(streams.map((one) => readFileSync(one.file))));
  const order = { dataset: 'tank/run', snapshot: third, kind: 'incremental' } as const;
  const run = { file, order: { ...order, before: [second], letGo: [first] }, payload: Buffer.alloc(0) };
  expect(await send(run)).toEqual({ kind: 'received' });
  const holds = b.datasets()['tank/run']?.snapshots.map((one) => [one.name, one.holds.length]);
  expect(holds).toEqual([
    ['s1', 0],
    ['s2', 0],
    ['s3', 1],
  ]);
}

it('takes a run, held by the receive itself', async () => {
  await channel.read(limits);
  expect([...channel.features]).toEqual(['runs', 'settles', 'replays', 'left-out']);
  await sendRun();
});

it('reads, receives, holds', async () => {
  expect(await channel.read(limits)).toMatchObject({ pools: [{ name: 'tank' }] });
  const stream = fresh('tank/home', 3_000_000);
  expect(await send(stream)).toEqual({ kind: 'received' });
  expect(b.data(stream.order.snapshot.guid).equals(stream.payload)).toBe(true);
  await channel.perform(EPOCH, { kind: 'hold', keep: stream.order.snapshot, letGo: [] }, limits);
  await expect(
    channel.perform(EPOCH, { kind: 'prune', snapshots: [stream.order.snapshot] }, limits),
  ).rejects.toMatchObject({ code: 'replication-refused', message: expect.stringMatching(/is held/) });
});

it('H2: a stale epoch and a holder are refused before the stream begins', async () => {
  const stream = fresh('tank/stale');
  b.known = { mayHold: false, tenure: { epoch: 9, node: 'a', isReleased: false } };
  await expect(channel.receive(EPOCH, stream.order, limits)).rejects.toMatchObject({
    code: 'replication-refused',
  });
  b.known = { mayHold: true, tenure: null };
  await expect(channel.receive(EPOCH, stream.order, limits)).rejects.toThrow(/b holds/);
  await expect(channel.perform(EPOCH, { kind: 'abandon', dataset: 'tank/x' }, limits)).rejects.toThrow(
    /b holds/,
  );
  b.known = { mayHold: false, tenure: { epoch: 7, node: 'a', isReleased: false } };
  const running = await channel.receive(EPOCH, stream.order, limits);
  b.known = { mayHold: true, tenure: null };
  expect(await running.ended).toMatchObject({ kind: 'broken', code: 'refused' });
});

it('answers only the other data node of this cluster', async () => {
  for (const [cluster, node] of [
    [CLUSTER, 'w'],
    [CLUSTER, 'c'],
  ] as const) {
    const stranger = await channelOf(cluster, node);
    await expect(stranger.read(limits)).rejects.toThrow(/receives from a of nas-test only/);
    await expect(stranger.receive(EPOCH, fresh('tank/x').order, limits)).rejects.toThrow(
      /receives from a of nas-test only/,
    );
    await stranger.close();
  }
  const foreign = await channelOf('elsewhere', 'a');
  await expect(foreign.read({ ...limits, limitMs: 2000 })).rejects.toMatchObject({
    code: 'peer-unreachable',
  });
  await foreign.close();
  expect(warnings.join('\n')).toMatch(/quorate:\/\/nas-test\/w/);
});

it('a source that dies, and one that this side gives up, are no whole streams', async () => {
  const stream = fresh('tank/dies');
  const receiving = await channel.receive(EPOCH, stream.order, limits);
  spawnInto(receiving, ['sh', '-c', `head -c 150000 '${stream.file}'; exit 3`]);
  expect(await receiving.ended).toMatchObject({ kind: 'broken', code: 'connection' });
  await nothingReceived();
  const aborted = await channel.receive(EPOCH, fresh('tank/aborts').order, limits);
  aborted.abort();
  expect(await aborted.ended).toMatchObject({ kind: 'broken', code: 'aborted' });
  await nothingReceived();
});

it('is closed in time, also while a receive does not end', async () => {
  const stuck = new Promise<never>(() => undefined);
  const receive = async () => ({ input: new PassThrough(), ended: stuck, abort: () => undefined });
  const other = new ReplicationServer({
    ...{ cluster: CLUSTER, self: nodeId('b'), peer: nodeId('a'), listen: '127.0.1.2:0' },
    tls: await testTls(CLUSTER, 'b'),
    receiver: { receive } as unknown as HostReceiver['receiver'],
    log: () => undefined,
  });
  const hung = await channelOf(CLUSTER, 'a', `127.0.1.2:${await other.listen()}`);
  const { order } = makeStream(b.directory, named('tank/hung', 's1', guids++), { bytes: 1000 });
  const stream = await hung.receive(EPOCH, order, limits);
  await other.close();
  expect(await stream.ended).toMatchObject({ kind: 'broken' });
  await hung.close();
}, 30_000);

it('a full pool ends the stream, and its source with it', async () => {
  b.set('full', '');
  const stream = fresh('tank/full', 20_000_000);
  const receiving = await channel.receive(EPOCH, stream.order, limits);
  const source = spawnInto(receiving, ['cat', stream.file]);
  expect(await receiving.ended).toMatchObject({ kind: 'broken', code: 'full' });
  expect(receiving.sink.destroyed).toBe(true);
  source.kill();
});

it('cut at any byte, it goes on where it broke off, and arrives whole', async () => {
  const proxy = new CuttingProxy({ host: '127.0.1.2', port });
  const proxyPort = await freePort('127.0.1.4');
  await proxy.listen('127.0.1.4', proxyPort);
  const through = await channelOf(CLUSTER, 'a', `127.0.1.4:${proxyPort}`);
  const whole = fresh('tank/cut', 2_000_000);
  const { snapshot } = whole.order;
  let cuts = 0;
  for (let attempt = 0; attempt < 12; attempt++) {
    await nothingReceived();
    const offset = b.datasets()['tank/cut']?.partial?.bytes ?? 0;
    const seed = (attempt * 2_654_435_761) % 1_000_003;
    proxy.cutAfterBytes = attempt >= 8 ? null : 4000 + (attempt % 2 === 0 ? seed % 6_000 : seed % 700_000);
    const stream = makeStream(b.directory, snapshot, { payload: whole.payload, offset });
    const receiving = await through
      .receive(EPOCH, stream.order, { ...limits, limitMs: 3000 })
      .catch(() => null);
    if (receiving === null) {
      cuts += 1;
      continue;
    }
    spawnInto(receiving, ['cat', stream.file]);
    const end = await receiving.ended;
    if (end.kind === 'received') break;
    cuts += 1;
    expect(end).toMatchObject({ kind: 'broken', code: 'connection' });
  }
  expect(cuts).toBeGreaterThan(4);
  expect(b.datasets()['tank/cut']?.snapshots.map(({ guid }) => guid)).toEqual([snapshot.guid]);
  expect(b.data(snapshot.guid).equals(whole.payload)).toBe(true);
  await through.close();
  await proxy.close();
}, 120_000);

it('200 MB to a slow receiver: the memory of both ends stays as it is', async () => {
  b.set('slow', '1');
  const bytes = 200_000_000;
  const snapshot = named('tank/large', 's1', guids++);
  const header = { ...snapshot, type: 'filesystem', from: null, offset: 0, size: bytes };
  const file = join(b.directory, 'header');
  writeFileSync(file, `${JSON.stringify(header)}\n`);
  const receiving = await channel.receive(
    EPOCH,
    { dataset: snapshot.dataset, snapshot, kind: 'full', makes: 'filesystem' },
    limits,
  );
  const before = process.memoryUsage().rss;
  let most = before;
  const sampling = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss);
  }, 20);
  spawnInto(receiving, ['sh', '-c', `cat '${file}'; head -c ${bytes} /dev/zero`]);
  const end = await receiving.ended;
  clearInterval(sampling);
  expect(end).toEqual({ kind: 'received' });
  // Of sender and receiver together, and of whatever V8 leaves uncollected meanwhile.
  const grownMb = (most - before) / 1e6;
  expect(grownMb).toBeLessThan(100);
}, 120_000);

it('is opened by the config', async () => {
  const { replication } = b.config;
  expect(replication?.channel).toMatchObject({ kind: 'grpc', port: 7405 });
  const opened = await openChannel(b.config);
  expect(opened.name).toBe('grpc');
  await opened.close();
  await expect(openChannel({ ...b.config, replication: null })).rejects.toMatchObject({
    code: 'replication-not-configured',
  });
});
