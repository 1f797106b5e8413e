import { describe, expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

describe('L4: at start', () => {
  test('nothing is held and a promise to nobody runs for P', () => {
    const table = new Table({ members: DATA3 });
    const seen = table.see('b');
    expect(seen).toMatchObject({
      mayHold: false,
      releasing: false,
      role: 'follower',
      epoch: null,
      leader: null,
    });
    expect(seen.promiseUntilMs).toBe(table.now + seen.promiseMs);
  });

  test('a voter that forgot its promise by a restart does not help a second leader', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = () => false;
    table.crash('b');
    table.boot('b');
    const { promiseUntilMs } = table.see('b');
    table.wait(promiseUntilMs - table.now - 0.001);
    table.deliver(
      forge({ kind: 'pre-vote', from: 'c', to: 'b', term }),
      forge({ kind: 'vote', from: 'c', to: 'b', term: term + 1 }),
    );
    const granted = () =>
      table.takeHeld((message) => message.from === 'b').map((message) => bodyOf(message).granted);
    expect(granted()).toEqual([false, false]);
    table.campaign('b');
    expect(table.see('b').role).toBe('follower');
    table.wait(0.001);
    table.takeHeld();
    table.deliver(forge({ kind: 'vote', from: 'c', to: 'b', term: term + 1 }));
    expect(granted()).toEqual([true]);
  });

  test('no statement about anybody ends it: it is a promise to nobody', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = () => false;
    table.crash('b');
    table.boot('b');
    const until = table.see('b').promiseUntilMs;
    for (const kind of ['released', 'renounced'] as const)
      table.deliver(forge({ kind, from: 'a', to: 'b', term: term + 7 }));
    table.deliver(forge({ kind: 'timeout-now', from: 'a', to: 'b', term: term + 7 }));
    expect(table.see('b')).toMatchObject({ promiseUntilMs: until, role: 'follower' });
  });

  test('a vote that was durable is remembered; one that was not never left', () => {
    const table = new Table({ members: DATA3 });
    table.pass(1);
    table.wait(table.see('b').promiseMs);
    table.lets = () => false;
    table.stalled.add('b');
    table.deliver(forge({ kind: 'vote', from: 'c', to: 'b', term: 4 }));
    expect(table.takeHeld((message) => message.kind === 'vote-ack')).toEqual([]);
    table.crash('b', 'keep');
    table.stalled.clear();
    table.boot('b');
    expect(table.see('b')).toMatchObject({ term: 4, votedFor: 'c' });
    table.wait(table.see('b').promiseMs);
    table.deliver(
      forge({ kind: 'vote', from: 'a', to: 'b', term: 4 }),
      forge({ kind: 'vote', from: 'c', to: 'b', term: 4 }),
    );
    const acks = table.takeHeld((message) => message.kind === 'vote-ack');
    expect(acks.map((message) => [message.to, bodyOf(message).granted])).toEqual([
      ['a', false],
      ['c', true],
    ]);
  });
});
