/** Real agents, and a viewer at the node that takes over: it sees heartbeats, an order and its answer, calls to the cloud. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { expectError } from './support/command.ts';
import { TestStage } from './support/stage.ts';

let program: Built;
let stage: TestStage;
beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist);
  await stage.healthy();
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program?.remove();
});

interface Seen {
  readonly at: string;
  readonly channel: string;
  readonly direction: string;
  readonly peer: string | null;
  readonly kind: string;
  readonly bytes: number | null;
  readonly latencyMs: number | null;
  readonly outcome: string | null;
  readonly detail: Record<string, unknown>;
}

const parsed = (stdout: string): Seen[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('a viewer sees heartbeats, the order to take, the calls to the cloud, and a switchover', async () => {
  const from = await stage.healthy();
  const to = stage.other(from);
  const file = join(stage.cluster.directory, 'seen.pcapng');
  stage.watch();
  const looking = stage.cluster.quorate(to, ['inspect', '--json', '--for', '6s', '--pcapng', file]);
  // The viewer's first heartbeat may come after the switchover otherwise: it waits for a viewer of its own.
  const first = await stage.cluster.quorate(to, ['inspect', '--json', '--kind', 'heartbeat', '--count', '2']);
  expect(first.exit).toBe(0);
  expect(parsed(first.stdout)).toMatchObject([{ kind: 'heartbeat', direction: 'received', peer: from }, {}]);
  const moved = await stage.cluster.quorate(from, ['switchover', '--to', to, '--json']);
  expect(moved.exit, moved.stderr).toBe(0);
  const { epoch } = JSON.parse(moved.stdout) as { epoch: number };

  const { exit, stdout, stderr } = await looking;
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  const seen = parsed(stdout);
  const one = (what: Partial<Seen>) =>
    seen.filter((item) => Object.entries(what).every(([name, value]) => item[name as keyof Seen] === value));

  // Between the nodes: first it follows, then it leads; an answer has a latency where its question was seen.
  expect(one({ kind: 'heartbeat', direction: 'received', peer: from }).length).toBeGreaterThan(0);
  expect(one({ kind: 'vote', direction: 'sent' }).length).toBeGreaterThan(0);
  const acks = one({ kind: 'heartbeat-ack', direction: 'received' }).filter(
    ({ latencyMs }) => latencyMs !== null,
  );
  expect(acks.length).toBeGreaterThan(5);
  for (const { latencyMs, bytes } of acks) {
    expect(latencyMs).toBeGreaterThan(0);
    expect(bytes).toBeGreaterThan(10);
  }
  // To the executor, and what it answers.
  expect(one({ channel: 'executor', kind: 'take', direction: 'sent' })).toMatchObject([
    { detail: { epoch } },
  ]);
  const [taken, ...more] = one({ channel: 'executor', kind: 'taken', direction: 'received' });
  expect(more).toEqual([]);
  expect(taken?.detail).toMatchObject({ epoch });
  expect(taken?.latencyMs).toBeGreaterThan(0);
  expect(one({ channel: 'executor', kind: 'renew', direction: 'sent' }).length).toBeGreaterThan(5);
  // To the cloud: what left, and how it ended.
  const [call] = one({ channel: 'cloud', kind: 'AssociateAddress', direction: 'sent' });
  expect(call).toMatchObject({ detail: { service: 'EC2', attempts: 1 }, outcome: null });
  const answers = one({ channel: 'cloud', kind: 'AssociateAddress', direction: 'received' });
  expect(answers).toMatchObject([{ outcome: 'ok', detail: { call: call?.detail.call } }]);
  expect(answers[0]?.latencyMs).toBeGreaterThan(0);
  // In the order of the clock, as far as it was seen in one process.
  const peers = seen.filter(({ channel }) => channel === 'peer').map(({ at }) => at);
  expect(peers).toEqual(peers.toSorted());

  // No key of the cluster, nor of the cloud, and no session.
  const capture = readFileSync(file);
  expect(capture.readUInt32LE(0)).toBe(0x0a0d0d0a);
  expect(capture.includes('taken after')).toBe(true);
  for (const text of [stdout, capture.toString('latin1')])
    expect(text).not.toMatch(/BEGIN|AKI|"session":"[0-9a-f]/);
  await stage.expectOneHolder();
}, 60_000);

test('the refusals name the place', async () => {
  const inspect = (...words: string[]) => stage.cluster.quorate('a', ['inspect', ...words]);
  expectError(await inspect('--peer', 'z'), 'usage', /--peer "z": the other nodes are b, w/);
  expectError(await inspect('--kind', 'heartbeet'), 'usage', /--kind "heartbeet": known are peer, executor/);
  expectError(await inspect('--direction', 'up'), 'usage', /--direction "up": write sent or received/);
  const nowhere = ['--pcapng', '/nonexistent/x.pcapng'];
  expectError(await inspect(...nowhere), 'file-not-written', /--pcapng \/nonexistent\/x\.pcapng: ENOENT/);
});

test('viewers cost at most so much: one too many is refused, and when the agent ends they are told', async () => {
  const holder = await stage.healthy();
  const other = stage.other(holder);
  const looking = [1, 2, 3, 4, 5].map(() => stage.cluster.quorate(other, ['inspect', '--json']));
  // The only one that ends by itself.
  const refused = await Promise.race(looking);
  expectError(refused, 'inspect-busy', new RegExp(`4 others look at ${other} already`));
  const startedAt = performance.now();
  await stage.cluster.node(other).stop('agent', 20_000);
  const ended = (await Promise.all(looking)).filter((one) => one !== refused);
  expect(ended).toHaveLength(4);
  for (const result of ended) {
    expect(result.stderr).toMatch(new RegExp(`the agent of ${other} ends.*\\[inspect-ended\\]\\n$`));
    expect(result.exit).toBe(1);
  }
  expect(performance.now() - startedAt).toBeLessThan(10_000);
}, 60_000);
