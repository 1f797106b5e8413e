/** The window of a takeover, once the old holder is back: how many bytes only it had, said once. */
import { expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { KeptTails } from '../../src/agent/kept-tails.ts';
import type { Config } from '../../src/config/index.ts';
import { type EntryBody, epoch, logIndex, nodeId } from '../../src/core/index.ts';
import { Board } from '../../src/replication/index.ts';
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
  const driver = () =>
    ({
      view: {
        hold: state.holds ? { kind: 'held', epoch: epoch(4) } : { kind: 'none' },
        log: { all: chain(...rows) },
      },
      propose: (body: EntryBody) => {
        if (state.refuses) return { refused: 'not now' };
        rows.push([2, body]);
        return { index: logIndex(rows.length), term: 2 };
      },
    }) as unknown as Driver;
  const notes = () => rows.flatMap(([, body]) => (body.kind === 'note' ? [body.text] : []));
  const make = () => new KeptTails({ config: CONFIG, driver });
  return { make, notes, state };
}

const told = (bytes: number) => {
  const board = new Board();
  board.setKept([{ pool: 'tank', datasets: 2, bytes, largest: 'tank/.diverged/4/home' }]);
  const [report] = [...board.take()];
  if (report === undefined) throw new Error('nothing was told');
  return report;
};

const SAID =
  'epoch 4: kept on a, of tank: 4096 bytes that only a had, in 2 datasets, the most in tank/.diverged/4/home; nothing was destroyed';

it('is said once, also by the next process, and again only where it has become more', () => {
  const { make, notes } = bench();
  const first = make();
  for (let count = 0; count < 3; count++) first.onReport(told(4096));
  make().onReport(told(4096));
  // An operator has dropped one of them.
  first.onReport(told(1000));
  expect(notes()).toEqual([SAID]);
  make().onReport(told(8192));
  expect(notes()[1]).toMatch(/: 8192 bytes that only a had/);
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
