/** `quorate status --watch`: live where the agent tells, asked again and again where it is older. */
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { afterEach, expect, it, vi } from 'vitest';
import { adminService } from '../../src/admin/proto.ts';
import { run } from '../../src/cli/program.ts';
import { EXIT } from '../../src/errors.ts';
import { identities, STATUS, startFakeAgent } from '../admin/fake.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs it until the test says enough; what it has printed so far is to be seen meanwhile. */
function watching(words: readonly string[]) {
  const printed: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  const code = run(['status', '--watch', ...words]);
  return {
    text: () => printed.join(''),
    end: async () => {
      process.emit('SIGINT');
      return code;
    },
  };
}

it('prints the status, and again each time it has changed, within 80 columns', async () => {
  const agent = await startFakeAgent(await identities());
  const { text, end } = watching(['--config', `${agent.directory}/q.yaml`]);
  await expect.poll(text, { timeout: 10_000 }).toMatch(/a holds \(epoch 8\)/);
  agent.backend.change({ holder: null, epoch: null });
  await expect.poll(text, { timeout: 10_000 }).toMatch(/nobody holds/);
  expect(text().match(/as a sees it/g)).toHaveLength(2);
  expect(text()).not.toMatch(/lease/);
  for (const line of text().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  // The agent goes and comes: that is what one watches for.
  await agent.server.close();
  await expect.poll(text, { timeout: 10_000 }).toMatch(/agent-unreachable/);
  expect(await end()).toBe(EXIT.done);
  await agent.close();
});

it('says of an agent that is older that it is asked every second, and does so', async () => {
  const known = await identities();
  const directory = await startFakeAgent(known);
  const { WatchStatus: _, ...older } = adminService();
  const server = new Server();
  let asked = 0;
  server.addService(older, {
    Status: (_call: ServerUnaryCall<unknown, object>, answer: sendUnaryData<object>) => {
      asked += 1;
      answer(null, { ...STATUS, nodes: [], lastTakeover: undefined, term: asked });
    },
  });
  const { ca, cert, key } = known.a;
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const secure = ServerCredentials.createSsl(Buffer.from(ca), [pair], true);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', secure, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const inDirectory = (name: string): string => `${directory.directory}/${name}`;
  const { text, end } = watching([
    ...['--address', `127.0.0.1:${port}`, '--tls-ca', inDirectory('ca.pem')],
    ...['--tls-cert', inDirectory('viewer.pem'), '--tls-key', inDirectory('viewer.key')],
  ]);
  await expect.poll(text, { timeout: 15_000 }).toMatch(/leads term 2/);
  expect(text().replaceAll('\n', ' ')).toMatch(/is older and has no live status: it is asked every second/);
  expect(await end()).toBe(EXIT.done);
  server.forceShutdown();
  await directory.close();
}, 20_000);
