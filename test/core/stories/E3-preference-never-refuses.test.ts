import { expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

/** a holds; b's data is stale; then a dies. */
function staleB(): Table {
  const table = new Table({ members: DATA3 });
  table.elect('a');
  expect(table.propose('a', { kind: 'peer-outdated', peer: 'b' })).toBe('accepted');
  table.pass(200);
  expect(table.see('b').inSync).toEqual(['a', 'c']);
  return table;
}

test('E3: a stale node is voted for like any other', () => {
  const table = staleB();
  table.lets = () => false;
  table.wait(5_000);
  const { lastIndex, lastTerm, term } = table.see('c');
  table.deliver(
    forge({ kind: 'pre-vote', from: 'b', to: 'c', term, lastIndex, lastTerm }),
    forge({ kind: 'vote', from: 'b', to: 'c', term: term + 1, lastIndex, lastTerm }),
  );
  const answers = table.takeHeld(
    (message) => message.from === 'c' && message.to === 'b' && message.kind.endsWith('-ack'),
  );
  expect(answers.map((message) => bodyOf(message).granted)).toEqual([true, true]);
});

test('E3: but it lets the others go first, on every seed', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const table = new Table({ members: DATA3, seed });
    table.elect('a');
    table.propose('a', { kind: 'peer-outdated', peer: 'b' });
    table.pass(200);
    table.crash('a');
    const [b, c] = [table.node('b').nextDeadlineMs() ?? 0, table.node('c').nextDeadlineMs() ?? 0];
    expect(b).toBeGreaterThan(c);
    table.until('c holds', () => table.see('c').mayHold);
  }
});
