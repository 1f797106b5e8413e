/** The status page's document over the real agents of a simulated cluster: what each of them tells while things happen. */
import { beforeEach, describe, expect, test } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { newsOf, type PageState } from '../../src/http/status-page/index.ts';
import { PROCESS } from '../http/metric-facts.ts';
import { holdersOf } from './checks/holders.ts';
import { saysYes } from './checks/role-answers.ts';
import { Cluster } from './cluster.ts';
import type { SimulatedNode } from './node/node.ts';
import { SHAPES } from './profiles.ts';

const LIMIT_MS = 60_000;
const FAR = { node: Date.UTC(2200, 0, 1), ca: Date.UTC(2200, 0, 1), refused: null };

let cluster: Cluster;
let holder: SimulatedNode;
let other: SimulatedNode;
beforeEach(async () => {
  cluster = new Cluster(7, SHAPES.mirror, { delayMs: [0.2, 2], loss: 0, duplicate: 0 });
  expect(await cluster.begin()).toBe(true);
  await until(() => ['a', 'b'].some((id) => saysYes(cluster.node(id), 'holder')));
  const [first, second] = ['a', 'b']
    .map((id) => cluster.node(id))
    .sort((one) => (saysYes(one, 'holder') ? -1 : 1));
  if (first === undefined || second === undefined) throw new Error('two data nodes');
  [holder, other] = [first, second];
  await until(() => saysYes(other, 'ready') && stateOf(other).holding.kind === 'held');
});

async function until(isSo: () => boolean): Promise<void> {
  if (!(await cluster.world.runUntil(isSo, LIMIT_MS, 5))) throw new Error(`not within ${LIMIT_MS} ms`);
}

function stateOf(node: SimulatedNode): PageState {
  if (node.backend === null) throw new Error(`${node.id} is down`);
  return newsOf(node.backend.statusFacts(), { ...PROCESS, certificates: FAR }).state;
}
const nodeOf = (state: PageState, id: string) => state.nodes.find((one) => one.id === id);
const isTaken = ({ holding }: PageState) => holding.kind === 'held' && holding.isTaken;

describe('the status page', { timeout: 60_000 }, () => {
  test('a quiet cluster: everybody tells the same holder, and warns of nothing', async () => {
    const nodes = ['a', 'b', 'w'].map((id) => cluster.node(id));
    await until(() => nodes.every((node) => stateOf(node).warnings.length === 0 && isTaken(stateOf(node))));
    for (const node of nodes) {
      const state = stateOf(node);
      expect(state).toMatchObject({ observer: node.id, leader: holder.id, quorum: true });
      expect(state.holding).toMatchObject({ kind: 'held', node: holder.id });
      expect(state.takeovers).toMatchObject([{ node: holder.id, from: null, result: 'ok' }]);
    }
    const told = stateOf(holder);
    expect(nodeOf(told, other.id)).toMatchObject({
      answers: true,
      link: 'up',
      mirror: 'in-sync',
      lagEntries: 0,
    });
    expect(told.resources?.every(({ probe }) => probe === 'held')).toBe(true);
    expect(nodeOf(stateOf(other), 'w')).toMatchObject({ answers: null, lagEntries: null });
  });

  test('a switchover is heard of in the step that makes it, and told by its steps', async () => {
    let changes = 0;
    const stop = other.backend?.onChange(() => {
      changes += 1;
    });
    holder.switchover(nodeId(other.id));
    await until(() => isTaken(stateOf(other)) && stateOf(other).leader === other.id);
    expect(changes).toBeGreaterThan(3);
    stop?.();
    const [last, first] = stateOf(other).takeovers;
    expect(last).toMatchObject({ node: other.id, from: holder.id, reason: 'transfer', result: 'ok' });
    expect(last?.steps.length).toBeGreaterThan(0);
    expect(first).toMatchObject({ node: holder.id });
  });

  test('a holder that is cut off: nobody tells of a holder that cannot write, and it tells of none itself', async () => {
    for (const id of [other.id, 'w']) cluster.network.cut(holder.id, id, 6_000);
    const { everyEvent } = cluster.world;
    let asked = 0;
    cluster.world.everyEvent = () => {
      everyEvent();
      if (holder.backend === null || holder.agentThread?.isFrozen !== false) return;
      const { holding } = stateOf(holder);
      if (holding.kind !== 'held' || !holding.isTaken || holding.node !== holder.id) return;
      asked += 1;
      // Nobody can while DRBD holds the writes back.
      const writing = holdersOf([cluster.node('a'), cluster.node('b')]);
      expect(writing.filter((id) => id !== holder.id)).toEqual([]);
    };
    await until(() => stateOf(holder).holding.kind === 'unknown');
    expect(asked).toBeGreaterThan(0);
    const told = stateOf(holder);
    expect(told).toMatchObject({ leader: null, holding: { last: { node: holder.id } } });
    expect(told.warnings.map(({ key }) => key)).toContain('unknown');
    await until(() => isTaken(stateOf(other)) && stateOf(other).leader === other.id);
    expect(stateOf(other).holding).toMatchObject({ node: other.id });
    expect(nodeOf(stateOf(other), holder.id)).toMatchObject({ answers: false, inSync: false });
  });
});
