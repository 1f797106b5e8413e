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
const asked = (effects: readonly Effect[]): number =>
  effects.filter((effect) => effect.kind === 'send' && effect.message.kind === 'pre-vote').length;

test.each([
  ['that has just got the first entry', false],
  ['that has started again with nothing but it', true],
])('H7: a node %s does not campaign before it is told to begin', (_, isRestarted) => {
  const core = started(isRestarted ? [first] : []);
  if (!isRestarted) core.step({ kind: 'bootstrap', entry: first }, instant(0));
  expect(asked(pass(core, 10, 10_000))).toBe(0);
  core.step({ kind: 'begin' }, instant(10_001));
  expect(asked(pass(core, 10_010, 11_000))).toBeGreaterThan(0);
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
  expect(asked(pass(core, 5_010, 8_000))).toBeGreaterThan(0);
});
