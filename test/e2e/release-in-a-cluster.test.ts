/** `quorate release` on the holder of a whole cluster, with everything running: whoever holds next, no two ever do. */

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { NODE_VARIABLE } from '../../cluster/local/node/index.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { quorate } from './support/command.ts';
import { TestStage } from './support/stage.ts';

let program: Built;
let stage: TestStage;
beforeAll(async () => {
  program = await built();
  // From the end of the holder's executor to the verified release nobody pets the watchdog. The stand-in's 400 ms would cut
  // the power of a busy machine in between, which is safe, and another test.
  stage = await TestStage.create(program.dist, { watchdog: { timeoutMs: 3_000 } });
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program.remove();
});
beforeEach(() => stage.watch());
afterEach(() => stage.expectOneHolder());

/** On the node itself: with its tools, and gone with its power. */
function release(id: string) {
  const { cluster } = stage;
  const env = {
    PATH: `${join(cluster.directory, id, 'bin')}:${process.env.PATH ?? ''}`,
    [NODE_VARIABLE]: cluster.node(id).tag,
  };
  return quorate(program.dist, ['release', '--json', '--config', cluster.configFile(id)], { env });
}

const report = (stdout: string): Record<string, unknown> => JSON.parse(stdout);

test('once: the tenure is over, a later one begins, and the log says what was proven', async () => {
  const holder = await stage.healthy();
  const epoch = await stage.epoch();
  const executor = stage.executor(holder);
  const { exit, stdout, stderr } = await release(holder);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  expect(report(stdout)).toMatchObject({
    outcome: 'released',
    epoch,
    replaced: executor,
    isAgentRunning: true,
  });
  const next = await stage.nextHolder(epoch);
  expect(await stage.healthy()).toBe(next);
  const { tenures } = await stage.audit(next);
  expect(tenures.find((tenure) => tenure.epoch === epoch)).toMatchObject({ node: holder });
  expect(tenures.at(-1)?.epoch).toBeGreaterThan(epoch);
  // L3: the agent was told that its executor is gone, and that another one has verified.
  expect(stage.log(holder)).toContain('"event":"executor-lost"');
}, 90_000);

test('three times at once, and again in the middle of the next takeover', async () => {
  const { cluster } = stage;
  const holder = await stage.healthy();
  const epoch = await stage.epoch();
  const first = await Promise.all([release(holder), release(holder), release(holder)]);
  expect(first.map(({ exit }) => exit)).toEqual([0, 0, 0]);
  expect(first.map(({ stdout }) => report(stdout).epoch)).toContain(epoch);
  // Wherever the next tenure begins, it is met while it is young.
  const second = await Promise.all(cluster.dataNodes.map(release));
  expect(second.map(({ exit }) => exit)).toEqual([0, 0]);
  await stage.nextHolder(epoch);
  const next = await stage.healthy();
  await stage.audit(next);
}, 90_000);
