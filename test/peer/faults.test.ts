import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import { knock } from '../../src/peer/dialer.ts';
import { waitedForProcessorMs } from '../support/own-time.ts';
import {
  A,
  append,
  B,
  closeAll,
  connect,
  heartbeat,
  linkTo,
  notes,
  now,
  startNode,
  TcpProxy,
  type TestNode,
} from './harness.ts';

/** What is wanted is 300 ms; the rest is room for a machine that runs other tests at the same time. */
const RECOVERY_LIMIT_MS = 600;

afterEach(closeAll);

async function connectThroughProxy(): Promise<{ a: TestNode; b: TestNode; proxy: TcpProxy }> {
  const [a, b] = [await startNode(A), await startNode(B)];
  const proxy = await TcpProxy.to(b.transport.port);
  await connect(a, b, proxy.address);
  return { a, b, proxy };
}

/** How long after `heal` the link from `a` to b is up again and carries a message. */
async function recoveryMs(a: TestNode, b: TestNode, heal: () => void | Promise<void>): Promise<number> {
  const from = a.links.items.length;
  const healedAt = now();
  await heal();
  const up = await linkTo(a, B, true, from);
  a.transport.send(heartbeat(A, B, 99));
  await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === 99);
  console.info(`recovered ${Math.round(up.at - healedAt)} ms after healing`);
  return up.at - healedAt;
}

describe('a link that fails', () => {
  test('stalled without closing: down within two keepalives, up again soon after it moves', async () => {
    const { a, b, proxy } = await connectThroughProxy();
    const stalledAt = now();
    proxy.stall();
    const down = await linkTo(a, B, false);
    expect(down.at - stalledAt).toBeLessThan(2500);
    // Redialling has begun, and hangs in the proxy as the first connection did.
    const dials = proxy.accepted.items.length;
    await proxy.accepted.find(() => true, dials + 2);
    expect(await recoveryMs(a, b, () => proxy.forward())).toBeLessThan(RECOVERY_LIMIT_MS);
  });

  test('cut so that what was sent is lost: no attempt waits for it for long', async () => {
    const { a, b, proxy } = await connectThroughProxy();
    proxy.stall();
    await linkTo(a, B, false);
    await proxy.accepted.find(() => true, proxy.accepted.items.length + 6);
    // The longest patience with an unanswered handshake, and a back-off.
    expect(await recoveryMs(a, b, () => proxy.forward({ forgetting: true }))).toBeLessThan(1500);
  });

  test('the reset of a connection that was given up long ago is no news about the one in use', async () => {
    const { a, b, proxy } = await connectThroughProxy();
    proxy.stall();
    const old = [...proxy.crossings];
    await linkTo(a, B, false);
    await recoveryMs(a, b, () => proxy.forward({ forgetting: true }));
    const from = a.links.items.length;
    expect(old.filter(({ client }) => !client.destroyed)).not.toHaveLength(0);
    for (const { client } of old) client.resetAndDestroy();
    // Far more round trips than a reset takes.
    for (let seq = 200; seq < 220; seq++) {
      a.transport.send(heartbeat(A, B, seq));
      await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === seq);
    }
    expect(a.links.items.slice(from)).toEqual([]);
    expect(a.transport.isUp(B)).toBe(true);
  });

  test('stalled for less than a keepalive: the same connection goes on, and nothing was lost', async () => {
    const { a, b, proxy } = await connectThroughProxy();
    const connections = proxy.accepted.items.length;
    proxy.stall();
    for (let seq = 0; seq < 3; seq++) a.transport.send(heartbeat(A, B, seq));
    proxy.forward();
    await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === 2);
    expect(b.inbox.items).toHaveLength(3);
    expect(proxy.accepted.items).toHaveLength(connections);
  });

  test('refused for long: found again within one back-off', async () => {
    const { a, b, proxy } = await connectThroughProxy();
    await proxy.refuse();
    await a.log.find((line) => line.includes('ECONNREFUSED'));
    // The back-off has reached its end only after several refusals.
    const refusedUntil = now() + 1000;
    while (now() < refusedUntil) await expect(knockOnce(proxy.address)).rejects.toThrow(/ECONNREFUSED/);
    expect(await recoveryMs(a, b, () => proxy.listenAgain())).toBeLessThan(RECOVERY_LIMIT_MS);
  });

  test('closed at once on every dial: the back-off stays short, however often', async () => {
    const { a, proxy } = await connectThroughProxy();
    const from = proxy.accepted.items.length;
    proxy.slam();
    await linkTo(a, B, false);
    // Two streams, a knock and a dial each: fifteen attempts of both.
    await proxy.accepted.find(() => true, from + 59);
    const times = proxy.accepted.items.slice(from);
    const gapsMs = times.slice(1).map((at, index) => at - (times[index] ?? at));
    expect(Math.max(...gapsMs)).toBeLessThan(500);
    // And not so short that a broken peer costs the others their time.
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1000);
  });

  test('a lost SYN does not cost the second that the kernel waits before it repeats one', async () => {
    const hole = await startBlackHole(1);
    hole.freeze();
    await fillBacklog(hole.port);
    const startedAt = now() - hole.waitedMs();
    const knocked = knockOnce(`127.0.0.1:${hole.port}`);
    hole.thaw();
    await knocked;
    expect(now() - hole.waitedMs() - startedAt).toBeLessThan(900);
  });

  test('H5: a reset is known at once', async () => {
    const { a, proxy } = await connectThroughProxy();
    const resetAt = now();
    await proxy.refuse();
    const down = await linkTo(a, B, false);
    expect(down.at - resetAt).toBeLessThan(200);
  });

  test('a connect that vanishes is given up after a second, and healed between two SYNs', async () => {
    const b = await startNode(B);
    const hole = await startBlackHole(b.transport.port);
    const a = await startNode(A);
    b.transport.setPeers(new Map([[A, a.address]]));
    hole.freeze();
    await fillBacklog(hole.port);
    const dialledAt = now();
    a.transport.setPeers(new Map([[B, `127.0.0.1:${hole.port}`]]));
    const down = await linkTo(a, B, false);
    expect(down.at - dialledAt).toBeLessThan(1500);
    await a.log.find((line) => line.includes('no TCP connection within 1000 ms'), 0, 0);
    // Longer here: the knocks that were waiting fill the tiny backlog once more when it thaws.
    const before = hole.waitedMs();
    const tookMs = await recoveryMs(a, b, () => hole.thaw());
    expect(tookMs - (hole.waitedMs() - before)).toBeLessThan(900);
  });
});

describe('a stream whose receiver does not read', () => {
  test('L1: heartbeats pass beside 900 kB appends that wait in a stalled connection', async () => {
    const { a, b, proxy } = await connectThroughProxy();
    // Which of the two connections is which: the one that a heartbeat moves.
    const before = new Map(proxy.crossings.map((crossing) => [crossing, crossing.bytes]));
    a.transport.send(heartbeat(A, B, 0));
    await b.inbox.find(() => true);
    const [forAppends, ...others] = proxy.crossings.filter(
      (crossing) => crossing.bytes === before.get(crossing),
    );
    expect(others).toEqual([]);
    if (forAppends === undefined) throw new Error('no connection for appends');
    proxy.stallOne(forAppends);
    const large = append(A, B, notes(57, 15_700));
    while (a.transport.counters.unsent === 0) {
      a.transport.send(large);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const delaysMs: number[] = [];
    for (let seq = 1; seq <= 30; seq++) {
      const sentAt = now();
      a.transport.send(heartbeat(A, B, seq));
      a.transport.send(large);
      await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === seq);
      delaysMs.push(now() - sentAt);
    }
    console.info(`slowest heartbeat beside stalled appends: ${Math.max(...delaysMs).toFixed(1)} ms`);
    expect(Math.max(...delaysMs)).toBeLessThan(100);
    expect(b.inbox.items.filter((message) => message.kind === 'append')).toEqual([]);
  });

  test('heartbeats are dropped, not queued: what arrives after a stall is what TCP held, and is bounded', async () => {
    const { a, b, proxy } = await connectThroughProxy();
    proxy.stall();
    const unsent = () => a.transport.counters.unsent;
    // In one turn nothing can be flushed: the queue's limit decides.
    for (let seq = 0; seq < 100; seq++) a.transport.send(heartbeat(A, B, seq));
    expect(unsent()).toBe(96);
    proxy.forward();
    await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === 3);
    a.transport.send(heartbeat(A, B, 1000));
    await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === 1000);
    expect(b.inbox.items).toHaveLength(5);
  });
});

async function knockOnce(address: string): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve));
  return knock('127.0.0.1', Number(address.split(':')[1]), new AbortController().signal);
}

/** A forwarding process that can be stopped: the kernel then drops every SYN beyond its backlog. */
async function startBlackHole(target: number) {
  const script = `
    const net = require('node:net');
    const server = net.createServer((client) => {
      const onward = net.connect(${target}, '127.0.0.1');
      client.pipe(onward).pipe(client);
      for (const socket of [client, onward]) socket.on('error', () => {}).setNoDelay();
    });
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));
    process.stdin.on('end', () => process.exit()).resume();`;
  const child: ChildProcess = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = await once(createInterface(child.stdout), 'line');
  children.push(child);
  return {
    port: Number(line),
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    waitedMs: () => waitedForProcessorMs(child.pid),
  };
}

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** Knocks until the kernel answers no more: then the process's accept queue is full. */
async function fillBacklog(port: number): Promise<void> {
  for (;;) {
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), 150);
    const isAnswered = await knock('127.0.0.1', port, giveUp.signal).then(
      () => true,
      () => false,
    );
    clearTimeout(timer);
    if (!isAnswered) return;
  }
}
