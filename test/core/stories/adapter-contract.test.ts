import { describe, expect, test } from 'vitest';
import { boot, newDisk } from '../../support/core-under-test.ts';
import { DATA3, DATA5, Table } from '../../support/story.ts';
import { pair, ROUGH, VirtualCluster } from '../../support/virtual-cluster.ts';

const WITNESS = { id: 'w', witness: true };
const SHAPES = [
  DATA3.slice(0, 1),
  DATA3.slice(0, 2),
  [{ id: 'a' }, WITNESS],
  [...DATA3.slice(0, 2), WITNESS],
  DATA3,
  [...DATA3, WITNESS],
  DATA5.slice(0, 4),
  DATA5,
  [...DATA5.slice(0, 4), WITNESS],
];

describe('core-under-test.md', () => {
  test.each(SHAPES)('a cluster of %j elects a holder, survives a minority, and writes', (...members) => {
    const table = new Table({ members });
    table.until('one holds', () => table.holders.length === 1);
    const [holder = ''] = table.holders;
    expect(holder).not.toBe('w');
    const spare = Math.floor((members.length - 1) / 2);
    for (const { id } of members.filter((member) => member.id !== holder).slice(0, spare)) table.crash(id);
    table.pass(2_000);
    expect(table.note(holder, 'x')).toBe('accepted');
    table.pass(100);
    expect(table.see(holder)).toMatchObject({
      mayHold: true,
      term: 1,
      commitIndex: table.see(holder).lastIndex,
    });
  });

  test.each(SHAPES.filter((members) => members.length > 2))(
    'of %j another data node takes over when the holder dies',
    (...members) => {
      const table = new Table({ members });
      table.until('one holds', () => table.holders.length === 1);
      const [holder = ''] = table.holders;
      table.crash(holder);
      table.until('another holds', () => table.holders.length === 1);
      expect(table.holders).not.toEqual([holder]);
    },
  );

  test('a pair without a witness cannot take over alone, and holds again when the other is back', () => {
    const table = new Table({ members: DATA3.slice(0, 2) });
    table.elect('a');
    table.crash('a');
    table.pass(30_000);
    expect(table.holders).toEqual([]);
    table.boot('a');
    table.until('one holds', () => table.holders.length === 1);
  });

  test('an empty disk starts with every data node in sync; a used disk ignores `members`', () => {
    const disk = newDisk();
    const first = boot('a', pair(), disk, 0);
    expect(first.observe()).toMatchObject({ inSync: ['a', 'b'], commitIndex: 1, lastIndex: 1, term: 0 });
    expect(first.observe().entries).toEqual([{ index: 1, term: 0, kind: 'config', text: null }]);
    first.crash('lose', 'dies');
    expect(
      boot('a', pair({ members: DATA5 }), disk, 0)
        .observe()
        .members.map(({ id }) => id),
    ).toEqual(['a', 'b', 'w']);
  });

  test('a node that is not yet a member stays silent until a leader sends it the log', () => {
    const table = new Table();
    table.boot('n');
    table.asleep.add('a').add('b').add('w');
    table.pass(30_000);
    table.campaign('n');
    expect(table.sent.filter((message) => message.from === 'n')).toEqual([]);
  });

  test('the deadline is at most the end of the lease while it may hold, and always later than the last advance', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => !(message.kind === 'heartbeat-ack' && table.now % 3 < 1);
    for (let step = 0; step < 3_000; step += 1) {
      table.pass(1.7);
      if (step % 500 === 250) table.lets = () => false;
      if (step % 500 === 400) table.lets = () => true;
      for (const id of ['a', 'b', 'c']) {
        if (table.see(id).releasing && step % 20 === 0) table.released(id);
        const due = table.node(id).nextDeadlineMs();
        const seen = table.see(id);
        if (due !== null) expect(due).toBeGreaterThan(table.now);
        if (seen.mayHold) expect(due).toBeLessThanOrEqual(seen.leaseUntilMs ?? 0);
        if (seen.mayHold) expect(seen.leaseUntilMs).toBeGreaterThan(table.now);
      }
    }
    expect(table.sent.filter(({ kind }) => kind === 'vote').length).toBeGreaterThan(4);
  });

  test('campaign() on a pre-candidate starts a new round', () => {
    const table = new Table({ members: DATA3 });
    table.wait(table.see('a').promiseMs);
    table.lets = () => false;
    table.campaign('a');
    table.campaign('a');
    const rounds = table.held.map((message) => (message.body as { round: number }).round);
    expect(new Set(rounds).size).toBe(2);
    expect(table.see('a')).toMatchObject({ role: 'pre-candidate', term: 0 });
  });

  test('campaign() on a leader has no effect', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.campaign('a');
    expect(table.see('a')).toMatchObject({ role: 'leader', term: 1, mayHold: true });
  });

  test('propose is refused by everybody but the leader', () => {
    const table = new Table({ members: DATA3 });
    expect(table.note('a', 'x')).toBe('refused');
    table.elect('a');
    expect([table.note('a', 'x'), table.note('b', 'x'), table.note('c', 'x')]).toEqual([
      'accepted',
      'refused',
      'refused',
    ]);
  });

  test('notes and peers show their text, the rest shows null, and equal logs have equal chains', () => {
    const table = new Table();
    table.elect('a');
    table.note('a', 'hello');
    table.propose('a', { kind: 'peer-outdated', peer: 'b' });
    const { entries } = table.see('a');
    expect(entries.map(({ kind, text }) => [kind, text])).toEqual([
      ['config', null],
      ['elected', null],
      ['tenure-granted', null],
      ['note', 'hello'],
      ['peer-outdated', 'b'],
    ]);
    expect(new Set(['a', 'b', 'w'].map((id) => table.see(id).chain)).size).toBe(1);
    table.note('a', 'other');
    expect(table.see('a').chain).not.toBe('');
  });

  test('crash keeps all, none, or the first n of the outstanding persists', () => {
    for (const [unsynced, kept] of [
      ['keep', 3],
      ['lose', 0],
      [{ keep: 2 }, 2],
      [{ keep: 9 }, 3],
    ] as const) {
      const table = new Table();
      table.elect('a');
      const before = table.see('b').lastIndex;
      table.stalled.add('b');
      for (const text of ['1', '2', '3']) table.note('a', text);
      expect(table.node('b').pendingFsyncs()).toBe(3);
      table.crash('b', unsynced);
      expect(table.boot('b').observe()).toMatchObject({ lastIndex: before + kept, role: 'follower' });
    }
  });

  test('messages survive structuredClone, and nothing in the outbox is said twice', () => {
    const table = new Table();
    table.elect('a');
    for (const message of table.sent) expect(structuredClone(message)).toEqual(message);
    expect(table.node('a').takeOutbox()).toEqual([]);
  });

  test('the harness that completes an fsync which is not there made a mistake', () => {
    expect(() => new Table().node('a').fsyncDone(10_000)).toThrow('no fsync');
  });

  test('two identical runs give identical outputs; another seed gives others', () => {
    const play = (seed: number) => {
      const cluster = new VirtualCluster(pair({ seed, members: DATA5 }), ROUGH);
      const sent: string[] = [];
      cluster.filter = (message) => sent.push(`${cluster.now} ${JSON.stringify(message)}`) > 0;
      cluster.run(2_000);
      cluster.isolate('a');
      cluster.run(2_000);
      return sent.join('\n');
    };
    expect(play(5)).toBe(play(5));
    expect(play(5)).not.toBe(play(6));
  });
});
