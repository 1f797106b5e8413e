import { describe, expect, test } from 'vitest';
import type { EntryBody } from '../../../src/core/index.ts';
import {
  applyEntry,
  EMPTY_STATE,
  epoch,
  inSyncLoss,
  nodeId,
  unprovenClaims,
} from '../../../src/core/index.ts';
import { aGrant, chain, DATA3, Table } from '../../support/story.ts';

const force = (node: string) => ({ kind: 'forced', node }) as const;
const out = (peer: string) => ({ kind: 'peer-outdated', peer }) as const;

/** `a` held, took the others out, and died for good; then `next` leads without being allowed to hold. */
function bereft(table: Table, next = 'b'): void {
  table.elect('a');
  for (const { id, witness } of table.config.members)
    if (id !== 'a' && witness !== true) table.propose('a', out(id));
  table.pass(200);
  table.crash('a');
  table.elect(next);
  table.pass(table.config.leaseMs);
  expect([table.see(next).role, table.see(next).renounced, table.holders]).toEqual(['leader', true, []]);
}

describe('O3: the only in-sync node stays away for good', () => {
  test('nobody holds, however long, until an operator forces; then the leader itself does, in a new term', () => {
    const table = new Table();
    bereft(table);
    table.pass(2_000);
    const before = table.see('b').term;
    expect(table.holders).toEqual([]);
    expect(table.propose('b', force('b'))).toBe('accepted');
    expect(table.see('b').inSync).toEqual(['b']);
    table.until('b holds', () => table.see('b').mayHold, 1_000);
    const { term, entries } = table.see('b');
    expect(term).toBeGreaterThan(before);
    // R3: the leader that had renounced got nothing in the term in which it wrote the override.
    const forced = entries.find(({ kind }) => kind === 'forced');
    const granted = entries.findLast(({ kind }) => kind === 'tenure-granted');
    expect(granted?.term).toBeGreaterThan(forced?.term ?? Number.POSITIVE_INFINITY);
    expect(table.forced).toEqual([`b under ${table.see('b').epoch}`]);
  });

  test('the old holder comes back and is nothing until the new tenure says that it is in sync', () => {
    const table = new Table();
    bereft(table);
    table.propose('b', force('b'));
    table.until('b holds', () => table.see('b').mayHold, 1_000);
    table.boot('a');
    table.pass(3_000);
    expect([table.see('a').inSync, table.holders]).toEqual([['b'], ['b']]);
    // Elected although it may not hold (b stands still), it renounces.
    table.asleep.add('b');
    table.elect('a');
    table.pass(1_000);
    expect(table.see('a').mayHold).toBe(false);
    table.asleep.delete('b');
    table.pass(100);
    table.released('b');
    table.until('b holds again', () => table.see('b').mayHold, 10_000);
    // No takeover has succeeded under it yet: the override is not used up.
    expect(table.forced).toHaveLength(2);
    expect(table.propose('b', { kind: 'peer-in-sync', peer: 'a' })).toBe('accepted');
    table.crash('b');
    table.until('a holds', () => table.see('a').mayHold, 10_000);
  });

  test('taken back: the old node returns, the forced one goes, and the operator forces the old one', () => {
    const table = new Table();
    bereft(table);
    table.propose('b', force('b'));
    table.until('b holds', () => table.see('b').mayHold, 1_000);
    table.crash('b');
    table.boot('a');
    table.until('a leads', () => table.see('a').role === 'leader', 20_000);
    table.pass(table.config.leaseMs);
    expect([table.see('a').renounced, table.holders]).toEqual([true, []]);
    expect(table.propose('a', force('a'))).toBe('accepted');
    table.until('a holds', () => table.see('a').mayHold, 1_000);
    expect(table.see('a').inSync).toEqual(['a']);
  });

  test('another leader hands over to the node that is named', () => {
    const table = new Table({ members: DATA3 });
    bereft(table, 'c');
    expect(table.propose('c', force('b'))).toBe('accepted');
    table.until('b holds', () => table.see('b').mayHold, 1_000);
    expect([table.see('c').inSync, table.forced]).toEqual([['b'], [`b under ${table.see('b').epoch}`]]);
  });

  test('until the entry is committed nothing changes, and one that is lost has changed nothing', () => {
    const table = new Table();
    bereft(table);
    table.lets = (message) => message.kind !== 'append';
    expect(table.propose('b', force('b'))).toBe('accepted');
    expect(table.propose('b', force('b'))).toBe('refused'); // another one is being written
    table.pass(300);
    expect([table.see('b').inSync, table.holders]).toEqual([['a'], []]);
    table.crash('b', 'lose');
    table.lets = () => true;
    table.boot('a');
    table.until('a holds', () => table.see('a').mayHold, 10_000);
    expect(table.see('a').inSync).toContain('a');
  });

  test('a restart of the forced node between the override and its tenure does not take it back', () => {
    const table = new Table();
    bereft(table);
    table.lets = (message) => message.kind !== 'pre-vote';
    table.propose('b', force('b'));
    expect(table.see('b').role).not.toBe('leader');
    table.crash('b', 'keep');
    table.lets = () => true;
    table.boot('b');
    table.until('b holds', () => table.see('b').mayHold, 10_000);
    expect(table.forced).toEqual([`b under ${table.see('b').epoch}`]);
  });
});

describe('O3: an override is refused', () => {
  test('by a holder, for nodes that may never hold, for one in sync, and by who does not lead', () => {
    const table = new Table({ members: [...DATA3, { id: 'w', witness: true }] });
    table.elect('a');
    table.pass(1_000);
    for (const id of ['a', 'b', 'w', 'zz'])
      expect([id, table.propose('a', force(id))]).toEqual([id, 'refused']);
    table.propose('a', out('b'));
    expect(table.propose('a', force('b'))).toBe('refused'); // a holds
    expect(table.propose('c', force('b'))).toBe('refused'); // c does not lead
  });

  test('just after an election, when nobody has had the time to answer', () => {
    const table = new Table({ members: [...DATA3, { id: 'v', witness: true }, { id: 'w', witness: true }] });
    table.elect('a');
    table.propose('a', out('b'));
    table.pass(200);
    table.crash('a');
    table.lets = (message) => message.from !== 'c';
    table.elect('b');
    expect(table.propose('b', force('b'))).toBe('refused');
    table.pass(table.config.leaseMs);
    // Silence for a whole lease: c is taken to be away. It is for the operator to know better.
    expect(table.propose('b', force('b'))).toBe('accepted');
  });

  test('while an in-sync node answers', () => {
    const table = new Table({ members: [...DATA3, { id: 'v', witness: true }, { id: 'w', witness: true }] });
    table.elect('a');
    table.propose('a', out('b'));
    table.pass(200);
    table.crash('a');
    // c is in sync and answers, and nothing else gets out of it: b cannot hand over to it.
    table.lets = (message) => message.from !== 'c' || message.kind === 'heartbeat-ack';
    table.elect('b');
    expect(table.propose('b', force('b'))).toBe('refused');
    table.pass(2 * table.config.leaseMs);
    expect(table.see('b')).toMatchObject({ role: 'leader', renounced: true });
    expect(table.propose('b', force('b'))).toBe('refused');
    table.crash('c');
    table.pass(table.config.leaseMs + table.config.heartbeatMs);
    expect(table.propose('b', force('b'))).toBe('accepted');
  });

  test('where the node itself does not answer', () => {
    const table = new Table({ members: [...DATA3, { id: 'w', witness: true }, { id: 'v', witness: true }] });
    bereft(table, 'c');
    table.crash('b');
    table.pass(2 * table.config.leaseMs);
    expect(table.see('c').role).toBe('leader');
    expect(table.propose('c', force('b'))).toBe('refused');
    expect(table.propose('c', force('c'))).toBe('accepted');
  });

  test('W3: by a caretaker, which hands over to the data node instead', () => {
    const table = new Table();
    table.elect('a');
    table.propose('a', out('b'));
    table.pass(200);
    // An entry that only the witness has.
    table.lets = (message) => message.to !== 'b' || message.from !== 'a';
    table.note('a', 'only w has this');
    table.crash('a');
    table.lets = () => true;
    table.until('w leads', () => table.see('w').role === 'caretaker', 10_000);
    expect(table.propose('w', force('b'))).toBe('refused');
    table.until('b leads', () => table.see('b').role === 'leader', 10_000);
    table.pass(table.config.leaseMs);
    expect(table.propose('b', force('b'))).toBe('accepted');
    table.until('b holds', () => table.see('b').mayHold, 1_000);
  });
});

describe('O3: what an entry does, at every replica the same', () => {
  const table = new Table();
  const hash = table.see('a').chain;
  const forced = (node: string): EntryBody => ({
    kind: 'forced',
    who: 'uid 0',
    why: 'a burnt down',
    mayLose: 'everything since entry 3',
    node: nodeId(node),
    at: null,
  });
  const about = (kind: 'peer-outdated' | 'peer-in-sync', peer: string, of: number): EntryBody => ({
    kind,
    peer: nodeId(peer),
    epoch: epoch(of),
  });
  const first: EntryBody = {
    kind: 'config',
    members: ['a', 'b', 'w'].map((id) => ({ id: nodeId(id), witness: id === 'w', learner: false })),
    removed: [],
    timing: (() => {
      throw new Error('not read');
    }) as never,
    inSync: [nodeId('a')],
    cluster: 'test',
  };
  const fold = (...bodies: [term: number, body: EntryBody][]) => {
    const entries = chain({ index: 0, hash }, ...bodies.map(([term, body]) => ({ term, body })));
    return entries.reduce(applyEntry, EMPTY_STATE);
  };

  test.each([
    [
      'of the term in which somebody holds',
      [
        [1, first],
        [1, aGrant('a')],
        [1, forced('b')],
      ],
      ['a'],
    ],
    [
      'for the witness',
      [
        [1, first],
        [1, forced('w')],
      ],
      ['a'],
    ],
    [
      'for a stranger',
      [
        [1, first],
        [1, forced('x')],
      ],
      ['a'],
    ],
    [
      'for a node in sync',
      [
        [1, first],
        [1, forced('a')],
      ],
      ['a'],
    ],
    [
      'of a later term than the open tenure',
      [
        [1, first],
        [1, aGrant('a')],
        [2, forced('b')],
      ],
      ['b'],
    ],
    [
      'before the first tenure',
      [
        [1, first],
        [1, forced('b')],
      ],
      ['b'],
    ],
  ] as [string, [number, EntryBody][], string[]][])('%s', (_name, log, inSync) => {
    const state = fold(...log);
    expect([state.inSync, state.forced !== null]).toEqual([inSync, inSync[0] === 'b']);
  });

  test('after it, the old tenure says nothing more about the set', () => {
    const state = fold(
      [1, first],
      [1, aGrant('a')],
      [2, forced('b')],
      [2, about('peer-in-sync', 'a', 2)],
      [2, about('peer-outdated', 'b', 2)],
    );
    expect(state.inSync).toEqual(['b']);
  });

  test('tenures after it are forced until a takeover has succeeded, and only of that node', () => {
    const grant = (...more: [number, EntryBody][]) =>
      fold([1, first], [1, aGrant('a')], [2, forced('b')], ...more).tenure?.isForced;
    const done = (ok: boolean, of: number): EntryBody => ({
      kind: 'takeover-done',
      epoch: epoch(of),
      node: nodeId('b'),
      ok,
      totalMs: 1,
      steps: [],
      at: null,
    });
    expect(grant([3, aGrant('b')])).toBe(true);
    // A crash between the grant and the promotion: the data is as old as it was.
    expect(grant([3, aGrant('b')], [4, aGrant('b')])).toBe(true);
    expect(grant([3, aGrant('b')], [3, done(false, 4)], [4, aGrant('b')])).toBe(true);
    expect(grant([3, aGrant('b')], [3, done(true, 2)], [4, aGrant('b')])).toBe(true);
    expect(grant([3, aGrant('b')], [3, done(true, 4)], [4, aGrant('b')])).toBe(false);
    expect(grant([3, aGrant('a')])).toBe(false);
    expect(grant([3, aGrant('a')], [4, aGrant('b')])).toBe(false);
    expect(fold([1, first], [1, aGrant('a')], [1, forced('b')], [2, aGrant('b')]).tenure?.isForced).toBe(
      false,
    );
  });

  test('H2: who is not shown to have stopped: every holder back to a takeover that succeeded', () => {
    const release = (node: string, of: number): EntryBody => ({
      kind: 'tenure-released',
      epoch: epoch(of),
      node: nodeId(node),
      reason: 'failure',
      evidence: '',
      successor: null,
      at: null,
    });
    const done = (node: string, of: number): EntryBody => ({
      kind: 'takeover-done',
      epoch: epoch(of),
      node: nodeId(node),
      ok: true,
      totalMs: 1,
      steps: [],
      at: null,
    });
    const open = (...more: [number, EntryBody][]) =>
      unprovenClaims(fold([1, first], [1, aGrant('a')], ...more)).map((one) => `${one.node}${one.epoch}`);
    expect(open()).toEqual(['a2']);
    expect(open([1, release('a', 2)])).toEqual([]);
    // Granted with DRBD for its only proof: that the second one has stopped says nothing about the first.
    expect(open([2, aGrant('b')], [2, release('b', 3)])).toEqual(['a2']);
    expect(open([2, aGrant('b')], [2, done('b', 3)], [2, release('b', 3)])).toEqual([]);
    expect(open([2, aGrant('b')], [3, aGrant('a')])).toEqual(['b3', 'a4']);
    expect(open([2, aGrant('b')], [3, aGrant('a')], [3, release('a', 4)])).toEqual(['b3']);
  });

  test('what is lost: since the node left the set, and by whom', () => {
    const log = (...bodies: EntryBody[]) =>
      chain({ index: 0, hash }, ...bodies.map((body) => ({ term: 1, body })));
    const both = { ...first, inSync: [nodeId('a'), nodeId('b')] };
    const told = { ...aGrant('a'), at: 5_000 } as EntryBody;
    expect(inSyncLoss(log(first, aGrant('a')), nodeId('b'))).toEqual({
      leftAt: null,
      after: null,
      holders: ['a'],
    });
    const left = log(both, told, about('peer-outdated', 'b', 2), about('peer-outdated', 'b', 2));
    expect(inSyncLoss(left, nodeId('b'))).toEqual({ leftAt: 3, after: 5_000, holders: ['a'] });
  });
});
