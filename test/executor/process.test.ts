/** The executor as a real process with two threads, against stand-ins for DRBD, EC2, a service and the watchdog. */
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { epoch, instant, nodeId, type Released, term } from '../../src/core/index.ts';
import { createExecutorClient } from '../../src/executor/index.ts';
import { isGone, processesWith, startTimeOf } from '../../src/executor/processes.ts';
import { REPLICATOR_MARK } from '../../src/executor/replicator.ts';
import { PeerTransport } from '../../src/peer/index.ts';
import { unpackReading } from '../../src/replication/index.ts';
import { type Bundle, bundleExecutor } from './support/bundle.ts';
import { makePki, now, TestNode } from './support/node.ts';

let bundle: Bundle;
let pki: Awaited<ReturnType<typeof makePki>>;
let node: TestNode;
beforeAll(async () => {
  bundle = await bundleExecutor();
  pki = await makePki();
});
afterAll(() => bundle.remove());
afterEach(async () => {
  delete process.env.NODE_OPTIONS;
  await node.stop();
});

/** Polls a fact that no event tells. */
async function until(fact: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const end = now() + limitMs;
  while (!fact()) {
    if (now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function executorPid(): number {
  return (JSON.parse(readFileSync(join(node.dataDir, 'executor.lock'), 'utf8')) as { pid: number }).pid;
}

const serviceRuns = () => node.drbd.exists('service-pid');

it('says what the pools of its config hold, when it is asked', async () => {
  node = new TestNode({ program: bundle.program });
  const client = await node.start();
  await node.event('ready');
  client.readPools(3);
  const { id, isLast, text } = await node.event('pools-read');
  expect({ id, isLast }).toEqual({ id: 3, isLast: true });
  expect(await unpackReading(text)).toEqual({ version: 1, pools: [] });
});

describe('a resync of DRBD', () => {
  it('is told to the agent while it runs, and that it is over', async () => {
    node = new TestNode({
      program: bundle.program,
      resources: '\n  - {name: block, kind: drbd, resource: r0}\n',
    });
    node.drbd.set('progress', 'done:42.50 out-of-sync:2048');
    await node.start();
    await node.event('ready');
    const heard = () => node.events.filter((event) => event.kind === 'resync');
    const last = () => heard().at(-1)?.volumes;
    node.drbd.set('replication', 'SyncTarget');
    await until(() => last()?.[0]?.donePercent === 42.5, 'how far it is');
    expect(last()).toEqual([
      {
        ...{ resource: 'block', volume: 0, peer: 'b', role: 'target', paused: false },
        ...{ donePercent: 42.5, outOfSyncBytes: 2_097_152 },
      },
    ]);
    node.drbd.clear('progress');
    await until(() => last()?.[0]?.donePercent === null, 'that it is not known any more');
    node.drbd.set('replication', 'Established');
    await until(() => last()?.length === 0, 'that it is over');
  });
});

describe('replication by snapshots', () => {
  const start = async (): Promise<void> => {
    node = new TestNode({
      program: bundle.program,
      resources: ' []\nreplication: {pools: [tank], send: {}}\n',
    });
    await node.start();
    await node.event('ready');
    await node.take(7);
  };
  const marked = (): number[] => processesWith(REPLICATOR_MARK, `test/a@${node.dataDir}`);

  it('is a process of its own in a tenure, and what keeps it from sending is told', async () => {
    await start();
    const { report } = await node.event('replication', {
      where: (event) => event.report.round.problem !== null,
    });
    expect(report.round.problem).toEqual(expect.any(String));
  });

  it('R2: nothing is released while something of it runs: what carries its mark is killed, also by the guard alone', async () => {
    await start();
    await until(() => marked().length > 0, 'the replicator runs');
    // As a `zfs send` that was started in a group of its own.
    const env = { ...process.env, [REPLICATOR_MARK]: `test/a@${node.dataDir}` };
    const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore', env });
    await until(() => marked().includes(child.pid ?? 0), 'it has its mark');
    // The lease ends by itself: nobody has ordered anything.
    node.stopRenewing();
    await node.event('released');
    expect(marked()).toEqual([]);
  });
});

describe('a tenure', () => {
  it('takes everything, and gives everything back in the reverse order (R1)', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    const ready = await node.event('ready');
    expect(ready.evidence).toContain('role Secondary');
    const taken = await node.take(7);
    expect(taken.steps.map((step) => step.name).sort()).toEqual(['block', 'eip', 'store']);
    expect(node.drbd.role).toBe('Primary');
    expect(node.ec2.interfaceId).toBe('eni-46561127');
    expect(serviceRuns()).toBe(true);
    client.release(epoch(7), 'planned');
    const released = await node.event('released');
    expect(released).toMatchObject({ epoch: 7, mode: 'planned' });
    expect(released.evidence).toContain('block: role Secondary');
    expect(node.drbd.role).toBe('Secondary');
    expect(node.ec2.interfaceId).toBeNull();
    expect(serviceRuns()).toBe(false);
  });

  it('R1: works in /, where no release of a mount kills it as one of its users', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    expect(readlinkSync(`/proc/${executorPid()}/cwd`)).toBe('/');
  });

  it('H4: repairs what somebody took away, for the whole tenure', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    await node.take(7);
    node.ec2.associate('eni-77f0c1aa');
    await until(() => node.ec2.interfaceId === 'eni-46561127', 'the address is back');
    node.drbd.set('role', 'Secondary');
    await until(() => node.drbd.role === 'Primary', 'the block role is back');
    node.drbd.killService();
    await until(serviceRuns, 'the service is back');
  });

  it('O3: promotes old data by force in the tenure that says so, once, and in no other', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    await node.event('ready');
    const { drbd } = node;
    const refuse = () => drbd.set('refuse', '17\n0: State change failed: (-2) Need access to UpToDate data');
    const promotions = () => drbd.calls.filter((call) => call.startsWith('drbdadm primary'));
    refuse();
    drbd.set('disk', 'Consistent');
    drbd.set('obeys-force');
    await node.take(7, false, true);
    expect(promotions()).toEqual(['drbdadm primary r0', 'drbdadm primary --force r0']);
    // Lost again in the same tenure: what it has had is repaired, not forced.
    drbd.set('disk', 'Consistent');
    drbd.set('role', 'Secondary');
    await until(() => promotions().length >= 4, 'two repairs were tried');
    expect(promotions().slice(2)).not.toContain('drbdadm primary --force r0');
    client.release(epoch(7), 'abrupt');
    await node.event('released');
    const from = node.events.length;
    node.renewing(8);
    client.take({ epoch: epoch(8), term: term(4), until: instant(now() + 600), previousReleased: false });
    expect((await node.event('take-failed', { from })).step).toBe('block');
    expect(promotions().filter((call) => call.includes('--force'))).toHaveLength(1);
  });

  it('H4: unknown never acts: a throttled reading releases and takes nothing', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    await node.take(7);
    const before = node.ec2.of('AssociateAddress').length;
    node.ec2.fail('DescribeAddresses', ...Array.from({ length: 40 }, () => ({ kind: 'throttle' }) as const));
    const from = node.events.length;
    await node.event('probes', {
      from,
      where: (event) => event.resources.some(({ name, probe }) => name === 'eip' && probe === 'unknown'),
    });
    expect(node.ec2.of('AssociateAddress')).toHaveLength(before);
    expect(node.ec2.interfaceId).toBe('eni-46561127');
  });

  it('H3: tells about the peer and the own disk when they change', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('probes', {
      where: (event) => event.peers.b === 'in-sync' && event.disk === 'up-to-date',
    });
    node.drbd.set('peer', 'Outdated');
    await node.event('probes', { where: (event) => event.peers.b === 'not-in-sync' });
    node.drbd.set('disk', 'Failed');
    await node.event('probes', { where: (event) => event.disk === 'failed' });
  });

  it('a takeover that fails half-way says which step, and a release cleans up after it', async () => {
    node = new TestNode({ program: bundle.program });
    node.ec2.fail('AssociateAddress', { kind: 'error', status: 403, code: 'UnauthorizedOperation' });
    const client = await node.start();
    await node.event('ready');
    node.renewing(7);
    client.take({ epoch: epoch(7), term: term(3), until: instant(now() + 600), previousReleased: false });
    const failed = await node.event('take-failed');
    expect(failed).toMatchObject({ epoch: 7, step: 'eip' });
    expect(failed.why).toContain('UnauthorizedOperation');
    expect(node.drbd.role).toBe('Primary');
    client.release(epoch(7), 'planned');
    await node.event('released');
    expect(node.drbd.role).toBe('Secondary');
    expect(serviceRuns()).toBe(false);
  });

  it('R1: a planned step that cannot end: what was given up is taken again, and the tenure goes on', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    await node.event('ready');
    await node.take(7);
    node.drbd.set('stop-fails');
    client.release(epoch(7), 'planned');
    const failed = await node.event('release-failed');
    expect(failed.why).toContain('busy mount');
    expect(failed.why).toContain('held again');
    expect(node.drbd.role).toBe('Primary');
    expect(node.ec2.interfaceId).toBe('eni-46561127');
    node.drbd.clear('stop-fails');
    client.release(epoch(7), 'planned');
    await node.event('released');
  });

  it('d.0: the order says whether the release before was proven', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    await node.take(7, true);
    expect(node.ec2.of('AssociateAddress')[0]?.parameters.get('AllowReassociation')).toBe('false');
  });
});

describe('the guard', () => {
  it('T4: releases at the deadline while the main thread is blocked', async () => {
    node = new TestNode({ program: bundle.program });
    const blocker = join(node.directory, 'block.mjs');
    writeFileSync(
      blocker,
      `import { isMainThread } from 'node:worker_threads';
       if (isMainThread) process.on('SIGUSR2', () => { const end = Date.now() + 4000; while (Date.now() < end); });`,
    );
    process.env.NODE_OPTIONS = `--import=${pathToFileURL(blocker).href}`;
    await node.start();
    await node.event('ready');
    await node.take(7);
    node.stopRenewing();
    const blockedAt = now();
    process.kill(executorPid(), 'SIGUSR2');
    await until(() => node.drbd.role === 'Secondary', 'released by the guard alone', 3500);
    expect(now() - blockedAt).toBeLessThan(3500);
    // The main thread hears of it when it is free again.
    expect(node.events.some((event) => event.kind === 'released')).toBe(false);
    expect(await node.event('released')).toMatchObject({ epoch: 7, mode: 'abrupt' });
  });

  it('T2: stopped past its deadline and resumed, it releases although renewals lie in its socket', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    await node.take(7);
    const pid = executorPid();
    process.kill(pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, node.leaseMs + 200));
    process.kill(pid, 'SIGCONT');
    const released = await node.event('released');
    expect(released).toMatchObject({ epoch: 7, mode: 'abrupt' });
    expect(node.drbd.role).toBe('Secondary');
  });

  it('O1, R2: an epoch that was released is dead, for the next executor too', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    await node.event('ready');
    await node.take(7);
    client.release(epoch(7), 'abrupt');
    await node.event('released');
    process.kill(executorPid(), 'SIGKILL');
    await node.event('gone');
    const from = node.events.length;
    await client.replace();
    await node.event('ready', { from });
    for (const dead of [6, 7]) {
      client.take({
        epoch: epoch(dead),
        term: term(4),
        until: instant(now() + 600),
        previousReleased: false,
      });
      const failed = await node.event('take-failed', { from, where: (event) => event.epoch === dead });
      expect(failed.why).toContain('dead');
    }
    expect(node.drbd.role).toBe('Secondary');
    await node.take(8);
  });

  it('R1: a service whose stop hangs is killed, and the block role is given up within D', async () => {
    node = new TestNode({ program: bundle.program, releaseMs: 3000 });
    const client = await node.start();
    await node.event('ready');
    await node.take(7);
    node.drbd.set('stop-hangs');
    client.release(epoch(7), 'abrupt');
    const released = await node.event('released');
    expect(released.ms).toBeLessThan(3000);
    expect(node.drbd.role).toBe('Secondary');
  });
});

describe('the end of the agent', () => {
  it('R4: everything is released, the agent is gone, and only then the members hear of it', async () => {
    node = new TestNode({ program: bundle.program });
    const heard: { released: Released; role: string; isAgentGone: boolean }[] = [];
    const agent = { pid: node.agent.pid ?? 0, startTime: startTimeOf(node.agent.pid ?? 0) ?? '' };
    const member = new PeerTransport({
      self: nodeId('b'),
      cluster: 'test',
      listen: '127.0.0.1:0',
      tls: { ca: pki.authority.certificate, cert: pki.b.certificate, key: pki.b.key },
      onMessage: () => undefined,
      onStatement: (released) => heard.push({ released, role: node.drbd.role, isAgentGone: isGone(agent) }),
      onBootstrap: async () => undefined,
      onLink: () => undefined,
      logger: { debug() {}, info() {}, warn() {}, error() {} } as never,
    });
    await member.start();
    member.setPeers(new Map([[nodeId('a'), '127.0.0.1:9']]));
    try {
      node.members.set(nodeId('b'), `127.0.0.1:${member.port}`);
      await node.start();
      await node.event('ready');
      await node.take(7);
      const closedAt = now();
      node.breakConnection();
      await until(() => heard.length > 0, 'the statement');
      console.log(`R4: channel closed → statement heard: ${Math.round(now() - closedAt)} ms`);
      expect(heard[0]).toMatchObject({
        released: { kind: 'released', from: 'a', to: 'b', epoch: 7, term: 3 },
        role: 'Secondary',
        isAgentGone: true,
      });
      expect(heard[0]?.released.evidence).toContain('is gone');
    } finally {
      await member.close();
    }
  });

  it('a new agent is served by the same executor, after it has verified again (L4)', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    await node.take(7);
    const pid = executorPid();
    node.breakConnection();
    node.newAgent();
    const from = node.events.length;
    await node.connect();
    await node.event('ready', { from });
    expect(executorPid()).toBe(pid);
    expect(node.drbd.role).toBe('Secondary');
    await node.take(8);
  });

  it('a second agent is refused while one is connected', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    const second = createExecutorClient(node.clientOptions());
    await expect(second.start(() => undefined)).rejects.toThrow(/another agent is connected/);
    await node.take(7);
  });

  it('ends by itself when no new agent comes', async () => {
    node = new TestNode({ program: bundle.program, args: ['--wait-ms', '300'] });
    await node.start();
    await node.event('ready');
    const id = { pid: executorPid(), startTime: startTimeOf(executorPid()) ?? '' };
    node.breakConnection();
    await until(() => isGone(id), 'the executor has ended');
  });
});

describe('the end of the executor', () => {
  it('O1: a successor kills what its predecessor left running, releases, and only then is ready', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    await node.event('ready');
    // `drbdadm primary` is in flight, and would finish after its executor died.
    node.drbd.set('slow', '3');
    node.renewing(7);
    client.take({ epoch: epoch(7), term: term(3), until: instant(now() + 600), previousReleased: false });
    await until(() => node.drbd.calls.includes('drbdadm primary r0'), 'the promotion has begun');
    process.kill(executorPid(), 'SIGKILL');
    await node.event('gone');
    const from = node.events.length;
    await client.replace();
    await node.event('ready', { from });
    const promotedBy = now() + 3500;
    await until(() => now() > promotedBy, 'the promotion would have ended', 5000);
    expect(node.drbd.role).toBe('Secondary');
  });

  it('O1: a hung one is killed first', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    await node.event('ready');
    await node.take(7);
    const old = { pid: executorPid(), startTime: startTimeOf(executorPid()) ?? '' };
    process.kill(old.pid, 'SIGSTOP');
    const from = node.events.length;
    await client.replace();
    await node.event('ready', { from });
    expect(isGone(old)).toBe(true);
    expect(node.drbd.role).toBe('Secondary');
  });
});

describe('the watchdog', () => {
  it('L5, R1: is petted while the lease is fresh, until age G, and disarmed only after the verified release', async () => {
    node = new TestNode({ program: bundle.program, watchdogMs: 800, releaseMs: 1000 });
    const client = await node.start();
    const dog = node.watchdog;
    if (dog === null) throw new Error('no watchdog');
    await node.event('ready');
    client.arm(1);
    await node.event('armed');
    await node.take(7);
    const takenAt = now();
    await until(() => dog.lastPet > takenAt, 'a pet');
    // The block device stays open: the release cannot end.
    node.drbd.set('held-open');
    const confirmedAt = now();
    node.stopRenewing();
    const G = node.leaseMs + 2 * 25 + node.releaseMs - 800;
    await until(() => now() > confirmedAt + G + 400, 'age G is over');
    expect(dog.lastPet).toBeLessThanOrEqual(confirmedAt + G + 5);
    expect(dog.lastPet).toBeGreaterThan(confirmedAt + G - 400);
    expect(dog.disarmedAt).toBeNull();
    node.drbd.clear('held-open');
    await node.event('released');
    await until(() => dog.disarmedAt !== null, 'V');
    expect(node.drbd.role).toBe('Secondary');
  });

  it('H2: without an armed watchdog, where it is required, nothing is taken', async () => {
    node = new TestNode({ program: bundle.program, watchdogMs: 800 });
    const client = await node.start();
    await node.event('ready');
    node.renewing(7);
    client.take({ epoch: epoch(7), term: term(3), until: instant(now() + 600), previousReleased: false });
    const failed = await node.event('take-failed');
    expect(failed).toMatchObject({ step: 'gate' });
    expect(failed.why).toContain('watchdog');
    expect(node.drbd.calls.some((call) => call.includes('primary'))).toBe(false);
  });
});
