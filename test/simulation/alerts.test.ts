/** Who tells what when things happen to a whole cluster of real agents in virtual time. */
import { beforeEach, describe, expect, test } from 'vitest';
import { conditionsOf } from '../../src/alerts/conditions.ts';
import { AlertTracker } from '../../src/alerts/tracker.ts';
import { newsOf } from '../../src/http/index.ts';
import { PROCESS } from '../http/metric-facts.ts';
import { saysYes } from './checks/role-answers.ts';
import { Cluster } from './cluster.ts';
import type { SimulatedNode } from './node/node.ts';
import { SHAPES } from './profiles.ts';

const LIMIT_MS = 120_000;
const AFTER_MS = 10_000;
const LOOK_MS = 2_000;
const FAR = { node: Date.UTC(2200, 0, 1), ca: Date.UTC(2200, 0, 1), refused: null };

let cluster: Cluster;
let holder: SimulatedNode;
let other: SimulatedNode;
/** NODE: STATE KEY, as they were told. */
let told: string[];
let trackers: Map<string, AlertTracker>;
let lookedAtMs: number;

beforeEach(async () => {
  cluster = new Cluster(11, SHAPES.mirror, { delayMs: [0.2, 2], loss: 0, duplicate: 0 });
  expect(await cluster.begin()).toBe(true);
  await until(() => ['a', 'b'].some((id) => saysYes(cluster.node(id), 'holder')));
  const [first, second] = ['a', 'b']
    .map((id) => cluster.node(id))
    .sort((one) => (saysYes(one, 'holder') ? -1 : 1));
  if (first === undefined || second === undefined) throw new Error('two data nodes');
  [holder, other] = [first, second];
  await until(() => saysYes(other, 'ready'));
  told = [];
  lookedAtMs = 0;
  const options = { afterMs: AFTER_MS, repeatMs: 3_600_000, newId: () => 'id' };
  trackers = new Map(['a', 'b', 'w'].map((id) => [id, new AlertTracker(options)]));
  await pass(2 * LOOK_MS);
});

async function until(isSo: () => boolean): Promise<void> {
  if (!(await cluster.world.runUntil(isSo, LIMIT_MS, 5)))
    throw new Error(`not within ${LIMIT_MS} ms: ${told}`);
}

/** As each agent does it, every two seconds. */
function look(): boolean {
  const now = cluster.world.now;
  if (now - lookedAtMs < LOOK_MS) return false;
  lookedAtMs = now;
  for (const [id, tracker] of trackers) {
    const node = cluster.node(id);
    if (node.backend === null) continue;
    const news = newsOf(node.backend.statusFacts(), { ...PROCESS, certificates: FAR });
    const alerts = tracker.observe({
      ...{ nowMs: now, wallMs: now, cluster: 'nas', node: id, isLeader: news.state.leader === id },
      conditions: conditionsOf(news),
      takeovers: news.state.takeovers.toReversed(),
    });
    told.push(...alerts.map(({ state, key }) => `${id}: ${state} ${key}`));
  }
  return true;
}

const toldUntil = (isSo: () => boolean) =>
  until(() => {
    look();
    return isSo();
  });
async function pass(ms: number): Promise<void> {
  const end = cluster.world.now + ms;
  await toldUntil(() => cluster.world.now >= end);
}

describe('alerts', { timeout: 120_000 }, () => {
  test('a quiet cluster tells nothing', async () => {
    await pass(30_000);
    expect(told).toEqual([]);
  });

  test('a holder that is cut off: the new holder tells the failover and who is away, the old one that it is', async () => {
    for (const id of [other.id, 'w']) {
      cluster.network.cut(holder.id, id, 40_000);
      cluster.network.cut(id, holder.id, 40_000);
    }
    const away = `${other.id}: firing outdated-${holder.id}`;
    await toldUntil(() => told.includes(away) && told.some((one) => one.startsWith(`${holder.id}: `)));
    expect(told.filter((one) => one.includes('event holder-'))).toEqual([
      expect.stringMatching(new RegExp(`^${other.id}: event holder-\\d+$`)),
    ]);
    expect(told).toContain(`${holder.id}: firing ${holder.id}/unknown`);
    // Only the leader tells what concerns the cluster; who is cut off tells what it knows of itself.
    const others = told.filter((one) => !one.startsWith(`${other.id}: `));
    expect(others.every((one) => /^(\w): firing \1\//.test(one))).toBe(true);
    await pass(60_000);
    expect(told).toContain(`${holder.id}: resolved ${holder.id}/unknown`);
    expect(told.filter((one) => one === away)).toHaveLength(1);
  });

  test('a switchover is told once, by the new holder, and is no condition', async () => {
    holder.switchover(other.id as Parameters<SimulatedNode['switchover']>[0]);
    await toldUntil(() => told.length > 0);
    await pass(30_000);
    expect(told).toEqual([expect.stringMatching(new RegExp(`^${other.id}: event holder-\\d+$`))]);
  });
});
