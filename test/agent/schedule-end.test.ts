/** What lasts so long that no more is to come of a scheduled switchover: of this leadership and this order, not of one before it. */
import { beforeEach, expect, it } from 'vitest';
import { Calm } from '../../src/agent/schedule-end.ts';
import { instant, nodeId, type Schedule } from '../../src/core/index.ts';

const b = nodeId('b');
let now = 0;
let calm: Calm;
beforeEach(() => {
  now = 1_000;
  calm = new Calm({ now: () => instant(now) });
});

/** Nobody holds: the tenure that the order was about is released, and no other one has begun. */
const endOf = (firstIndex: number, index: number) => {
  const tenure = { node: nodeId('a'), epoch: 9, released: true, isTaken: true };
  const view = {
    state: { tenure },
    hold: { kind: 'none' },
    leadership: { firstIndex, transfer: null },
    log: { slice: () => [] },
    commitIndex: firstIndex,
  };
  return calm.endOf(view as never, { index, epoch: 9 } as unknown as Schedule, b);
};

it('ends it as refused where nobody has held for longer than a takeover takes', () => {
  expect(endOf(20, 11)).toBeNull();
  now += 149_000;
  expect(endOf(20, 11)).toBeNull();
  now += 2_000;
  expect(endOf(20, 11)).toMatchObject({
    outcome: 'refused',
    why: expect.stringContaining('nobody has held'),
  });
});

it('a leader that comes back does not count from what it saw when it led before', () => {
  expect(endOf(20, 11)).toBeNull();
  now += 600_000;
  expect(endOf(31, 11)).toBeNull();
  now += 151_000;
  expect(endOf(31, 11)).toMatchObject({ outcome: 'refused' });
});

it('nor does another order count from what was seen of the one before it', () => {
  expect(endOf(20, 11)).toBeNull();
  now += 600_000;
  expect(endOf(20, 15)).toBeNull();
});
