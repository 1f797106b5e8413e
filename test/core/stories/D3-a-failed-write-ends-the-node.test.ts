import { expect, test } from 'vitest';
import { Table } from '../../support/story.ts';

function failing(): Table {
  const table = new Table();
  table.elect('a');
  table.stalled.add('a');
  table.note('a', 'x');
  table.node('a').advance(table.now + 100); // heartbeats wait in the outbox
  table.now += 100;
  table.node('a').fsyncFail(table.now);
  return table;
}

test('D3: in the same call it is stopped, may not hold, and nothing leaves any more', () => {
  const table = failing();
  expect(table.see('a')).toMatchObject({
    role: 'stopped',
    mayHold: false,
    releasing: true,
    leaseUntilMs: null,
    leader: null,
  });
  expect(table.node('a').takeOutbox()).toEqual([]);
  expect(table.node('a').nextDeadlineMs()).toBeNull();
});

test('D3: later inputs are ignored without throwing', () => {
  const table = failing();
  const node = table.node('a');
  const before = table.see('a');
  expect(table.note('a', 'y')).toBe('refused');
  node.campaign(table.now);
  node.transfer('b', table.now);
  node.fsyncDone(table.now);
  node.fsyncFail(table.now);
  node.fsyncDone(table.now);
  node.advance(table.now + 60_000);
  table.now += 60_000;
  table.deliver({
    from: 'b',
    to: 'a',
    kind: 'heartbeat',
    term: 9,
    body: {
      kind: 'heartbeat',
      from: 'b',
      to: 'a',
      term: 9,
      seq: 1,
      commit: 0,
      renounced: false,
      promiseMs: 1,
    },
  });
  expect(node.takeOutbox()).toEqual([]);
  expect(table.see('a')).toEqual(before);
});

test('D3: it stays releasing until released(), may crash, and a new life starts from what was durable', () => {
  const table = failing();
  table.pass(5_000);
  expect(table.see('a')).toMatchObject({ role: 'stopped', releasing: true });
  table.released('a');
  expect(table.see('a')).toMatchObject({ role: 'stopped', releasing: false, mayHold: false });
  expect(table.crash('a', 'lose', 'releases')).toEqual([]);
  table.stalled.clear();
  expect(table.boot('a').observe()).toMatchObject({ role: 'follower', lastIndex: 3, mayHold: false });
});

test('D3: a node that held nothing is not releasing; one that crashes before its release says when it has', () => {
  const table = new Table();
  table.elect('a');
  table.node('b').fsyncFail(table.now);
  expect(table.see('b')).toMatchObject({ role: 'stopped', releasing: false });
  const other = failing();
  expect(other.crash('a', 'lose', 'releases').map(({ kind }) => kind)).toEqual(['released', 'released']);
});

test('D3: a candidate whose vote could not be written asks nobody', () => {
  const table = new Table();
  table.wait(table.see('a').promiseMs);
  table.stalled.add('a');
  table.campaign('a');
  expect(table.see('a').role).toBe('candidate');
  table.node('a').fsyncFail(table.now);
  table.settle();
  expect(table.sent.filter(({ kind }) => kind === 'vote')).toEqual([]);
});
