import { describe, expect, test } from 'vitest';
import { bodyOf, forge, Table, touches } from '../../support/story.ts';

/** a has committed a note with the witness alone, b lacks it, a dies. */
function onlyTheWitnessHasIt(): { table: Table; silentSince: number } {
  const table = new Table();
  table.elect('a');
  table.lets = (message) => !(message.kind === 'append' && message.to === 'b');
  table.note('a', 'b never saw this');
  expect(table.see('a').commitIndex).toBe(table.see('a').lastIndex);
  table.pass(100);
  const silentSince = table.now;
  table.crash('a');
  table.takeHeld();
  table.lets = () => true;
  return { table, silentSince };
}

describe('W1: the witness never holds', () => {
  test('it stores the whole log and is never in the in-sync set', () => {
    const table = new Table();
    table.elect('a');
    table.note('a', 'x');
    expect(table.see('w')).toMatchObject({ chain: table.see('a').chain, inSync: ['a', 'b'] });
    expect(table.propose('a', { kind: 'peer-in-sync', peer: 'w' })).toBe('refused');
    expect(table.see('a').inSync).toEqual(['a', 'b']);
  });

  test('it may lead, and holds nothing even when everybody confirms it', () => {
    const { table } = onlyTheWitnessHasIt();
    table.lets = (message) => message.kind !== 'timeout-now';
    table.until(
      'caretaker',
      () =>
        table.see('w').role === 'caretaker' ||
        table.kinds('w').filter((kind) => kind === 'elected').length > 1,
    );
    table.pass(50);
    expect(table.see('w')).toMatchObject({ mayHold: false, epoch: null, leaseUntilMs: null });
    expect(table.kinds('w').filter((kind) => kind === 'tenure-granted')).toHaveLength(1);
  });
});

describe('W2: when the witness becomes a caretaker', () => {
  test('never, however long the silence, unless it has refused an older log', () => {
    const table = new Table();
    table.elect('a');
    table.crash('a');
    table.crash('b');
    table.sent = [];
    table.pass(60_000);
    table.campaign('w');
    expect(table.see('w').role).toBe('follower');
    expect(table.sent).toEqual([]);
  });

  test('not before P and two election windows without a leader, although it has refused', () => {
    const { table, silentSince } = onlyTheWitnessHasIt();
    const due = silentSince + table.see('w').promiseMs + 2 * table.config.heartbeatMs;
    table.until('b asks', () =>
      table.sent.some((message) => message.kind === 'pre-vote' && message.from === 'b'),
    );
    const refused = table.sent.findLast((message) => message.kind === 'pre-vote-ack' && message.from === 'w');
    expect(refused?.body).toMatchObject({ granted: false });
    table.pass(due - table.now - 1);
    expect(table.sent.filter((message) => message.kind === 'pre-vote' && message.from === 'w')).toEqual([]);
    table.pass(2);
    expect(table.sent.some((message) => message.kind === 'pre-vote' && message.from === 'w')).toBe(true);
  });

  test('a refusal while its promise binds is no reason', () => {
    const table = new Table();
    table.elect('a');
    table.deliver(forge({ kind: 'pre-vote', from: 'b', to: 'w', term: 1, lastIndex: 1, lastTerm: 0 }));
    table.crash('a');
    table.crash('b');
    table.pass(60_000);
    expect(table.see('w').role).toBe('follower');
  });

  test('a data node votes for it only if its own log is strictly older', () => {
    const table = new Table();
    const { term, lastIndex, lastTerm } = table.elect('a');
    table.lets = () => false;
    table.wait(5_000);
    const ask = (index: number, term: number) => {
      const log = { lastIndex: index, lastTerm, caretaker: true };
      table.deliver(
        forge({ kind: 'pre-vote', from: 'w', to: 'b', term, ...log }),
        forge({ kind: 'vote', from: 'w', to: 'b', term: term + 1, ...log }),
      );
      return table
        .takeHeld((message) => message.from === 'b' && message.to === 'w' && message.kind.endsWith('-ack'))
        .map((message) => bodyOf(message).granted);
    };
    expect(ask(lastIndex, term)).toEqual([false, false]);
    expect(ask(lastIndex + 1, term + 1)).toEqual([true, true]);
  });
});

describe('W3: what a caretaker does', () => {
  test('it is renounced from its first message, takes no proposals, hands over, and the data node holds', () => {
    const { table } = onlyTheWitnessHasIt();
    table.lets = (message) => message.kind !== 'append-ack';
    table.until('caretaker', () => table.see('w').role === 'caretaker');
    expect(table.see('w')).toMatchObject({ renounced: true, mayHold: false, leaseUntilMs: null });
    expect(table.note('w', 'please')).toBe('refused');
    expect(table.propose('w', { kind: 'peer-outdated', peer: 'b' })).toBe('refused');
    expect(table.propose('w', { kind: 'add-learner', member: { id: 'n' } })).toBe('refused');
    table.transfer('w', 'b');
    expect(table.see('w').role).toBe('caretaker');
    const led = table.sent.filter(
      (message) => message.from === 'w' && ['heartbeat', 'append'].includes(message.kind),
    );
    const ofItsTerm = led.filter((message) => message.term === table.see('w').term);
    expect(ofItsTerm.length).toBeGreaterThan(1);
    expect(ofItsTerm.every((message) => bodyOf(message).renounced === true)).toBe(true);
    expect(table.see('b').promiseUntilMs).toBeLessThan(table.now);
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    table.until('b holds', () => table.see('b').mayHold, 1_000);
    expect(table.see('b').entries.some((entry) => entry.text === 'b never saw this')).toBe(true);
    const elected = table.sent.findLast((message) => message.kind === 'vote' && message.from === 'b');
    expect(elected?.body).toMatchObject({ reason: 'transfer' });
  });

  test('a data node that went out of sync gets the log, leads, and still does not hold', () => {
    const table = new Table();
    table.elect('a');
    table.lets = (message) => !(message.kind === 'append' && message.to === 'b');
    table.propose('a', { kind: 'peer-outdated', peer: 'b' });
    expect(table.see('a').inSync).toEqual(['a']);
    table.crash('a');
    table.takeHeld();
    table.lets = () => true;
    table.until('b leads', () => table.see('b').role === 'leader');
    table.pass(30_000);
    expect(table.see('b')).toMatchObject({ role: 'leader', renounced: true, mayHold: false, inSync: ['a'] });
    expect(table.holders).toEqual([]);
  });

  test('it steps down after a bound when the data node does not catch up', () => {
    const { table } = onlyTheWitnessHasIt();
    table.lets = (message) => !(message.kind === 'append' && message.from === 'w');
    table.until('caretaker', () => table.see('w').role === 'caretaker');
    const { promiseMs, term } = table.see('w');
    table.pass(promiseMs - 11);
    expect(table.see('w').role).toBe('caretaker');
    table.pass(11);
    expect(table.see('w').role).not.toBe('caretaker');
    expect(table.see('w').term).toBe(term);
  });
});

describe('W4: losing the witness never demotes a pair that still sees each other', () => {
  test.each(['dies', 'is cut off', 'does not sync'])('it %s', (how) => {
    const table = new Table();
    const { term } = table.elect('a');
    if (how === 'dies') table.crash('w');
    else if (how === 'is cut off') table.lets = (message) => !touches(message, 'w');
    else table.stalled.add('w');
    for (let round = 0; round < 15; round += 1) {
      table.pass(1_000);
      expect(table.note('a', `${round}`)).toBe('accepted');
      expect(table.see('a')).toMatchObject({ mayHold: true, term, commitIndex: table.see('a').lastIndex });
    }
  });
});
