/** Real agents whose processes end, in order or not, and whose disks lie. No two ever hold. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ClusterEvent } from '../../cluster/local/cluster.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { quorate } from './support/command.ts';
import { audit } from './support/contract.ts';
import { flipLogByte } from './support/damage.ts';
import { OneNode } from './support/one-node.ts';
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

const kill = (pid: number | null): void => {
  if (pid === null) throw new Error('there is no such process');
  process.kill(pid, 'SIGKILL');
};

// First: the follower's log must still be in LevelDB's write-ahead log, where it is until the agent starts again.
describe('D1, D2: a follower killed while entries are committed, one byte of its log flipped', () => {
  test('it says damaged and votes for nobody; with the leader back it heals, and the audit says so', async () => {
    const { cluster } = stage;
    const leader = await stage.healthy();
    // The one whose vote alone is wanted: with the leader gone, the other data node campaigns all the time.
    const follower = 'w';
    const candidate = stage.other(leader);
    const before = (await cluster.status(leader)).commitIndex;
    // Every answered fence request is an entry of its own (H3).
    const fencing = Array.from({ length: 4 }, () => cluster.quorate(leader, ['fence-peer']));
    await cluster.waitFor(
      'entries flow',
      async () => (await cluster.status(leader)).commitIndex > before,
      10_000,
    );
    cluster.killAgent(follower);
    expect((await Promise.all(fencing)).map(({ exit }) => exit)).toEqual([4, 4, 4, 4]);
    await stage.inSync(leader, candidate);
    const promiseMs = await stage.promiseMs();
    flipLogByte(stage.dataDir(follower), '"tenure-granted"');
    cluster.killAgent(leader);
    await cluster.waitFor('the leader is gone', () => cluster.node(leader).pid('agent') === null, 5_000);

    await cluster.startAgent(follower);
    const ownRole = async (id: string) =>
      (await cluster.status(id)).nodes.find((node) => node.id === id)?.role;
    await cluster.waitFor('it says damaged', async () => (await ownRole(follower)) === 'damaged', 20_000);
    await cluster.waitFor(
      'the other data node asks for its vote',
      async () => (await ownRole(candidate)) === 'candidate',
      20_000,
    );
    const { term } = await cluster.status(candidate);
    const end = performance.now() + 3 * promiseMs;
    while (performance.now() < end) {
      for (const id of [follower, candidate]) {
        const seen = await cluster.status(id);
        expect(seen.leader, `${id} sees a leader`).toBeNull();
        expect(seen.term).toBe(term);
      }
      expect(await ownRole(follower)).toBe('damaged');
    }

    await cluster.startAgent(leader);
    const next = await stage.healthy();
    expect(await ownRole(follower)).toBe('follower');
    const { terms } = await stage.audit(next);
    expect(terms.at(-1)?.votes).toEqual(['a', 'b']);
    const { stdout } = await cluster.quorate(next, ['audit']);
    expect(stdout).toMatch(new RegExp(`${follower} has its log again, damaged up to entry \\d+`));
  });
});

describe('O1: the executor of the holder', () => {
  test('killed: replaced, everything released, and exactly one holder again', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    const first = stage.executor(holder);
    kill(first);
    const next = await stage.nextHolder(epoch);
    await cluster.waitFor('another executor', () => ![null, first].includes(stage.executor(holder)), 10_000);
    expect(await stage.healthy()).toBe(next);
    expect(stage.log(holder)).toContain('"event":"executor-lost"');
    const { tenures } = await stage.audit(next);
    expect(tenures.at(-2)).toMatchObject({ epoch, node: holder });
    expect(tenures.at(-2)?.reason).not.toBeNull();
  });

  test('killed together with the agent: the watchdog cuts the power, the next start releases', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    const events: ClusterEvent['kind'][] = [];
    const stop = cluster.onEvent((event) => {
      if (event.node === holder) events.push(event.kind);
    });
    // The executor first: it must not see the agent go.
    kill(stage.executor(holder));
    cluster.killAgent(holder);
    expect(await stage.nextHolder(epoch, [stage.other(holder)])).toBe(stage.other(holder));
    await cluster.waitFor('it boots again', () => events.includes('booted'), 20_000);
    stop();
    expect(events).toEqual(['watchdog-fired', 'booted']);
    expect(await stage.healthy()).toBe(stage.other(holder));
    expect((await cluster.drbd(holder)).role).toBe('Secondary');
  });
});

describe('R4: the agent of the holder killed', () => {
  test("its executor's statement frees the voters long before the promise could have ended", async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    cluster.killAgent(holder);
    const next = await stage.nextHolder(epoch, [stage.other(holder)]);
    const { terms, tenures } = await stage.audit(next);
    const [term] = terms.slice(-1);
    expect(term).toMatchObject({ leader: next, reason: 'released' });
    // By the clock of the new leader, from the old one's last sign of life to the campaign.
    expect(term?.detectMs).toBeLessThan(await stage.promiseMs());
    expect(tenures.at(-2)).toMatchObject({ epoch, node: holder, reason: 'agent-died' });
    expect(stage.log(holder)).toContain('"event":"release-stated"');
    await cluster.startAgent(holder);
    await stage.healthy();
  });
});

describe('SIGTERM of the only node of a cluster', () => {
  test('it releases, and does not take everything again while it leaves', async () => {
    // A promise so short that it could be elected again within its farewell.
    const node = await OneNode.create(program.dist);
    try {
      await node.bootstrap({ timing: { heartbeat: '50ms', lease: '300ms', release: '200ms' } });
      await node.holds();
      const { epoch } = await node.status();
      expect(await node.stop()).toBe(0);
      expect(await node.remains()).toEqual([]);
      const { stdout } = await quorate(program.dist, ['audit', '--json', '--data-dir', node.path('data')]);
      const { tenures } = audit.parse(JSON.parse(stdout));
      expect(tenures).toMatchObject([{ epoch, reason: 'shutdown' }]);
      expect(node.log.match(/"event":"tenure-begun"/g)).toHaveLength(1);
    } finally {
      node.remove();
    }
  });
});

// Last: nobody is left.
describe('SIGTERM', () => {
  test('of the holder: hands over within 2 s, and exits 0', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    expect(await cluster.stopAgent(holder)).toBe(0);
    const next = await stage.nextHolder(epoch, [stage.other(holder)]);
    const { tenures, terms } = await stage.audit(next);
    expect(tenures.at(-2)).toMatchObject({ epoch, node: holder, reason: 'shutdown' });
    expect(tenures.at(-2)?.gapMs).toBeLessThan(2_000);
    expect(terms.at(-1)?.leader).toBe(next);
    expect(['transfer', 'released']).toContain(terms.at(-1)?.reason);
    await cluster.waitFor('its executor has ended', () => stage.programs(holder).length === 0, 15_000);
    await cluster.startAgent(holder);
    await stage.healthy();
  });

  test('of all three, one after the other: exit code 0, no process, nothing held', async () => {
    const { cluster } = stage;
    const first = await stage.healthy();
    const epoch = await stage.epoch();
    expect(await cluster.stopAgent(first)).toBe(0);
    const second = await stage.nextHolder(epoch, [stage.other(first)]);
    expect(await cluster.stopAgent(second)).toBe(0);
    // With nobody to hand over to, it must not come back while it leaves.
    await stage.expectNothingHeld();
    expect(await cluster.stopAgent('w')).toBe(0);
    for (const node of ['a', 'b', 'w'])
      await cluster.waitFor(`nothing of ${node} runs`, () => stage.programs(node).length === 0, 15_000);
    await stage.expectNothingHeld();
  });
});
