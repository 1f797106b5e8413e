/**
 * What goes wrong before or beside consensus: wrong files, taken ports, damaged logs, missing tools, a cloud that refuses.
 * Every refusal is one line with the remedy, the code, and the exit code of the table (src/errors.ts).
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FakeDrbd } from '../executor/support/fake-drbd.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { expectError, quorate } from './support/command.ts';
import { flipByte, flipLogByte } from './support/damage.ts';
import { eventually } from './support/eventually.ts';
import { freePort, OneNode } from './support/one-node.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

let program: Built;
let node: OneNode;
beforeAll(async () => {
  program = await built();
}, BUILT_LIMIT_MS);
afterAll(() => program.remove());
beforeEach(async () => {
  node = await OneNode.create(program.dist);
});
afterEach(() => node.remove());

async function listenOn(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

describe('the config file', () => {
  test('an unknown key: its line, and the key that was meant', async () => {
    const result = await node.runAgent({ wachtdog: { mode: 'off' } });
    expectError(result, 'config-invalid', /run\.yaml:\d+: .*wachtdog/, /watchdog/);
  });

  test('L5: a promise that is too short, with the shortest that is allowed', async () => {
    const timing = { heartbeat: '100ms', lease: '600ms', release: '1s', promise: '1s' };
    const result = await node.runAgent({ timing });
    expectError(
      result,
      'config-invalid',
      /run\.yaml:\d+: timing\.promise: 1 ?s is too short/,
      /at least 1642ms/,
    );
  });

  test('L5: a lease of less than three heartbeats', async () => {
    const result = await node.runAgent({ timing: { heartbeat: '100ms', lease: '299ms' } });
    expectError(result, 'config-invalid', /timing\.lease: 299 ?ms is shorter/, /at least 300 ?ms/);
  });

  test('no config file', async () => {
    const result = await quorate(program.dist, ['agent', '--config', node.path('none.yaml')]);
    expectError(result, 'config-unreadable', /none\.yaml/);
  });
});

describe('certificates', () => {
  test('a missing one', async () => {
    const tls = { ca: 'ca.pem', cert: 'gone.pem', key: 'a.key' };
    const result = await node.runAgent({ tls });
    expectError(
      result,
      'config-invalid',
      /tls\.cert: cannot read .*gone\.pem: no such file/,
      /quorate pki issue/,
    );
  });

  test('one of another cluster', async () => {
    await node.issue('other', 'other-');
    const tls = { ca: 'ca.pem', cert: 'other-a.pem', key: 'other-a.key' };
    expectError(await node.runAgent({ tls }), 'certificate-wrong-identity', /other-a\.pem is for .*other/);
  });

  test('one of a cluster of the same name, by another CA', async () => {
    await node.issue('one', 'other-');
    const tls = { ca: 'ca.pem', cert: 'other-a.pem', key: 'other-a.key' };
    expectError(await node.runAgent({ tls }), 'certificate-untrusted', /other-a\.pem was not issued by/);
  });
});

describe('ports', () => {
  test('the peer port is taken', async () => {
    const other = await listenOn(node.peerPort);
    expectError(await node.runAgent(), 'port-in-use', new RegExp(`127\\.0\\.0\\.1:${node.peerPort} `));
    other.close();
    expect(await node.remains()).toEqual([]);
  });

  test('the admin port is taken: the executor that was started already ends too', async () => {
    const other = await listenOn(node.adminPort);
    expectError(await node.runAgent(), 'port-in-use', /admin\.listen 127\.0\.0\.1:\d+ is in use/);
    other.close();
    expect(await node.remains()).toEqual([]);
  });

  test('nobody listens where the command asks', async () => {
    node.writeConfig();
    expectError(
      await node.command('status'),
      'agent-unreachable',
      new RegExp(`127\\.0\\.0\\.1:${node.adminPort}`),
    );
  });
});

describe('the data directory', () => {
  test('a file is in the way', async () => {
    writeFileSync(node.path('data'), 'not a directory');
    expectError(
      await node.runAgent(),
      'data-directory-unwritable',
      /the data directory .*data cannot be used/,
    );
    expect(readFileSync(node.path('data'), 'utf8')).toBe('not a directory');
  });

  test('it may not be written', async () => {
    chmodSync(node.directory, 0o755);
    mkdirSync(node.path('data'), { mode: 0o555 });
    const result = await node.runAgent({}, isRoot ? NOBODY : undefined);
    expectError(result, 'data-directory-unwritable', /data.* cannot be opened: EACCES/);
  });

  test('another agent has it open; the other one goes on', async () => {
    await node.bootstrap();
    await node.holds();
    const result = await node.runAgent({
      members: { a: { peer: `127.0.0.1:${await freePort()}` } },
      admin: { listen: `127.0.0.1:${await freePort()}` },
    });
    expectError(result, 'data-directory-locked', /is open in another process/);
    expect(await node.status()).toMatchObject({ holder: 'a', leader: 'a' });
    expect(await node.stop()).toBe(0);
    expect(await node.remains()).toEqual([]);
  });
});

describe('D2: a corrupted log', () => {
  test('one flipped byte: audit --verify finds it, and an agent starts with it and says damaged', async () => {
    await node.bootstrap();
    await node.holds();
    expect(await node.stop()).toBe(0);
    const verify = (): ReturnType<typeof quorate> =>
      quorate(program.dist, ['audit', '--json', '--verify', '--data-dir', node.path('data')]);
    expect(await verify()).toMatchObject({ exit: 0, stderr: '' });
    flipLogByte(node.path('data'), '"tenure-granted"');
    const { exit, stdout, stderr } = await verify();
    expect(exit).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ chain: { ok: false } });
    expect(stderr.split('\n').at(-2)).toMatch(/^quorate: .*\[audit-failed\]$/);

    node.start();
    await node.answers();
    const { nodes, holder, leader, term } = await node.status();
    expect(nodes).toMatchObject([{ id: 'a', role: 'damaged' }]);
    // It was the only voter: without its log nobody may lead, and nothing is taken.
    expect({ holder: existsSync(node.path('bin', 'serving')), leader }).toEqual({
      holder: false,
      leader: null,
    });
    expect(holder).toBeNull();
    expect(term).toBeGreaterThan(0);
    expect(await node.stop()).toBe(0);
  });

  test('no copy of the hard state is left: the agent refuses to start', async () => {
    await node.bootstrap();
    await node.holds();
    expect(await node.stop()).toBe(0);
    flipByte(node.path('data', 'marker'), 64);
    flipByte(node.path('data', 'marker'), 4096 + 64);
    flipLogByte(node.path('data'), '"sequence"', 'every');
    expectError(await node.runAgent(), 'hard-state-unreadable', /the hard state cannot be trusted/);
    expect(await node.remains()).toEqual([]);
  });
});

describe('the cloud', () => {
  test('an EC2 endpoint that refuses: a clear sentence in status, log and audit, and the agent goes on', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await node.bootstrap({
      cloud: { region: 'us-east-1', endpoint },
      resources: [
        node.service,
        {
          name: 'eip',
          kind: 'elastic-ip',
          allocation: 'eipalloc-03a7e962',
          interfaces: { a: 'eni-46561127' },
        },
      ],
    });
    const sentence = `no answer from ${endpoint} (ECONNREFUSED)`;
    await eventually(
      'the takeover has failed',
      async () =>
        (await node.status()).lastTakeover?.steps.some(({ result }) => result.includes(sentence)) === true,
      30_000,
    );
    await eventually(
      'the probe says why',
      async () => {
        const eip = (await node.status()).resources.find(({ name }) => name === 'eip');
        return eip?.probe === 'unknown' && eip.detail?.includes(sentence) === true;
      },
      10_000,
    );
    expect(node.log).toContain('"event":"take-failed"');
    expect(node.log).toContain(`takeover failed at eip: eip: ${sentence} [cloud-unreachable]`);
    const { stdout } = await node.command('audit');
    expect(stdout).toMatch(/a could not take everything .*eip: eip: no answer from .*\[cloud-unreachable\]/);
    const { violations } = JSON.parse((await node.command('audit', '--json')).stdout) as {
      violations: unknown[];
    };
    expect(violations).toEqual([]);
    // H6: it has let go and tries again, later.
    await eventually(
      'another try',
      async () => ((await node.command('audit')).stdout.match(/may hold/g)?.length ?? 0) >= 2,
      30_000,
    );
    expect(await node.stop()).toBe(0);
    expect(await node.remains()).toEqual([]);
    expect(existsSync(node.path('bin', 'serving'))).toBe(false);
  });
});

describe('drbd-utils', () => {
  const withDrbd = (): Record<string, unknown> => ({
    resources: [{ name: 'block', kind: 'drbd', resource: 'r0' }, node.service],
  });
  const block = async (): Promise<{ probe?: string; detail?: string | null }> =>
    (await node.status()).resources.find(({ name }) => name === 'block') ?? {};

  async function expectNothingTaken(drbd: FakeDrbd): Promise<void> {
    const { leader, nodes } = await node.status();
    // L3: it cannot show that it has let go, so it votes for nobody, itself included.
    expect(leader).toBeNull();
    expect(nodes).toMatchObject([{ id: 'a', role: 'follower', reachable: true }]);
    expect(drbd.role).toBe('Secondary');
    expect(drbd.calls).not.toContain('drbdadm primary r0');
    expect(existsSync(node.path('bin', 'serving'))).toBe(false);
  }

  /** A cluster that has held once, so that it would hold again at once if it could. */
  async function stoppedHolder(): Promise<FakeDrbd> {
    const drbd = new FakeDrbd(node.path('bin'));
    await node.bootstrap(withDrbd());
    await node.holds();
    expect(drbd.role).toBe('Primary');
    expect(await node.stop()).toBe(0);
    expect(drbd.role).toBe('Secondary');
    await node.remains();
    drbd.clear('calls');
    drbd.set('calls');
    return drbd;
  }

  test('missing: status says so, nothing is taken, the agent answers; once they are there, it holds', async () => {
    const drbd = await stoppedHolder();
    for (const tool of ['drbdadm', 'drbdsetup'])
      renameSync(node.path('bin', tool), node.path(`${tool}.away`));
    node.start(withDrbd());
    await node.answers();
    await eventually(
      'the probe says why',
      async () => (await block()).detail?.includes('not installed') === true,
      10_000,
    );
    expect(await block()).toMatchObject({
      probe: 'unknown',
      detail: 'drbdsetup is not installed or not in PATH',
    });
    // Longer than an election would take.
    await expectStays(() => expectNothingTaken(drbd), 3_000);
    for (const tool of ['drbdadm', 'drbdsetup'])
      renameSync(node.path(`${tool}.away`), node.path('bin', tool));
    await node.holds();
    expect(await node.stop()).toBe(0);
  });

  test('hanging: status says so, nothing is taken, the agent answers', async () => {
    const drbd = await stoppedHolder();
    drbd.set('hang');
    node.start(withDrbd());
    await node.answers();
    await eventually(
      'the probe says why',
      async () => /drbdsetup/.test((await block()).detail ?? ''),
      10_000,
    );
    expect((await block()).probe).toBe('unknown');
    expect((await block()).detail).toMatch(/took longer than|no answer within|killed/);
    await expectStays(() => expectNothingTaken(drbd), 3_000);
    drbd.clear('hang');
    await node.holds();
    expect(await node.stop()).toBe(0);
  });
});

/** Holds each time that it is asked, to the end of the time. */
async function expectStays(check: () => Promise<void>, forMs: number): Promise<void> {
  const end = performance.now() + forMs;
  do await check();
  while (performance.now() < end);
}
