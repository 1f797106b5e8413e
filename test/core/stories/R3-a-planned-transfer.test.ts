import { describe, expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table, touches } from '../../support/story.ts';

function holder(): Table {
  const table = new Table();
  table.elect('a');
  return table;
}

describe('R3: a transfer', () => {
  test('stops proposals, catches up, releases, commits the release, renounces, and only then says TimeoutNow', () => {
    const table = holder();
    table.lets = (message) => !(message.kind === 'append' && message.to === 'b');
    table.note('a', 'b lacks this');
    table.transfer('a', 'b');
    expect(table.note('a', 'too late')).toBe('refused');
    expect(table.see('a')).toMatchObject({ mayHold: true, releasing: false }); // b has not caught up
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    expect(table.see('a')).toMatchObject({
      role: 'leader',
      mayHold: false,
      releasing: true,
      renounced: false,
    });
    table.pass(3_000); // a busy mount: it stays leader, and releasing
    expect(table.see('a')).toMatchObject({ role: 'leader', releasing: true, term: 1 });
    expect(table.kinds('a')).not.toContain('tenure-released');

    table.lets = (message) => message.kind !== 'append-ack';
    table.released('a');
    expect(table.see('a')).toMatchObject({ releasing: false, renounced: false });
    expect(table.kinds('a').at(-1)).toBe('tenure-released');
    expect(table.sent.some(({ kind }) => kind === 'timeout-now')).toBe(false); // not committed yet
    table.lets = () => true;
    table.sent = [];
    table.deliver(...table.takeHeld());
    const renounced = table.sent.findIndex(
      (message) => message.kind === 'heartbeat' && bodyOf(message).renounced === true,
    );
    const timeoutNow = table.sent.findIndex(({ kind }) => kind === 'timeout-now');
    expect(renounced).toBeGreaterThanOrEqual(0);
    expect(timeoutNow).toBeGreaterThan(renounced);
    expect(table.holders).toEqual(['b']);
    expect(table.see('b').term).toBe(2);
  });

  test('a dropped TimeoutNow leaves nobody holding until a fresh election', () => {
    const table = holder();
    table.lets = ({ kind }) => kind !== 'timeout-now';
    table.transfer('a', 'b');
    table.released('a');
    expect(table.see('a').role).toBe('follower');
    expect(table.holders).toEqual([]);
    table.until('somebody holds', () => table.holders.length === 1);
    expect(table.see(table.holders[0] ?? '').term).toBeGreaterThan(1);
  });

  test('R2: a leader that released gets no second tenure in its term', () => {
    const table = holder();
    table.transfer('a', 'b');
    table.lets = (message) => !touches(message, 'b');
    table.released('a');
    const { promiseMs, term } = table.see('a');
    expect(table.see('a')).toMatchObject({ role: 'leader', renounced: true });
    table.pass(promiseMs - 1);
    expect(table.see('a')).toMatchObject({ term, mayHold: false, leaseUntilMs: null });
    table.until('a holds in a later term', () => table.see('a').mayHold);
    expect(table.see('a').term).toBeGreaterThan(term);
    const grants = table.see('a').entries.filter(({ kind }) => kind === 'tenure-granted');
    expect(new Set(grants.map((entry) => entry.term)).size).toBe(grants.length);
  });

  test('renounced messages set no promise and end the one to their sender, and so does no message that comes late', () => {
    const table = holder();
    table.lets = (message) => !(message.from === 'a' && message.to === 'w' && message.kind === 'heartbeat');
    table.pass(100);
    const late = table.takeHeld();
    expect(late.map((message) => bodyOf(message).renounced)).toEqual([false]);
    table.lets = ({ kind }) => kind !== 'timeout-now';
    table.transfer('a', 'b');
    table.released('a');
    const until = table.see('w').promiseUntilMs;
    expect(until).toBeLessThan(table.now);
    table.deliver(...late);
    expect(table.see('w').promiseUntilMs).toBe(until);
  });

  test('the votes carry the proof to a voter that heard nothing of it', () => {
    const table = holder();
    table.lets = (message) => !(message.from === 'a' && message.to === 'w');
    table.transfer('a', 'b');
    table.released('a');
    expect(table.holders).toEqual(['b']); // at this very instant: w's promise to a was still running
    const until = table.see('w').promiseUntilMs;
    table.deliver(...table.takeHeld());
    expect(table.see('w')).toMatchObject({ promiseUntilMs: until, leader: 'b' });
  });

  test('a vote without proof gets nothing from that voter', () => {
    const table = holder();
    table.lets = (message) => !(message.from === 'a' && message.to === 'w');
    table.transfer('a', 'b');
    table.lets = () => false;
    table.deliver(forge({ kind: 'vote', from: 'b', to: 'w', term: 2 }));
    expect(
      table.takeHeld(({ kind }) => kind === 'vote-ack').map((message) => bodyOf(message).granted),
    ).toEqual([false]);
    const proof = { node: 'a', term: 1 };
    table.deliver(forge({ kind: 'vote', from: 'b', to: 'w', term: 2, proof }));
    expect(
      table.takeHeld(({ kind }) => kind === 'vote-ack').map((message) => bodyOf(message).granted),
    ).toEqual([true]);
  });

  test.each(['nobody', 'w', 'a', 'n', 'c'])(
    'to %s: unknown, witness, itself, learner, out of sync: no effect',
    (to) => {
      const table = new Table({ members: [...DATA3, { id: 'w', witness: true }] });
      table.elect('a');
      table.boot('n');
      table.propose('a', { kind: 'add-learner', member: { id: 'n' } });
      table.propose('a', { kind: 'peer-outdated', peer: 'c' });
      table.pass(200);
      table.transfer('a', to);
      table.pass(2_000);
      expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true, term: 1 });
      expect(table.note('a', 'still open')).toBe('accepted');
    },
  );

  test('asked of a follower: no effect', () => {
    const table = holder();
    table.transfer('b', 'a');
    table.transfer('b', 'b');
    table.pass(1_000);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1 });
  });

  test('is given up when the target does not catch up, and the holder never stopped holding', () => {
    const table = holder();
    table.crash('b');
    table.note('a', 'b lacks this');
    table.transfer('a', 'b');
    const { promiseMs } = table.see('a');
    table.pass(promiseMs - 1);
    expect(table.see('a')).toMatchObject({ mayHold: true, releasing: false });
    expect(table.note('a', 'x')).toBe('refused');
    table.pass(1);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1 });
    expect(table.note('a', 'x')).toBe('accepted');
  });

  test('whose lease ends while it releases: it follows, stays releasing, and says so to nobody', () => {
    const table = holder();
    table.transfer('a', 'b');
    table.lets = () => false;
    table.pass(400);
    expect(table.see('a')).toMatchObject({ role: 'follower', releasing: true, term: 1 });
    table.takeHeld();
    table.released('a');
    expect(table.see('a').releasing).toBe(false);
    expect(table.held.map(({ kind, term }) => [kind, term])).toEqual([
      ['renounced', 1],
      ['renounced', 1],
    ]);
  });

  test('a TimeoutNow of an older term, or to a node that is bound by another promise, elects nobody', () => {
    const table = holder();
    table.lets = () => false;
    table.deliver(forge({ kind: 'timeout-now', from: 'w', to: 'b', term: 1 })); // the promise is to a
    expect(table.see('b')).toMatchObject({ role: 'follower', term: 1 });
    table.wait(5_000);
    table.deliver(forge({ kind: 'timeout-now', from: 'a', to: 'b', term: 0 }));
    expect(table.see('b').term).toBe(1);
    table.deliver(forge({ kind: 'timeout-now', from: 'a', to: 'w', term: 1 })); // a witness takes over from nobody
    expect(table.see('w')).toMatchObject({ term: 1, role: 'follower' });
  });
});
