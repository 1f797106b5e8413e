import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { type NodeId, nodeId } from '../../src/core/index.ts';
import { channelOptions, secureContext } from '../../src/peer/channel.ts';
import { encodeMessage } from '../../src/peer/codec.ts';
import { Dialer } from '../../src/peer/dialer.ts';
import { issueClient, issueNode, type TlsMaterial } from '../../src/peer/index.ts';
import { LIMITS } from '../../src/peer/limits.ts';
import { METHOD } from '../../src/peer/schema.ts';
import { testAuthority, testTls } from '../support/pki.ts';
import {
  A,
  append,
  B,
  C,
  CLUSTER,
  closeAll,
  connect,
  heartbeat,
  linkTo,
  notes,
  startNode,
} from './harness.ts';

afterEach(closeAll);

/** Trusts both authorities, as a careless operator might have it: then only the name in the certificate protects. */
async function trustingBoth(cluster: string, node: NodeId): Promise<TlsMaterial> {
  const [own, alpha, beta] = await Promise.all([
    testTls(cluster, node),
    testAuthority('alpha'),
    testAuthority('beta'),
  ]);
  return { ...own, ca: alpha.certificate + beta.certificate };
}

/** A stream of our own to `address` with any certificate, on which any bytes can be sent. */
function rawStream(address: string, tls: TlsMaterial, method: string) {
  const target = { address, cluster: CLUSTER, node: null };
  const context = secureContext(tls);
  const dialer = new Dialer(() => context, target, { onFailure: () => {}, onStuck: () => {} });
  const options = { ...channelOptions(target), 'grpc.max_send_message_length': -1 };
  const client = new Client(address, dialer, options);
  let accept = () => {};
  let write: (bytes: Buffer) => void = () => {};
  let cancel = () => {};
  const accepted = new Promise<void>((resolve) => {
    accept = resolve;
  });
  const ended = new Promise<{ code: number; details: string }>((resolve) => {
    const call = client.makeClientStreamRequest(
      method,
      (bytes: Buffer) => bytes,
      () => ({}),
      new Metadata({ waitForReady: true }),
      { deadline: Date.now() + 10_000 },
      (error) => {
        client.close();
        dialer.dispose();
        resolve({ code: error?.code ?? 0, details: error?.details ?? '' });
      },
    );
    call.on('metadata', accept);
    call.on('error', () => {});
    write = (bytes) => void call.write(bytes);
    cancel = () => call.cancel();
  });
  return { accepted, ended, write: (bytes: Buffer) => write(bytes), cancel: () => cancel() };
}

describe('who is refused as a caller', () => {
  test('a node of a cluster with another authority: neither side trusts the other', async () => {
    const a = await startNode(A);
    const intruder = await startNode(B, { cluster: 'beta' });
    a.transport.setPeers(new Map([[B, intruder.address]]));
    intruder.transport.setPeers(new Map([[A, a.address]]));
    await Promise.all([linkTo(a, B, false), linkTo(intruder, A, false)]);
    await a.log.find((line) =>
      line.includes("its certificate is from another authority than this node's CA"),
    );
    expect(a.transport.isUp(B) || intruder.transport.isUp(A)).toBe(false);
  });

  test('a node of another cluster whose authority is trusted: by the name in its certificate', async () => {
    const a = await startNode(A, { tls: await trustingBoth('alpha', A) });
    a.transport.setPeers(new Map([[B, '127.0.0.1:1']]));
    const stream = rawStream(a.address, await trustingBoth('beta', B), METHOD.heartbeats);
    expect(await stream.ended).toEqual({
      code: 7,
      details: 'the certificate is for quorate://beta/b, but a talks to nodes of alpha',
    });
    await a.log.find((line) => line.includes('quorate://beta/b'));
  });

  test('a caller without a certificate does not get as far as a handler', async () => {
    const a = await startNode(A);
    a.transport.setPeers(new Map([[B, '127.0.0.1:1']]));
    const { ca } = await testTls(CLUSTER, A);
    const anonymous = credentials.createSsl(Buffer.from(ca), null, null, {
      checkServerIdentity: () => undefined,
    });
    const client = new Client(a.address, anonymous, { 'grpc.ssl_target_name_override': 'a.quorate' });
    const error = await new Promise<{ code: number } | null>((resolve) => {
      const message = encodeMessage(heartbeat(B, A, 1), CLUSTER);
      const asIs = (bytes: Buffer) => bytes;
      client.makeUnaryRequest(METHOD.reportReleased, asIs, () => ({}), message, resolve);
    });
    client.close();
    expect(error?.code).toBe(14);
  });

  test('an operator is no node', async () => {
    const a = await startNode(A);
    a.transport.setPeers(new Map([[B, '127.0.0.1:1']]));
    const authority = await testAuthority(CLUSTER);
    const admin = await issueClient(authority, 'admin', 'b');
    const tls = { ca: authority.certificate, cert: admin.certificate, key: admin.key };
    const { code, details } = await rawStream(a.address, tls, METHOD.appends).ended;
    expect([code, details]).toEqual([7, expect.stringContaining('quorate://alpha/client/admin/b')]);
  });

  test('a node that is not a member, until it is one', async () => {
    const [a, b] = [await startNode(A), await startNode(B)];
    b.transport.setPeers(new Map([[A, a.address]]));
    await b.log.find((line) => line.includes('b is not a member that a knows'));
    expect(b.transport.isUp(A)).toBe(false);
    a.transport.setPeers(new Map([[B, b.address]]));
    await linkTo(b, A, true);
  });

  test('another process with the own certificate', async () => {
    const a = await startNode(A);
    const { code, details } = await rawStream(a.address, await testTls(CLUSTER, A), METHOD.appends).ended;
    expect([code, details]).toEqual([7, "a is this node's own name"]);
  });
});

describe('who is refused as a peer that is dialled', () => {
  test("c at b's address", async () => {
    const [a, c] = [await startNode(A), await startNode(C)];
    c.transport.setPeers(new Map([[A, a.address]]));
    a.transport.setPeers(
      new Map([
        [B, c.address],
        [C, '127.0.0.1:1'],
      ]),
    );
    await linkTo(a, B, false);
    await a.log.find((line) => line.includes('expected quorate://alpha/b there, found quorate://alpha/c'));
    a.transport.send(heartbeat(A, B, 1));
    expect(a.transport.counters.sent).toBe(0);
    expect(c.inbox.items).toEqual([]);
  });

  test('b of another cluster whose authority is trusted', async () => {
    const a = await startNode(A, { tls: await trustingBoth('alpha', A) });
    const b = await startNode(B, { cluster: 'beta', tls: await trustingBoth('beta', B) });
    a.transport.setPeers(new Map([[B, b.address]]));
    await a.log.find((line) => line.includes('expected quorate://alpha/b there, found quorate://beta/b'));
    expect(a.transport.isUp(B)).toBe(false);
  });
});

describe('what is dropped, while the stream goes on', () => {
  async function speakAsB() {
    const a = await startNode(A);
    a.transport.setPeers(
      new Map([
        [B, '127.0.0.1:1'],
        [C, '127.0.0.1:1'],
      ]),
    );
    const stream = rawStream(a.address, await testTls(CLUSTER, B), METHOD.heartbeats);
    await stream.accepted;
    return { a, stream, write: stream.write, cancel: stream.cancel };
  }

  test.each([
    ['bytes that are no message', 'malformed', () => Buffer.from('not protobuf at all')],
    ['no bytes', 'wrong-cluster', () => Buffer.alloc(0)],
    ['a message of another cluster', 'wrong-cluster', () => encodeMessage(heartbeat(B, A, 1), 'beta')],
    ['a message in the name of c', 'wrong-sender', () => encodeMessage(heartbeat(C, A, 1), CLUSTER)],
    ['a message to c', 'wrong-receiver', () => encodeMessage(heartbeat(B, C, 1), CLUSTER)],
    [
      'an append among the heartbeats',
      'wrong-stream',
      () => encodeMessage(append(B, A, notes(1, 1)), CLUSTER),
    ],
  ] as const)('%s', async (_name, problem, bytes) => {
    const { a, write, cancel } = await speakAsB();
    write(bytes());
    write(bytes());
    write(encodeMessage(heartbeat(B, A, 5), CLUSTER));
    expect(await a.inbox.find(() => true)).toEqual(heartbeat(B, A, 5));
    expect(a.inbox.items).toHaveLength(1);
    expect([...a.transport.counters.dropped]).toEqual([[problem, 2]]);
    expect(a.log.items.filter((line) => line.includes(`dropped a ${problem} message of b`))).toHaveLength(1);
    cancel();
  });

  test('a message over 1 MiB ends the stream, and the next stream is served', async () => {
    const { a, stream, write } = await speakAsB();
    write(Buffer.alloc(LIMITS.messageBytes + 1));
    expect((await stream.ended).code).toBe(8);
    const next = rawStream(a.address, await testTls(CLUSTER, B), METHOD.heartbeats);
    await next.accepted;
    expect(a.inbox.items).toEqual([]);
    next.cancel();
  });

  test('an older stream of the same node is ended when a newer one comes', async () => {
    const { a, stream } = await speakAsB();
    const next = rawStream(a.address, await testTls(CLUSTER, B), METHOD.heartbeats);
    await next.accepted;
    expect(await stream.ended).toEqual({ code: 10, details: 'b has opened a newer stream' });
    next.write(encodeMessage(heartbeat(B, A, 6), CLUSTER));
    expect(await a.inbox.find(() => true)).toEqual(heartbeat(B, A, 6));
    next.cancel();
  });
});

test('a node id that only resembles another is another', async () => {
  const authority = await testAuthority(CLUSTER);
  const issued = await issueNode(authority, nodeId('b1'));
  const tls = { ca: authority.certificate, cert: issued.certificate, key: issued.key };
  const [a, b1] = [await startNode(A), await startNode(nodeId('b1'), { tls })];
  a.transport.setPeers(new Map([[B, b1.address]]));
  b1.transport.setPeers(new Map([[A, a.address]]));
  await b1.log.find((line) => line.includes('b1 is not a member that a knows'));
  await a.log.find((line) => line.includes('found quorate://alpha/b1'));
});

test('peers of one cluster find each other although a third, foreign one keeps dialling', async () => {
  const [a, b] = [await startNode(A), await startNode(B)];
  const intruder = await startNode(C, { cluster: 'beta' });
  intruder.transport.setPeers(
    new Map([
      [A, a.address],
      [B, b.address],
    ]),
  );
  await linkTo(intruder, A, false);
  await connect(a, b);
  a.transport.send(heartbeat(A, B, 1));
  expect(await b.inbox.find(() => true)).toEqual(heartbeat(A, B, 1));
});
