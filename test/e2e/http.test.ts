/** Role checks over HTTP, asked of real agents. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { PORT } from '../../cluster/local/plan.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { expectError } from './support/command.ts';
import { freePort, OneNode } from './support/one-node.ts';
import { TestStage } from './support/stage.ts';

/** Written from docs/http.md and not from src. */
const document = z.strictObject({
  node: z.string(),
  role: z.enum(['leader', 'follower', 'candidate', 'caretaker', 'damaged']),
  check: z.enum(['leader', 'holder', 'standby', 'witness', 'health', 'ready']),
  ok: z.boolean(),
  reason: z.string().min(1),
  term: z.int(),
  leader: z.string().nullable(),
  holder: z.string().nullable(),
  epoch: z.int().nullable(),
  lease: z.strictObject({ remainingMs: z.number().nullable() }),
  lag: z.strictObject({ entries: z.int().nullable(), ms: z.number().nullable() }),
  degraded: z.array(z.string()),
  paused: z.boolean(),
});

let program: Built;
beforeAll(async () => {
  program = await built();
}, BUILT_LIMIT_MS);
afterAll(() => program.remove());

interface Answer {
  readonly status: number;
  readonly body: z.output<typeof document>;
}

function ask(host: string, port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({ host, port, path, agent: false }, (response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: document.parse(JSON.parse(text)) }),
      );
    });
    asking.on('error', reject);
    asking.end();
  });
}

describe('a cluster', () => {
  let stage: TestStage;
  beforeAll(async () => {
    stage = await TestStage.create(program.dist);
  }, BUILT_LIMIT_MS);
  afterAll(() => stage?.cluster.stop());

  const at = (node: string, path: string) => ask(stage.cluster.plan(node).host1, PORT.http, path);
  /** Paths that answer 200. */
  async function yes(node: string): Promise<string[]> {
    const paths = ['/leader', '/holder', '/standby', '/witness', '/health', '/ready'];
    const answers = await Promise.all(paths.map((path) => at(node, path)));
    for (const { status, body } of answers) expect(status).toBe(body.ok ? 200 : 503);
    return paths.filter((_, position) => answers[position]?.status === 200);
  }

  test('every node says what it is', async () => {
    const holder = await stage.healthy();
    await stage.cluster.waitFor(
      'the roles',
      async () => {
        expect(await yes(holder)).toEqual(['/leader', '/holder', '/health']);
        expect(await yes(stage.other(holder))).toEqual(['/standby', '/health', '/ready']);
        expect(await yes('w')).toEqual(['/witness', '/health', '/ready']);
        return true;
      },
      20_000,
    );
    const { body } = await at(holder, '/holder');
    expect(body).toMatchObject({ node: holder, leader: holder, holder, epoch: await stage.epoch() });
    expect(body.lease.remainingMs).toBeGreaterThan(0);
    expect((await at(stage.other(holder), '/standby?max-lag=1000')).status).toBe(200);
  }, 90_000);

  test('T2: a question that waited while the agent stood still is answered with no', async () => {
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    const pid = stage.cluster.node(holder).pid('agent');
    if (pid === null) throw new Error('no agent');
    await stage.cluster.waitFor('a yes', async () => (await at(holder, '/holder')).status === 200, 20_000);
    process.kill(pid, 'SIGSTOP');
    // The kernel takes the connection and the question; who would answer stands still.
    const [holds, leads] = [at(holder, '/holder'), at(holder, '/leader')];
    await stage.nextHolder(epoch, [stage.other(holder)]);
    process.kill(pid, 'SIGCONT');
    // The executor ends an agent that it has released for (R4): then there is no answer at all.
    for (const asked of [holds, leads])
      expect(
        await asked.then(
          ({ status }) => status,
          () => 'none',
        ),
      ).not.toBe(200);
  }, 90_000);
});

describe('one node', () => {
  let node: OneNode;
  let http: number;
  beforeAll(async () => {
    node = await OneNode.create(program.dist);
    http = await freePort();
  });
  afterAll(() => node.remove());

  test('the port is in use: the agent does not start, and says which', async () => {
    const other = createServer();
    other.listen(http, '127.0.0.1');
    await once(other, 'listening');
    const result = await node.runAgent({ http: { listen: `127.0.0.1:${http}` } });
    expectError(result, 'port-in-use', new RegExp(`http\\.listen 127\\.0\\.0\\.1:${http} is in use`));
    other.close();
    expect(await node.remains()).toEqual([]);
  }, 60_000);

  test('before the first entry it is well, and nothing else; it answers until it ends', async () => {
    node.start({ http: { listen: `127.0.0.1:${http}` } });
    await node.answers();
    const { status, body } = await ask('127.0.0.1', http, '/health');
    expect({ status, ...body }).toMatchObject({
      status: 200,
      node: 'a',
      leader: null,
      holder: null,
      epoch: null,
    });
    expect((await ask('127.0.0.1', http, '/ready')).status).toBe(503);
    expect(await node.stop()).toBe(0);
    const refused = connect(http, '127.0.0.1');
    expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED' });
  }, 60_000);

  test('without `http` in the config nothing listens', async () => {
    node.start();
    await node.answers();
    const refused = connect(http, '127.0.0.1');
    expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED' });
    await node.stop();
  }, 60_000);
});
