import { expect, test } from 'vitest';
import { corruptEntry } from '../../support/core-under-test.ts';
import { Table } from '../../support/story.ts';

test('D2: a node that is damaged again, at the very `repaired` entry, under the same leader, heals again', () => {
  const table = new Table();
  table.elect('a');
  for (const round of [1, 2]) {
    table.crash('b');
    corruptEntry(table.disk('b'), table.see('a').lastIndex);
    table.boot('b');
    expect(table.see('b').role).toBe('damaged');
    table.pass(5_000);
    expect(table.see('b').role).toBe('follower');
    expect(table.kinds('a').filter((kind) => kind === 'repaired')).toHaveLength(round);
  }
});
