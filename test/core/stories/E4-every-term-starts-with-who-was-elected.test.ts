import { expect, test } from 'vitest';
import type { Entry } from '../../../src/core/index.ts';
import { bodyOf, DATA3, Table } from '../../support/story.ts';

test('E4: every term starts with an `elected` entry, and what an older term left commits under it', () => {
  const table = new Table({ members: DATA3 });
  table.elect('a');
  table.lets = (message) => message.kind !== 'append-ack'; // the note reaches b and c, and a never hears of it
  table.note('a', 'orphan');
  const orphan = table.see('a').lastIndex;
  expect(table.see('a').commitIndex).toBe(orphan - 1);
  table.crash('a');
  table.takeHeld();
  table.lets = () => true;
  table.elect('b');
  const { entries, commitIndex, term } = table.see('b');
  expect(entries[orphan]).toMatchObject({ kind: 'elected', term });
  expect(commitIndex).toBeGreaterThan(orphan);
  for (const of of [1, 2]) expect(entries.find((entry) => entry.term === of)?.kind).toBe('elected');
});

test('E4: its votes are those that counted: a learner that answered too is not among them', () => {
  const table = new Table();
  table.elect('a');
  table.boot('n');
  expect(table.propose('a', { kind: 'add-learner', member: { id: 'n' } })).toBe('accepted');
  table.pass(500);
  table.crash('a');
  table.lets = ({ kind, from }) => !(kind === 'vote-ack' && from === 'w'); // the learner is first
  table.elect('b');
  table.deliver(...table.takeHeld());
  expect(table.see('b').role).toBe('leader');
  expect(table.sent.some(({ kind, from, to }) => kind === 'vote-ack' && from === 'n' && to === 'b')).toBe(
    true,
  );
  const appended = table.sent
    .filter(({ kind, from }) => kind === 'append' && from === 'b')
    .flatMap((message) => bodyOf(message).entries as Entry[]);
  const elected = appended.findLast(({ body }) => body.kind === 'elected')?.body;
  expect(elected).toMatchObject({ leader: 'b', votes: ['b', 'w'] });
});
