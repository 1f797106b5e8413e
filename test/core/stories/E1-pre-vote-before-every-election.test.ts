import { describe, expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

function quiet(): Table {
  const table = new Table({ members: DATA3 });
  table.lets = () => false;
  table.wait(table.see('a').promiseMs);
  return table;
}
const roundOf = (table: Table) =>
  Number(
    bodyOf(
      table.takeHeld(({ kind }) => kind === 'pre-vote').at(-1) ??
        forge({ kind: 'pre-vote', from: 'a', to: 'b', term: 0 }),
    ).round,
  );

describe('E1', () => {
  test('asking for pre-votes for ever raises no term: a node that is cut off disturbs nobody when it returns', () => {
    const table = new Table();
    const { term } = table.elect('a');
    table.lets = (message) => message.from !== 'b' && message.to !== 'b';
    table.pass(15_000);
    expect(table.see('b')).toMatchObject({ role: 'pre-candidate', term });
    table.takeHeld();
    table.lets = () => true;
    table.pass(1_000);
    expect(table.see('a')).toMatchObject({ role: 'leader', term, mayHold: true });
    expect(table.see('b')).toMatchObject({ role: 'follower', leader: 'a', term });
  });

  test('a late grant of an older round does not count', () => {
    const table = quiet();
    table.campaign('a');
    const older = roundOf(table);
    table.campaign('a');
    const newer = roundOf(table);
    expect(newer).not.toBe(older);
    table.deliver(forge({ kind: 'pre-vote-ack', from: 'b', to: 'a', term: 0, round: older }));
    expect(table.see('a')).toMatchObject({ role: 'pre-candidate', term: 0 });
    table.deliver(forge({ kind: 'pre-vote-ack', from: 'b', to: 'a', term: 0, round: newer }));
    expect(table.see('a')).toMatchObject({ role: 'candidate', term: 1, votedFor: 'a' });
  });

  test('a refusal is no grant, and a grant of somebody who has no vote is none either', () => {
    const table = quiet();
    table.campaign('a');
    const round = roundOf(table);
    table.deliver(
      forge({ kind: 'pre-vote-ack', from: 'b', to: 'a', term: 0, round, granted: false }),
      forge({ kind: 'pre-vote-ack', from: 'zz', to: 'a', term: 0, round }),
      forge({ kind: 'pre-vote-ack', from: 'yy', to: 'a', term: 0, round }),
    );
    expect(table.see('a').role).toBe('pre-candidate');
  });

  test('a refused pre-vote of a lower term is answered with the higher term, and the asker takes it', () => {
    const table = quiet();
    table.deliver(forge({ kind: 'vote', from: 'c', to: 'b', term: 7 }));
    table.takeHeld();
    table.deliver(forge({ kind: 'pre-vote', from: 'a', to: 'b', term: 0, nextTerm: 1, round: 3 }));
    const [answer] = table.takeHeld((message) => message.kind === 'pre-vote-ack');
    expect(answer).toMatchObject({ term: 7, body: { granted: false, round: 3 } });
    if (answer === undefined) throw new Error('dropped');
    table.deliver(answer);
    expect(table.see('a')).toMatchObject({ role: 'follower', term: 7 });
    table.campaign('a');
    expect(bodyOf(table.held.find((message) => message.kind === 'pre-vote') ?? answer).nextTerm).toBe(8);
  });

  test('a pre-vote that a promise or a newer log refuses is answered too', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = () => false;
    const ask = (fields: object) => {
      table.deliver(forge({ kind: 'pre-vote', from: 'c', to: 'b', term, ...fields }));
      return table.takeHeld(({ kind }) => kind === 'pre-vote-ack').map(bodyOf);
    };
    expect(ask({})).toMatchObject([
      { granted: false, retryAfterMs: expect.closeTo(table.see('b').promiseMs) },
    ]);
    table.wait(table.see('b').promiseMs);
    table.takeHeld();
    expect(ask({ lastIndex: 1, lastTerm: 0 })).toMatchObject([{ granted: false }]);
    expect(ask({ nextTerm: term })).toMatchObject([{ granted: false }]);
    expect(ask({})).toMatchObject([{ granted: true }]);
  });
});
