import { expect, test } from 'vitest';
import { corruptEntry } from '../../support/core-under-test.ts';
import { Table } from '../../support/story.ts';

test('D2: a follower that finds its disk damaged heals under the same leader, without any new proposal', () => {
  const table = new Table();
  table.elect('a');
  table.pass(1_000);
  table.crash('b');
  corruptEntry(table.disk('b'), 2);
  table.boot('b');
  expect(table.see('b').role).toBe('damaged');
  table.pass(10_000); // the leader's heartbeats flow; nobody writes anything
  expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true });
  expect(table.kinds('a')).toContain('repaired');
  expect(table.see('b').role).toBe('follower');
  expect(table.see('b').chain).toBe(table.see('a').chain);
});
