/** What a node says of pools that snapshots keep alike: as the one that sends, and as the one that has the copy. */
import { describe, expect, it } from 'vitest';
import { type PoolCopySources, poolCopiesOf } from '../../src/agent/pool-copies.ts';
import type { Config } from '../../src/config/index.ts';
import { nodeId } from '../../src/core/index.ts';
import type { DatasetState } from '../../src/replication/index.ts';
import type { CopyLoss } from '../../src/state/index.ts';

const [a, b, w] = [nodeId('a'), nodeId('b'), nodeId('w')];
const NOW = Date.UTC(2026, 0, 2, 3, 5, 0);
const MINUTE = 60_000;

function configOf(node: typeof a, change: object = {}): Config {
  const policy = { periodMs: MINUTE, windows: [] };
  const nightly = { datasets: ['tank/bulk'], policy: { periodMs: MINUTE, windows: [{}] } };
  return {
    ...{ node, maxDataLossMs: 90_000 },
    members: [a, b, w].map((id) => ({ id, witness: id === w })),
    resources: [{ name: 'store', kind: 'replicated-pool', pool: 'tank' }],
    replication: { pools: ['tank'], send: { policy, overrides: [nightly] } },
    ...change,
  } as unknown as Config;
}

const dataset = (name: string, ageMs: number | null, change: Partial<DatasetState> = {}): DatasetState => ({
  dataset: name,
  ...{ state: 'current', why: 'the copy has everything', periodMs: MINUTE },
  common: ageMs === null ? null : { name: 's', takenAt: NOW - ageMs },
  ...{ progress: null, lastError: null, sentBytes: 0, failures: 0, ...change },
});

const holding = (datasets: readonly DatasetState[], change: Partial<PoolCopySources> = {}) =>
  poolCopiesOf({
    config: configOf(a),
    tenure: { node: a, released: false },
    sent: { isSending: true, isWhole: true, round: { number: 3, startedAt: NOW, problem: null }, datasets },
    ...{ losses: null, wallMs: NOW, ...change },
  });

describe('the node that sends', () => {
  it('a pool is as old as the oldest copy in it', () => {
    expect(holding([dataset('tank/home', 5_000), dataset('tank/mail', 65_000)])).toEqual([
      {
        ...{ pool: 'tank', role: 'source', peer: 'b', copy: 'up-to', upTo: '2026-01-02T03:03:55.000Z' },
        ...{ why: null, byItself: null, problem: null, sending: [], conflicts: 0, late: 0 },
        ...{ trouble: [], omitted: 0 },
      },
    ]);
  });

  it('one that has never arrived leaves the pool without a copy, and what is not known without an age', () => {
    expect(
      holding([dataset('tank/home', 5_000), dataset('tank/new', null, { state: 'waiting' })]),
    ).toMatchObject([{ copy: 'none', upTo: null, why: 'tank/new has none' }]);
    expect(holding([dataset('tank/home', null, { state: 'unknown' })])).toMatchObject([{ copy: 'unknown' }]);
    const byHand = { ...dataset('tank/home', 0), common: { name: 'by-hand', takenAt: null } };
    expect(holding([byHand])).toMatchObject([{ copy: 'unknown', upTo: null }]);
  });

  it.each([
    ['has not begun', { isSending: false }, {}, /nothing was heard yet/],
    ['has been adopted, and not told all again', { isWhole: false }, {}, /not all of it was heard/],
    ['is before its first round', {}, { startedAt: null }, /first round has not begun/],
    ['has nothing to send', {}, {}, /nothing of it is sent/],
  ])('that %s does not know how far it is', (_what, sent, round, why) => {
    const [pool] = holding([], {
      sent: {
        isSending: true,
        isWhole: true,
        datasets: [],
        ...sent,
        round: { number: 1, startedAt: 1, problem: null, ...round },
      },
    });
    expect(pool).toMatchObject({ pool: 'tank', copy: 'unknown', why: expect.stringMatching(why) });
  });

  it('without "send" says that nothing is sent', () => {
    const [pool] = holding([], { config: configOf(a, { replication: { pools: ['tank'], send: null } }) });
    expect(pool).toMatchObject({ copy: 'unknown', why: 'a sends nothing, by its config' });
  });

  it('tells the streams that run', () => {
    const progress = { snapshot: 's', bytes: 5, totalBytes: null, bytesPerSecond: 2, startedAt: NOW };
    const [pool] = holding([dataset('tank/home', 1, { state: 'sending', progress }), dataset('tank/x', 1)]);
    expect(pool?.sending).toEqual([{ dataset: 'tank/home', bytes: 5, totalBytes: null, bytesPerSecond: 2 }]);
  });

  it('what is older than three periods is late, unless it is sent only at times of the day', () => {
    const edge = 3 * MINUTE;
    const bulk = dataset('tank/bulk', 20 * MINUTE, { state: 'waiting' });
    expect(holding([dataset('tank/home', edge), bulk])).toMatchObject([{ late: 0, trouble: [] }]);
    const lastError = { at: NOW, why: 'b: no space' };
    expect(holding([dataset('tank/home', edge + 1, { lastError }), bulk])).toMatchObject([
      {
        late: 1,
        trouble: [
          {
            ...{ dataset: 'tank/home', kind: 'late' },
            why: 'its copy is older than 3 periods: the copy has everything; the last that did not work: b: no space',
          },
        ],
      },
    ]);
  });

  it('what is worst comes first, and how much is left out is said', () => {
    const many = Array.from({ length: 12 }, (_, at) =>
      dataset(`tank/${at}`, 1, { state: 'failed', why: 'no' }),
    );
    const [pool] = holding([...many, dataset('tank/z', 1, { state: 'conflict', why: 'diverged' })]);
    expect(pool).toMatchObject({ conflicts: 1, omitted: 3, trouble: { length: 10 } });
    expect(pool?.trouble[0]).toEqual({ dataset: 'tank/z', kind: 'conflict', why: 'diverged' });
  });

  it('each pool for itself', () => {
    const pools = holding([dataset('tank/home', 1_000), dataset('other/home', 9_000)]);
    expect(pools.map(({ pool, upTo }) => [pool, upTo])).toEqual([
      ['tank', '2026-01-02T03:04:59.000Z'],
      ['other', '2026-01-02T03:04:51.000Z'],
    ]);
  });
});

const since = (ageMs: number): CopyLoss => ({
  ...{ kind: 'since', pool: 'tank', from: a, epoch: 7 as never, snapshot: 's', of: null },
  ...{ takenAtMs: NOW - ageMs, ageMs },
});
const receiving = (losses: readonly CopyLoss[] | null, change: Partial<PoolCopySources> = {}) =>
  poolCopiesOf({
    config: configOf(b),
    tenure: { node: a, released: false },
    sent: {
      isSending: false,
      isWhole: false,
      round: { number: 0, startedAt: null, problem: null },
      datasets: [],
    },
    ...{ losses, wallMs: NOW, ...change },
  });

describe('the node that receives', () => {
  it('knows from whom, up to when, and whether it would take over by itself', () => {
    expect(receiving([since(89_000)])).toMatchObject([
      {
        pool: 'tank',
        role: 'target',
        peer: 'a',
        copy: 'up-to',
        byItself: 'yes',
        upTo: '2026-01-02T03:03:31.000Z',
      },
    ]);
  });

  it('by the age that the copy has now, not by that of when it was looked at', () => {
    expect(receiving([since(89_000)], { wallMs: NOW + 1_001 })).toMatchObject([{ byItself: 'too-old' }]);
  });

  it('max_data_loss 0s is what somebody wanted, and nothing lost is nothing lost', () => {
    const config = configOf(b, { maxDataLossMs: 0 });
    expect(receiving([since(1)], { config })).toMatchObject([{ byItself: 'never' }]);
    expect(receiving([{ kind: 'nothing', pool: 'tank' }], { config })).toMatchObject([
      { copy: 'everything', byItself: 'yes' },
    ]);
  });

  it('unknown is too old; not looked at yet is neither', () => {
    expect(receiving([{ kind: 'unknown', pool: 'tank', why: 'the pool is SUSPENDED' }])).toMatchObject([
      { copy: 'unknown', byItself: 'too-old', why: 'the pool is SUSPENDED' },
    ]);
    expect(receiving(null)).toMatchObject(
      [{ copy: 'unknown', byItself: null, why: /not looked/ }].map((one) => ({
        ...one,
        why: expect.stringMatching(one.why),
      })),
    );
  });

  it('that held last, and let go, has it from nobody', () => {
    const [pool] = receiving([{ kind: 'nothing', pool: 'tank' }], { tenure: { node: b, released: true } });
    expect(pool).toMatchObject({ role: 'target', peer: null, copy: 'everything' });
  });
});

it('a node without another one sends to nobody', () => {
  const alone = configOf(a, { members: [{ id: a, witness: false }], replication: null });
  expect(holding([], { config: alone })).toMatchObject([{ peer: null, copy: 'unknown' }]);
});

it('a witness, a cluster that has not begun, and one without such pools say nothing', () => {
  expect(receiving([since(1)], { config: configOf(w) })).toEqual([]);
  expect(receiving([since(1)], { tenure: null })).toEqual([]);
  expect(receiving([], { config: configOf(b, { resources: [] }) })).toEqual([]);
  expect(holding([], { config: configOf(a, { resources: [] }) })).toEqual([]);
});
