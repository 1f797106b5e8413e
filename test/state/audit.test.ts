import { describe, expect, it } from 'vitest';
import {
  durationMs,
  type Entry,
  type EntryBody,
  type Epoch,
  GENESIS,
  logIndex,
  type NodeId,
  nodeId,
  term,
} from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { audit, isoTime, VIOLATIONS, type ViolationKind } from '../../src/state/index.ts';
import {
  a,
  b,
  chain,
  config,
  elected,
  FAILOVER,
  forge,
  granted,
  inSync,
  note,
  onStandby,
  outdated,
  paused,
  released,
  request,
  restart,
  START,
  w,
} from './story.ts';

const kinds = (entries: readonly Entry[]): ViolationKind[] =>
  audit(entries, sha256).violations.map(({ kind }) => kind);

describe('what happened', () => {
  const document = audit(FAILOVER, sha256);

  it('has the whole chain', () => {
    expect(document.chain).toEqual({ ok: true, head: FAILOVER[7]?.hash, entries: 8 });
    expect(document.violations).toEqual([]);
  });

  it('names each term with its leader, votes and times', () => {
    expect(document.terms).toEqual([
      {
        term: 1,
        leader: 'a',
        electedAt: '2026-01-02T03:04:05.678Z',
        reason: 'boot',
        votes: ['a', 'w'],
        detectMs: null,
        electMs: 12.5,
      },
      {
        term: 2,
        leader: 'b',
        electedAt: '2026-01-02T03:04:06.688Z',
        reason: 'transfer',
        votes: ['a', 'b'],
        detectMs: 400,
        electMs: 12.5,
      },
      {
        term: 3,
        leader: 'a',
        electedAt: '2026-01-02T03:04:14.678Z',
        reason: 'leader-silent',
        votes: ['a', 'w'],
        detectMs: 400,
        electMs: 12.5,
      },
    ]);
  });

  it('names each tenure with its end and the gap behind it', () => {
    expect(document.tenures).toEqual([
      {
        epoch: 3,
        node: 'a',
        grantedAt: '2026-01-02T03:04:05.698Z',
        releasedAt: '2026-01-02T03:04:06.678Z',
        reason: 'switchover',
        gapMs: 50,
      },
      {
        epoch: 6,
        node: 'b',
        grantedAt: '2026-01-02T03:04:06.728Z',
        releasedAt: null,
        reason: 'expired',
        gapMs: null,
      },
      {
        epoch: 8,
        node: 'a',
        grantedAt: '2026-01-02T03:04:14.718Z',
        releasedAt: null,
        reason: null,
        gapMs: null,
      },
    ]);
  });

  it('does not call an open tenure of an ended term running', () => {
    expect(audit(FAILOVER.slice(0, 7), sha256).tenures.at(-1)?.reason).toBe('expired');
  });

  it('names operators, overrides among them (O3)', () => {
    const log = chain(
      [0, config()],
      [1, elected(a)],
      [1, { kind: 'operator', who: 'root@nas-a', action: 'switchover to b', at: START }],
      [1, { kind: 'forced', who: 'root@nas-a', why: 'b burned', mayLose: '5 s', node: b, at: START }],
    );
    expect(audit(log, sha256).operators).toEqual([
      { index: 3, who: 'root@nas-a', action: 'switchover to b' },
      {
        index: 4,
        who: 'root@nas-a',
        action: 'forced b to hold: b burned (may lose 5 s), void: b is in the in-sync set',
      },
    ]);
    const counts = after(
      [1, outdated(b, 3)],
      [2, elected(b)],
      [2, forced(b)],
      [3, elected(b)],
      [3, granted(b)],
    );
    expect(audit(counts, sha256)).toMatchObject({
      operators: [{ index: 6, who: 'root@nas-a', action: 'forced b to hold: a burned (may lose 5 s)' }],
      violations: [],
    });
  });

  it('excuses a grant only by an override that counts, and only of its node (O3)', () => {
    const wrong = (...tail: [number, EntryBody][]) =>
      audit(after([1, outdated(b, 3)], ...tail), sha256).violations.map(({ kind, index }) => [kind, index]);
    const broken = [['granted-out-of-sync', 7]];
    // Of the term of the open tenure; of the node that holds already; none.
    expect(wrong([1, forced(b)], [2, elected(b)], [2, granted(b)])).toEqual(broken);
    expect(wrong([1, forced(a)], [2, elected(b)], [2, granted(b)])).toEqual(broken);
    expect(wrong([2, elected(b)], [2, granted(b)])).toEqual([['granted-out-of-sync', 6]]);
    // The old in-sync node is out after it, and another leader's tenure does not bring it back.
    expect(wrong([2, elected(b)], [2, forced(b)], [3, elected(a)], [3, granted(a)])).toEqual([
      ['granted-out-of-sync', 8],
    ]);
  });

  it('leaves out what is not committed', () => {
    const document = audit(FAILOVER, sha256, logIndex(6));
    expect(document.chain.entries).toBe(6);
    expect(document.tenures).toHaveLength(2);
    expect(document.tenures[1]?.reason).toBeNull();
  });

  it('has exactly the fields of the contract', () => {
    expect(Object.keys(document)).toEqual(['chain', 'terms', 'tenures', 'operators', 'violations']);
    expect(Object.keys(document.tenures[0] ?? {})).toEqual([
      'epoch',
      'node',
      'grantedAt',
      'releasedAt',
      'reason',
      'gapMs',
    ]);
    expect(audit([], sha256)).toEqual({
      chain: { ok: true, head: GENESIS, entries: 0 },
      terms: [],
      tenures: [],
      operators: [],
      violations: [],
    });
  });
});

describe('no violation', () => {
  const good: Record<string, Entry[]> = {
    'H3: entries of another epoch are void': chain(
      [0, config()],
      [1, elected(a)],
      [1, granted(a)],
      [1, outdated(b, 2)],
      [2, elected(b)],
      [2, granted(b)],
    ),
    'H3: out of sync, and back': chain(
      [0, config()],
      [1, elected(a)],
      [1, granted(a)],
      [1, outdated(b, 3)],
      [1, inSync(b, 3)],
      [2, elected(b)],
      [2, granted(b)],
    ),
    'R4: the same release twice': chain(
      [0, config()],
      [1, elected(a)],
      [1, granted(a)],
      [1, released(3, a)],
      [2, elected(b)],
      [2, released(3, a)],
      [2, granted(b)],
    ),
    'W3: a caretaker that holds nothing': chain(
      [0, config()],
      [1, elected(w)],
      [2, elected(b)],
      [2, granted(b)],
    ),
    'O3: a forced holder': chain(
      [0, config({ inSync: [a] })],
      [1, elected(b)],
      [1, { kind: 'forced', who: 'root', why: 'a burned', mayLose: 'a minute', node: b, at: null }],
      [1, granted(b)],
    ),
    'L7: adoption': chain(
      [0, config()],
      [1, elected(a)],
      [1, granted(a)],
      [1, restart(3, a)],
      [2, elected(a)],
      [2, { kind: 'tenure-adopted', epoch: 3 as Epoch, node: a }],
      [2, released(3, a)],
    ),
    'E5: one member after another': chain(
      [0, config()],
      [1, elected(a)],
      [
        1,
        config({
          inSync: null,
          members: [...config().members, { id: nodeId('c'), witness: false, learner: true }],
        }),
      ],
      [1, config({ inSync: null, removed: [nodeId('c')] })],
    ),
  };
  it.each(Object.entries(good))('%s', (_name, log) => {
    expect(audit(log, sha256).violations).toEqual([]);
  });
});

const forced = (node: NodeId): EntryBody => ({
  kind: 'forced',
  who: 'root@nas-a',
  why: 'a burned',
  mayLose: '5 s',
  node,
  at: START,
});
/** Entries 1 to 3 of a sound log, then what is wrong. */
const after = (...rest: [number, EntryBody][]): Entry[] =>
  chain([0, config()], [1, elected(a)], [1, granted(a)], ...rest);
const member = (id: string, learner = false): { id: NodeId; witness: boolean; learner: boolean } => ({
  id: nodeId(id),
  witness: false,
  learner,
});
const tampered = (index: number, change: (entry: Entry) => Entry): Entry[] =>
  FAILOVER.map((entry) => (entry.index === index ? change(entry) : entry));

const BROKEN = {
  'chain-broken': tampered(4, (entry) => ({ ...entry, body: released(3, b) })),
  'index-gap': FAILOVER.filter(({ index }) => index !== 4),
  'term-falls': after([0, note('older')]),
  'no-first-config': chain([1, elected(a)]),
  'config-in-sync-late': after([1, config()]),
  'membership-jump': after([
    1,
    config({ inSync: null, members: [...config().members, member('c'), member('d')] }),
  ]),
  'id-reused': after(
    [1, config({ inSync: null, removed: [nodeId('c')] })],
    [1, config({ inSync: null, removed: [nodeId('c')], members: [...config().members, member('c', true)] })],
  ),
  'term-without-election': after([2, note('who leads?')]),
  'elected-twice': after([1, elected(a)]),
  'two-leaders': after([1, elected(b)]),
  'elected-by-stranger': after([2, elected(b, null, { votes: [b, w, nodeId('x')] })]),
  'elected-without-quorum': after([2, elected(b, null, { votes: [b] })]),
  'witness-not-caretaker': after([2, elected(w, null, { caretaker: false })]),
  'granted-by-other': chain([0, config()], [1, elected(a)], [1, granted(b)]),
  'granted-to-non-holder': chain([0, config()], [1, elected(w)], [1, granted(w)]),
  'granted-out-of-sync': after([1, outdated(b, 3)], [2, elected(b)], [2, granted(b)]),
  'granted-while-paused': after([1, paused(true)], [2, elected(b)], [2, granted(b)]),
  'granted-on-standby': after([1, onStandby(b, true)], [2, elected(b)], [2, granted(b)]),
  'granted-twice': after([1, released(3, a)], [1, granted(a)]),
  'tenures-overlap': after([1, granted(a)]),
  'request-done-twice': after([1, request('move-1')], [1, request('move-2')], [1, request('move-1')]),
  'switchover-begun-twice': after(
    [
      1,
      {
        ...{ kind: 'switchover-scheduled', to: b, epoch: 3 as Epoch, dueAt: 1, graceMs: durationMs(1) },
        ...{ who: 'root', why: '', request: null, at: null },
      },
    ],
    [1, { kind: 'switchover-begun', of: logIndex(4), to: b, at: null }],
    [1, { kind: 'switchover-begun', of: logIndex(4), to: b, at: null }],
  ),
  'release-unknown': after([1, released(2, a)]),
  'release-by-other': after([1, released(3, b)]),
  'adoption-without-restart': after(
    [2, elected(a)],
    [2, { kind: 'tenure-adopted', epoch: 3 as Epoch, node: a }],
  ),
  'takeover-unknown': after([
    1,
    { kind: 'takeover-done', epoch: 3 as Epoch, node: b, ok: true, totalMs: 1, steps: [], at: null },
  ]),
} satisfies Record<ViolationKind, Entry[]>;

describe('each violation is found', () => {
  it.each(Object.keys(VIOLATIONS) as ViolationKind[])('%s', (kind) => {
    const { violations } = audit(BROKEN[kind], sha256);
    expect(violations.map((violation) => violation.kind)).toContain(kind);
    for (const { what } of violations) expect(what).not.toBe('');
  });

  it('names the entry', () => {
    expect(audit(BROKEN['release-unknown'], sha256).violations).toEqual([
      { index: 4, term: 1, kind: 'release-unknown', what: 'epoch 2 was never granted' },
    ]);
  });

  it('D1: says that the chain is not ok for a changed body, a changed link, a gap and a forged hash', () => {
    const relinked = tampered(5, (entry) => forge(entry, { term: term(2), previous: GENESIS }));
    const rehashed = tampered(5, (entry) => ({ ...entry, hash: GENESIS }));
    for (const log of [BROKEN['chain-broken'], BROKEN['index-gap'], relinked, rehashed])
      expect(audit(log, sha256).chain.ok).toBe(false);
    expect(audit(BROKEN['two-leaders'], sha256).chain.ok).toBe(true);
  });

  it('a term that nobody was elected for does not excuse its grant', () => {
    expect(kinds(after([2, granted(b)]))).toEqual(['term-without-election', 'granted-by-other']);
  });
});

it('reads 100,000 entries, and finds every tenure', () => {
  const story: [number, EntryBody][] = [[0, config()]];
  for (let round = 1; story.length < 100_000; round++) {
    const node = round % 2 === 0 ? b : a;
    story.push([round, elected(node, START)], [round, granted(node, START)]);
    const epoch = story.length;
    story.push([round, outdated(node === a ? b : a, epoch)], [round, inSync(node === a ? b : a, epoch)]);
    story.push([round, released(epoch, node, START)]);
  }
  const log = chain(...story);
  const document = audit(log, sha256);
  expect(document.violations).toEqual([]);
  expect(document.tenures.length).toBeGreaterThan(19_000);
});

it('isoTime agrees with the calendar', () => {
  for (const at of [
    0,
    951_782_399_999,
    951_782_400_000,
    START,
    Date.UTC(2100, 1, 28, 23, 59, 59, 999),
    Date.UTC(9999, 11, 31),
  ])
    expect(isoTime(at)).toBe(new Date(at).toISOString());
  for (let day = 0; day < 80_000; day += 7) {
    const at = day * 86_400_000 + day;
    expect(isoTime(at)).toBe(new Date(at).toISOString());
  }
  expect([isoTime(null), isoTime(-1), isoTime(Number.NaN)]).toEqual([null, null, null]);
});
