/** Floods at the listener: what is established goes on, who is known gets through, and strangers are bounded. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { identityOf, TlsListener } from '../../src/peer/index.ts';
import { CONNECTION_LIMITS } from '../../src/peer/limits.ts';
import { RateLimits } from '../../src/peer/rate-limits.ts';
import { testTls } from '../support/pki.ts';
import { A, B, CLUSTER, closeAll, connect, heartbeat, startNode } from './harness.ts';

const open = new Set<Socket | TLSSocket>();
const listeners = new Set<TlsListener>();
afterEach(async () => {
  for (const socket of open) socket.destroy();
  open.clear();
  for (const listener of listeners) {
    const stopped = listener.stop();
    listener.cut();
    await stopped;
  }
  listeners.clear();
  await closeAll();
});

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1));

/** Resolves true when its handshake is over, false when it was closed before that. */
async function dialTls(port: number, from: string, node = 'c'): Promise<{ socket: TLSSocket; ok: boolean }> {
  const { ca, cert, key } = await testTls(CLUSTER, node);
  const raw = connectTcp({ host: '127.0.0.1', port, localAddress: from });
  const socket = connectTls({
    ...{ socket: raw, ca, cert, key, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined },
  });
  open.add(socket);
  socket.resume();
  raw.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('secureConnect', () => resolve({ socket, ok: true }));
    socket.once('error', () => resolve({ socket, ok: false }));
    // One that is reset while it connects: TLS does not say so.
    for (const one of [raw, socket]) one.once('close', () => resolve({ socket, ok: false }));
  });
}
const closed = (socket: TLSSocket, limitMs = 10_000): Promise<boolean> =>
  new Promise((resolve) => {
    if (socket.destroyed) return resolve(true);
    const timer = setTimeout(() => resolve(false), limitMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });

/** Says nothing; resolves when it is connected, or closed again. */
function dialTcp(port: number, from: string): Promise<void> {
  const raw = connectTcp({ host: '127.0.0.1', port, localAddress: from });
  open.add(raw);
  raw.on('error', () => undefined);
  return new Promise((resolve) => {
    for (const event of ['connect', 'close'] as const) raw.once(event, () => resolve());
  });
}

test('a flood from strangers is closed at the limits, and a stream of a member goes on', {
  timeout: 60_000,
}, async () => {
  const [a, b] = [await startNode(A), await startNode(B)];
  await connect(a, b);
  const port = portOf(a.address);
  await Promise.all(
    Array.from({ length: 3 * CONNECTION_LIMITS.perAddress }, () => dialTcp(port, '127.0.0.9')),
  );
  await vi.waitFor(() => expect(a.transport.counters.refusedConnections).toBeGreaterThan(0), 10_000);
  expect(b.transport.isUp(A)).toBe(true);
  b.transport.send(heartbeat(B, A, 5));
  expect(await a.inbox.find(({ kind }) => kind === 'heartbeat')).toMatchObject({ seq: 5 });
});

describe('the listener', () => {
  const begin = async (limits: object, members: Set<string>, favoured = '') => {
    let made = 0;
    const listener = new TlsListener({
      ...{ listen: '127.0.0.1:0', setting: 'here', minVersion: 'TLSv1.3', tls: await testTls(CLUSTER, A) },
      limits: { ...CONNECTION_LIMITS, ...limits },
      ownerOf: (certificate) => {
        const identity = identityOf(certificate);
        return identity !== null && 'node' in identity && members.has(identity.node) ? identity.node : null;
      },
      isFavoured: (address) => address === favoured,
      onConnection: (socket) => {
        socket.on('error', () => undefined).resume();
        made += 1;
      },
    });
    listeners.add(listener);
    const port = await listener.start();
    /** The server's side of a handshake ends after the client's. */
    const dial = async (node: string) => {
      const before = made;
      const dialled = await dialTls(port, '127.0.0.1', node);
      if (dialled.ok) await vi.waitFor(() => expect(made).toBe(before + 1), 10_000);
      return dialled;
    };
    return { port, dial };
  };

  test('a stranger is cut off after its time; who has become a member meanwhile is not', async () => {
    const members = new Set<string>();
    const { dial } = await begin({ strangerMs: 1_500 }, members);
    const [stranger, joining] = [await dial('c'), await dial('b')];
    expect([stranger.ok, joining.ok]).toEqual([true, true]);
    members.add('b');
    expect(await closed(stranger.socket)).toBe(true);
    expect(await closed(joining.socket, 500)).toBe(false);
  });

  test('of one member the newest connections stay, and they take no room from strangers', async () => {
    const { port, dial } = await begin({ perOwner: 2, perAddress: 1 }, new Set(['b']));
    const [oldest, ...newest] = [await dial('b'), await dial('b'), await dial('b')];
    expect([oldest, ...newest].map((one) => one?.ok)).toEqual([true, true, true]);
    expect(await closed(oldest.socket)).toBe(true);
    expect((await dialTls(port, '127.0.0.9', 'c')).ok).toBe(true);
    // Its room is taken: the next one is closed at once.
    expect((await dialTls(port, '127.0.0.9', 'c')).ok).toBe(false);
    expect(newest.map(({ socket }) => socket.destroyed)).toEqual([false, false]);
  });

  test('where nothing replaces an older one, those that are there stay, and the one too many ends', async () => {
    const { dial } = await begin({ perOwner: 2, overOwner: 'newest-ends' }, new Set(['b']));
    const established = [await dial('b'), await dial('b')];
    const surplus = await dial('b');
    expect(await closed(surplus.socket)).toBe(true);
    expect(established.map(({ socket }) => socket.destroyed)).toEqual([false, false]);
  });

  test('one address, and all strangers together, get so many handshakes; a favoured address does not need theirs', async () => {
    const rates = { perAddress: { burst: 3, perSecond: 0.001 }, others: { burst: 4, perSecond: 0.001 } };
    const { port } = await begin({ handshakes: rates }, new Set(), '127.0.0.1');
    const oks: boolean[] = [];
    for (const from of [9, 9, 9, 9, 10, 10, 1]) oks.push((await dialTls(port, `127.0.0.${from}`)).ok);
    expect(oks).toEqual([true, true, true, false, true, false, true]);
  });

  test('where a member has come from before, it comes again, whatever strangers from elsewhere have used up', async () => {
    const rates = { perAddress: { burst: 10, perSecond: 0.001 }, others: { burst: 2, perSecond: 0.001 } };
    const { port, dial } = await begin({ handshakes: rates, perAddress: 1, connections: 2 }, new Set(['b']));
    expect((await dial('b')).ok).toBe(true);
    const flood = [await dialTls(port, '127.0.0.9', 'c'), await dialTls(port, '127.0.0.10', 'c')];
    expect(flood.map(({ ok }) => ok)).toEqual([true, false]);
    expect([(await dial('b')).ok, (await dial('b')).ok]).toEqual([true, true]);
  });

  test('says which address is in use', async () => {
    const { port } = await begin({}, new Set());
    const second = new TlsListener({
      ...{ listen: `127.0.0.1:${port}`, setting: 'here', minVersion: 'TLSv1.3' },
      ...{ tls: await testTls(CLUSTER, A), limits: CONNECTION_LIMITS, onConnection: () => undefined },
    });
    await expect(second.start()).rejects.toMatchObject({ code: 'port-in-use' });
  });
});

describe('the rates', () => {
  const rate = (burst: number, perSecond: number) => ({ burst, perSecond });

  test('an address has its own, refilled with time', () => {
    const limits = new RateLimits(rate(2, 10), rate(100, 100));
    expect([0, 0, 0].map((at) => limits.take('x', false, at))).toEqual([true, true, false]);
    expect(limits.take('y', false, 0)).toBe(true);
    expect(limits.take('x', false, 99)).toBe(false);
    expect(limits.take('x', false, 200)).toBe(true);
  });

  test('many addresses share one, which those that are vouched for do not need', () => {
    const limits = new RateLimits(rate(10, 1), rate(3, 1));
    const many = Array.from({ length: 5 }, (_, at) => limits.take(`x${at}`, false, 0));
    expect(many).toEqual([true, true, true, false, false]);
    expect(limits.take('member', true, 0)).toBe(true);
    expect(limits.take('x9', false, 1_000)).toBe(true);
  });
});
