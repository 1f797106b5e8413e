import { describe, expect, it } from 'vitest';
import { mirrored, rosterOf } from '../../src/agent/roster.ts';
import { memberDifferences as differences } from '../../src/config/index.ts';
import { type Member, nodeId } from '../../src/core/index.ts';

const member = (id: string, more: Partial<Member> = {}): Member => {
  return { id: nodeId(id), witness: false, learner: false, peer: `log-${id}:7400`, ...more };
};
const known = (members: readonly Member[], ...removed: string[]) => ({
  members,
  removed: removed.map(nodeId),
});
/** Of node a. */
const config = {
  node: nodeId('a'),
  members: ['a', 'b', 'w'].map((id) => {
    return { id: nodeId(id), zone: null, peer: `${id}:7400`, witness: id === 'w' };
  }),
};

describe('whom a node talks to', () => {
  it('without a log: whom the file lists', () => {
    expect([...rosterOf(config, known([])).peers]).toEqual([
      ['b', 'b:7400'],
      ['w', 'w:7400'],
    ]);
    expect(rosterOf(config, known([])).dataNodes).toBeNull();
  });

  it('a member that the file does not list is reached where the log says; one that it lists, where the file says', () => {
    const { peers, dataNodes } = rosterOf(
      config,
      known([member('a'), member('b'), member('v', { witness: true })], 'w'),
    );
    expect(Object.fromEntries(peers)).toEqual({ b: 'b:7400', v: 'log-v:7400' });
    // The executor may have been told of others before.
    expect(dataNodes).toEqual(['b']);
  });

  it('nobody whose id was removed, in the file or not', () => {
    const { peers, removed } = rosterOf(config, known([member('a'), member('c')], 'b', 'w'));
    expect([[...peers.keys()], removed]).toEqual([['c'], ['b', 'w']]);
  });

  it('a node that is behind still hears whom its file lists, so that they can bring it up to date', () => {
    const { peers } = rosterOf(config, known([member('a'), member('x')]));
    expect([...peers.keys()].sort()).toEqual(['b', 'w', 'x']);
  });

  it('who may be in sync says the log: not learners, witnesses, or who gets snapshots', () => {
    const members = [
      member('a'),
      member('c'),
      member('d', { learner: true }),
      member('e', { snapshots: true }),
      member('v', { witness: true }),
    ];
    expect(mirrored(members, nodeId('a'))).toEqual(['c']);
    // Who the block layer is connected to cannot be told while one more data node comes.
    expect(rosterOf(config, known(members, 'b')).dataNodes).toEqual(['c', 'd']);
  });
});

describe('where file and log differ', () => {
  it('is said, each with the node', () => {
    const nowhere: Member = { id: nodeId('d'), witness: false, learner: false };
    const members = [member('a'), member('b', { witness: true }), member('c'), nowhere];
    expect(differences(config, known(members, 'w'))).toEqual([
      'b is a witness, the file says otherwise',
      'c is a member (at log-c:7400), and the file does not list it',
      'd is a member, and its address is not known here, and the file does not list it',
      'w was removed, and the file still lists it',
    ]);
  });

  it('is nothing where they agree, or there is no log', () => {
    const members = [member('a'), member('b'), member('w', { witness: true })];
    expect([differences(config, known(members)), differences(config, known([]))]).toEqual([[], []]);
  });
});
