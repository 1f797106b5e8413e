/** The machine around the agents, without agents: what they will stand on. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterEvent, LocalCluster } from '../../cluster/local/cluster.ts';
import { findProcesses } from '../../cluster/local/node/index.ts';
import { bundle, bundleMachine } from './support/build.ts';
import { until } from './support/until.ts';

let dist = '';
let cluster: LocalCluster;

beforeAll(async () => {
  dist = await bundleMachine();
});

afterEach(async () => {
  await cluster.stop();
  for (const node of cluster.nodes.values()) expect(findProcesses(node.tag)).toEqual([]);
});

function run(
  node: string,
  program: string,
  ...words: string[]
): Promise<{ exit: number; stdout: string; ms: number }> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    execFile(join(cluster.directory, node, 'bin', program), words, (error, stdout) => {
      const exit = typeof error?.code === 'number' ? error.code : 0;
      resolve({ exit, stdout, ms: performance.now() - startedAt });
    });
  });
}

async function takeOver(node: string): Promise<void> {
  expect((await run(node, 'drbdadm', 'primary', 'r0')).exit).toBe(0);
  expect((await run(node, 'store-start')).exit).toBe(0);
}

describe('local cluster', () => {
  test('the store serves through the elastic IP, moves to the other node, and keeps every acknowledged record', async () => {
    cluster = await LocalCluster.create({ seed: 1, dist, agents: false });
    await takeOver('a');
    expect((await run('a', 'store-probe')).exit).toBe(0);
    expect((await run('b', 'store-probe')).exit).toBe(3);
    const client = await cluster.client();
    for (let number = 1; number <= 100; number += 1) {
      expect(await client.ask(`append ${number} record ${number}`, 1_000)).toBe(`ok ${number}`);
    }
    expect(await client.ask('append 102 gap', 1_000)).toMatch(/^error .*gap/);
    expect(await client.ask('append 100 record 100', 1_000)).toBe('ok 100');
    expect(await client.ask('append 100 other', 1_000)).toMatch(/^error /);
    expect(await cluster.canWrite('a')).toBe(true);
    expect(await cluster.canWrite('b')).toBe(false);
    expect((await run('a', 'store-stop')).exit).toBe(0);
    expect((await run('a', 'drbdadm', 'secondary', 'r0')).exit).toBe(0);
    await takeOver('b');
    // Straight to the node: moving the elastic IP is the agent's business.
    const { StoreClient } = await import('../../cluster/local/store/index.ts');
    const onB = await StoreClient.open(cluster.plan('b').host2, 7410, 1_000);
    expect(await onB.ask('verify', 1_000)).toBe('verified 100');
    expect(await onB.ask('last', 1_000)).toBe('last 100 record 100');
    onB.close();
    client.close();
  });

  test('a power cut leaves no process and says nothing to the peers; a boot brings the node back', async () => {
    cluster = await LocalCluster.create({ seed: 1, dist, agents: false });
    await takeOver('a');
    expect(findProcesses(cluster.node('a').tag)).toHaveLength(2);
    // A child that the node's programs know nothing of goes down with it.
    const stray = spawn('sleep', ['60'], {
      env: { QUORATE_LOCAL_NODE: cluster.node('a').tag },
      stdio: 'ignore',
    });
    const ended = once(stray, 'exit');
    const cutAt = performance.now();
    await cluster.powerOff('a');
    await ended;
    expect(findProcesses(cluster.node('a').tag)).toEqual([]);
    await until(
      'b notices by its ping time-out',
      async () => (await cluster.drbd('b')).connection === 'WFConnection',
    );
    expect(performance.now() - cutAt).toBeGreaterThan(300);
    await cluster.boot('a');
    await until('both in sync again', () => cluster.isReplicating());
  });

  test('a node frozen while its watchdog is armed is powered off, booted again, and not thawed into two lives', async () => {
    cluster = await LocalCluster.create({
      seed: 1,
      dist,
      agents: false,
      watchdog: { timeoutMs: 200, bootMs: 100 },
    });
    const events: ClusterEvent[] = [];
    cluster.onEvent((event) => events.push(event));
    const device = connect(join(cluster.directory, 'a', 'watchdog.sock'));
    await once(device, 'data');
    const life = cluster.node('a').life;
    cluster.freeze('a');
    expect(cluster.node('a').power).toBe('frozen');
    await until('the watchdog has fired', () => events.some(({ kind }) => kind === 'watchdog-fired'));
    cluster.thaw('a');
    await until('booted again', () => events.some(({ kind }) => kind === 'booted'));
    expect(cluster.node('a').power).toBe('on');
    expect(cluster.node('a').life).toBe(life + 2);
    expect(findProcesses(cluster.node('a').tag)).toHaveLength(2);
    device.destroy();
  });

  test('a killed store process is replaced; a stop that is not answered kills it', async () => {
    cluster = await LocalCluster.create({ seed: 1, dist, agents: false });
    await takeOver('a');
    const first = cluster.node('a').pid('store');
    if (first !== null) process.kill(first, 'SIGSTOP');
    expect((await run('a', 'store-probe')).exit).toBe(2);
    expect((await run('a', 'store-stop')).exit).toBe(0);
    expect((await run('a', 'drbdadm', 'secondary', 'r0')).exit).toBe(0);
    await takeOver('a');
    expect(cluster.node('a').pid('store')).not.toBe(first);
  });

  test('a host process that is killed outright leaves nothing behind', async () => {
    cluster = await LocalCluster.create({ seed: 1, dist, agents: false });
    const outdir = await bundle({ host: 'test/local/support/host.ts' });
    const host = spawn(process.execPath, [join(outdir, 'host.mjs'), dist], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(host.stdout, 'data');
    const { tags, directory } = JSON.parse(String(line)) as { tags: string[]; directory: string };
    expect(tags.flatMap(findProcesses)).toHaveLength(4);
    host.kill('SIGKILL');
    await until('every process is gone', () => tags.flatMap(findProcesses).length === 0);
    rmSync(directory, { recursive: true });
  });

  test('stop of the instance by the cloud cuts the power before it says stopped', async () => {
    cluster = await LocalCluster.create({ seed: 1, dist, agents: false });
    const { instance } = cluster.plan('b');
    await cluster.controllerCall('POST', `instances/${instance}/power`, { action: 'stop' });
    expect(findProcesses(cluster.node('b').tag)).toEqual([]);
    await until('the host knows', () => cluster.node('b').power === 'off');
  });
});
