import { expect, test } from 'vitest';
import { aNote, bodyOf, chain, DATA3, forge, Table } from '../../support/story.ts';

const LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
const FOLLOWERS: Record<string, number[]> = {
  a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
  b: [1, 1, 1, 4],
  c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
  d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
  e: [1, 1, 1, 4, 4, 4, 4],
  f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
};

/** The log of figure 7, as a leader of its last term would have sent it; equal positions of equal terms are equal. */
function give(table: Table, id: string, terms: number[]): void {
  const first = { index: 1, hash: table.see(id).chain };
  const entries = chain(first, ...terms.map((term, place) => ({ term, body: aNote(`${term} at ${place}`) })));
  const last = terms.at(-1) ?? 0;
  table.deliver(
    forge({
      kind: 'append',
      from: 'c',
      to: id,
      term: last,
      previousIndex: 1,
      previousHash: first.hash,
      entries,
    }),
  );
  expect(
    table
      .see(id)
      .entries.slice(1)
      .map((entry) => entry.term),
  ).toEqual(terms);
}

test.each(Object.entries(FOLLOWERS))(
  "E4, Raft's figure 7: follower (%s) gets the leader's log",
  (_, terms) => {
    const table = new Table({ members: DATA3 }, ['a', 'b']); // c's place is taken by the story
    table.lets = () => false;
    give(table, 'a', LEADER);
    give(table, 'b', terms);
    table.wait(10_000);
    table.deliver(forge({ kind: 'pre-vote-ack', from: 'c', to: 'a', term: 7, granted: false }));
    table.campaign('a');
    const asked = table.held.findLast((message) => message.kind === 'pre-vote' && message.to === 'c');
    if (asked === undefined) throw new Error('a has not asked c');
    table.deliver(forge({ kind: 'pre-vote-ack', from: 'c', to: 'a', term: 7, round: bodyOf(asked).round }));
    table.deliver(forge({ kind: 'vote-ack', from: 'c', to: 'a', term: 8 }));
    expect(table.see('a')).toMatchObject({ role: 'leader', term: 8 });
    table.takeHeld();
    table.lets = () => true;
    table.pass(1_000);
    expect(table.see('a')).toMatchObject({ role: 'leader', term: 8, mayHold: true });
    expect(table.see('b').chain).toBe(table.see('a').chain);
    expect(
      table
        .see('b')
        .entries.slice(1, 11)
        .map((entry) => entry.term),
    ).toEqual(LEADER);
    expect(table.see('b').commitIndex).toBe(table.see('a').lastIndex);
  },
);
