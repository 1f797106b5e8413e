import { describe, expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

/** a holds; b, a follower, has promised until P after the last heartbeat that it saw. */
function promised(members = DATA3): { table: Table; until: number; term: number } {
  const table = new Table({ members });
  table.elect('a');
  table.lets = () => false;
  const { promiseUntilMs: until, term } = table.see('b');
  return { table, until, term };
}
const answers = (table: Table, kind: string) =>
  table.takeHeld((message) => message.kind === kind).map(bodyOf);

describe('L2: a promise binds', () => {
  test('every message of the leader promises P from its receipt, before the answer leaves', () => {
    const { table, term } = promised();
    for (const kind of ['heartbeat', 'append'] as const) {
      table.wait(37);
      const hash = { previousIndex: 0, previousTerm: 0, previousHash: '0'.repeat(64) };
      table.deliver(forge({ kind, from: 'a', to: 'b', term, seq: 77, ...hash }));
      expect(table.see('b').promiseUntilMs).toBe(table.now + table.see('b').promiseMs);
    }
    expect(answers(table, 'heartbeat-ack')).toHaveLength(1);
  });

  test('a leader that asks for more than P gets more, one that asks for less gets P (L8)', () => {
    const { table, term } = promised();
    const promiseMs = table.see('b').promiseMs;
    table.deliver(forge({ kind: 'heartbeat', from: 'a', to: 'b', term, promiseMs: 9_000 }));
    expect(table.see('b').promiseUntilMs).toBe(table.now + 9_000);
    table.wait(8_900);
    table.deliver(forge({ kind: 'heartbeat', from: 'a', to: 'b', term, promiseMs: 1 }));
    expect(table.see('b').promiseUntilMs).toBe(table.now + promiseMs);
  });

  test('no pre-vote and no vote until the last instant, and the term is not raised', () => {
    const { table, until, term } = promised();
    table.wait(until - table.now - 0.001);
    table.deliver(
      forge({ kind: 'pre-vote', from: 'c', to: 'b', term: term + 5, nextTerm: term + 6 }),
      forge({ kind: 'vote', from: 'c', to: 'b', term: term + 6 }),
    );
    expect(answers(table, 'pre-vote-ack')).toMatchObject([{ granted: false, term }]);
    expect(answers(table, 'vote-ack')).toMatchObject([{ granted: false, term }]);
    expect(table.see('b')).toMatchObject({ term, votedFor: 'a' });
    table.wait(0.001);
    table.deliver(forge({ kind: 'vote', from: 'c', to: 'b', term: term + 6 }));
    expect(answers(table, 'vote-ack')).toMatchObject([{ granted: true, term: term + 6 }]);
  });

  test('nor for the leader that it promised to, in a later term', () => {
    const { table, term } = promised();
    table.deliver(forge({ kind: 'vote', from: 'a', to: 'b', term: term + 1 }));
    expect(answers(table, 'vote-ack')).toMatchObject([{ granted: false }]);
  });

  test("a candidate's own vote is bound like any other: a forced campaign waits", () => {
    const { table, until, term } = promised();
    table.campaign('b');
    expect(table.see('b')).toMatchObject({ role: 'follower', term });
    expect(table.held.filter((message) => message.from === 'b')).toEqual([]);
    table.wait(until - table.now);
    table.campaign('b');
    expect(table.see('b')).toMatchObject({ role: 'pre-candidate', term });
  });

  test('a candidate alone in its cluster is bound by its own boot promise', () => {
    const table = new Table({ members: [{ id: 'a' }] });
    const { promiseMs } = table.see('a');
    table.wait(promiseMs - 0.001);
    table.campaign('a');
    expect(table.see('a')).toMatchObject({ role: 'follower', term: 0 });
    table.wait(0.001);
    table.campaign('a');
    expect(table.see('a')).toMatchObject({ role: 'leader', term: 1, mayHold: true });
  });
});

describe('L2: nothing lowers a promise but proof', () => {
  test('a newer term does not', () => {
    const { table, until, term } = promised();
    table.deliver(forge({ kind: 'pre-vote-ack', from: 'c', to: 'b', term: term + 9, granted: false }));
    expect(table.see('b')).toMatchObject({ term: term + 9, leader: null, promiseUntilMs: until });
    table.deliver(forge({ kind: 'vote', from: 'c', to: 'b', term: term + 10 }));
    expect(answers(table, 'vote-ack')).toMatchObject([{ granted: false }]);
  });

  test('forgetting the leader and its silence do not', () => {
    const { table, until } = promised();
    table.asleep.add('a');
    table.pass(until - table.now - 1);
    expect(table.see('b')).toMatchObject({ promiseUntilMs: until, role: 'follower' });
  });

  test('a new leader of a later term extends, and never shortens', () => {
    const { table, term } = promised();
    table.deliver(forge({ kind: 'heartbeat', from: 'a', to: 'b', term, promiseMs: 9_000 }));
    const until = table.now + 9_000;
    table.deliver(forge({ kind: 'heartbeat', from: 'c', to: 'b', term: term + 1 }));
    expect(table.see('b')).toMatchObject({ promiseUntilMs: until, leader: 'c', term: term + 1 });
  });

  test('a config change does not', () => {
    const { table } = promised();
    table.lets = () => true;
    table.pass(40);
    expect(table.propose('a', { kind: 'remove', member: { id: 'c' } })).toBe('accepted');
    expect(table.see('b').members.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(table.see('b').promiseUntilMs).toBe(table.now + table.see('b').promiseMs);
  });

  test('a message of an outdated leader promises nothing and is told so', () => {
    const { table, until, term } = promised();
    table.deliver(forge({ kind: 'pre-vote-ack', from: 'c', to: 'b', term: term + 9, granted: false }));
    table.wait(100);
    table.deliver(forge({ kind: 'heartbeat', from: 'a', to: 'b', term, seq: 5 }));
    expect(table.see('b').promiseUntilMs).toBe(until);
    expect(answers(table, 'heartbeat-ack')).toMatchObject([{ term: term + 9 }]);
  });
});
