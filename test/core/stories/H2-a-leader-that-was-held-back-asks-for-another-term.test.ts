import { expect, test } from 'vitest';
import { Table } from '../../support/story.ts';

test('an operator has lifted what held it back: it renounced, so it gets nothing in its term, and is elected once more', () => {
  const table = new Table({ cannotHold: ['b'] });
  table.elect('a');
  table.crash('a');
  table.elect('b');
  table.pass(table.config.leaseMs);
  const { term, renounced } = table.see('b');
  expect([renounced, table.holders]).toEqual([true, []]);
  table.leadAnew('b');
  expect(table.see('b').mayHold).toBe(false);
  table.until('b leads again', () => table.see('b').role === 'leader' && table.see('b').term > term, 1_000);
  const elected = table.see('b').entries.findLast(({ kind }) => kind === 'elected');
  expect(elected?.term).toBe(table.see('b').term);
});

test('whoever holds, follows, or is a caretaker is not moved by it', () => {
  const table = new Table();
  table.elect('a');
  table.pass(200);
  const before = ['a', 'b', 'w'].map((id) => [table.see(id).role, table.see(id).term]);
  for (const id of ['a', 'b', 'w']) table.leadAnew(id);
  expect(['a', 'b', 'w'].map((id) => [table.see(id).role, table.see(id).term])).toEqual(before);
  expect(table.holders).toEqual(['a']);
});

test('H3: a leader that is out of sync stays what it is', () => {
  const table = new Table();
  table.elect('a');
  table.propose('a', { kind: 'peer-outdated', peer: 'b' });
  table.pass(200);
  table.crash('a');
  table.elect('b');
  table.pass(table.config.leaseMs);
  const { term } = table.see('b');
  table.leadAnew('b');
  table.pass(50);
  expect([table.see('b').term, table.see('b').renounced, table.holders]).toEqual([term, true, []]);
});
