import { describe, expect, test } from 'vitest';
import { epoch, nodeId } from '../../../src/core/index.ts';
import { aGrant, chain, DATA3, forge, Table } from '../../support/story.ts';

const out = (peer: string) => ({ kind: 'peer-outdated', peer }) as const;
const back = (peer: string) => ({ kind: 'peer-in-sync', peer }) as const;

describe('H1, H3: a leader outside the in-sync set', () => {
  test('renounces, waits however long for an in-sync node, then hands over to it', () => {
    const table = new Table();
    table.elect('a');
    table.propose('a', out('b'));
    table.pass(100);
    table.crash('a');
    table.until('b leads', () => table.see('b').role === 'leader');
    for (let second = 0; second < 30; second += 1) {
      table.pass(1_000);
      const { role, renounced } = table.see('b');
      expect([table.holders, role === 'leader' && !renounced]).toEqual([[], false]);
    }
    table.boot('a');
    table.until('a holds', () => table.see('a').mayHold, 5_000);
    expect(table.see('b').mayHold).toBe(false);
  });

  test('hands over at once where an in-sync node has the whole log', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.propose('a', out('b'));
    table.pass(100);
    table.crash('a');
    table.elect('b');
    expect(table.holders).toEqual(['c']);
  });

  test('not to an in-sync node whose log is still behind', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.propose('a', out('b'));
    table.pass(100);
    table.crash('a');
    table.lets = (message) => !(message.kind === 'append-ack' && message.from === 'c');
    table.elect('b');
    table.pass(300);
    expect(table.sent.filter((message) => message.kind === 'timeout-now')).toEqual([]);
  });
});

describe('H3: what changes the set', () => {
  test('every fence request gets a new entry, even when the peer is already out', () => {
    const table = new Table();
    table.elect('a');
    const before = table.see('a').lastIndex;
    for (const request of [1, 2, 3]) {
      expect(table.propose('a', out('b'))).toBe('accepted');
      expect(table.see('a')).toMatchObject({
        lastIndex: before + request,
        commitIndex: before + request,
        inSync: ['a'],
      });
    }
    expect(table.propose('a', back('b'))).toBe('accepted');
    expect(table.see('a').inSync).toEqual(['a', 'b']);
  });

  test('the holder takes itself out, but never as the last one, and does not fill the log by saying so', () => {
    const table = new Table();
    table.elect('a');
    table.propose('a', out('b'));
    const { lastIndex } = table.see('a');
    expect(table.propose('a', { kind: 'self-outdated' })).toBe('refused');
    expect(table.see('a')).toMatchObject({ lastIndex, inSync: ['a'] });
    table.propose('a', back('b'));
    expect(table.propose('a', { kind: 'self-outdated' })).toBe('accepted');
    expect(table.see('a').inSync).toEqual(['b']);
  });

  test('it changes only when the entry has committed', () => {
    const table = new Table();
    table.elect('a');
    table.lets = (message) => message.kind !== 'append-ack';
    expect(table.propose('a', out('b'))).toBe('accepted');
    expect(table.see('a').inSync).toEqual(['a', 'b']);
    table.deliver(...table.takeHeld());
    expect(table.see('a').inSync).toEqual(['a']);
  });

  test('only the holder proposes it, for another data node', () => {
    const table = new Table({ members: [...DATA3, { id: 'w', witness: true }] });
    table.lets = (message) => message.kind !== 'append-ack';
    table.elect('a');
    expect(table.propose('a', out('b'))).toBe('refused'); // leads, does not hold yet
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    expect(table.propose('b', out('c'))).toBe('refused');
    for (const peer of ['a', 'w', 'zz']) {
      expect(table.propose('a', out(peer))).toBe('refused');
      expect(table.propose('a', back(peer))).toBe('refused');
    }
    table.lets = () => false;
    table.pass(400);
    expect(table.propose('a', out('b'))).toBe('refused'); // releasing
  });

  test('entries of another epoch than the current tenure, or of a released one, are void', () => {
    const table = new Table({ members: DATA3 }, ['b']);
    table.lets = () => false;
    const change = (kind: 'peer-outdated' | 'peer-in-sync', of: number) =>
      ({ term: 2, body: { kind, peer: nodeId('a'), epoch: epoch(of) } }) as const;
    const released = {
      kind: 'tenure-released',
      epoch: epoch(3),
      node: nodeId('c'),
      reason: 'switchover',
      evidence: '',
      successor: null,
      at: null,
    } as const;
    const log = [
      { term: 1, body: aGrant('c') }, // 2
      { term: 2, body: aGrant('c') }, // 3
      change('peer-outdated', 2), // 4: void
      change('peer-outdated', 3), // 5
      change('peer-in-sync', 2), // 6: void
      change('peer-in-sync', 3), // 7
      { term: 2, body: released }, // 8
      change('peer-outdated', 3), // 9: void
    ];
    const hash = table.see('b').chain;
    const entries = chain({ index: 1, hash }, ...log);
    const inSyncAt = (commit: number) => {
      table.deliver(
        forge({
          kind: 'append',
          from: 'c',
          to: 'b',
          term: 2,
          previousIndex: 1,
          previousHash: hash,
          entries,
          commit,
        }),
      );
      return table.see('b').inSync.join('');
    };
    expect([3, 4, 5, 6, 7, 8, 9].map(inSyncAt)).toEqual(['abc', 'abc', 'bc', 'bc', 'abc', 'abc', 'abc']);
  });

  test('a tenure never takes its own holder out', () => {
    const table = new Table({ members: DATA3 }, ['b']);
    table.lets = () => false;
    const hash = table.see('b').chain;
    const body = { kind: 'peer-outdated', peer: nodeId('c'), epoch: epoch(2) } as const;
    const entries = chain({ index: 1, hash }, { term: 1, body: aGrant('c') }, { term: 1, body });
    table.deliver(
      forge({
        kind: 'append',
        from: 'c',
        to: 'b',
        term: 1,
        previousIndex: 1,
        previousHash: hash,
        entries,
        commit: 3,
      }),
    );
    expect(table.see('b').inSync).toEqual(['a', 'b', 'c']);
  });
});
