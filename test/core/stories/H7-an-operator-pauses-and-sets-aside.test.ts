import { describe, expect, test } from 'vitest';
import { DATA3, Table } from '../../support/story.ts';

const grants = (table: Table, of: string) =>
  table.kinds(of).filter((kind) => kind === 'tenure-granted').length;
const pause = (table: Table, leader: string) => table.propose(leader, { kind: 'pause', paused: true });
const resume = (table: Table, leader: string) => table.propose(leader, { kind: 'pause', paused: false });
const standby = (table: Table, leader: string, node: string, is = true) =>
  table.propose(leader, { kind: 'standby', node, standby: is });

function held(config: ConstructorParameters<typeof Table>[0] = {}): Table {
  const table = new Table(config);
  table.elect('a');
  expect(table.holders).toEqual(['a']);
  return table;
}

describe('H7: while it is paused', () => {
  test('the holder goes on', () => {
    const table = held();
    expect(pause(table, 'a')).toBe('accepted');
    table.pass(10_000);
    expect(table.holders).toEqual(['a']);
  });

  test('a leader that is elected grants no tenure, does not renounce, and takes it as soon as somebody resumes', () => {
    const table = held();
    pause(table, 'a');
    table.crash('a');
    table.elect('b');
    table.pass(20_000);
    expect(table.see('b')).toMatchObject({ role: 'leader', mayHold: false, renounced: false });
    expect([table.holders, grants(table, 'b')]).toEqual([[], 1]);
    const { term } = table.see('b');
    expect(resume(table, 'b')).toBe('accepted');
    table.pass(100);
    expect(table.holders).toEqual(['b']);
    expect(table.see('b').term).toBe(term);
  });

  test('the holder that lost its lease gets none either', () => {
    const table = held();
    pause(table, 'a');
    table.lets = () => false;
    table.pass(500);
    table.takeHeld();
    table.lets = () => true;
    if (table.see('a').releasing) table.released('a');
    table.until('somebody leads', () => ['a', 'b'].some((id) => table.see(id).role === 'leader'));
    table.pass(5_000);
    expect(table.holders).toEqual([]);
  });

  test('nothing is handed over, by whatever reason', () => {
    const table = held();
    pause(table, 'a');
    table.transfer('a', 'b');
    table.pass(3_000);
    expect(table.holders).toEqual(['a']);
    // H3: its disk has failed; it goes on over the network, and would have moved.
    table.propose('a', { kind: 'self-outdated' });
    table.pass(3_000);
    expect(table.see('a')).toMatchObject({ inSync: ['b'], mayHold: true });
    resume(table, 'a');
    table.pass(100);
    if (table.see('a').releasing) table.released('a');
    table.until('b holds', () => table.holders.join() === 'b');
  });

  test('a pause that is not committed keeps the gate shut, and no grant ever stands behind it', () => {
    const table = new Table({ members: DATA3 });
    // Elected and confirmed, but its first entry is not committed: so it is not through the gate yet.
    table.lets = ({ kind }) => kind !== 'append-ack';
    table.elect('a');
    pause(table, 'a');
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    table.pass(2_000);
    expect(table.kinds('a')).toEqual(['config', 'elected', 'pause']);
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: false });
  });

  test('a preparation that is under way is dropped: how it ends does not matter, and its leader does not renounce', () => {
    const table = new Table({ neverAnswers: ['a'] });
    table.elect('a');
    table.pass(100);
    pause(table, 'a');
    const { term } = table.see('a');
    table.pass(10_000);
    expect(table.see('a')).toMatchObject({ role: 'leader', term, renounced: false, mayHold: false });
  });

  test('an override is refused, because its node would wait all the same', () => {
    const table = held();
    table.propose('a', { kind: 'peer-outdated', peer: 'b' });
    pause(table, 'a');
    table.crash('a');
    table.elect('b');
    table.pass(1_000);
    expect(table.propose('b', { kind: 'forced', node: 'b' })).toBe('refused');
    resume(table, 'b');
    expect(table.propose('b', { kind: 'forced', node: 'b' })).toBe('accepted');
  });
});

describe('a node on standby', () => {
  test('votes and has the log, and another one takes over', () => {
    const table = held({ members: DATA3 });
    expect(standby(table, 'a', 'b')).toBe('accepted');
    table.crash('a');
    table.until('c holds', () => table.holders.join() === 'c');
    expect(table.see('b').lastIndex).toBe(table.see('c').lastIndex);
  });

  test('that is elected hands over to whoever may hold', () => {
    const table = held({ members: DATA3 });
    standby(table, 'a', 'b');
    table.crash('a');
    table.elect('b');
    table.until('c holds', () => table.holders.join() === 'c');
    expect(grants(table, 'c')).toBe(2);
  });

  test('alone with the witness holds nothing, and leads anew as soon as it is active', () => {
    const table = held();
    standby(table, 'a', 'b');
    table.crash('a');
    table.elect('b');
    table.pass(3_000);
    expect([table.see('b').role, table.holders]).toEqual(['leader', []]);
    expect(standby(table, 'b', 'b', false)).toBe('accepted');
    table.until('b holds', () => table.holders.join() === 'b', 1_000);
  });

  test('is no target of a transfer', () => {
    const table = held();
    standby(table, 'a', 'b');
    table.transfer('a', 'b');
    table.pass(3_000);
    expect(table.holders).toEqual(['a']);
    standby(table, 'a', 'b', false);
    table.transfer('a', 'b');
    table.pass(100);
    table.released('a');
    table.until('b holds', () => table.holders.join() === 'b');
  });

  test('is none from the moment that it is written, before that is committed', () => {
    const table = held();
    table.lets = ({ kind }) => kind !== 'append-ack';
    standby(table, 'a', 'b');
    table.transfer('a', 'b');
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    table.pass(200);
    expect(table.see('a')).toMatchObject({ mayHold: true, releasing: false });
  });

  test('in sync alone: the holder whose disk has failed goes on, and moves as soon as the other one is active', () => {
    const table = held();
    standby(table, 'a', 'b');
    table.propose('a', { kind: 'self-outdated' });
    table.pass(5_000);
    expect(table.see('a')).toMatchObject({ inSync: ['b'], mayHold: true, releasing: false });
    standby(table, 'a', 'b', false);
    table.pass(100);
    expect(table.see('a').releasing).toBe(true);
    table.released('a');
    table.until('b holds', () => table.holders.join() === 'b');
  });

  test.each(['w', 'x'])('is a data node, not %s', (node) => {
    expect(standby(held(), 'a', node)).toBe('refused');
  });
});
