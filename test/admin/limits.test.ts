/** The admin listener under abuse: it goes on answering others, and nothing of it piles up. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RATES } from '../../src/admin/admission.ts';
import { AdminClient } from '../../src/admin/index.ts';
import { CONNECTION_LIMITS } from '../../src/admin/listener.ts';
import { type FakeAgent, type Identities, identities, startFakeAgent } from './fake.ts';

let known: Identities;
let agent: FakeAgent;
beforeAll(async () => {
  known = await identities();
  agent = await startFakeAgent(known);
});
afterAll(() => agent.close());

const port = (): number => Number(agent.address.split(':')[1]);
const client = (who: keyof Identities): AdminClient =>
  new AdminClient({ address: agent.address, tls: known[who], who: 'root@nas-a' });

function dial(from: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: port(), localAddress: from });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}
const isClosed = (socket: Socket, limitMs: number): Promise<boolean> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
    socket.resume();
  });

it('one address cannot take all connections, and who shows no certificate is cut off', {
  timeout: 30_000,
}, async () => {
  const idle = await Promise.all(
    Array.from({ length: CONNECTION_LIMITS.perAddress }, () => dial('127.0.0.9')),
  );
  const more = await dial('127.0.0.9');
  expect(await isClosed(more, 3_000)).toBe(true);
  const asked = client('viewer');
  expect((await asked.status()).cluster).toBe('nas-prod');
  asked.close();
  const ends = await Promise.all(
    idle.map((socket) => isClosed(socket, CONNECTION_LIMITS.handshakeMs + 10_000)),
  );
  expect(ends.every((one) => one)).toBe(true);
  const again = await dial('127.0.0.9');
  expect(await isClosed(again, 300)).toBe(false);
  again.destroy();
});

it('a caller that asks too often is refused, and others are not', async () => {
  const wild = client('operator');
  const order = { to: null, dryRun: true, timeoutMs: 10_000 };
  const ends = await Promise.allSettled(
    Array.from({ length: RATES.order.burst + 10 }, () => wild.switchover(order)),
  );
  const refused = ends.filter((end) => end.status === 'rejected');
  expect(refused.length).toBeGreaterThan(0);
  for (const { reason } of refused)
    expect(reason).toMatchObject({
      code: 'too-many-requests',
      context: { facts: { retry_after_ms: expect.stringMatching(/^\d+$/) } },
    });
  const other = client('admin');
  expect((await other.switchover(order)).dryRun).toBe(true);
  expect(await wild.fencePeer(null)).toBe('outdated');
  wild.close();
  other.close();
});

it('garbage and a message that is too large end their connection or call, and nothing else', async () => {
  const garbage = await dial('127.0.0.1');
  garbage.write(Buffer.alloc(4096, 0x16));
  expect(await isClosed(garbage, 3_000)).toBe(true);
  const large = client('admin');
  await expect(large.pause({ paused: true, why: 'x'.repeat(100_000) })).rejects.toMatchObject({
    code: 'answer-invalid',
  });
  expect((await large.status()).cluster).toBe('nas-prod');
  large.close();
});
