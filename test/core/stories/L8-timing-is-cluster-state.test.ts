import { describe, expect, test } from 'vitest';
import { Table, touches } from '../../support/story.ts';

const PAIR = [{ id: 'a' }, { id: 'b' }, { id: 'w', witness: true }];

/** A pair with a witness, without watchdogs: P is k(L + g + D). */
function holder(more: ConstructorParameters<typeof Table>[0] = {}): Table {
  const table = new Table({ members: PAIR, watchdog: null, ...more });
  table.elect('a');
  table.pass(200);
  return table;
}
const seen = (table: Table, id: string) => table.see(id).timing;

describe('L8: L and D grow only after every voter has the larger promise on its disk', () => {
  test('with all there it takes two entries, and the holder holds on', () => {
    const table = holder();
    const before = seen(table, 'a');
    expect(table.propose('a', { kind: 'set-timing', leaseMs: 2_000, releaseMs: 3_000 })).toBe('accepted');
    table.pass(300);
    for (const id of ['a', 'b', 'w'])
      expect(seen(table, id)).toMatchObject({ leaseMs: 2_000, releaseMs: 3_000 });
    expect(seen(table, 'a').promiseMs).toBeGreaterThan(before.promiseMs);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1, goal: null });
    expect(table.kinds('a').filter((kind) => kind === 'config')).toHaveLength(3);
    // The lease is as long as it says.
    table.pass(500);
    expect(table.see('a').leaseUntilMs).toBeGreaterThan(table.now + 1_500);
  });

  test('a voter that is away holds it up: the promise has grown, and nothing else', () => {
    const table = holder();
    const before = seen(table, 'a');
    table.crash('b');
    table.propose('a', { kind: 'set-timing', leaseMs: 2_000 });
    table.pass(5_000);
    expect(seen(table, 'a').leaseMs).toBe(before.leaseMs);
    expect(seen(table, 'a').promiseMs).toBeGreaterThan(before.promiseMs);
    table.boot('b');
    table.pass(1_000);
    expect(seen(table, 'a').leaseMs).toBe(2_000);
    expect(table.see('a').goal).toBeNull();
  });

  test('a voter that has acknowledged and not synced holds it up', () => {
    const table = holder();
    const before = seen(table, 'a');
    table.stalled.add('b');
    table.propose('a', { kind: 'set-timing', leaseMs: 2_000 });
    table.pass(300);
    expect(seen(table, 'a').leaseMs).toBe(before.leaseMs);
    table.stalled.delete('b');
    table.settle();
    table.pass(300);
    expect(seen(table, 'a').leaseMs).toBe(2_000);
  });

  test('a voter that starts again with the larger promise on its disk, and no word of the commit, promises the larger one (L4)', () => {
    const table = holder();
    const before = seen(table, 'b').promiseMs;
    // The entry arrives, and nothing after it: not its commit either.
    let appends = 0;
    table.lets = (message) => {
      if (message.to !== 'b') return true;
      if (message.kind === 'append') appends += 1;
      return message.kind === 'append' && appends === 1;
    };
    table.propose('a', { kind: 'set-timing', leaseMs: 2_000 });
    expect(table.see('b').goal?.leaseMs).toBe(2_000);
    expect(table.see('b').commitIndex).toBeLessThan(table.see('b').lastIndex);
    table.crash('b', 'keep');
    table.lets = (message) => !touches(message, 'b');
    table.boot('b');
    const { promiseUntilMs } = table.see('b');
    expect(promiseUntilMs - table.now).toBeGreaterThan(before + 1_000);
  });

  test('the next leader goes on with it', () => {
    const table = holder();
    table.lets = (message) => !touches(message, 'w');
    table.propose('a', { kind: 'set-timing', leaseMs: 2_000 });
    table.pass(200);
    table.crash('a');
    table.lets = () => true;
    table.until('b holds', () => table.see('b').mayHold, 20_000);
    expect(table.see('b').goal?.leaseMs).toBe(2_000);
    table.boot('a');
    table.until('the lease has grown', () => seen(table, 'b').leaseMs === 2_000, 5_000);
  });
});

describe('L8: P shrinks only after L and D have', () => {
  test('first L and D, at once; P a whole old promise later', () => {
    const table = holder({ leaseMs: 2_000, releaseMs: 3_000 });
    const before = seen(table, 'a').promiseMs;
    table.propose('a', { kind: 'set-timing', leaseMs: 400, releaseMs: 500 });
    table.pass(100);
    expect(seen(table, 'a')).toMatchObject({ leaseMs: 400, releaseMs: 500, promiseMs: before });
    table.pass(before - 300);
    expect(seen(table, 'a').promiseMs).toBe(before);
    table.pass(600);
    expect(seen(table, 'a').promiseMs).toBeLessThan(1_000);
    expect(seen(table, 'w').promiseMs).toBeLessThan(1_000);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1, goal: null });
  });

  test('not while the executor of the leader works with the old values', () => {
    const table = holder({ leaseMs: 2_000, releaseMs: 3_000, keepsTiming: ['a'] });
    const before = seen(table, 'a').promiseMs;
    table.propose('a', { kind: 'set-timing', leaseMs: 400, releaseMs: 500 });
    table.pass(3 * before);
    expect(seen(table, 'a')).toMatchObject({ leaseMs: 400, promiseMs: before });
    expect(table.see('a').goal).not.toBeNull();
  });

  test('nor where it was told of others in between, and has not said that it is back at these', () => {
    const keepsTiming: string[] = [];
    const table = holder({ leaseMs: 400, releaseMs: 500, keepsTiming });
    keepsTiming.push('a');
    table.propose('a', { kind: 'set-timing', leaseMs: 2_000, releaseMs: 3_000 });
    table.pass(300);
    const long = seen(table, 'a').promiseMs;
    expect(seen(table, 'a').releaseMs).toBe(3_000);
    table.propose('a', { kind: 'set-timing', leaseMs: 400, releaseMs: 500 });
    table.pass(3 * long);
    expect(seen(table, 'a')).toMatchObject({ releaseMs: 500, promiseMs: long });
    expect(table.see('a').goal).not.toBeNull();
  });

  test('one that grows and one that shrinks: the promise covers both all the time', () => {
    const table = holder({ leaseMs: 2_000, releaseMs: 500 });
    const old = seen(table, 'a').promiseMs;
    table.propose('a', { kind: 'set-timing', leaseMs: 400, releaseMs: 5_000 });
    table.pass(100);
    const between = seen(table, 'a').promiseMs;
    expect(between).toBeGreaterThan(old);
    table.pass(2 * between);
    expect(seen(table, 'a')).toMatchObject({ leaseMs: 400, releaseMs: 5_000, promiseMs: between });
  });
});

describe('L8: what is refused', () => {
  test('a second change of the members or the timing before the first is committed, and one by who does not lead', () => {
    const table = holder();
    table.lets = (message) => message.kind !== 'append-ack';
    expect(table.propose('a', { kind: 'set-timing', leaseMs: 900 })).toBe('accepted');
    expect(table.propose('a', { kind: 'set-timing', leaseMs: 800 })).toBe('refused');
    expect(table.propose('a', { kind: 'remove', member: { id: 'w' } })).toBe('refused');
    expect(table.propose('b', { kind: 'set-timing', leaseMs: 800 })).toBe('refused');
  });

  test('a shorter watchdog, and one where there was none; a longer one is taken', () => {
    const table = new Table({ members: PAIR, watchdog: { timeoutMs: 1_000, petWindowMs: 600 } });
    table.elect('a');
    table.pass(200);
    expect(table.propose('a', { kind: 'set-timing', watchdogMs: 500 })).toBe('refused');
    expect(table.propose('a', { kind: 'set-timing', watchdogMs: 3_000 })).toBe('accepted');
    table.pass(300);
    expect(seen(table, 'a').watchdog?.timeoutMs).toBe(3_000);
    const none = holder();
    expect(none.propose('a', { kind: 'set-timing', watchdogMs: 3_000 })).toBe('refused');
  });

  test('a change of the members keeps the timing that is on its way', () => {
    const table = holder();
    table.crash('b');
    table.propose('a', { kind: 'set-timing', leaseMs: 2_000 });
    table.pass(500);
    table.propose('a', { kind: 'add-learner', member: { id: 'n' } });
    expect(table.see('a').goal?.leaseMs).toBe(2_000);
    // Who is no member any more is not waited for.
    expect(table.propose('a', { kind: 'remove', member: { id: 'b' } })).toBe('accepted');
    table.pass(500);
    expect(seen(table, 'a').leaseMs).toBe(2_000);
  });
});
