/** `executor.mjs --release-within`, as real processes: whatever is there, nothing is held afterwards, and it says so. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { epoch, instant, term } from '../../src/core/index.ts';
import { type ReleaseReport, releaseAll, startTimeOf } from '../../src/executor/index.ts';
import { lockOwner } from '../../src/executor/lock.ts';
import { isGone, killAndWait, type ProcessId, processesWith } from '../../src/executor/processes.ts';
import { type Bundle, bundleExecutor } from './support/bundle.ts';
import { makePki, now, TestNode } from './support/node.ts';

let bundle: Bundle;
let node: TestNode;
beforeAll(async () => {
  bundle = await bundleExecutor();
  await makePki();
});
afterAll(() => bundle.remove());
afterEach(() => node.stop());

async function until(fact: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const end = now() + limitMs;
  while (!fact()) {
    if (now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function executor(): ProcessId {
  const owner = lockOwner(node.dataDir);
  if (owner === null) throw new Error('no executor');
  return owner;
}

function state(): { releasedEpoch: number; begunEpoch: number; isArmed: boolean } {
  return JSON.parse(readFileSync(join(node.dataDir, 'executor-state.json'), 'utf8'));
}

/** Takes everything, and then its executor and its agent die: nobody is left to release. */
async function abandonedHolder(options: { watchdogMs?: number } = {}): Promise<void> {
  node = new TestNode({ program: bundle.program, ...options });
  const client = await node.start();
  await node.event('ready');
  if (options.watchdogMs !== undefined) {
    client.arm(1);
    await node.event('armed');
  }
  await node.take(7);
  expect(await killAndWait(executor(), 5000, systemClock)).toBe(true);
  expect(node.drbd.role).toBe('Primary');
  expect(node.drbd.exists('service-pid')).toBe(true);
}

const release = (limitMs = 10_000): Promise<ReleaseReport> =>
  releaseAll({
    configFile: join(node.directory, 'config.yaml'),
    node: 'a',
    limitMs,
    mayKill: false,
    program: bundle.program,
  });

function expectNothingHeld(): void {
  expect(node.drbd.role).toBe('Secondary');
  expect(node.drbd.exists('service-pid')).toBe(false);
}

const probes = ({ resources }: ReleaseReport) =>
  Object.fromEntries(resources.map(({ name, probe }) => [name, probe]));

describe('quorate release', () => {
  it('a holder without agent and executor: released, verified, and its epoch is dead for ever', async () => {
    await abandonedHolder();
    const report = await release();
    expectNothingHeld();
    expect(report).toMatchObject({
      node: 'a',
      outcome: 'released',
      epoch: 7,
      replaced: null,
      releaseMs: 1000,
    });
    expect(probes(report)).toEqual({ block: 'not-held', eip: null, store: 'not-held' });
    expect(report.evidence).toMatch(/block: role Secondary.*store: does not run.* ms of D 1000 ms$/);
    expect(report.ms).toBeGreaterThan(0);
    expect(report.totalMs).toBeGreaterThanOrEqual(report.ms ?? 0);
    expect(state()).toMatchObject({ releasedEpoch: 7, begunEpoch: 7 });
    // R2: the next executor does not obey it any more.
    await node.connect();
    await node.event('ready', { from: node.events.length });
    const from = node.events.length;
    node.client?.take({
      epoch: epoch(7),
      term: term(3),
      until: instant(now() + 600),
      previousReleased: false,
    });
    expect((await node.event('take-failed', { from })).why).toContain('dead');
  });

  it('nothing to release: says so, and no epoch dies', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    await node.client?.close();
    const report = await release();
    expect(report).toMatchObject({ outcome: 'released', epoch: null });
    expect(report.resources.map(({ action }) => action)).toEqual([null, null, null]);
    expect(node.drbd.calls.some((call) => call.startsWith('drbdadm'))).toBe(false);
  });

  it('no certificate, no data directory: a release needs neither', async () => {
    node = new TestNode({ program: bundle.program });
    node.writeConfig('http://127.0.0.1:9');
    node.drbd.clear('../ca.pem');
    node.drbd.set('role', 'Primary');
    process.env.PATH = node.drbd.path;
    expect(await release()).toMatchObject({ outcome: 'released' });
    expect(node.drbd.role).toBe('Secondary');
  });

  it('R1: a stop command that hangs is killed, within D', async () => {
    await abandonedHolder();
    node.drbd.set('stop-hangs');
    const report = await release();
    expectNothingHeldButThePidFile();
    expect(report.outcome).toBe('released');
    expect(report.resources.find(({ name }) => name === 'store')?.action).toContain('killed');
  });

  it('R2: what cannot be released is named, and nothing of ours runs on behind its back', async () => {
    await abandonedHolder();
    node.drbd.set('held-open');
    const report = await release(2500);
    expect(report).toMatchObject({ outcome: 'unverified', epoch: null, evidence: null, ms: null });
    expect(probes(report)).toEqual({ block: 'held', eip: null, store: 'not-held' });
    expect(report.resources[0]?.action).toMatch(/held open|killed after/);
    expect(state()).toMatchObject({ releasedEpoch: 0, begunEpoch: 7 });
    expect(processesWith('QUORATE_EXECUTOR_CHILD', `test/a@${node.dataDir}`)).toEqual([]);
    node.drbd.clear('held-open');
    expect(await release()).toMatchObject({ outcome: 'released', epoch: 7 });
  });

  it('a tool that hangs: not verified, and the limit is kept', async () => {
    await abandonedHolder();
    node.drbd.set('hang');
    const report = await release(1500);
    expect(report.outcome).toBe('unverified');
    expect(probes(report)).toMatchObject({ block: 'unknown' });
    node.drbd.clear('hang');
  });

  it('O1: an executor that stands still is ended first', async () => {
    node = new TestNode({ program: bundle.program });
    await node.start();
    await node.event('ready');
    await node.take(7);
    const old = executor();
    process.kill(old.pid, 'SIGSTOP');
    const report = await release();
    expect(report).toMatchObject({ outcome: 'released', epoch: 7, replaced: old.pid });
    expect(isGone(old)).toBe(true);
    expectNothingHeld();
  });

  it('twice at once: both end well, one after the other', async () => {
    await abandonedHolder();
    const reports = await Promise.all([release(), release()]);
    expect(reports.map(({ outcome }) => outcome)).toEqual(['released', 'released']);
    expect(reports.map((report) => report.epoch).sort()).toEqual([7, null]);
    expectNothingHeld();
  });

  it('L5: the watchdog that the dead executor left ticking is closed before the report', async () => {
    await abandonedHolder({ watchdogMs: 3000 });
    expect(state().isArmed).toBe(true);
    const report = await release();
    expect(report).toMatchObject({ outcome: 'released', isWatchdogTicking: false });
    expect(node.watchdog?.disarmedAt).not.toBeNull();
    expect(state().isArmed).toBe(false);
  });
});

/** The stop command, which would have removed it, was killed. */
function expectNothingHeldButThePidFile(): void {
  expect(node.drbd.role).toBe('Secondary');
  expect(startTimeOf(Number(node.drbd.get('service-pid')))).toBeNull();
}

describe('an agent that runs on', () => {
  it('starts a new executor, which waits for the release instead of ending it half-way', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    await node.event('ready');
    await node.take(7);
    const old = executor();
    // The block device is held open until the agent's new executor has long been there.
    node.drbd.set('held-open');
    const releasing = release();
    await node.event('gone');
    await until(() => executor().pid !== old.pid, 'the releaser has the lock');
    const releaser = executor();
    const from = node.events.length;
    const replacing = client.replace();
    await until(() => processesOf('--replace').length > 0, 'the new executor runs');
    // The first thing that it does is to look who has the lock: by then it would have killed the releaser.
    const end = now() + 1500;
    await until(() => isGone(releaser) || now() > end, 'time to kill the releaser', 2000);
    expect(isGone(releaser)).toBe(false);
    node.drbd.clear('held-open');
    expect(await releasing).toMatchObject({ outcome: 'released', epoch: 7, replaced: old.pid });
    await replacing;
    await node.event('ready', { from });
    expectNothingHeld();
    await node.take(8);
  });
});

/** Executors of this node with that word in their command line. */
function processesOf(word: string): number[] {
  return processesWith('PATH', process.env.PATH ?? '').filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.includes(bundle.program) && words.includes(word);
    } catch {
      return false;
    }
  });
}
