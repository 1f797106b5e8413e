import { describe, expect, test } from 'vitest';
import { adoptable, nodeId } from '../../../src/core/index.ts';
import { bodyOf, DATA3, forge, Table } from '../../support/story.ts';

const D = 3_000;

/** a holds and has handed its tenure over; its process is gone. */
function restarting(config: ConstructorParameters<typeof Table>[0] = {}) {
  const table = new Table({ members: DATA3, ...config });
  const { epoch, term } = table.elect('a');
  const announced = table.propose('a', { kind: 'restart', durationMs: D });
  const { keptUntilMs } = table.see('a');
  if (epoch === null) throw new Error('a holds nothing');
  return { table, epoch, term, announced, keptUntilMs };
}
const gone = (config: ConstructorParameters<typeof Table>[0] = {}) => {
  const story = restarting(config);
  if (story.keptUntilMs === null) throw new Error('nothing was handed over');
  story.table.crash('a', 'keep');
  return { ...story, keptUntilMs: story.keptUntilMs };
};

describe('L7: the holder announces a restart', () => {
  test('committed first, then the voters promise for its whole time, then the executor gets the deadline', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.pass(40);
    table.lets = ({ kind }) => kind !== 'append-ack';
    table.propose('a', { kind: 'restart', durationMs: D });
    expect(table.kinds('a').at(-1)).toBe('restart-begun');
    expect(table.see('a').keptUntilMs).toBeNull();
    table.lets = ({ kind }) => kind !== 'heartbeat-ack';
    table.deliver(...table.takeHeld());
    expect(table.see('a').keptUntilMs).toBeNull();
    const askedAt = table.now;
    expect(table.see('b').promiseUntilMs).toBe(askedAt + D);
    table.lets = () => true;
    table.wait(17);
    table.deliver(...table.takeHeld());
    // Counted from the send of the round that a quorum has confirmed (L1), never from now.
    expect(table.see('a').keptUntilMs).toBe(askedAt + D);
  });

  test('the next process asks at once, is elected in a new term, and goes on under the same epoch', () => {
    const { table, epoch, term, keptUntilMs } = gone();
    table.pass(200);
    table.boot('a', keptUntilMs);
    expect(table.see('a')).toMatchObject({ mayHold: false, epoch });
    table.pass(1);
    expect(table.see('a')).toMatchObject({ mayHold: true, epoch, leader: 'a', term: term + 1 });
    expect(table.see('a').adoption).toEqual(['bind', 'adopted']);
    expect(table.kinds('a').slice(-3)).toEqual(['restart-begun', 'elected', 'tenure-adopted']);
    expect(table.holders).toEqual(['a']);
  });

  test('nothing is obeyed before the adoption is committed, and it is not written before the executor is bound', () => {
    const { table, keptUntilMs } = gone();
    table.lets = ({ kind }) => kind !== 'append-ack';
    table.boot('a', keptUntilMs);
    table.pass(1);
    expect(table.see('a')).toMatchObject({ mayHold: false, leader: 'a', adoption: [] });
    table.deliver(...table.takeHeld());
    expect(table.see('a').adoption).toEqual(['bind']);
    expect(table.kinds('a').at(-1)).toBe('tenure-adopted');
    expect(table.holders).toEqual([]);
    table.deliver(...table.takeHeld());
    expect(table.see('a').adoption).toEqual(['bind', 'adopted']);
    expect(table.holders).toEqual(['a']);
  });
});

describe('L7: a voter whose promise runs', () => {
  const granted = (table: Table) =>
    table.takeHeld(({ kind, from }) => kind === 'vote-ack' && from === 'b').map((one) => bodyOf(one).granted);

  test.each([
    ['to this very node, asked to adopt that epoch', 'a', 0, true],
    ['to this very node, asked to adopt another epoch', 'a', 1, false],
    ['to somebody else', 'c', 0, false],
  ])('%s', (_, from, off, isGranted) => {
    const { table, epoch, term } = gone();
    table.lets = () => false;
    const vote = { kind: 'vote', from, to: 'b', term: term + 1, lastTerm: term, adopt: epoch + off } as const;
    table.deliver(forge(vote));
    expect(granted(table)).toEqual([isGranted]);
  });

  test('asked for a vote like any other by this very node: it binds', () => {
    const { table, term } = gone();
    table.lets = () => false;
    table.deliver(forge({ kind: 'vote', from: 'a', to: 'b', term: term + 1 }));
    expect(granted(table)).toEqual([false]);
  });

  test('to nobody, after a start of its own (L4): it binds', () => {
    const { table, epoch, term } = gone();
    table.lets = () => false;
    table.crash('b', 'keep');
    table.boot('b');
    table.deliver(forge({ kind: 'vote', from: 'a', to: 'b', term: term + 1, lastTerm: term, adopt: epoch }));
    expect(granted(table)).toEqual([false]);
  });

  test('to a node that has announced nothing: it binds', () => {
    const table = new Table({ members: DATA3 });
    const { epoch, term } = table.elect('a');
    table.lets = () => false;
    table.deliver(forge({ kind: 'vote', from: 'a', to: 'b', term: term + 1, lastTerm: term, adopt: epoch }));
    expect(granted(table)).toEqual([false]);
  });
});

describe('L7: a restart that is not finished', () => {
  test('somebody else leads: the node that comes back lets go at once, and that one waits for the time or the release', () => {
    const { table, epoch, keptUntilMs } = gone();
    table.lets = ({ to, from }) => to !== 'a' && from !== 'a';
    table.elect('b');
    const electedAt = table.now;
    table.pass(D);
    expect(table.holders).toEqual([]);
    // It slept through all that: the deadline is its executor's to keep.
    table.boot('a', keptUntilMs + 2 * D);
    table.lets = () => true;
    table.until('a hears of b', () => table.see('a').leader === 'b');
    expect(table.see('a')).toMatchObject({ releasing: true, epoch });
    expect(table.see('a').adoption).toEqual([]);
    table.until('b holds', () => table.holders.includes('b'));
    expect(table.now - electedAt).toBeGreaterThan(D);
  });

  test('its time is over: what was kept is let go of, and no vote was given away', () => {
    const { table, epoch, keptUntilMs } = gone();
    table.lets = ({ to }) => to === 'a';
    table.boot('a', keptUntilMs);
    table.pass(keptUntilMs - table.now - 1);
    expect(table.see('a')).toMatchObject({ releasing: false, epoch });
    table.pass(2);
    expect(table.see('a')).toMatchObject({ releasing: true, epoch });
    table.released('a');
    expect(table.see('a')).toMatchObject({ releasing: false, epoch: null });
  });

  test('the executor does not keep it: it goes on as before, and nobody need wait for it later', () => {
    const { table, epoch, term, keptUntilMs } = restarting({ keepsNothing: ['a'] });
    expect(keptUntilMs).toBeNull();
    table.pass(50);
    expect(table.see('a')).toMatchObject({ mayHold: true, epoch, term });
    expect(table.kinds('b').slice(-2)).toEqual(['restart-begun', 'tenure-adopted']);
    table.crash('a', 'keep', 'dies');
    table.elect('b');
    expect(table.holders).toEqual(['b']);
  });

  test('the executor cannot be bound: nothing is adopted, everything is released, and a tenure is granted anew', () => {
    const { table, epoch, keptUntilMs } = gone();
    table.config.keepsNothing = ['a'];
    table.boot('a', keptUntilMs);
    table.pass(1);
    expect(table.see('a')).toMatchObject({ leader: 'a', releasing: true, epoch });
    expect(table.kinds('a')).not.toContain('tenure-adopted');
    table.released('a');
    table.pass(200);
    expect(table.see('a').mayHold).toBe(true);
    expect(table.see('a').epoch).toBeGreaterThan(epoch);
    expect(table.kinds('a')).toContain('tenure-released');
  });

  test('a node on its way back votes for nobody (L3)', () => {
    const { table, term, keptUntilMs } = gone();
    table.lets = () => false;
    table.boot('a', keptUntilMs);
    table.wait(60_000);
    table.deliver(forge({ kind: 'vote', from: 'b', to: 'a', term: term + 9 }));
    const [answer] = table.takeHeld(({ kind }) => kind === 'vote-ack').map(bodyOf);
    expect(answer?.granted).toBe(false);
  });
});

describe('L7: what a disk says is to be adopted', () => {
  const disk = (table: Table, change: object = {}) => {
    const { term, votedFor, commitIndex } = { ...table.see('b') };
    const hardState = { term, votedFor, commitIndex, damaged: null, ...change } as never;
    // The log of b is that of a, and the story may look into it.
    const append = table.sent.findLast(({ kind, to }) => kind === 'append' && to === 'b');
    const entries = append === undefined ? [] : (bodyOf(append).entries as never);
    return { hardState, entries };
  };

  test('only its own restart, in the very term of the announcement, on a whole disk', () => {
    const { table, epoch, term } = gone();
    expect(adoptable(nodeId('a'), disk(table))).toEqual({ epoch, term });
    expect(adoptable(nodeId('b'), disk(table))).toBeNull();
    expect(adoptable(nodeId('a'), disk(table, { term: term + 1 }))).toBeNull();
    expect(adoptable(nodeId('a'), disk(table, { damaged: { markerIndex: 1, markerTerm: 1 } }))).toBeNull();
  });
});
