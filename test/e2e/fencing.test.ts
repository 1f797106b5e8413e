/** R5: the old holder's instance is stopped by the new holder, through the cloud, and only where nobody has proven its release. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ClusterEvent } from '../../cluster/local/cluster.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { TestStage } from './support/stage.ts';

let program: Built;
let stage: TestStage;
const events: ClusterEvent[] = [];
beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist, { fencing: 'after' });
  stage.cluster.onEvent((event) => events.push(event));
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program.remove();
});
beforeEach(() => {
  events.length = 0;
  stage.watch();
});
afterEach(() => stage.expectOneHolder());

const fenced = async (node: string) =>
  (await stage.cluster.entries(node)).flatMap(({ body }) => (body.kind === 'fenced' ? [body] : []));

describe('fencing after the takeover', () => {
  test('a holder that has handed over in order is left alone', async () => {
    const holder = await stage.healthy();
    const { exit } = await stage.cluster.quorate(holder, ['switchover']);
    expect(exit).toBe(0);
    const other = await stage.healthy();
    expect(other).not.toBe(holder);
    expect(await fenced(other)).toEqual([]);
  });

  test('one that was cut off is stopped, confirmed, and that is in the log', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const other = stage.other(holder);
    await cluster.isolate(holder);
    await cluster.waitFor(
      'the fencing is in the log',
      async () => (await fenced(other)).some(({ outcome }) => outcome === 'stopped'),
      30_000,
    );
    expect(await fenced(other)).toMatchObject([{ node: holder, outcome: 'stopped' }]);
    await cluster.waitFor(
      'its power is off',
      () => events.some(({ kind, node }) => kind === 'powered-off' && node === holder),
      10_000,
    );
    await cluster.healAll();
    await cluster.boot(holder);
    // No automatic failback.
    expect(await stage.healthy()).toBe(other);
  });
});
