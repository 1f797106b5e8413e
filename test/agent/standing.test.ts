/** What a node's certificate is worth, by the log of the node that is asked. */
import { expect, it } from 'vitest';
import { standingOf } from '../../src/agent/standing.ts';
import { type Member, type NodeId, nodeId } from '../../src/core/index.ts';

const [a, b, c, d, w] = ['a', 'b', 'c', 'd', 'w'].map(nodeId) as [NodeId, NodeId, NodeId, NodeId, NodeId];
const member = (id: NodeId, learner = false): Member => ({ id, witness: id === w, learner });
const file = {
  node: a,
  members: [a, b, w].map((id) => ({ id, peer: `${id}:7400`, zone: null, witness: id === w })),
};
const log = { members: [member(a), member(w), member(c, true)], removed: [b] };

it('E5: a removed node is nobody, though the file still lists it', () => {
  expect(standingOf(file as never, log, b)).toBe('removed');
});

it('E5: also to its own agent, which has not ended yet', () => {
  expect(standingOf({ ...file, node: b } as never, log, b)).toBe('removed');
});

it('a voter, a learner and this very node are told apart', () => {
  expect([w, c, a].map((id) => standingOf(file as never, log, id))).toEqual(['voter', 'learner', 'self']);
  // A learner may restart its own agent.
  expect(standingOf({ ...file, node: c } as never, log, c)).toBe('self');
});

it('a node that the log does not have (yet) is a stranger, also one of the file', () => {
  expect(standingOf(file as never, log, d)).toBe('stranger');
  expect(standingOf(file as never, { members: [member(a)], removed: [] }, b)).toBe('stranger');
});

it('before there is a log the file says who they are', () => {
  const none = { members: [], removed: [] };
  expect([a, b, d].map((id) => standingOf(file as never, none, id))).toEqual(['self', 'voter', 'stranger']);
});

it('D2: with a damaged log nobody but this node is known, whatever the file or the rest of the log says', () => {
  for (const left of [log, { members: [], removed: [] }])
    expect([a, w, d].map((id) => standingOf(file as never, left, id, true))).toEqual([
      'self',
      'stranger',
      'stranger',
    ]);
  expect(standingOf(file as never, log, b, true)).toBe('removed');
});
