import { expect, test } from 'vitest';
import {
  Core,
  chainHash,
  deriveTiming,
  type Effect,
  GENESIS,
  instant,
  logIndex,
  makeEntry,
  nodeId,
  term,
} from '../../../src/core/index.ts';
import { sha256 } from '../../../src/log/index.ts';

const timing = deriveTiming({
  heartbeatMs: 100,
  leaseMs: 400,
  releaseMs: 120,
  guardMs: 10,
  watchdogTimeoutMs: null,
  clockErrorRate: 0.005,
});
const members = ['a', 'b', 'w'].map((id) => ({ id: nodeId(id), witness: id === 'w', learner: false }));
const first = makeEntry(sha256, logIndex(1), term(0), GENESIS, {
  kind: 'config',
  members,
  removed: [],
  timing,
  inSync: [nodeId('a'), nodeId('b')],
  cluster: 'new',
});
const hardState = { term: term(0), votedFor: null, commitIndex: logIndex(0), damaged: null };

/** A node that has just started, or started again, with what it has of a bootstrap. */
function started(entries: readonly (typeof first)[]): Core {
  const recovered = { hardState, entries };
  const options = { self: nodeId('a'), digest: sha256, seed: 1, timing, recovered, bootedAt: instant(0) };
  return new Core({ ...options, waitsToBegin: true }, instant(0));
}
function pass(core: Core, fromMs: number, toMs: number): Effect[] {
  const effects: Effect[] = [];
  for (let now = fromMs; now <= toMs; now += 10) effects.push(...core.step({ kind: 'tick' }, instant(now)));
  return effects;
}
const count = (effects: readonly Effect[], kind: 'pre-vote' | 'vote'): number =>
  effects.filter((effect) => effect.kind === 'send' && effect.message.kind === kind).length;

/** Passes time; every pre-vote is granted by w, in w's term; every persist is durable at once. */
function granted(core: Core, fromMs: number, toMs: number, itsTerm = 0): Effect[] {
  const all: Effect[] = [];
  for (let now = fromMs; now <= toMs; now += 10) {
    let effects = core.step({ kind: 'tick' }, instant(now));
    while (effects.length > 0) {
      all.push(...effects);
      effects = effects.flatMap((effect) => {
        if (effect.kind === 'persist')
          return core.step({ kind: 'persisted', id: effect.persist.id }, instant(now));
        if (effect.kind !== 'send' || effect.message.kind !== 'pre-vote' || effect.message.to !== 'w')
          return [];
        const { round } = effect.message;
        const ack = { kind: 'pre-vote-ack', round, granted: itsTerm === 0, retryAfterMs: null } as const;
        const message = { ...ack, from: nodeId('w'), to: nodeId('a'), term: term(itsTerm) };
        return core.step({ kind: 'message', message }, instant(now));
      });
    }
  }
  return all;
}

test.each([
  ['that has just got the first entry', false],
  ['that has started again with nothing but it', true],
])('H7: a node %s asks for no vote before it is told to begin', (_, isRestarted) => {
  const core = started(isRestarted ? [first] : []);
  if (!isRestarted) core.step({ kind: 'bootstrap', entry: first }, instant(0));
  const effects = granted(core, 10, 10_000);
  expect(count(effects, 'vote')).toBe(0);
  expect(core.view.hard.term).toBe(0);
  const [persist] = core.step({ kind: 'begin' }, instant(10_001)).filter(({ kind }) => kind === 'persist');
  expect(persist).toMatchObject({ persist: { hardState: { term: 1 } } });
  expect(count(granted(core, 10_010, 12_000), 'vote')).toBeGreaterThan(0);
});

test('H7: that it has begun outlives a restart', () => {
  const recovered = { hardState: { ...hardState, term: term(1) }, entries: [first] };
  const options = { self: nodeId('a'), digest: sha256, seed: 1, timing, recovered, bootedAt: instant(0) };
  const core = new Core({ ...options, waitsToBegin: true }, instant(0));
  expect(count(granted(core, 10, 3_000), 'vote')).toBeGreaterThan(0);
});

test('W2, H7: it asks for pre-votes all the while: an answer with a term tells it that somebody has begun', () => {
  const core = started([first]);
  expect(count(granted(core, 10, 3_000, 1), 'pre-vote')).toBeGreaterThan(0);
  expect(core.view.hard.term).toBe(1);
  expect(count(granted(core, 3_010, 4_000, 1), 'vote')).toBe(0); // that one was refused
  const grants = pass(core, 4_010, 6_000).filter((effect) => effect.kind === 'send');
  expect(grants.some(({ message }) => message.kind === 'pre-vote' && message.term === 1)).toBe(true);
});

test('H7: it follows whoever leads, and campaigns from then on like any other', () => {
  const core = started([first]);
  const elected = makeEntry(sha256, logIndex(2), term(1), chainHash(first.hash), {
    kind: 'elected',
    leader: nodeId('b'),
    votes: [nodeId('b'), nodeId('w')],
    reason: 'boot',
    detectMs: null,
    electMs: 1,
    caretaker: false,
    at: null,
  });
  core.step(
    {
      kind: 'message',
      message: {
        kind: 'append',
        from: nodeId('b'),
        to: nodeId('a'),
        term: term(1),
        previousIndex: logIndex(1),
        previousTerm: term(0),
        previousHash: first.hash,
        entries: [elected],
        commit: logIndex(1),
        renounced: false,
        promiseMs: timing.promiseMs,
      },
    },
    instant(5_000),
  );
  expect(core.view.role).toMatchObject({ kind: 'follower', leader: 'b' });
  expect(count(pass(core, 5_010, 8_000), 'pre-vote')).toBeGreaterThan(0);
});
