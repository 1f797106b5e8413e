import { describe, expect, test } from 'vitest';
import { aNote, bodyOf, chain, DATA3, forge, Table } from '../../support/story.ts';

/** a asks for votes in term 1; its own vote is still on its way to the disk. */
function candidate(members = DATA3): Table {
  const table = new Table({ members });
  table.wait(table.see('a').promiseMs);
  table.stalled.add('a');
  table.campaign('a');
  expect(table.see('a')).toMatchObject({ role: 'candidate', votedFor: 'a', term: 1 });
  return table;
}

describe('E2: votes', () => {
  test('a request for votes leaves only when the own vote is durable', () => {
    const table = candidate();
    expect(table.sent.filter((message) => message.kind === 'vote')).toEqual([]);
    table.stalled.clear();
    table.settle();
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true });
  });

  test('the own vote counts only when it is durable', () => {
    const table = candidate();
    table.deliver(forge({ kind: 'vote-ack', from: 'b', to: 'a', term: 1 }));
    expect(table.see('a').role).toBe('candidate');
    table.lets = () => false;
    table.stalled.clear();
    table.settle();
    expect(table.see('a').role).toBe('leader');
  });

  test('alone in its cluster a node leads only after the fsync of its vote', () => {
    const table = candidate([{ id: 'a' }]);
    table.stalled.clear();
    table.settle();
    expect(table.see('a')).toMatchObject({ role: 'leader', commitIndex: 3, mayHold: true });
  });

  test('an own vote that becomes durable in a later term is void', () => {
    const table = candidate();
    table.lets = () => false;
    table.deliver(forge({ kind: 'heartbeat', from: 'c', to: 'a', term: 2 }));
    table.stalled.clear();
    table.settle();
    table.deliver(forge({ kind: 'vote-ack', from: 'b', to: 'a', term: 1 }));
    expect(table.see('a')).toMatchObject({ role: 'follower', term: 2, leader: 'c' });
    expect(table.held.filter((message) => message.kind === 'vote')).toEqual([]);
  });

  test('a granted vote leaves only after its fsync', () => {
    const table = new Table({ members: DATA3 });
    table.wait(table.see('b').promiseMs);
    table.lets = () => false;
    table.stalled.add('b');
    table.deliver(forge({ kind: 'vote', from: 'c', to: 'b', term: 1 }));
    expect(table.see('b').votedFor).toBe('c');
    expect(table.held.filter((message) => message.kind === 'vote-ack')).toEqual([]);
    table.stalled.clear();
    table.settle();
    expect(table.held.map((message) => [message.kind, bodyOf(message).granted])).toEqual([
      ['vote-ack', true],
    ]);
  });

  test('a repeated request that asks again before the fsync gets no earlier answer', () => {
    const table = new Table({ members: DATA3 });
    table.wait(table.see('b').promiseMs);
    table.lets = () => false;
    table.stalled.add('b');
    const request = forge({ kind: 'vote', from: 'c', to: 'b', term: 1 });
    table.deliver(request, request, request);
    expect(table.held.filter((message) => message.kind === 'vote-ack')).toEqual([]);
  });
});

describe('E2: entries', () => {
  test("the leader's own copy counts only when it is durable", () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.lets = (message) => message.from !== 'c';
    table.stalled.add('a');
    table.note('a', 'x');
    const { commitIndex, lastIndex } = table.see('a');
    expect(commitIndex).toBe(lastIndex - 1); // b has it on disk, a has not
    table.stalled.clear();
    table.settle();
    expect(table.see('a').commitIndex).toBe(lastIndex);
  });

  test("a majority without the leader's copy commits", () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.stalled.add('a');
    table.note('a', 'x');
    expect(table.see('a').commitIndex).toBe(table.see('a').lastIndex);
  });

  test('a follower confirms an append only after its fsync', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.lets = (message) => message.kind !== 'append-ack';
    table.stalled.add('b');
    table.note('a', 'x');
    table.deliver(
      ...table.sent.filter((message) => message.kind === 'append' && message.to === 'b').slice(-1),
    ); // asked again
    expect(table.held.filter((message) => message.from === 'b')).toEqual([]);
    table.stalled.clear();
    table.settle();
    expect(
      table.held.filter((message) => message.from === 'b').map((message) => bodyOf(message).match),
    ).toContain(table.see('a').lastIndex);
  });

  test('the completion of an entry that a newer leader has overwritten confirms nothing', () => {
    const table = new Table({ members: DATA3 });
    const { term, chain: hash, lastIndex } = table.elect('a');
    table.lets = () => false;
    table.stalled.add('b');
    const append = (from: string, of: number, ...texts: string[]) => {
      const entries = chain(
        { index: lastIndex, hash },
        ...texts.map((text) => ({ term: of, body: aNote(text) })),
      );
      return forge({
        kind: 'append',
        from,
        to: 'b',
        term: of,
        previousIndex: lastIndex,
        previousTerm: term,
        previousHash: hash,
        entries,
      });
    };
    table.deliver(append('a', term, 'one', 'two', 'three'));
    table.deliver(append('c', term + 1, 'other'));
    expect(table.see('b')).toMatchObject({ lastIndex: lastIndex + 1, lastTerm: term + 1 });
    table.node('b').fsyncDone(table.now); // a's entries: overwritten meanwhile
    expect(
      table
        .node('b')
        .takeOutbox()
        .filter((message) => message.kind === 'append-ack'),
    ).toEqual([]);
    table.node('b').fsyncDone(table.now);
    const acks = table
      .node('b')
      .takeOutbox()
      .filter((message) => message.kind === 'append-ack');
    expect(acks.map((message) => [message.to, message.term, bodyOf(message).match])).toEqual([
      ['c', term + 1, lastIndex + 1],
    ]);
  });

  test('nor does it make durable what the node itself appends there later, as a leader', () => {
    const table = new Table({ members: DATA3 });
    const { term, chain: hash, lastIndex } = table.elect('a');
    table.lets = () => false;
    table.stalled.add('b');
    const append = (from: string, of: number, ...texts: string[]) => {
      const entries = chain(
        { index: lastIndex, hash },
        ...texts.map((text) => ({ term: of, body: aNote(text) })),
      );
      const place = { previousIndex: lastIndex, previousTerm: term, previousHash: hash };
      return forge({ kind: 'append', from, to: 'b', term: of, ...place, entries });
    };
    table.deliver(append('a', term, 'one', 'two', 'three'), append('c', term + 1, 'other'));
    table.wait(10_000);
    table.campaign('b');
    const asked = table.held.findLast((message) => message.kind === 'pre-vote' && message.to === 'c');
    if (asked === undefined) throw new Error('b has not asked c');
    const fields = {
      kind: 'pre-vote-ack',
      from: 'c',
      to: 'b',
      term: term + 1,
      round: bodyOf(asked).round,
    } as const;
    table.deliver(forge(fields), forge({ kind: 'vote-ack', from: 'c', to: 'b', term: term + 2 }));
    while (table.node('b').pendingFsyncs() > 0 && table.see('b').role !== 'leader')
      table.node('b').fsyncDone(table.now);
    expect(table.see('b')).toMatchObject({ role: 'leader', term: term + 2, lastIndex: lastIndex + 2 });
    expect(table.node('b').pendingFsyncs()).toBe(1); // its first entry, in the place of `two`
    table.deliver(forge({ kind: 'append-ack', from: 'c', to: 'b', term: term + 2, match: lastIndex + 2 }));
    expect(table.see('b').commitIndex).toBeLessThan(lastIndex + 2);
    table.node('b').fsyncDone(table.now);
    expect(table.see('b').commitIndex).toBe(lastIndex + 2);
  });

  test('a late completion of an earlier leadership counts nothing in the next one', () => {
    const table = new Table({ members: DATA3 });
    const { term } = table.elect('a');
    table.lets = () => false;
    table.stalled.add('a');
    table.note('a', 'mine, never replicated');
    const { lastIndex, chain: hash } = table.see('a');
    const shared = table.see('b');
    // c leads term+1 and overwrites; a is elected again in term+2 while its first fsync is still under way.
    const entries = chain(
      { index: shared.lastIndex, hash: shared.chain },
      { term: term + 1, body: aNote('of c') },
    );
    table.deliver(
      forge({
        kind: 'append',
        from: 'c',
        to: 'a',
        term: term + 1,
        previousIndex: shared.lastIndex,
        previousTerm: term,
        previousHash: shared.chain,
        entries,
      }),
    );
    expect(table.see('a')).toMatchObject({ lastIndex, lastTerm: term + 1 });
    expect(table.see('a').chain).not.toBe(hash);
    table.released('a');
    table.node('a').fsyncDone(table.now);
    expect(
      table
        .node('a')
        .takeOutbox()
        .filter(({ kind }) => kind === 'append-ack'),
    ).toEqual([]);
  });

  test('a restart forgets what was not durable, and nothing that was', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.stalled.add('b');
    table.note('a', 'one');
    table.note('a', 'two');
    const { lastIndex } = table.see('a');
    expect(table.node('b').pendingFsyncs()).toBe(2);
    table.crash('b', { keep: 1 });
    table.stalled.clear();
    table.boot('b');
    expect(table.see('b')).toMatchObject({ lastIndex: lastIndex - 1, role: 'follower', term: 1 });
    table.pass(500);
    expect(table.see('b').chain).toBe(table.see('a').chain);
  });
});
