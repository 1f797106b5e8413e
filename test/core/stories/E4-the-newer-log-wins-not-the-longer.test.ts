import { expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

test('E4 (Raft §5.4.1): of two logs the one with the later last term is newer, however short', () => {
  const table = new Table({ members: DATA3 });
  const { lastIndex, lastTerm, term } = table.elect('a');
  expect(lastTerm).toBe(1);
  table.lets = () => false;
  table.wait(5_000);
  const ask = (later: number, log: { lastTerm: number; lastIndex: number }) => {
    table.deliver(
      forge({ kind: 'pre-vote', from: 'c', to: 'b', term: term + later, ...log }),
      forge({ kind: 'vote', from: 'c', to: 'b', term: term + later + 1, ...log }),
    );
    const answers = table.takeHeld((message) => message.to === 'c' && message.kind.endsWith('vote-ack'));
    return answers.map((message) => bodyOf(message).granted);
  };
  expect(ask(1, { lastTerm: 0, lastIndex: 1_000 })).toEqual([false, false]);
  expect(ask(2, { lastTerm, lastIndex: lastIndex - 1 })).toEqual([false, false]);
  expect(ask(3, { lastTerm, lastIndex })).toEqual([true, true]);
  expect(ask(4, { lastTerm: 2, lastIndex: 1 })).toEqual([true, true]);
});
