/** Real agents that tell a real receiver, and whose certificates are swapped under them. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Alert } from '../../src/alerts/index.ts';
import { signatureOf } from '../../src/alerts/webhook.ts';
import { createAuthority, issueNode } from '../../src/peer/index.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { TestStage } from './support/stage.ts';

const LIMIT_MS = 60_000;
let program: Built;
let stage: TestStage;
let server: Server;
const got: Alert[] = [];
const forged: string[] = [];

beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist);
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const timestamp = String(request.headers['x-quorate-timestamp']);
      if (request.headers['x-quorate-signature'] !== signatureOf('hush', timestamp, body)) forged.push(body);
      got.push(JSON.parse(body) as Alert);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}, BUILT_LIMIT_MS);
afterAll(async () => {
  server?.close();
  await stage?.cluster.stop();
  program?.remove();
});

const seen = (): string[] => got.map(({ node, state, key }) => `${node}: ${state} ${key}`);
const directoryOf = (id: string): string => dirname(stage.cluster.configFile(id));

test('a test, a failover, who is away, and its return reach the receiver, signed', async () => {
  await stage.healthy();
  const { port } = server.address() as AddressInfo;
  for (const id of ['a', 'b', 'w']) {
    writeFileSync(join(directoryOf(id), 'secret'), 'hush\n', { mode: 0o600 });
    appendFileSync(
      stage.cluster.configFile(id),
      `\nalerts: {after: 1s, webhooks: [{name: ops, url: "http://127.0.0.1:${port}/", secret_file: secret}]}\n`,
    );
    await stage.cluster.stopAgent(id);
    await stage.cluster.startAgent(id);
    await stage.healthy();
  }
  const holder = await stage.healthy();
  const other = stage.other(holder);
  const tested = await stage.cluster.quorate('w', ['alerts', 'test', '--json']);
  expect(tested).toMatchObject({ exit: 0 });
  expect(JSON.parse(tested.stdout)).toMatchObject({ results: [{ target: 'ops', ok: true, detail: 'sent' }] });
  expect(seen()).toContain('w: test w/test');
  got.length = 0;
  stage.cluster.killAgent(holder);
  await expect
    .poll(seen, { timeout: LIMIT_MS })
    .toEqual(
      expect.arrayContaining([
        expect.stringMatching(new RegExp(`^${other}: event holder-\\d+$`)),
        `${other}: firing link-${holder}`,
      ]),
    );
  await stage.cluster.startAgent(holder);
  await expect.poll(seen, { timeout: LIMIT_MS }).toContain(`${other}: resolved link-${holder}`);
  // The witness sees the same, and is silent about it.
  expect(seen().filter((one) => one.startsWith('w: ') && one.includes('link-'))).toEqual([]);
  expect(forged).toEqual([]);
}, 240_000);

test('a receiver that fails is said, with exit code 1, and costs the agent nothing', async () => {
  const holder = await stage.healthy();
  const { epoch } = await stage.cluster.status(holder);
  await new Promise<void>((resolve) => {
    server.closeAllConnections();
    server.close(() => resolve());
  });
  const tested = await stage.cluster.quorate(holder, ['alerts', 'test']);
  expect(tested.exit).toBe(1);
  expect(tested.stdout).toMatch(/^ops +failed/);
  expect(tested.stderr).toMatch(/\[alerts-unsent\]\n$/);
  expect((await stage.cluster.status(holder)).epoch).toBe(epoch);
}, 120_000);

test('bad TLS files are refused and said by the status; the tenure goes on', async () => {
  const holder = await stage.healthy();
  const { epoch } = await stage.cluster.status(holder);
  const file = join(directoryOf(holder), 'node.pem');
  expect(existsSync(file)).toBe(true);
  const good = readFileSync(file, 'utf8');
  const stranger = await issueNode(await createAuthority('elsewhere'), holder, {});
  writeFileSync(file, stranger.certificate);
  const warnings = async () => (await stage.cluster.status(holder)).warnings;
  await expect
    .poll(warnings, { timeout: LIMIT_MS })
    .toEqual([
      expect.stringMatching(/^the TLS files as they are now are not used: .* is for quorate:\/\/elsewhere\//),
    ]);
  writeFileSync(file, good);
  await expect.poll(warnings, { timeout: LIMIT_MS }).toEqual([]);
  expect((await stage.cluster.status(holder)).epoch).toBe(epoch);
}, 240_000);
