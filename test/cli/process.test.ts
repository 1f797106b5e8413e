/** The built program as a process of its own: exit codes, streams, DRBD's handler. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalSocket } from '../../src/admin/index.ts';
import { readDataDir, simpleDataDir } from '../../src/cli/fence-peer.ts';
import { QuorateError } from '../../src/errors.ts';
import { type FakeAgent, identities, STATUS, startFakeAgent } from '../admin/fake.ts';

const script = fileURLToPath(new URL('../../scripts/quorate', import.meta.url));
let agent: FakeAgent;
let socket: LocalSocket;
let config = '';
beforeAll(async () => {
  agent = await startFakeAgent(await identities());
  config = join(agent.directory, 'q.yaml');
  socket = new LocalSocket(join(agent.directory, 'state', 'agent.sock'), agent.backend);
  await socket.start();
  await quorate('--version');
}, 120_000);
afterAll(async () => {
  await socket.close();
  await agent.close();
});

function quorate(...words: string[]): Promise<{ code: number | string; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(script, words, (error, out, err) =>
      resolve({ code: error === null ? 0 : (error.code ?? 'signal'), out, err }),
    );
  });
}

it('status --json: logs nowhere, one document on stdout', async () => {
  const { code, out, err } = await quorate('status', '--json', '--config', config);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  // Warnings are there only where there are some.
  const { warnings, scheduled, resync, replication, ...contract } = STATUS;
  expect({ warnings, scheduled, resync, replication }).toEqual({
    ...{ warnings: [], scheduled: null, resync: [], replication: [] },
  });
  expect(JSON.parse(out)).toEqual(contract);
});

it('does not build twice, and starts concurrently', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, () => quorate('--version')));
  expect(all.map(({ code, err }) => [code, err])).toEqual(all.map(() => [0, '']));
});

describe("H3: fence-peer, DRBD's handler", () => {
  it('4 when the agent says that it is committed, and tells how long it took', async () => {
    agent.backend.failure = null;
    const { code, out, err } = await quorate('fence-peer', '--config', config);
    expect({ code, out }).toEqual({ code: 4, out: '' });
    expect(err).toMatch(/^quorate: fence-peer: peer outdated after \d+ ms \(start-up \d+ ms\)\n$/);
    expect(agent.backend.asked.at(-1)).toEqual({ peer: null, who: null });
    expect((await quorate('fence-peer', `--config=${config}`, '--peer', 'b')).code).toBe(4);
    expect(agent.backend.asked.at(-1)).toEqual({ peer: 'b', who: null });
  });

  it('1 when the agent refuses, whatever code that has elsewhere', async () => {
    agent.backend.failure = new QuorateError('refused-unsafe', 'no tenure');
    const { code, err } = await quorate('fence-peer', '--config', config);
    expect(code).toBe(1);
    expect(err).toBe('quorate: fence-peer: the peer is not fenced: no tenure [refused-unsafe]\n');
    agent.backend.failure = null;
  });

  it.each([
    ['no agent', ['--config', 'elsewhere.yaml']],
    ['an unknown option', ['--config', 'q.yaml', '--force']],
    ['no value', ['--config']],
    ['no config', []],
  ])('1 for %s', async (_what, words) => {
    expect((await quorate('fence-peer', ...words)).code).toBe(1);
  });
});

describe('the data_dir of a config, read without YAML where that is safe', () => {
  it.each([
    ['data_dir: /var/lib/quorate', '/var/lib/quorate'],
    ['node: a\ndata_dir:   state   # here\nmembers: {}', 'state'],
    ['data_dir: "with space"\n', 'with space'],
    ["data_dir: 'it#s'\r\nnode: a\r\n", 'it#s'],
    ['data_dir: a#b', null],
    ['data_dir: &x state', null],
    ['data_dir: |\n  state', null],
    ['data_dir: state\n  more', null],
    ['data_dir: "a\\tb"', null],
    ['"data_dir": state', null],
    ['data_dir: one\ndata_dir: two', null],
    ['{data_dir: state}', null],
    ['nothing: here', null],
  ])('%j', (text, expected) => {
    expect(simpleDataDir(text)).toBe(expected);
  });

  it('falls back to YAML', async () => {
    expect(await readDataDir('{data_dir: state}')).toBe('state');
    expect(await readDataDir('data_dir: "a\\x62"')).toBe('ab');
    await expect(readDataDir('node: a')).rejects.toThrow('no data_dir');
  });
});
