/** The receiving side of the gRPC channel under more than it takes: what is under way goes on, the rest is refused with the reason. */
import { PassThrough } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterEach, expect, it, vi } from 'vitest';
import { epoch, nodeId } from '../../../src/core/index.ts';
import type { ReceiveEnd } from '../../../src/replication/channel.ts';
import { CallLimits } from '../../../src/replication/channels/call-limits.ts';
import { REPLICATION_CALLS, REPLICATION_CONNECTIONS } from '../../../src/replication/channels/grpc-limits.ts';
import { GRPC_LIMITS } from '../../../src/replication/channels/grpc-schema.ts';
import {
  GrpcChannel,
  type HostReceiver,
  ReplicationServer,
} from '../../../src/replication/channels/index.ts';
import { testTls } from '../../support/pki.ts';

const CLUSTER = 'nas-test';
const HOST = '127.0.1.2';
const { signal } = new AbortController();
const LIMITS = { signal, limitMs: 20_000 };
const TEXT = JSON.stringify({ cluster: CLUSTER, from: 'a', to: 'b' });
/** A `WireText`: its only field, with the length. */
const QUESTION = Buffer.concat([Buffer.from([0x0a, TEXT.length]), Buffer.from(TEXT)]);
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Streams that do not end by themselves. */
async function start() {
  const begun: string[] = [];
  /** What ends each that is under way. */
  const questions: (() => void)[] = [];
  const receiver = {
    receive: async (_epoch: unknown, { dataset }: { dataset: string }, _how: string, over: AbortSignal) => {
      begun.push(dataset);
      const ended = new Promise<ReceiveEnd>((resolve) =>
        over.addEventListener('abort', () => resolve({ kind: 'broken', code: 'aborted', why: 'ended' })),
      );
      return { input: new PassThrough().resume(), ended, abort: () => undefined };
    },
    read: () => new Promise((_, reject) => questions.push(() => reject(new Error('it cannot be read')))),
  } as unknown as HostReceiver['receiver'];
  const server = new ReplicationServer({
    ...{ cluster: CLUSTER, self: nodeId('b'), peer: nodeId('a'), listen: `${HOST}:0` },
    ...{ tls: await testTls(CLUSTER, 'b'), receiver, log: () => undefined },
  });
  ends.push(() => server.close());
  const port = await server.listen();
  const address = `${HOST}:${port}`;
  const channel = new GrpcChannel({
    ...{ cluster: CLUSTER, self: nodeId('a'), to: nodeId('b'), address },
    tls: () => testTls(CLUSTER, 'a'),
  });
  ends.push(() => channel.close());
  const receive = (name: string) => {
    const snapshot = { dataset: `tank/${name}`, name: 's1', guid: '77' } as never;
    const order = { dataset: `tank/${name}`, snapshot, kind: 'full', makes: 'filesystem' } as const;
    return channel.receive(epoch(7), order, LIMITS);
  };
  return { server, port, address, receive, begun, questions };
}

async function clientOf(address: string, node: string): Promise<Client> {
  const { ca, cert, key } = await testTls(CLUSTER, node);
  const secure = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert), {
    checkServerIdentity: () => undefined,
  });
  const client = new Client(address, secure, {
    'grpc.ssl_target_name_override': 'any.quorate',
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
  });
  ends.push(() => client.close());
  return client;
}

const ask = (client: Client, bytes: Buffer): Promise<ServiceError | null> =>
  new Promise((resolve) => {
    const asIs = (value: Buffer): Buffer => value;
    client.makeUnaryRequest(
      ...(['/quorate.v1.Replication/Read', asIs, asIs, bytes] as const),
      ...([new Metadata(), { deadline: Date.now() + 20_000 }, resolve] as const),
    );
  });

it('so many streams at a time, and not one more; one that ends makes room', async () => {
  const { receive, begun } = await start();
  const names = Array.from({ length: REPLICATION_CALLS.streams }, (_, at) => `d${at}`);
  const running = await Promise.all(names.map(receive));
  await expect(receive('more')).rejects.toThrow(/8 streams are under way already/);
  expect(begun.length).toBe(names.length);
  running[0]?.abort();
  await vi.waitFor(() => receive('next'), 10_000);
});

it('E5: a removed member is refused, and its streams end; a member again, it is answered', async () => {
  const { server, receive } = await start();
  const running = await receive('home');
  server.setMembers(['a', 'w']);
  server.setMembers(['w']);
  expect(await running.ended).toMatchObject({ kind: 'broken' });
  await expect(receive('home')).rejects.toThrow(/a was removed from nas-test, says the log of b \(E5\)/);
  server.setMembers(['a', 'w']);
  await receive('home');
});

it('connections of strangers are bounded, and end; the other data node is served meanwhile', async () => {
  const { server, port, receive } = await start();
  const { ca, cert, key } = await testTls(CLUSTER, 'w');
  const options = { host: HOST, port, ca, cert, key, ALPNProtocols: ['h2'], localAddress: '127.0.0.9' };
  const sockets = Array.from({ length: 2 * REPLICATION_CONNECTIONS.perAddress }, () =>
    connectTls({ ...options, checkServerIdentity: () => undefined })
      .on('error', () => undefined)
      .resume(),
  );
  ends.push(() => sockets.forEach((socket) => void socket.destroy()));
  await vi.waitFor(
    () => expect(server.refusedConnections).toBeGreaterThanOrEqual(REPLICATION_CONNECTIONS.perAddress),
    10_000,
  );
  await receive('home');
  // Whoever was let in has a moment to be told why not.
  await vi.waitFor(() => expect(sockets.every(({ destroyed }) => destroyed)).toBe(true), 15_000);
}, 30_000);

it('a message that is too large ends its call, and nothing else', async () => {
  const { address, receive } = await start();
  const client = await clientOf(address, 'a');
  const running = await receive('home');
  const error = await ask(client, Buffer.alloc(GRPC_LIMITS.messageBytes + 100_000, 7));
  expect(error?.code).toBe(8);
  running.abort();
  expect(await running.ended).toMatchObject({ code: 'aborted' });
});

it('so many questions at a time, and not one more', async () => {
  const { address, questions } = await start();
  const client = await clientOf(address, 'a');
  const asked = Array.from({ length: REPLICATION_CALLS.questions }, () => ask(client, QUESTION));
  await vi.waitFor(() => expect(questions).toHaveLength(asked.length), 10_000);
  expect(await ask(client, QUESTION)).toMatchObject({
    code: 8,
    details: '8 questions are under way already',
  });
  for (const end of questions.splice(0)) end();
  expect(await Promise.all(asked)).toEqual(asked.map(() => null));
  // There is room again.
  const next = ask(client, QUESTION);
  await vi.waitFor(() => expect(questions).toHaveLength(1), 10_000);
  questions[0]?.();
  expect(await next).toBeNull();
});

it('a stream without its question ends', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { IncomingStream } = await import('../../../src/replication/channels/incoming-stream.ts');
    const said: { json: string }[] = [];
    const call = Object.assign(new PassThrough({ objectMode: true }), {
      cancelled: false,
      write: (answer: { json: string }) => said.push(answer) > 0,
    });
    const stream = new IncomingStream(call as never, new AbortController().signal);
    const done = stream.run(() => Promise.reject(new Error('nobody may ask')));
    await vi.advanceTimersByTimeAsync(REPLICATION_CALLS.questionMs);
    await done;
    expect(said.map(({ json }) => json).join()).toMatch(/no question/);
  } finally {
    vi.useRealTimers();
  }
});

it('the rate: a burst, and then so many a second', () => {
  let now = 0;
  const limits = new CallLimits(() => now);
  const taken = (): number => {
    let count = 0;
    while (limits.begin('questions') === null) {
      limits.end('questions');
      count += 1;
    }
    return count;
  };
  expect(taken()).toBe(REPLICATION_CALLS.callsAtOnce);
  expect(limits.begin('questions')).toMatch(/calls a second/);
  now += 1_000;
  expect(taken()).toBe(REPLICATION_CALLS.callsPerSecond);
});
