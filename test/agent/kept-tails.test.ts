/** The window of a takeover, once the old holder is back: how many bytes only it had, said once. */
import { expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { KeptTails } from '../../src/agent/kept-tails.ts';
import type { Config } from '../../src/config/index.ts';
import { type EntryBody, epoch, logIndex, nodeId } from '../../src/core/index.ts';
import { Board } from '../../src/replication/index.ts';
import { dropText } from '../../src/state/index.ts';
import { a, b, chain, elected, config as firstEntry, granted } from '../state/story.ts';

const CONFIG = {
  node: b,
  members: ['a', 'b'].map((id) => ({ id: nodeId(id), witness: false })),
} as unknown as Config;

function bench() {
  const rows: [number, EntryBody][] = [
    [1, firstEntry()],
    [1, granted(a)],
    [2, elected(b)],
    [2, granted(b)],
  ];
  const state = { holds: true, refuses: false };
  const driver = {
    get view() {
      return {
        hold: state.holds ? { kind: 'held', epoch: epoch(4) } : { kind: 'none' },
        log: { all: chain(...rows) },
      };
    },
    propose: (body: EntryBody) => {
      if (state.refuses) return { refused: 'not now' };
      rows.push([2, body]);
      return { index: logIndex(rows.length), term: 2 };
    },
  } as unknown as Driver;
  const notes = () => rows.flatMap(([, body]) => (body.kind === 'note' ? [body.text] : []));
  const make = () => new KeptTails({ config: CONFIG, driver });
  return { make, notes, state, rows };
}

const told = (bytes: number, upTo = 4711) => {
  const board = new Board();
  board.setKept([{ pool: 'tank', datasets: 2, bytes, largest: 'tank/.diverged/4/home', upTo }]);
  const [report] = [...board.take()];
  if (report === undefined) throw new Error('nothing was told');
  return report;
};

const SAID =
  'epoch 4: kept on a, of tank, up to 4711: 4096 bytes that only a had, in 2 datasets, the most in tank/.diverged/4/home; setting it aside destroyed nothing';

it('is said once, also by the next process, and again only where a further tail was set aside', () => {
  const { make, notes } = bench();
  const first = make();
  for (let count = 0; count < 3; count++) first.onReport(told(4096));
  make().onReport(told(4096));
  // An operator has dropped one of them.
  first.onReport(told(1000));
  expect(notes()).toEqual([SAID]);
  // D4: somebody works in what is kept there.
  for (let count = 0; count < 1440; count++) first.onReport(told(4096 + count));
  make().onReport(told(8192));
  expect(notes()).toEqual([SAID]);
  // A smaller one than what was there.
  first.onReport(told(10, 4712));
  make().onReport(told(11, 4712));
  expect(notes()[1]).toMatch(/up to 4712: 10 bytes that only a had/);
  expect(notes()).toHaveLength(2);
});

it('does not say that it is all, where something of it was dropped before', () => {
  const { make, notes, rows } = bench();
  const drop = (dataset: string): [number, EntryBody] => [
    2,
    { kind: 'operator', who: 'root', action: `${dropText('a', [dataset])}old)`, at: null },
  ];
  rows.push(drop('tank/.diverged/3/home=7'), drop('tank/.diverged/40/home=7'));
  make().onReport(told(4096));
  expect(notes()).toEqual([SAID]);
  rows.push(drop('tank/.diverged/4/home=8'));
  make().onReport(told(1000, 4712));
  expect(notes()[1]).toMatch(/, without what a was let destroy of it; setting it aside destroyed nothing$/);
});

it('is not said by a node that does not hold, and again when the leader took no entry', () => {
  const { make, notes, state } = bench();
  const tails = make();
  state.holds = false;
  tails.onReport(told(4096));
  state.holds = true;
  state.refuses = true;
  tails.onReport(told(4096));
  expect(notes()).toEqual([]);
  state.refuses = false;
  tails.onReport(told(4096));
  expect(notes()).toEqual([SAID]);
});

it('nothing was kept: nothing is said', () => {
  const { make, notes } = bench();
  const [report] = [...new Board().take()];
  if (report !== undefined) make().onReport(report);
  expect(notes()).toEqual([]);
});
