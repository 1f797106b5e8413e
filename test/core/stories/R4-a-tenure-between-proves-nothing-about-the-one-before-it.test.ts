/** What a resource may do only with proof (`zpool import -f`) must not become allowed because somebody else let go meanwhile. */
import { expect, test } from 'vitest';
import { DATA3, Table } from '../../support/story.ts';

const isProven = (table: Table, id: string): boolean => {
  const { epoch, provenEpochs } = table.see(id);
  if (epoch === null) throw new Error(`${id} holds nothing`);
  return provenEpochs.includes(epoch);
};

test('a release in the log proves it, and so does that nobody has held before', () => {
  const table = new Table();
  table.elect('a');
  expect(isProven(table, 'a')).toBe(true);
  table.transfer('a', 'b');
  table.released('a');
  table.until('b holds', () => table.see('b').mayHold, 1_000);
  expect(isProven(table, 'b')).toBe(true);
});

test('the end of a promise is no proof, and the release of the next holder is none about the dead one', () => {
  const table = new Table({ members: DATA3 });
  table.elect('a');
  table.crash('a');
  table.elect('b');
  table.until('b holds', () => table.see('b').mayHold, 1_000);
  expect(isProven(table, 'b')).toBe(false);
  // Its takeover has not succeeded: it may have failed at that very resource.
  table.transfer('b', 'c');
  table.released('b');
  table.until('c holds', () => table.see('c').mayHold, 1_000);
  expect(isProven(table, 'c')).toBe(false);
});
