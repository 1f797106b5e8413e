/** An executor that is newer than its agent says nothing that this agent would drop the channel for (O1). */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { deriveTiming, nodeId } from '../../src/core/index.ts';
import { Channel } from '../../src/executor/channel.ts';
import { GuardSocket } from '../../src/executor/guard-socket.ts';
import { createExecutorClient, type ExecutorEvent } from '../../src/executor/index.ts';
import { NEWER_FIELDS } from '../../src/executor/newer-fields.ts';
import { ownProcess } from '../../src/executor/processes.ts';
import type { SentEvent } from '../../src/executor/protocol.ts';
import { channelSocket, guardSocket } from '../../src/executor/unix-path.ts';

const timing = deriveTiming({
  ...{ heartbeatMs: 100, leaseMs: 600, releaseMs: 1000, guardMs: 25, watchdogTimeoutMs: null },
  clockErrorRate: 0,
});
const complete = { epoch: 7, snapshot: 'quorate-1', takenAtMs: 1, isFinal: true };
const of = { guid: '77', dataset: 'tank/a' };
const copies = (newer: object): SentEvent => ({
  kind: 'copies-read',
  id: 3,
  copies: [
    { kind: 'read', pool: 'tank', written: 0, complete: { ...complete, ...newer } },
    { kind: 'read', pool: 'bare', written: null, complete: null },
    { kind: 'unknown', pool: 'lost', why: 'no answer' },
  ],
});
const report = (newer: object): SentEvent => ({
  kind: 'replication',
  report: {
    ...{ isReset: false, round: { number: 1, startedAt: 1, problem: null }, datasets: [], gone: [] },
    ...newer,
  },
});
const kept = [{ pool: 'tank', datasets: 1, bytes: 5, largest: 'tank/a' }];

let directory: string;
let channel: Channel;
const sockets: Socket[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-newer-'));
  channel = await Channel.listen(channelSocket(directory), {
    onHello: () => ({ session: 's' }),
    features: () => ({ adoption: true, kept: null }),
    onOrder: () => undefined,
    onClosed: () => undefined,
  });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await channel.close();
  rmSync(directory, { recursive: true, force: true });
});

async function until(isSo: () => boolean): Promise<void> {
  const end = systemClock.now() + 10_000;
  while (!isSo() && systemClock.now() < end) await systemClock.sleep(2);
  expect(isSo()).toBe(true);
}

/** What an agent reads, without its welcome; null: that is not all there. */
async function agent(...orders: object[]) {
  const socket = connect(channelSocket(directory)).setEncoding('utf8');
  sockets.push(socket);
  let text = '';
  socket
    .on('error', () => undefined)
    .on('data', (chunk: string) => {
      text += chunk;
    });
  const hello = { kind: 'hello', version: 1, node: 'a', cluster: 'test', config: '', ...ownProcess() };
  for (const order of [{ ...hello, members: {}, timing }, ...orders, { kind: 'features' }])
    socket.write(`${JSON.stringify(order)}\n`);
  // The answer to the last question: everything before it was read.
  await until(() => text.includes('"features"'));
  return async (...events: SentEvent[]): Promise<unknown[]> => {
    text = '';
    for (const event of events) channel.send(event);
    await until(() => text.split('\n').length > events.length);
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
}

it('what is newer is left out for an agent that has not said that it knows it, also as null', async () => {
  const read = await agent();
  expect(await read(copies({ of }), copies({ of: null }), report({ kept }))).toEqual([
    copies({}),
    copies({}),
    report({}),
  ]);
});

it('is sent to an agent that knows it, and what that agent knows besides is no mistake', async () => {
  const read = await agent({ kind: 'knows', fields: ['of a later version', ...NEWER_FIELDS] });
  expect(await read(copies({ of }), report({ kept }))).toEqual([copies({ of }), report({ kept })]);
});

it('is forgotten with the agent that knew it', async () => {
  await agent({ kind: 'knows', fields: [...NEWER_FIELDS] });
  sockets[0]?.destroy();
  await until(() => !channel.isConnected);
  const read = await agent();
  expect(await read(copies({ of }), report({ kept }))).toEqual([copies({}), report({})]);
});

it('the agent says what it knows once it has heard that it may', async () => {
  const guard = await GuardSocket.listen(guardSocket(directory), {
    onRenew: () => undefined,
    onClosed: () => undefined,
  });
  guard.setSession('s');
  const heard: ExecutorEvent[] = [];
  const client = createExecutorClient({
    ...{ node: nodeId('a'), cluster: 'test', configFile: '', dataDir: directory, members: new Map(), timing },
  });
  try {
    await client.start((event) => heard.push(event));
    await until(() => {
      channel.send(copies({ of }));
      return heard.some((event) => event.kind === 'copies-read' && JSON.stringify(event).includes('"guid"'));
    });
    expect(heard.some(({ kind }) => kind === 'gone')).toBe(false);
  } finally {
    await client.close();
    guard.close();
  }
});
