import { expect, test } from 'vitest';
import { bodyOf, changed, DATA5, Table, touches } from '../../support/story.ts';

test("E4, Raft's figure 8: an entry of an older term on a majority is not committed, and may still be overwritten", () => {
  const table = new Table({ members: DATA5 });
  const crash = (...ids: string[]) => {
    for (const id of ids) if (table.isUp(id)) table.crash(id);
  };

  // (a) a leads term 1; its first entry reaches only b.
  table.lets = (message) => message.kind !== 'append' || touches(message, 'b');
  expect(table.elect('a')).toMatchObject({ term: 1, lastIndex: 2 });
  expect(table.see('b').lastIndex).toBe(2);

  // (b) a and b crash; e is elected with c and d in term 2 and keeps its entry to itself.
  crash('a', 'b');
  table.takeHeld();
  table.lets = (message) => message.kind !== 'append';
  expect(table.elect('e')).toMatchObject({ role: 'leader', term: 2, lastIndex: 2, lastTerm: 2 });
  expect(table.see('c').lastIndex).toBe(1);

  // (c) e crashes; a comes back and is elected in term 3; only its *old* entry reaches c.
  crash('e');
  table.takeHeld();
  table.boot('a');
  table.boot('b');
  table.lets = (message) => message.kind !== 'append';
  expect(table.elect('a')).toMatchObject({ role: 'leader', term: 3, lastIndex: 3 });
  const probes = table.takeHeld((message) => message.kind === 'append' && ['b', 'c'].includes(message.to));
  table.lets = (message) => message.kind !== 'append' || bodyOf(message).entries === undefined;
  table.deliver(...probes.map((message) => changed(message, { entries: [] })));
  const again = table.takeHeld((message) => message.kind === 'append' && ['b', 'c'].includes(message.to));
  const older = again.map((message) => {
    const entries = bodyOf(message).entries as { term: number }[];
    return changed(message, { entries: entries.filter((entry) => entry.term < 3) });
  });
  table.deliver(...older);
  for (const id of ['a', 'b', 'c']) expect(table.see(id).entries[1]).toMatchObject({ index: 2, term: 1 });
  expect(table.see('a').commitIndex).toBe(1); // on three of five, and still not committed

  // (d) a crashes; e is elected by c, d: its log ends in term 2. It overwrites what stood on a majority.
  crash('a', 'b');
  table.takeHeld();
  table.boot('e');
  table.lets = () => true;
  expect(table.elect('e')).toMatchObject({ role: 'leader', mayHold: true });
  expect(table.see('c').entries[1]).toMatchObject({ index: 2, term: 2 });
  expect(table.see('c').chain).toBe(table.see('e').chain);
  table.boot('a');
  table.boot('b');
  table.pass(3_000);
  expect(new Set(['a', 'b', 'c', 'd', 'e'].map((id) => table.see(id).chain)).size).toBe(1);
});
