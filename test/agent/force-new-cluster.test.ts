/** O3: what is written to the log of a node that goes on alone, and what the core makes of it. */
import { describe, expect, it } from 'vitest';
import { planNewCluster } from '../../src/agent/force-new-cluster.ts';
import type { Config } from '../../src/config/index.ts';
import {
  applyEntry,
  Core,
  deriveTiming,
  EMPTY_STATE,
  type Entry,
  instant,
  logIndex,
  type NodeId,
  nodeId,
  term,
  unprovenClaims,
} from '../../src/core/index.ts';
import { type RecoveredLog, sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import { a, b, chain, config, elected, FAILOVER, w } from '../state/story.ts';

const file = {
  node: a,
  cluster: 'nas-prod',
  dataDir: '/var/lib/quorate',
  members: ['a', 'b', 'w'].map((id) => ({
    id: nodeId(id),
    zone: null,
    peer: `${id}:7400`,
    witness: id === 'w',
  })),
} as unknown as Config;
const as = (node: NodeId): Config => ({ ...file, node });

const log = (entries: readonly Entry[], more: Partial<RecoveredLog> = {}): RecoveredLog => ({
  status: 'clean',
  hardState: {
    term: entries.at(-1)?.term ?? term(0),
    votedFor: null,
    commitIndex: logIndex(Math.max(0, entries.length - 1)),
    damaged: null,
  },
  entries,
  damage: null,
  problems: [],
  ...more,
});
const order = (...fenced: NodeId[]) => ({
  fenced,
  who: 'root@a',
  why: 'two zones burned',
  at: 1_767_323_045_678,
});
const plan = (entries: readonly Entry[], node = a, fenced = [a, b, w].filter((id) => id !== node)) =>
  planNewCluster(as(node), log(entries), order(...fenced));

/** a holds last, and nothing shows that it has stopped. */
const HELD_BY_A = FAILOVER;

describe('force-new-cluster', () => {
  it('writes two entries behind the log: who has decided it, and the one member; the ids of the others are used up', () => {
    const { persist, others } = plan(HELD_BY_A);
    const [forced, alone, ...more] = persist.entries;
    expect([forced?.index, more]).toEqual([HELD_BY_A.length + 1, []]);
    expect(forced?.body).toMatchObject({
      kind: 'forced',
      node: 'a',
      who: 'root@a',
      newCluster: { fenced: ['b', 'w'] },
    });
    expect(alone?.body).toMatchObject({
      ...{ kind: 'config', members: [{ id: 'a' }], removed: ['b', 'w'], inSync: null, cluster: 'nas-prod' },
    });
    expect(Object.fromEntries(others)).toEqual({ b: 'b:7400', w: 'w:7400' });
    // The audit has nothing to say against it, and names it.
    const document = audit([...HELD_BY_A, ...persist.entries], sha256);
    expect(document.violations).toEqual([]);
    expect(document.operators.at(-1)).toMatchObject({
      who: 'root@a',
      action: expect.stringMatching(/new cluster with a alone/),
    });
  });

  it('the node is the only one in sync, by force, and nobody else has a claim; H3 entries of before are void', () => {
    const before = HELD_BY_A.reduce(applyEntry, EMPTY_STATE);
    expect(unprovenClaims(before).map(({ node }) => node)).toContain('a');
    const state = plan(HELD_BY_A, b).persist.entries.reduce(applyEntry, before);
    const others = unprovenClaims(state).filter(({ node }) => node !== b);
    expect([state.inSync, state.forced?.node, others]).toEqual([['b'], 'b', []]);
    expect(state.removed).toEqual(['a', 'w']);
  });

  it('starts as a cluster of one: it holds after its promise, in a term of its own, and no vote of the old ones is asked', () => {
    const entries = [...HELD_BY_A, ...plan(HELD_BY_A, b).persist.entries];
    const timing = deriveTiming({
      ...{ heartbeatMs: 100, leaseMs: 600, releaseMs: 1000, guardMs: 25 },
      ...{ watchdogTimeoutMs: null, clockErrorRate: 0.005 },
    });
    const options = {
      self: b,
      digest: sha256,
      seed: 1,
      timing,
      recovered: log(entries),
      bootedAt: instant(0),
    };
    const core = new Core(options, instant(0));
    const sent: string[] = [];
    let holdsAt: number | null = null;
    for (let now = 1; now < 10_000 && holdsAt === null; now += 1) {
      const queue: Parameters<Core['step']>[0][] = [{ kind: 'tick' }];
      for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
        for (const effect of core.step(input, instant(now))) {
          if (effect.kind === 'persist') queue.push({ kind: 'persisted', id: effect.persist.id });
          if (effect.kind === 'prepare') queue.push({ kind: 'prepared', id: effect.id, ok: true });
          if (effect.kind === 'send') sent.push(effect.message.to);
          if (effect.kind === 'hold') {
            holdsAt = now;
            expect(effect).toMatchObject({ isForced: true, hasProof: true });
          }
        }
      }
    }
    expect(holdsAt).toBeGreaterThanOrEqual(timing.promiseMs);
    expect(core.view.hard.term).toBeGreaterThan(HELD_BY_A.at(-1)?.term ?? 0);
    expect(sent).toEqual([]);
  });

  it('says what may be lost: what the others did without it, or since it left the set', () => {
    expect(plan(HELD_BY_A).mayLose).toMatch(/since a left the in-sync set|acknowledged without a/);
    const early = chain([0, config()], [1, elected(a)]);
    expect(plan(early).mayLose).toMatch(/^every write that b or w acknowledged without a since/);
  });

  it('is refused where a member is left out, or is none; for a witness; and for a log that is damaged, empty or of another cluster', () => {
    const refused = (code: string, message: RegExp) =>
      expect.objectContaining({ code, message: expect.stringMatching(message) });
    const caught = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return error;
      }
    };
    expect(caught(() => plan(HELD_BY_A, a, [b]))).toEqual(refused('usage', /w is missing/));
    expect(caught(() => plan(HELD_BY_A, a, [b, w, a]))).toEqual(refused('usage', /--i-have-fenced a/));
    expect(caught(() => plan(HELD_BY_A, w))).toEqual(refused('refused-unsafe', /w is no data node/));
    expect(caught(() => plan([]))).toEqual(refused('not-bootstrapped', /no log/));
    const damaged = log(HELD_BY_A, { status: 'damaged', problems: ['entry 3 is missing'] });
    expect(caught(() => planNewCluster(file, damaged, order(b, w)))).toEqual(
      refused('refused-unsafe', /entry 3 is missing/),
    );
    const other = { ...file, cluster: 'nas-test' };
    expect(caught(() => planNewCluster(other, log(HELD_BY_A), order(b, w)))).toEqual(
      refused('refused-unsafe', /nas-test/),
    );
    const alone = [...HELD_BY_A, ...plan(HELD_BY_A).persist.entries];
    expect(caught(() => plan(alone, a, []))).toEqual(refused('usage', /only member already/));
  });
});
