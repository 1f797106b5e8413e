/** Two transports over real gRPC, and a viewer at one of them. */
import { afterEach, expect, it, vi } from 'vitest';
import { epoch, type Message, type Released, term } from '../../src/core/index.ts';
import { VIEWER_LIMITS } from '../../src/inspect/index.ts';
import type { Waiting } from '../../src/inspect/viewer.ts';
import { askFacts, sendStatement } from '../../src/peer/index.ts';
import { A, append, B, CLUSTER, closeAll, connect, heartbeat, notes, startNode } from '../peer/harness.ts';
import { testTls } from '../support/pki.ts';
import { EVERYTHING, tapOfA } from './sample.ts';

afterEach(closeAll);

const lines = (waiting: readonly Waiting[]) =>
  waiting.flatMap((one) =>
    typeof one === 'number' ? [] : [`${one.direction} ${one.peer} ${one.kind} ${one.bytes} ${one.outcome}`],
  );

it('a viewer sees both directions, with the bytes of the wire, what was cut, and what did not leave', async () => {
  const { tap } = tapOfA();
  const [one, other] = [await startNode(A, { tap }), await startNode(B)];
  one.transport.setPeers(new Map([[B, other.address]]));
  const viewer = tap.watch(EVERYTHING);
  one.transport.send(heartbeat(A, B, 1));
  await connect(one, other);
  one.transport.send(heartbeat(A, B, 2));
  other.transport.send(heartbeat(B, A, 3));
  await one.inbox.find(({ kind }) => kind === 'heartbeat');
  // More than one message may carry: it loses entries from its end, and the viewer sees what left.
  one.transport.send(append(A, B, notes(100, 15_000)));
  const arrived = (await other.inbox.find(({ kind }) => kind === 'append')) as Extract<
    Message,
    { kind: 'append' }
  >;
  const seen = viewer.take(VIEWER_LIMITS.observations);
  expect(lines(seen)).toEqual([
    'sent b heartbeat null not sent',
    expect.stringMatching(/^sent b heartbeat [2-9]\d null$/),
    expect.stringMatching(/^received b heartbeat [2-9]\d null$/),
    expect.stringMatching(/^sent b append 7\d{5} null$/),
  ]);
  expect(seen.at(-1)).toMatchObject({ content: { entries: arrived.entries.length } });
  expect(arrived.entries).toHaveLength(50);

  tap.leave(viewer);
  one.transport.send(heartbeat(A, B, 4));
  await other.inbox.find((message) => message.kind === 'heartbeat' && message.seq === 4);
  expect(viewer.take(1)).toEqual([]);
});

it('what is not understood is seen, and who sent it', async () => {
  const { tap } = tapOfA();
  const viewer = tap.watch(EVERYTHING);
  const [one, other] = [await startNode(A, { tap }), await startNode(B)];
  await connect(one, other);
  other.transport.send({ ...heartbeat(B, A, 1), from: 'c' as typeof B });
  other.transport.send(heartbeat(B, A, 2));
  await one.inbox.find(() => true);
  expect(lines(viewer.take(2))).toEqual([
    expect.stringMatching(/^received b undecoded \d+ wrong-sender$/),
    expect.stringMatching(/^received b heartbeat \d+ null$/),
  ]);
});

it('a single call is a question and an answer with its latency, at both ends', async () => {
  const [asker, asked] = [tapOfA().tap, tapOfA().tap];
  const facts = {
    node: B,
    version: '1',
    nodeVersion: '20',
    config: {},
    wallMs: 1,
    fitness: null,
    hostId: null,
  };
  const other = await startNode(B, { tap: asked, facts: () => facts });
  other.transport.setPeers(new Map([[A, '127.0.0.1:9']]));
  const tls = await testTls(CLUSTER, A);
  const ask = () => askFacts(other.address, { tls, cluster: CLUSTER, from: A, to: B, times: 1, tap: asker });
  // The first handshake of a process on a busy machine may take longer than a dialer waits.
  await vi.waitFor(ask, { timeout: 20_000 });
  const viewers = [asker.watch(EVERYTHING), asked.watch(EVERYTHING)];
  await ask();
  // The first of its calls makes the connection.
  const [atAsker, atAsked] = viewers.map((viewer) => viewer.take(9));
  expect(lines(atAsker ?? []).map((line) => line.replace(/\d+/, 'N'))).toEqual([
    'sent b facts N null',
    'received b facts-ack N null',
    'sent b facts N null',
    'received b facts-ack N null',
  ]);
  expect(atAsked).toMatchObject([
    { kind: 'facts', direction: 'received', peer: 'a' },
    { kind: 'facts-ack' },
    {},
    {},
  ]);
  for (const answer of [atAsker?.[1], atAsked?.[1]]) {
    expect(typeof answer === 'object' ? answer.latencyMs : null).toBeGreaterThan(0);
  }

  const stranger: Released = {
    kind: 'released',
    from: A,
    to: A,
    term: term(1),
    epoch: epoch(1),
    evidence: '',
  };
  await expect(sendStatement(other.address, stranger, { tls, cluster: CLUSTER })).rejects.toThrow();
});
