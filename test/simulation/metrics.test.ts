/** Metrics over the real agents of a simulated cluster: what each of them tells when something has happened. */
import { beforeEach, describe, expect, test } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { exposition } from '../../src/http/exposition.ts';
import { metricsOf } from '../../src/http/metrics.ts';
import { PROCESS, type ReadFamily, readExposition } from '../http/metric-facts.ts';
import { saysYes } from './checks/role-answers.ts';
import { Cluster } from './cluster.ts';
import type { SimulatedNode } from './node/node.ts';
import { SHAPES } from './profiles.ts';

const LIMIT_MS = 60_000;

let cluster: Cluster;
let holder: SimulatedNode;
let other: SimulatedNode;
beforeEach(async () => {
  cluster = new Cluster(7, SHAPES.mirror, { delayMs: [0.2, 2], loss: 0, duplicate: 0 });
  expect(await cluster.begin()).toBe(true);
  const isHeld = () => ['a', 'b'].some((id) => saysYes(cluster.node(id), 'holder'));
  await until(isHeld);
  const [first, second] = ['a', 'b']
    .map((id) => cluster.node(id))
    .sort((one) => (saysYes(one, 'holder') ? -1 : 1));
  if (first === undefined || second === undefined) throw new Error('two data nodes');
  [holder, other] = [first, second];
  await until(() => saysYes(other, 'ready'));
});

async function until(isSo: () => boolean): Promise<void> {
  if (!(await cluster.world.runUntil(isSo, LIMIT_MS, 5))) throw new Error(`not within ${LIMIT_MS} ms`);
}

function scrape(node: SimulatedNode): Map<string, ReadFamily> {
  if (node.backend === null) throw new Error(`${node.id} is down`);
  return readExposition(exposition(metricsOf(node.backend.metricFacts(), PROCESS)));
}
function read(node: SimulatedNode, name: string, labels: Record<string, string> = {}): number | undefined {
  const samples =
    scrape(node).get(name.replace(/_(bucket|sum|count)$/, ''))?.samples ?? scrape(node).get(name)?.samples;
  return samples?.find(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  )?.value;
}

describe('metrics', { timeout: 60_000 }, () => {
  test('a quiet cluster: everybody tells the same holder, and only the leader the others', () => {
    for (const id of ['a', 'b', 'w']) {
      const node = cluster.node(id);
      expect(read(node, 'quorate_holder_info', { holder: holder.id })).toBe(1);
      expect(read(node, 'quorate_node_in_sync', { node: other.id })).toBe(1);
      expect(read(node, 'quorate_log_write_duration_seconds_count')).toBeGreaterThan(0);
      expect(read(node, 'quorate_lease_remaining_seconds') !== undefined).toBe(id === holder.id);
      expect(read(node, 'quorate_node_match_index', { node: 'w' }) !== undefined).toBe(
        id === holder.id || id === 'w',
      );
    }
    expect(read(holder, 'quorate_replication_link_state', { peer: other.id, state: 'in-sync' })).toBe(1);
    expect(read(holder, 'quorate_takeovers_total', { result: 'ok' })).toBe(1);
    expect(read(holder, 'quorate_last_takeover_duration_seconds')).toBeGreaterThan(0);
    expect(read(holder, 'quorate_release_bound_seconds')).toBe(cluster.timing.releaseMs / 1000);
  });

  test('a switchover is an election, a planned release and a takeover', async () => {
    holder.switchover(nodeId(other.id));
    await until(() => saysYes(other, 'holder') && saysYes(holder, 'ready'));
    expect(read(holder, 'quorate_releases_total', { mode: 'planned' })).toBe(1);
    expect(read(holder, 'quorate_releases_total', { mode: 'abrupt' })).toBe(0);
    expect(read(other, 'quorate_campaigns_total')).toBe(1);
    expect(read(other, 'quorate_takeovers_total', { result: 'ok' })).toBe(2);
    expect(read(other, 'quorate_takeover_duration_seconds_count')).toBe(2);
    expect(read(other, 'quorate_elections_total', { reason: 'transfer' })).toBe(1);
  });

  test('a holder that is cut off releases within D, and says by how much', async () => {
    for (const id of [other.id, 'w']) cluster.network.cut(holder.id, id, 3_000);
    await until(() => saysYes(other, 'holder') && saysYes(holder, 'health'));
    expect(read(holder, 'quorate_releases_total', { mode: 'abrupt' })).toBe(1);
    expect(read(holder, 'quorate_last_release_margin_seconds')).toBeGreaterThan(0);
    expect(read(other, 'quorate_elections_total', { reason: 'leader-silent' })).toBe(1);
  });

  test('what a lost executor has read is not told any more', async () => {
    holder.killExecutor();
    await until(() => read(holder, 'quorate_executor_state', { state: 'lost' }) === 1);
    expect(scrape(holder).has('quorate_resource_state')).toBe(false);
    expect(read(holder, 'quorate_executor_losses_total')).toBe(1);
  });

  test('a restarted agent knows the last takeover from its log, and counts from 0', async () => {
    const last = () => read(other, 'quorate_last_takeover_duration_seconds');
    await until(() => last() !== undefined);
    const before = last();
    other.killAgent();
    await until(() => other.backend !== null && last() !== undefined);
    expect(last()).toBe(before);
    expect(read(other, 'quorate_campaigns_total')).toBe(0);
    expect(read(other, 'quorate_role_changes_total')).toBeLessThanOrEqual(1);
  });
});
