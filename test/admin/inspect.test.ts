/** `Inspect` over real gRPC: who may, what arrives, and what becomes of a viewer that does not read. */
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { AdminClient, type Inspected } from '../../src/admin/index.ts';
import { MOST_VIEWERS, type Tap } from '../../src/inspect/index.ts';
import type { TlsMaterial } from '../../src/peer/index.ts';
import { beat, beatAck, EVERYTHING, order, passed, tapOfA } from '../inspect/sample.ts';
import { A, append, B, notes } from '../peer/harness.ts';
import { type FakeAgent, type Identities, identities, startFakeAgent } from './fake.ts';

let known: Identities;
let agent: FakeAgent;
let tap: Tap;
let time: { ms: number };
beforeAll(async () => {
  known = await identities();
});
beforeEach(async () => {
  ({ tap, time } = tapOfA());
  agent = await startFakeAgent(known, tap);
});
const ending: (() => void)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0)) end();
  tap.end();
  await agent.close();
});

/** What comes to a viewer, until `end` or its end; the first page has come when it is there. */
async function look(tls: TlsMaterial, filter = EVERYTHING) {
  const client = new AdminClient({ address: agent.address, tls, who: 'test' });
  const ended = new AbortController();
  const items: Inspected[] = [];
  const pages = client.inspect(filter, ended.signal);
  ending.push(() => {
    ended.abort();
    client.close();
  });
  const first = await pages.next();
  const done = (async () => {
    for await (const page of pages) items.push(...page.items);
  })();
  // Whoever awaits it hears of it; until then it is not unhandled.
  done.catch(() => undefined);
  return { items, done, end: () => ended.abort(), observer: first.value?.observer };
}

const until = (condition: () => boolean, what: string) =>
  expect.poll(condition, { timeout: 15_000, interval: 5, message: what }).toBe(true);
const failure = (code: string) => expect.objectContaining({ code });

it('brings what passes, decoded, in order, with sizes and latencies', async () => {
  const { items, observer } = await look(known.operator);
  expect(observer).toBe('a');
  tap.message(passed(beat(9)));
  time.ms += 1.5;
  tap.message(passed(beatAck(9), 'received', { bytes: 28 }));
  tap.message(passed(append(A, B, notes(2, 50)), 'sent', { bytes: 700 }));
  tap.line(order({ kind: 'arm', id: 1 }));
  await until(() => items.length === 4, 'four items');
  expect(items).toMatchObject([
    {
      atMs: 1_700_000_001_000,
      channel: 'peer',
      direction: 'sent',
      peer: 'b',
      kind: 'heartbeat',
      bytes: 41,
      latencyMs: null,
      outcome: null,
      detail: { term: 7, seq: 9, commit: 3, renounced: false, promiseMs: 1000 },
    },
    { kind: 'heartbeat-ack', direction: 'received', bytes: 28, latencyMs: 1.5 },
    { kind: 'append', bytes: 700, detail: { entries: 2, kinds: ['note', 'note'] } },
    { channel: 'executor', peer: null, kind: 'arm', detail: { id: 1 } },
  ]);
});

it('is for operators: a viewer may not, and nobody looks then', async () => {
  await expect(look(known.viewer)).rejects.toEqual(failure('not-authorised'));
  expect(tap.isWatched).toBe(false);
  for (const who of [known.operator, known.admin, known.a]) {
    const { done, end } = await look(who);
    expect(tap.isWatched).toBe(true);
    end();
    await done;
    await until(() => !tap.isWatched, 'nobody looks');
  }
});

it('is for few at once, and refuses what it does not know', async () => {
  for (let count = 0; count < MOST_VIEWERS; count++) await look(known.operator);
  await expect(look(known.operator)).rejects.toEqual(failure('inspect-busy'));
  const wrong = { ...EVERYTHING, kinds: ['hart'] };
  await expect(look(known.operator, wrong)).rejects.toEqual(failure('usage'));
});

it('ends when the agent does, with its reason', async () => {
  const { done } = await look(known.operator);
  tap.end();
  await expect(done).rejects.toEqual(failure('inspect-ended'));
});

it('costs the looking and nothing else, where something cannot be decoded', async () => {
  const { done } = await look(known.operator);
  const poisoned = {
    ...beat(1),
    toJSON: () => {
      throw new Error('poison');
    },
  };
  tap.message(passed(poisoned));
  await expect(done).rejects.toThrow(/poison/);
  await until(() => !tap.isWatched, 'nobody looks');
});

it('tells of what it dropped, where it dropped it', async () => {
  const { items } = await look(known.operator);
  for (let seq = 0; seq < 1300; seq++) tap.message(passed(beat(seq)));
  await until(() => items.length > 1000, 'the end of the queue');
  expect(items.at(-1)).toEqual({ dropped: 300 });
  tap.message(passed(beatAck(1), 'received'));
  await until(() => items.length === 1002, 'what came afterwards');
  expect(items.at(-1)).toMatchObject({ kind: 'heartbeat-ack' });
});

it('cuts off a viewer that does not read, and keeps nothing more for it', async () => {
  // Below gRPC, whose client reads ahead: what HTTP/2's windows do not let through is not on its way.
  const { ca, cert, key } = known.operator;
  const session = connect(`https://${agent.address}`, {
    ca,
    cert,
    key,
    checkServerIdentity: () => undefined,
  });
  ending.push(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/quorate.v1.Admin/Inspect',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const trailers = new Promise<IncomingHttpHeaders>((resolve) => stream.once('trailers', resolve));
  // An InspectRequest without a field, not compressed.
  stream.end(Buffer.alloc(5));
  await until(() => tap.isWatched, 'it looks');
  // Nobody reads the stream. What is on its way is bounded by gRPC's windows, so much must come that they are full.
  const more = setInterval(() => {
    for (let seq = 0; seq < 400; seq++) tap.message(passed(beat(seq)));
  }, 20);
  ending.push(() => clearInterval(more));
  const startedAt = performance.now();
  await until(() => !tap.isWatched, 'it is cut off');
  expect(performance.now() - startedAt).toBeGreaterThan(4_000);
  clearInterval(more);
  // When it reads at last, it learns why.
  stream.resume();
  const { 'quorate-code': code, 'grpc-message': why } = await trailers;
  expect(code).toBe('inspect-too-slow');
  expect(decodeURI(String(why))).toMatch(
    /nothing was read for 5 s, and \d{3,} messages were dropped by then/,
  );
}, 30_000);
