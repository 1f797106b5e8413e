import { expect, test } from 'vitest';
import { DATA3, forge, Table } from '../../support/story.ts';

test('R2: what is releasing stays so, however long, through new leaders and terms, until released()', () => {
  const table = new Table({ members: DATA3 });
  table.elect('a');
  table.lets = (message) => message.from !== 'a' && message.to !== 'a';
  table.pass(400);
  table.until('another holds', () => table.holders.length === 1 && table.holders[0] !== 'a');
  table.takeHeld();
  table.lets = () => true;
  for (let round = 0; round < 10; round += 1) {
    table.pass(6_000);
    expect(table.see('a')).toMatchObject({ releasing: true, mayHold: false, epoch: 3 });
  }
  table.released('a');
  expect(table.see('a')).toMatchObject({ releasing: false, epoch: null });
});

test('R2: released() without a release has no effect', () => {
  const table = new Table({ members: DATA3 });
  table.elect('a');
  for (const id of ['a', 'b', 'c']) table.released(id);
  table.pass(500);
  expect(table.see('a')).toMatchObject({ mayHold: true, epoch: 3, term: 1 });
});

test('R2: a node that is still releasing does not lead, even when asked by TimeoutNow', () => {
  const table = new Table({ members: DATA3 });
  const { term } = table.elect('a');
  table.lets = () => false;
  table.pass(400);
  table.wait(10_000);
  table.deliver(forge({ kind: 'timeout-now', from: 'b', to: 'a', term: term + 1 }));
  expect(table.see('a')).toMatchObject({ role: 'follower', releasing: true, votedFor: null });
});

test('R2: no term ever sees two grants, over twenty transfers there and back', () => {
  const table = new Table();
  table.elect('a');
  for (let round = 0; round < 20; round += 1) {
    const [from, to] = round % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
    table.transfer(from as string, to as string);
    table.released(from as string);
    expect(table.holders).toEqual([to]);
  }
  const { entries } = table.see('a');
  const grants = entries.filter(({ kind }) => kind === 'tenure-granted').map(({ term }) => term);
  expect(grants).toHaveLength(21);
  expect(new Set(grants).size).toBe(21);
  expect(entries.filter(({ kind }) => kind === 'tenure-released')).toHaveLength(20);
});
