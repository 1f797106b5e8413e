import { describe, expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

const votesOf = (table: Table) =>
  table
    .takeHeld((message) => message.kind === 'vote-ack' || message.kind === 'pre-vote-ack')
    .map((message) => bodyOf(message).granted);

function ask(table: Table, to: string, term: number): unknown[] {
  table.deliver(
    forge({ kind: 'pre-vote', from: 'c', to, term }),
    forge({ kind: 'vote', from: 'c', to, term: term + 1 }),
  );
  return votesOf(table);
}

describe('L3', () => {
  test('a leader grants no vote, whatever the term, and stays', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = () => false;
    table.wait(300);
    expect(ask(table, 'a', term + 3)).toEqual([false, false]);
    expect(table.see('a')).toMatchObject({ role: 'leader', term, mayHold: true });
  });

  test('nor does a leader that holds nothing yet', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => message.kind !== 'append-ack';
    const { term, mayHold } = table.elect('a');
    expect(mayHold).toBe(false);
    table.lets = () => false;
    table.takeHeld();
    expect(ask(table, 'a', term + 3)).toEqual([false, false]);
    expect(table.see('a')).toMatchObject({ role: 'leader', term });
  });

  test('an ex-leader that is still releasing grants none, long after every promise, and does not campaign', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = () => false;
    table.pass(400);
    expect(table.see('a')).toMatchObject({ role: 'follower', releasing: true });
    table.asleep.add('b').add('c');
    table.pass(20_000);
    expect(ask(table, 'a', term + 3)).toEqual([false, false]);
    table.campaign('a');
    expect(table.see('a')).toMatchObject({ role: 'follower', term, releasing: true, votedFor: 'a' });
    table.released('a');
    table.takeHeld();
    expect(ask(table, 'a', term + 3)).toEqual([true, true]);
  });

  test('nor in a later term that it has learnt of', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = () => false;
    table.deliver(forge({ kind: 'heartbeat', from: 'b', to: 'a', term: term + 1 }));
    expect(table.see('a')).toMatchObject({ role: 'follower', term: term + 1, releasing: true, leader: 'b' });
    table.wait(10_000);
    table.takeHeld();
    expect(ask(table, 'a', term + 3)).toEqual([false, false]);
  });
});
