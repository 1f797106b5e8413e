import { describe, expect, test } from 'vitest';
import { DATA3, Table, touches } from '../../support/story.ts';
import { CALM, pair, VirtualCluster } from '../../support/virtual-cluster.ts';

const learner = (id: string, witness = false) => ({ kind: 'add-learner', member: { id, witness } }) as const;
const promote = (id: string) => ({ kind: 'promote', member: { id } }) as const;
const remove = (id: string) => ({ kind: 'remove', member: { id } }) as const;
const ids = (table: Table, id: string) => table.see(id).members.map((member) => member.id);

describe('E5', () => {
  test('a second change is refused until the first has committed', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.lets = (message) => message.kind !== 'append-ack';
    expect(table.propose('a', learner('d'))).toBe('accepted');
    expect(table.propose('a', learner('e'))).toBe('refused');
    expect(table.propose('a', remove('b'))).toBe('refused');
    table.deliver(...table.takeHeld());
    expect(table.propose('a', learner('e'))).toBe('accepted');
  });

  test('no change before an entry of the own term has committed', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => message.kind !== 'append-ack';
    table.elect('a');
    expect(table.see('a')).toMatchObject({ role: 'leader', commitIndex: 1 });
    expect(table.propose('a', learner('d'))).toBe('refused');
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    expect(table.propose('a', learner('d'))).toBe('accepted');
  });

  test('a removed id is refused for ever, by every later leader', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    expect(table.propose('a', remove('c'))).toBe('accepted');
    table.crash('c');
    expect(table.propose('a', learner('c'))).toBe('refused');
    table.transfer('a', 'b');
    table.released('a');
    table.until('b holds', () => table.see('b').mayHold);
    expect(table.propose('b', learner('c'))).toBe('refused');
    expect(table.propose('b', learner('b'))).toBe('refused');
  });

  test('a learner has no vote and does not campaign; promote waits until it has the log', () => {
    const table = new Table();
    table.elect('a');
    table.boot('n');
    table.lets = (message) => !touches(message, 'n');
    expect(table.propose('a', learner('n'))).toBe('accepted');
    expect(table.propose('a', promote('n'))).toBe('refused');
    table.pass(3_000);
    table.campaign('n');
    expect(table.sent.filter((message) => message.from === 'n')).toEqual([]);
    expect(table.propose('a', promote('n'))).toBe('refused');
    table.takeHeld();
    table.lets = () => true;
    table.pass(500);
    expect(table.see('n').chain).toBe(table.see('a').chain);
    expect(table.propose('a', promote('n'))).toBe('accepted');
    expect(table.see('n').members).toContainEqual({ id: 'n', witness: false, learner: false });
    expect(table.propose('a', promote('n'))).toBe('refused');
  });

  test('a learner that does not answer makes no quorum harder', () => {
    const table = new Table();
    table.elect('a');
    table.propose('a', learner('n')); // never started
    table.crash('w');
    table.pass(5_000);
    expect(table.note('a', 'x')).toBe('accepted');
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1, commitIndex: table.see('a').lastIndex });
  });

  test('a learner that answers makes no quorum easier', () => {
    const table = new Table();
    table.elect('a');
    table.boot('n');
    table.propose('a', learner('n'));
    table.lets = (message) => message.kind !== 'append-ack' || message.from === 'n';
    table.note('a', 'x');
    expect(table.see('n').lastIndex).toBe(table.see('a').lastIndex);
    expect(table.see('a').commitIndex).toBe(table.see('a').lastIndex - 1);
  });

  test('a promoted data node is in sync only after peer-in-sync (H3)', () => {
    const table = new Table();
    table.elect('a');
    table.boot('n');
    table.propose('a', learner('n'));
    table.pass(300);
    expect(table.propose('a', { kind: 'peer-in-sync', peer: 'n' })).toBe('refused');
    table.propose('a', promote('n'));
    expect(table.see('a').inSync).toEqual(['a', 'b']);
    table.transfer('a', 'n');
    expect(table.see('a')).toMatchObject({ mayHold: true, releasing: false });
    expect(table.propose('a', { kind: 'peer-in-sync', peer: 'n' })).toBe('accepted');
    table.pass(100);
    expect(table.see('n').inSync).toEqual(['a', 'b', 'n']);
  });

  test('the holder is not removed; it stays', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    expect(table.propose('a', remove('a'))).toBe('refused');
    expect(table.propose('b', remove('a'))).toBe('refused');
    expect(table.propose('a', remove('zz'))).toBe('refused');
    expect(ids(table, 'a')).toEqual(['a', 'b', 'c']);
  });

  test('a removed node learns it, leaves the in-sync set, and falls silent', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.propose('a', remove('c'));
    expect(ids(table, 'c')).toEqual(['a', 'b']);
    expect(table.see('a').inSync).toEqual(['a', 'b']);
    table.sent = [];
    table.pass(10_000);
    table.campaign('c');
    expect(table.sent.filter((message) => message.from === 'c')).toEqual([]);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1 });
  });

  test('a removed node that did not learn it gets no vote and disturbs nobody', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.crash('c');
    table.propose('a', remove('c'));
    table.boot('c');
    table.pass(5_000);
    expect(table.see('c')).toMatchObject({ role: 'pre-candidate' });
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1 });
    table.crash('a'); // now b's promise ends too: c still gets nothing
    table.pass(5_000);
    expect(table.see('c').term).toBe(1);
    expect(table.see('b').role).not.toBe('leader');
  });

  test('the newest configuration rules from its append: a pair becomes one', () => {
    const table = new Table({ members: [{ id: 'a' }, { id: 'b' }] });
    table.elect('a');
    expect(table.propose('a', remove('b'))).toBe('accepted');
    table.crash('b');
    table.pass(5_000);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1 });
  });

  test('a configuration that is overwritten is forgotten', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.lets = (message) => !touches(message, 'a');
    expect(table.propose('a', learner('d'))).toBe('accepted');
    expect(ids(table, 'a')).toEqual(['a', 'b', 'c', 'd']);
    table.until('b or c holds', () => table.see('b').mayHold || table.see('c').mayHold);
    table.takeHeld();
    table.lets = () => true;
    table.released('a');
    table.pass(1_000);
    expect(ids(table, 'a')).toEqual(['a', 'b', 'c']);
  });
});

describe('E5: an order of an operator never costs the cluster its leader', () => {
  test('no removal after which the voters that answer are no quorum: it would be the last thing that is written', () => {
    const table = new Table({ members: [{ id: 'a' }, { id: 'b' }, { id: 'w', witness: true }] });
    table.elect('a');
    table.crash('b');
    table.pass(1_000);
    expect(table.propose('a', remove('w'))).toBe('refused'); // a would be one of two
    expect(table.see('a').mayHold).toBe(true);
    expect(table.propose('a', remove('b'))).toBe('accepted');
    table.pass(1_000);
    expect(table.see('a')).toMatchObject({ mayHold: true, commitIndex: table.see('a').lastIndex });
  });

  test('no promotion of a learner that has the log and does not answer where its vote would be needed', () => {
    const table = new Table({ members: [{ id: 'a' }, { id: 'b' }, { id: 'w', witness: true }] });
    table.elect('a');
    table.boot('n');
    table.propose('a', learner('n'));
    table.pass(500);
    table.crash('n');
    table.crash('b');
    table.pass(1_000);
    expect(table.propose('a', promote('n'))).toBe('refused'); // two of four
    table.boot('n');
    table.pass(1_000);
    expect(table.propose('a', promote('n'))).toBe('accepted');
    expect(table.see('a').commitIndex).toBe(table.see('a').lastIndex);
  });

  test('a node whose data comes by snapshots votes, and is never in sync (H3)', () => {
    const table = new Table();
    table.elect('a');
    table.boot('n');
    table.propose('a', { kind: 'add-learner', member: { id: 'n', snapshots: true } });
    table.pass(300);
    expect(table.propose('a', promote('n'))).toBe('accepted');
    expect(table.propose('a', { kind: 'peer-in-sync', peer: 'n' })).toBe('refused');
    table.crash('w');
    table.crash('b');
    table.pass(1_000);
    // Its vote counts: two of four are none, and the holder has let go.
    expect(table.see('a').mayHold).toBe(false);
    table.boot('w');
    table.released('a');
    table.until('a holds again', () => table.see('a').mayHold, 20_000);
    expect(table.see('a').inSync).toEqual(['a', 'b']);
  });

  test('a witness is replaced by another: at no time is there a moment without a holder', () => {
    const table = new Table();
    table.elect('a');
    table.boot('v');
    table.propose('a', learner('v', true));
    table.pass(300);
    table.propose('a', promote('v'));
    table.propose('a', remove('w'));
    table.crash('w');
    expect(ids(table, 'b')).toEqual(['a', 'b', 'v']);
    table.pass(3_000);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 1 });
    table.crash('a');
    table.until('b holds with the vote of the new witness', () => table.see('b').mayHold, 20_000);
  });
});

test('E5: a cluster grows from three to five and shrinks to two while notes are written, and one node holds all the while', () => {
  const cluster = new VirtualCluster(pair({ seed: 7 }), CALM);
  const holder = cluster.settle();
  let notes = 0;
  let isHeld = true;
  const write = () => {
    notes +=
      cluster.act(holder, (node, now) => node.propose({ kind: 'note', text: `n${notes}` }, now)) ===
      'accepted'
        ? 1
        : 0;
    isHeld &&= cluster.holders.join() === holder;
    cluster.at(15, write);
  };
  cluster.at(1, write);
  const change = (command: Parameters<ReturnType<typeof cluster.node>['propose']>[0]) =>
    cluster.until(
      `${command.kind} accepted`,
      () => cluster.act(holder, (node, now) => node.propose(command, now)) === 'accepted',
    );
  for (const id of ['d', 'e']) {
    cluster.boot(id);
    change(learner(id));
    change(promote(id));
    change({ kind: 'peer-in-sync', peer: id });
  }
  cluster.run(500);
  expect(cluster.node('e').observe()).toMatchObject({ inSync: ['a', 'b', 'd', 'e'], leader: holder });
  for (const id of ['a', 'b', 'd', 'e', 'w'].filter((other) => other !== holder).slice(0, 3))
    change(remove(id));
  cluster.run(500);
  expect(cluster.node(holder).observe().members).toHaveLength(2);
  expect(isHeld).toBe(true);
  expect(
    cluster
      .node(holder)
      .observe()
      .entries.filter((entry) => entry.kind === 'note'),
  ).toHaveLength(notes);
  expect(notes).toBeGreaterThan(50);
});
