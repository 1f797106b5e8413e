import { expect, it } from 'vitest';
import { applyEntry, EMPTY_STATE, type Entry, nodeId } from '../../src/core/index.ts';
import { eligibilityOf, type NodeCondition, takeoverTargets } from '../../src/state/index.ts';
import { a, b, chain, config, elected, granted, outdated, w } from './story.ts';

const fold = (entries: readonly Entry[]) => entries.reduce(applyEntry, EMPTY_STATE);
const holding = fold(chain([0, config()], [1, elected(a)], [1, granted(a)]));
const good: NodeCondition = {
  isReachable: true,
  isStandby: false,
  isDamaged: false,
  isExecutorReady: true,
  disk: 'up-to-date',
};

it('an in-sync, healthy data node may take over', () => {
  expect(eligibilityOf(b, holding, good)).toEqual({ node: 'b', mayTakeOver: true, obstacles: [] });
});

it('what is not known is not good enough', () => {
  const unknown: NodeCondition = {
    isReachable: null,
    isStandby: false,
    isDamaged: null,
    isExecutorReady: null,
    disk: null,
  };
  expect(eligibilityOf(b, holding, unknown).obstacles).toHaveLength(4);
  expect(eligibilityOf(b, holding, undefined).mayTakeOver).toBe(false);
});

it.each([
  ['a stranger', nodeId('x'), holding, good, /not a member/],
  ['W1: the witness', w, holding, good, /witness/],
  ['the holder', a, holding, good, /holds the resources already/],
  [
    'H3: an outdated node',
    b,
    fold(chain([0, config()], [1, elected(a)], [1, granted(a)], [1, outdated(b, 3)])),
    good,
    /not in sync/,
  ],
  ['standby', b, holding, { ...good, isStandby: true }, /standby/],
  ['D2: a damaged node', b, holding, { ...good, isDamaged: true }, /damaged/],
  ['a failed disk', b, holding, { ...good, disk: 'failed' as const }, /disk .* failed/],
])('refuses %s with a sentence', (_what, node, state, condition, sentence) => {
  const { mayTakeOver, obstacles } = eligibilityOf(node, state, condition);
  expect(mayTakeOver).toBe(false);
  expect(obstacles).toEqual([expect.stringMatching(sentence)]);
});

it('lists targets with the eligible first, never the holder or the witness', () => {
  const c = { id: nodeId('c'), witness: false, learner: false };
  const state = fold(
    chain(
      [0, config({ members: [...config().members, c], inSync: [a, c.id] })],
      [1, elected(a)],
      [1, granted(a)],
    ),
  );
  const targets = takeoverTargets(
    state,
    new Map([
      [b, good],
      [c.id, good],
    ]),
  );
  expect(targets.map(({ node, mayTakeOver }) => [node, mayTakeOver])).toEqual([
    ['c', true],
    ['b', false],
  ]);
});
