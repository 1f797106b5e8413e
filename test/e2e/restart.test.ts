/** `quorate restart` on a whole cluster: the agent goes, and what it holds stays (L7). No two ever hold. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Writer } from '../../cluster/local/demo/writer.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { TestStage } from './support/stage.ts';

let program: Built;
let stage: TestStage;
beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist);
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program.remove();
});
beforeEach(() => stage.watch());
afterEach(() => stage.expectOneHolder());

const pidOf = (node: string): number | null => stage.cluster.node(node).pid('agent');

async function anotherProcess(node: string, than: number | null): Promise<void> {
  const isOther = (): boolean => pidOf(node) !== null && pidOf(node) !== than;
  await stage.cluster.waitFor('the next process runs', isOther, 20_000);
}

describe('L7: the agent of the holder is restarted under load', () => {
  test('the same epoch in a new term; the device is held all the time, no operation fails, nothing is lost', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const before = await cluster.status(holder);
    const [agent, executor] = [pidOf(holder), stage.executor(holder)];
    const writer = new Writer(cluster.serviceAddress, 7, { patience: { answerMs: 5_000, connectMs: 5_000 } });
    const began = performance.now();
    writer.start();
    await cluster.waitFor('the client writes', () => writer.acknowledged > 20, 10_000);
    let roles = 0;
    let isWatching = true;
    const primary = (async () => {
      while (isWatching) {
        expect((await cluster.drbd(holder)).role).toBe('Primary');
        roles += 1;
      }
    })();

    const { exit, stdout, stderr } = await cluster.quorate(holder, ['restart', '--json', '--within', '10s']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ node: holder, epoch: before.epoch, alreadyDone: false });
    const after = writer.acknowledged;
    await cluster.waitFor('the client writes on', () => writer.acknowledged > after + 20, 10_000);
    isWatching = false;
    await primary;
    const outageMs = writer.outageMs(began + 500, performance.now());
    await writer.stop();
    if (process.env.MEASURE !== undefined)
      process.stderr.write(`longest time without an acknowledgement ${outageMs.toFixed(0)} ms; ${stdout}\n`);
    expect(roles).toBeGreaterThan(3);
    expect(pidOf(holder)).not.toBe(agent);
    expect(stage.executor(holder)).toBe(executor);
    const status = await cluster.status(holder);
    expect(status).toMatchObject({ epoch: before.epoch, holder, leader: holder });
    expect(status.term).toBeGreaterThan(before.term);
    expect({ failures: writer.failures, lost: await writer.lost() }).toEqual({ failures: 0, lost: [] });

    const { tenures, violations } = await stage.audit(holder);
    expect(violations).toEqual([]);
    expect(tenures.at(-1)).toMatchObject({
      epoch: before.epoch,
      node: holder,
      releasedAt: null,
      reason: null,
    });
    const { stdout: text } = await cluster.quorate(holder, ['audit']);
    expect(text).toMatch(new RegExp(`${holder} is back and goes on with epoch ${before.epoch}`));
    await stage.healthy();
  });
});

describe('a restart of a node that holds nothing', () => {
  test.each(['the witness', 'the standby'])('%s: another process, the same holder and epoch', async (who) => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    const node = who === 'the witness' ? 'w' : stage.other(holder);
    const agent = pidOf(node);
    const { exit, stdout, stderr } = await cluster.quorate(node, ['restart']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^the agent of ${node} is back after .* s: it holds nothing\n$`));
    expect(pidOf(node)).not.toBe(agent);
    expect(await stage.healthy()).toBe(holder);
    expect(await stage.epoch()).toBe(epoch);
  });
});

describe('a restart that goes wrong', () => {
  test('the next agent is killed as soon as it runs: exactly one holder again, and no violation', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const agent = pidOf(holder);
    const restarting = cluster.quorate(holder, ['restart']);
    await anotherProcess(holder, agent);
    const next = pidOf(holder);
    cluster.killAgent(holder);
    await cluster.waitFor('it is gone', () => pidOf(holder) === null, 5_000);
    expect(next).not.toBeNull();
    await cluster.startAgent(holder);
    await restarting;
    const now = await stage.healthy();
    expect((await stage.audit(now)).violations).toEqual([]);
  });

  test('nobody starts the next agent: the executor releases at its deadline, and the other node takes over', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    cluster.node(holder).isHeldBack = true;
    const restarting = cluster.quorate(holder, ['restart', '--within', '1.5s'], 30_000);
    await cluster.waitFor('the agent is gone', () => pidOf(holder) === null, 10_000);
    expect(await stage.nextHolder(epoch, [stage.other(holder)])).toBe(stage.other(holder));
    expect((await cluster.drbd(holder)).role).toBe('Secondary');
    cluster.node(holder).isHeldBack = false;
    await cluster.startAgent(holder);
    expect((await restarting).exit).toBe(1);
    const now = await stage.healthy();
    const { tenures, violations } = await stage.audit(now);
    expect(violations).toEqual([]);
    expect(tenures.at(-2)).toMatchObject({ epoch, node: holder, reason: 'agent-died' });
  });
});
