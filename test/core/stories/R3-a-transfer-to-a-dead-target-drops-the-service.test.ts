import { expect, test } from 'vitest';
import { Table } from '../../support/story.ts';

test('R3: a target that has the whole log but is dead is not waited for with everything released: given up, still held', () => {
  const table = new Table();
  table.elect('a');
  table.crash('b'); // its log was complete
  table.pass(1_000);
  table.transfer('a', 'b');
  for (let ms = 0; ms < 2_000; ms += 10) {
    expect(table.see('a')).toMatchObject({ mayHold: true, releasing: false });
    table.pass(10);
  }
  expect(table.note('a', 'open again')).toBe('accepted');
});
