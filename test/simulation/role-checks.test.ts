/** The role checks over the real agents of a simulated cluster: what each of them says while things happen. */
import { beforeEach, describe, expect, test } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { CHECKS, type Check, decide, type RoleAnswer, type RoleFacts } from '../../src/http/index.ts';
import { saysYes } from './checks/role-answers.ts';
import { Cluster } from './cluster.ts';
import type { SimulatedNode } from './node/node.ts';
import { SHAPES } from './profiles.ts';

const LIMIT_MS = 60_000;

let cluster: Cluster;
let holder: SimulatedNode;
let other: SimulatedNode;
let witness: SimulatedNode;
beforeEach(async () => {
  cluster = new Cluster(7, SHAPES.mirror, { delayMs: [0.2, 2], loss: 0, duplicate: 0 });
  expect(await cluster.begin()).toBe(true);
  await until(() => everybodySays('health'));
  const [first, second] = ['a', 'b']
    .map((id) => cluster.node(id))
    .sort((one) => (saysYes(one, 'holder') ? -1 : 1));
  if (first === undefined || second === undefined) throw new Error('two data nodes');
  [holder, other] = [first, second];
  witness = cluster.node('w');
  await until(() => saysYes(holder, 'holder') && saysYes(other, 'ready') && saysYes(witness, 'ready'));
});

async function until(isSo: () => boolean, limitMs = LIMIT_MS): Promise<void> {
  if (!(await cluster.world.runUntil(isSo, limitMs, 5)))
    throw new Error(
      `not within ${limitMs} ms; ${JSON.stringify(['a', 'b', 'w'].map((id) => said(cluster.node(id))))}`,
    );
}
const everybodySays = (check: Check) => ['a', 'b', 'w'].every((id) => saysYes(cluster.node(id), check));

function afterEveryEvent(act: () => void): void {
  const { everyEvent } = cluster.world;
  cluster.world.everyEvent = () => {
    everyEvent();
    act();
  };
}

function factsOf(node: SimulatedNode): RoleFacts {
  if (node.backend === null) throw new Error(`${node.id} is down`);
  return node.backend.roleFacts();
}
const answer = (node: SimulatedNode, check: Check, maxLag: Parameters<typeof decide>[2] = null): RoleAnswer =>
  decide(check, factsOf(node), maxLag).answer;
const yes = (node: SimulatedNode): Check[] => CHECKS.filter((check) => saysYes(node, check));
const said = (node: SimulatedNode) =>
  node.backend === null ? 'down' : { [node.id]: yes(node), why: answer(node, 'ready').reason };

describe('role checks', { timeout: 60_000 }, () => {
  test('a quiet cluster: each node is one thing', () => {
    expect(yes(holder)).toEqual(['leader', 'holder', 'health']);
    expect(yes(other)).toEqual(['standby', 'health', 'ready']);
    expect(yes(witness)).toEqual(['witness', 'health', 'ready']);
    for (const node of [holder, other, witness])
      expect(answer(node, 'holder')).toMatchObject({ leader: holder.id, holder: holder.id });
    expect(answer(holder, 'holder').lease.remainingMs).toBeGreaterThan(0);
    expect(answer(other, 'standby').lag.entries).toBe(0);
    expect(answer(other, 'standby').lag.ms).toBeLessThan(cluster.timing.leaseMs);
  });

  /** What it says at the first instant at which it could answer again, before it has processed anything. */
  async function firstWords(): Promise<{ role: string | undefined; facts: RoleFacts }> {
    const first: { role: string | undefined; facts: RoleFacts }[] = [];
    afterEveryEvent(() => {
      if (first.length === 0 && holder.agentThread?.isFrozen === false)
        first.push({ role: holder.view?.role.kind, facts: factsOf(holder) });
    });
    await until(() => first.length > 0);
    if (first[0] === undefined) throw new Error('unreachable');
    return first[0];
  }

  test('T2: a holder that stood still says no with its first word, before it has heard anything', async () => {
    holder.agentThread?.freeze(3_000);
    await until(() => saysYes(other, 'holder'));
    const { role, facts } = await firstWords();
    expect(role).toBe('leader');
    expect(decide('holder', facts).answer).toMatchObject({ ok: false, leader: null, holder: null });
    expect(decide('leader', facts).answer.reason).toContain('no valid lease');
  });

  test('T3: a host that was suspended says no, although its clock has not moved', async () => {
    const before = factsOf(holder);
    // Shorter than the watchdog's timeout, which would reset the host; longer than what a reading of the clocks may be off.
    holder.host.suspend(200);
    const { role, facts } = await firstWords();
    expect(role).toBe('leader');
    expect(facts.now - before.now).toBeLessThan(100);
    expect(facts.leaseUntil).toBeNull();
    expect(decide('holder', facts).answer.ok).toBe(false);
  });

  test('a switchover: nobody says yes in between, and never two', async () => {
    const seen: string[] = [];
    afterEveryEvent(() => {
      const now =
        [holder, other]
          .filter((node) => saysYes(node, 'holder'))
          .map(({ id }) => id)
          .join('+') || 'nobody';
      if (seen.at(-1) !== now) seen.push(now);
    });
    holder.switchover(nodeId(other.id));
    await until(() => saysYes(other, 'holder') && saysYes(holder, 'ready'));
    expect(seen).toEqual([holder.id, 'nobody', other.id]);
    expect(yes(holder)).toEqual(['standby', 'health', 'ready']);
  });

  test('the leader is silent: a standby is none after L, and ready for nothing', async () => {
    cluster.network.cut(holder.id, other.id, 10_000);
    await until(() => !saysYes(other, 'standby'), 2_000);
    expect(answer(other, 'standby').reason).toMatch(/has been silent for \d+|no leader is known/);
    expect(saysYes(other, 'ready')).toBe(false);
    expect(saysYes(other, 'health')).toBe(true);
  });

  test('without its executor a node is not well, and holds nothing', async () => {
    holder.killExecutor();
    await until(() => !saysYes(holder, 'health'), 2_000);
    expect(yes(holder)).toEqual([]);
    await until(() => saysYes(holder, 'health'));
  });

  test('an agent that has been told to end says so at once, and is not ready while it hands over', async () => {
    const reasons = new Set([answer(holder, 'health').reason]);
    afterEveryEvent(() => {
      if (holder.backend !== null) reasons.add(answer(holder, 'health').reason);
    });
    holder.shutdownAgent();
    await until(() => saysYes(other, 'holder'));
    expect([...reasons].slice(0, 2)).toEqual(['agent, log and executor work', 'the agent is ending']);
  });

  test('after a restart: ready only with a promise to the leader, and with an append of its term', async () => {
    other.killAgent();
    await until(() => other.backend !== null);
    const first = factsOf(other);
    expect(first.promise.to).toBeNull();
    expect(first.behind).toBeNull();
    expect(answer(other, 'health', { entries: 1_000 })).toMatchObject({ ok: false, lag: { entries: null } });
    await until(() => saysYes(other, 'ready'));
  });

  test('max-lag: entries that the leader has committed and this node has not', async () => {
    let most = 0;
    afterEveryEvent(() => {
      most = Math.max(most, answer(other, 'standby').lag.entries ?? 0);
    });
    // Shorter than the promise: nobody is elected meanwhile.
    cluster.network.cut(holder.id, other.id, 0.7 * cluster.timing.promiseMs);
    // More than go into one append: the first one says how far the leader is, the second one brings the rest.
    for (let round = 0; round < 100; round += 1)
      holder.ask((_backend, agent) => void agent.propose({ kind: 'note', text: `note ${round}` }));
    const { commitIndex = 0 } = other.view ?? {};
    await until(() => (other.view?.commitIndex ?? 0) >= commitIndex + 100);
    expect(most).toBeGreaterThanOrEqual(100 - 64);
    await until(() => answer(other, 'standby', { entries: 0 }).ok);
  });
});
