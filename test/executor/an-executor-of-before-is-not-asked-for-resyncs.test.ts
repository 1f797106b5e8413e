/** An upgrade restarts one of the two first: whoever asks an older executor for what it does not know loses the channel, and with it the tenure. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deriveTiming, nodeId } from '../../src/core/index.ts';
import { createExecutorClient, type ExecutorClient } from '../../src/executor/index.ts';
import { channelSocket, guardSocket } from '../../src/executor/unix-path.ts';
import { readLines } from '../../src/lines.ts';

let dataDir: string;
let servers: Server[];
let client: ExecutorClient;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'quorate-before-'));
  servers = [];
});
afterEach(async () => {
  await client.close('abandon');
  for (const server of servers) server.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const listen = (path: string, onSocket: (socket: Socket) => void): Promise<void> =>
  new Promise((resolve) => {
    const server = createServer(onSocket);
    servers.push(server);
    server.listen(path, resolve);
  });

/** Answers as an executor does that says `features`; resolves with the kinds of orders up to `look`. */
async function ordersTo(features: object): Promise<string[]> {
  const kinds: string[] = [];
  let onLook: () => void = () => undefined;
  let onAsked: () => void = () => undefined;
  const looked = new Promise<void>((resolve) => (onLook = resolve));
  const asked = new Promise<void>((resolve) => (onAsked = resolve));
  await listen(guardSocket(dataDir), (socket) => void socket.on('error', () => undefined).resume());
  await listen(channelSocket(dataDir), (socket) => {
    socket.on('error', () => undefined);
    readLines(socket, {
      onTooLong: () => socket.destroy(),
      onLine: (line) => {
        const { kind } = JSON.parse(line) as { kind: string };
        const say = (answer: object): void => void socket.write(`${JSON.stringify(answer)}\n`);
        if (kind === 'hello') return say({ kind: 'welcome', session: 's', pid: 1, startTime: '1' });
        if (kind === 'features') {
          // It ends when the client has read the answer.
          socket.once('close', onAsked);
          return say({ kind: 'features', adoption: true, kept: null, ...features });
        }
        kinds.push(kind);
        if (kind === 'look') onLook();
      },
    });
  });
  client = createExecutorClient({
    ...{ node: nodeId('a'), cluster: 'test', configFile: join(dataDir, 'none.yaml'), dataDir },
    members: new Map(),
    timing: deriveTiming({
      ...{ heartbeatMs: 20, leaseMs: 600, releaseMs: 1000, guardMs: 10 },
      ...{ watchdogTimeoutMs: null, clockErrorRate: 0.005 },
    }),
  });
  await client.start(() => undefined);
  await asked;
  client.look();
  await looked;
  return kinds;
}

it('one that does not say that it can is not asked', async () => {
  expect(await ordersTo({})).toEqual(['look']);
});

it('one that can is asked', async () => {
  expect(await ordersTo({ resync: true })).toEqual(['follow-resync', 'look']);
});
