import { describe, expect, test } from 'vitest';
import { corruptEntry, corruptHardState, newDisk } from '../../support/core-under-test.ts';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

/** b has lost an acknowledged entry and finds out when it starts. */
function damaged(index = 2, members = DATA3): Table {
  const table = new Table({ members });
  table.elect('a');
  table.note('a', 'x');
  table.pass(300);
  table.crash('b');
  corruptEntry(table.disk('b'), index);
  table.boot('b');
  return table;
}

describe('D2: a node whose disk has lost something that it acknowledged', () => {
  test('says so, keeps the longest valid prefix, and votes for nobody, not even for itself', () => {
    const table = damaged();
    expect(table.see('b')).toMatchObject({ role: 'damaged', lastIndex: 1, term: 1 });
    table.lets = () => false;
    table.asleep.add('a').add('c');
    table.pass(10_000);
    table.campaign('b');
    table.deliver(
      forge({ kind: 'pre-vote', from: 'c', to: 'b', term: 1 }),
      forge({ kind: 'vote', from: 'c', to: 'b', term: 2 }),
    );
    const answers = table.held.filter(({ kind }) => kind.endsWith('-ack'));
    expect(answers.map((message) => bodyOf(message).granted)).toEqual([false, false]);
    expect(table.held.filter(({ kind }) => kind === 'pre-vote' || kind === 'vote')).toEqual([]);
    expect(table.see('b')).toMatchObject({ role: 'damaged', term: 1, votedFor: 'a' });
  });

  test('takes appends until it is past its marker again; `repaired` stands in the log; then it votes', () => {
    const table = damaged(3);
    table.lets = (message) =>
      !(
        message.kind === 'append' &&
        message.to === 'b' &&
        JSON.stringify(message.body).includes('"repaired"')
      );
    table.note('a', 'y');
    table.pass(50);
    expect(table.see('b').lastIndex).toBeGreaterThanOrEqual(5);
    expect(table.see('b').role).toBe('damaged'); // the log is whole, the log does not say so yet
    table.takeHeld();
    table.lets = () => true;
    table.pass(500);
    expect(table.kinds('b').filter((kind) => kind === 'repaired')).toHaveLength(1);
    expect(table.see('b')).toMatchObject({ role: 'follower', chain: table.see('a').chain });
    table.crash('a');
    table.crash('c');
    table.boot('c');
    expect(table.elect('b')).toMatchObject({ role: 'leader', mayHold: true });
  });

  test('a crash in the middle of healing leaves it damaged; being healed survives one', () => {
    const table = damaged(2);
    table.lets = (message) =>
      !(
        message.kind === 'append' &&
        message.to === 'b' &&
        JSON.stringify(message.body).includes('"repaired"')
      );
    table.note('a', 'y');
    table.pass(50);
    table.crash('b', 'keep');
    expect(table.boot('b').observe().role).toBe('damaged');
    table.takeHeld();
    table.lets = () => true;
    table.note('a', 'z');
    table.pass(500);
    table.crash('b', 'keep');
    expect(table.boot('b').observe().role).toBe('follower');
  });

  test('with the whole log lost it heals from the first entry on', () => {
    const table = damaged(1);
    expect(table.see('b')).toMatchObject({ role: 'damaged', lastIndex: 0, members: [] });
    table.note('a', 'y');
    table.pass(500);
    expect(table.see('b')).toMatchObject({ role: 'follower', chain: table.see('a').chain });
  });

  test("a pair does not elect over a damaged node's missing entries", () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.lets = (message) => message.to !== 'c' || message.kind !== 'append';
    table.note('a', 'on a and b only');
    const { commitIndex } = table.see('a');
    table.pass(100);
    table.crash('a');
    table.crash('b');
    corruptEntry(table.disk('b'), commitIndex);
    table.boot('b');
    table.takeHeld();
    table.lets = () => true;
    table.pass(30_000);
    expect(table.see('c').role).not.toBe('leader'); // it would lose a committed entry
    table.boot('a');
    table.until('healed', () => table.see('b').role === 'follower');
    expect(table.see('c').entries.some((entry) => entry.text === 'on a and b only')).toBe(true);
  });
});

describe('D2: the hard state', () => {
  test.each(['log', 'marker'] as const)('with only the %s copy corrupt the node starts clean', (copy) => {
    const table = new Table();
    const { term } = table.elect('a');
    table.crash('b');
    corruptHardState(table.disk('b'), copy);
    table.boot('b');
    expect(table.see('b')).toMatchObject({
      role: 'follower',
      term,
      votedFor: 'a',
      chain: table.see('a').chain,
    });
  });

  test('with both copies corrupt it refuses to start', () => {
    const table = new Table();
    table.elect('a');
    table.crash('b');
    corruptHardState(table.disk('b'), 'both');
    expect(() => table.boot('b')).toThrow('hard state');
  });

  test('there is nothing to corrupt on an empty disk', () => {
    expect(() => corruptEntry(newDisk(), 1)).toThrow(RangeError);
  });
});
