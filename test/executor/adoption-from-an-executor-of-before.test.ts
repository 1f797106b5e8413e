/**
 * L7 after an upgrade that restarted the agent alone (docs/restart.md): the executor is of the version before, and its words lack what came
 * since. One that keeps the tenure is asked for it, and for nothing that it does not know, because it would drop the channel and release (O1);
 * one that cannot keep is not asked to.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { deriveTiming, epoch, instant, nodeId, term } from '../../src/core/index.ts';
import { createExecutorClient, type ExecutorClient, type ExecutorEvent } from '../../src/executor/index.ts';
import { channelSocket, guardSocket } from '../../src/executor/unix-path.ts';
import { readLines } from '../../src/lines.ts';

const KEPT = epoch(7);
/** What the first executor that keeps tenures knows; it drops the channel at anything else. */
const KNOWN = ['hello', 'features', 'bind', 'adopt', 'look', 'members', 'timing', 'read-copies', 'bye'];

let dataDir: string;
let servers: Server[];
let client: ExecutorClient;
let heard: ExecutorEvent[];
let kinds: string[];
let hellos: { adopt?: number }[];
/** Questions that were answered, and whose asker has read the answer. */
let answered: number;
let say: (event: object) => void;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'quorate-adopt-'));
  [servers, heard, kinds, hellos] = [[], [], [], []];
  say = () => undefined;
  answered = 0;
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

/** `features` null: it has not been told of the question, and closes the connection at it. */
async function executorOf(known: readonly string[], features: object | null): Promise<void> {
  await listen(guardSocket(dataDir), (socket) => void socket.on('error', () => undefined).resume());
  await listen(channelSocket(dataDir), (socket) => {
    socket.on('error', () => undefined);
    const write = (event: object): void => void socket.write(`${JSON.stringify(event)}\n`);
    readLines(socket, {
      onTooLong: () => socket.destroy(),
      onLine: (line) => {
        const order = JSON.parse(line) as { kind: string; adopt?: number };
        if (!known.includes(order.kind)) return void socket.destroy();
        if (order.kind === 'features') {
          socket.once('close', () => (answered += 1));
          return write({ kind: 'features', ...features });
        }
        if (order.kind === 'hello') {
          hellos.push(order);
          say = write;
          write({ kind: 'welcome', session: 's', pid: 1, startTime: '1' });
          if (order.adopt !== undefined) write({ kind: 'kept', epoch: KEPT, until: 5_000 });
          return;
        }
        kinds.push(order.kind);
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
}

const isGone = (): boolean => heard.some(({ kind }) => kind === 'gone');

it('one that keeps the tenure hands it over, is asked for nothing newer, and what it leaves out is unknown', async () => {
  await executorOf(KNOWN, { adoption: true, kept: KEPT });
  await client.start((event) => heard.push(event), KEPT);
  expect(hellos).toMatchObject([{ adopt: KEPT }]);
  await vi.waitFor(() => expect(heard.map(({ kind }) => kind)).toContain('kept'));
  client.bind(KEPT, term(4), instant(9_000));
  say({ kind: 'bound', epoch: KEPT, ok: true });
  client.adopt(KEPT, instant(9_500));
  client.readCopies(3);
  const complete = { epoch: 7, snapshot: 'quorate-1', takenAtMs: 1, isFinal: true };
  say({ kind: 'copies-read', id: 3, copies: [{ kind: 'read', pool: 'tank', written: 0, complete }] });
  await vi.waitFor(() => expect(kinds).toEqual(expect.arrayContaining(['bind', 'adopt', 'read-copies'])));
  await vi.waitFor(() => expect(heard.map(({ kind }) => kind)).toContain('copies-read'));
  expect(heard.find(({ kind }) => kind === 'bound')).toMatchObject({ epoch: KEPT, ok: true });
  // Once before it is greeted, and once to hear what may be said after that.
  await vi.waitFor(() => expect(answered).toBe(2));
  client.look();
  await vi.waitFor(() => expect(kinds).toContain('look'));
  expect(kinds.filter((kind) => kind === 'knows' || kind === 'follow-resync')).toEqual([]);
  expect([isGone(), client.connected, hellos.length]).toEqual([false, true, 1]);
});

it('one that has given the tenure up meanwhile is greeted as any other, and nothing is adopted', async () => {
  await executorOf(KNOWN, { adoption: true, kept: null });
  await client.start((event) => heard.push(event), KEPT);
  expect(hellos).toHaveLength(1);
  expect(hellos[0]).not.toHaveProperty('adopt');
  expect(heard.some(({ kind }) => kind === 'kept')).toBe(false);
});

it('one that cannot keep a tenure is neither asked to nor for one, and its channel stays', async () => {
  await executorOf(
    KNOWN.filter((kind) => !['features', 'bind', 'adopt'].includes(kind)),
    null,
  );
  await client.start((event) => heard.push(event), KEPT);
  expect(hellos[0]).not.toHaveProperty('adopt');
  // "quorate restart" is refused by this, and says that the executor is of an older version.
  expect(await client.canKeep()).toBe(false);
  client.look();
  await vi.waitFor(() => expect(kinds).toEqual(['look']));
  expect([isGone(), client.connected]).toEqual([false, true]);
});
