import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LocalSocket } from '../../src/admin/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { FakeBackend } from './fake.ts';

let directory = '';
let path = '';
let backend = new FakeBackend();
let socket: LocalSocket;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-socket-'));
  path = join(directory, 'agent.sock');
  backend = new FakeBackend();
  socket = new LocalSocket(path, backend);
  await socket.start();
});
afterEach(async () => {
  await socket.close();
  rmSync(directory, { recursive: true, force: true });
});

function ask(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = connect(path, () => client.write(text));
    let answer = '';
    client.setEncoding('utf8');
    client.on('data', (chunk: string) => {
      answer += chunk;
    });
    client.on('close', () => resolve(answer));
    client.on('error', reject);
  });
}

it('answers one line with one line', async () => {
  expect(await ask('{"command":"fence-peer","peer":"b"}\n')).toBe('{"ok":true,"result":"outdated"}\n');
  expect(await ask('{"command":"fence-peer","peer":null}\n')).toBe('{"ok":true,"result":"outdated"}\n');
  expect(backend.asked).toEqual([
    { peer: 'b', who: null },
    { peer: null, who: null },
  ]);
});

it('says what the node knows of tenures', async () => {
  const answer = JSON.parse(await ask('{"command":"authority"}\n'));
  expect(answer).toEqual({ ok: true, result: '{"mayHold":false,"tenure":null}' });
});

it('passes the refusal of the agent on', async () => {
  backend.failure = new QuorateError('refused-unsafe', 'no tenure');
  expect(JSON.parse(await ask('{"command":"fence-peer","peer":null}\n'))).toEqual({
    ok: false,
    code: 'refused-unsafe',
    message: 'no tenure',
  });
});

it.each([
  'nonsense\n',
  '{"command":"shutdown"}\n',
  '{"command":"fence-peer","peer":"B_"}\n',
  'x'.repeat(5000),
])('refuses %.20s', async (line) => {
  expect(JSON.parse(await ask(line))).toMatchObject({ ok: false, code: 'usage' });
  expect(backend.asked).toEqual([]);
});

it('is for its owner only', () => {
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it('names the socket on which another agent answers', async () => {
  const second = new LocalSocket(path, backend);
  await expect(second.start()).rejects.toMatchObject({
    code: 'port-in-use',
    message: expect.stringContaining(path),
  });
});

it('replaces the socket that a dead agent left behind', async () => {
  await socket.close();
  writeFileSync(path, '');
  socket = new LocalSocket(path, backend);
  await socket.start();
  expect(await ask('{"command":"fence-peer","peer":null}\n')).toContain('outdated');
});
