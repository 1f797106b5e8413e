import { describe, expect, test } from 'vitest';
import { DATA3, Table, touches } from '../../support/story.ts';

describe('L6: when the lease ends', () => {
  test('a leader that can send but not hear goes silent at once, releases, and follows in the same term', () => {
    const table = new Table();
    const { term } = table.elect('a');
    table.lets = (message) => message.to !== 'a';
    table.pass(399.9);
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true });
    expect(table.sent.filter((message) => message.kind === 'heartbeat').length).toBeGreaterThan(6);
    table.sent = [];
    table.pass(0.1);
    expect(table.see('a')).toMatchObject({ role: 'follower', term, mayHold: false, releasing: true });
    table.pass(10_000);
    const silent = ['heartbeat', 'append', 'pre-vote', 'vote'];
    expect(table.sent.filter((message) => message.from === 'a' && silent.includes(message.kind))).toEqual([]);
    expect(table.see('a').term).toBeGreaterThanOrEqual(term);
  });

  test('its silence lets the others elect, and never before its release must be over', () => {
    const table = new Table();
    table.elect('a');
    table.lets = (message) => message.to !== 'a';
    table.until('b holds', () => table.see('b').mayHold);
    expect(table.see('a').mayHold).toBe(false);
  });

  test('a leader that is never confirmed steps down a lease after its election', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => message.kind !== 'heartbeat-ack';
    const { term } = table.elect('a');
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: false, leaseUntilMs: null });
    table.pass(400);
    expect(table.see('a')).toMatchObject({ role: 'follower', term, releasing: false });
  });

  test('a leader steps down when heartbeats flow but the fsync of its own log does not', () => {
    const table = new Table();
    const { term } = table.elect('a');
    table.stalled.add('a');
    table.note('a', 'stuck');
    table.pass(399);
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true });
    table.pass(1);
    expect(table.see('a')).toMatchObject({ role: 'follower', term, mayHold: false, releasing: true });
  });

  test('an fsync that is slow but ends demotes nobody, however many there are', () => {
    const table = new Table();
    table.elect('a');
    for (let round = 0; round < 20; round += 1) {
      table.stalled.add('a');
      table.note('a', `slow ${round}`);
      table.pass(350);
      table.stalled.delete('a');
      table.settle();
    }
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true, term: 1 });
  });

  test('a leader steps down when it hears of a newer term', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = (message) => !touches(message, 'a');
    table.deliver({
      from: 'b',
      to: 'a',
      kind: 'heartbeat-ack',
      term: term + 1,
      body: { kind: 'heartbeat-ack', from: 'b', to: 'a', term: term + 1, seq: 1 },
    });
    expect(table.see('a')).toMatchObject({
      role: 'follower',
      term: term + 1,
      mayHold: false,
      releasing: true,
    });
  });
});
