/** An expected epoch, and what a switchover asks of its leader: compared with what the leader holds, not with old entries. */
import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { requireHeldEpoch, requireOpenEpoch } from '../../src/agent/refusals.ts';
import { requireAll, Switchover, type SwitchoverOptions } from '../../src/agent/switchover.ts';
import { type CoreView, nodeId } from '../../src/core/index.ts';

const [a, b] = [nodeId('a'), nodeId('b')];

/** `b` leads; the tenure 3 of `a` is open in its log, or released. */
function leading(hold: { kind: string; epoch?: number }, released = false): CoreView {
  const view = {
    self: b,
    hold,
    now: 1_000,
    timing: { leaseMs: 400 },
    voters: [a, b],
    isPaused: false,
    state: { tenure: { node: a, epoch: 3, released }, standby: [] },
    leadership: { lease: { heardFrom: () => true } },
    isDataVoter: () => true,
    isEligible: () => true,
    mayTakeOver: () => true,
    isSetAside: () => false,
  };
  return view as unknown as CoreView; // the parts that are looked at
}

const changed = expect.objectContaining({
  code: 'epoch-changed',
  context: { violations: [expect.objectContaining({ type: 'EPOCH', subject: a })], facts: { epoch: '3' } },
});

describe('an expected epoch', () => {
  it.each(['none', 'preparing', 'granting', 'releasing'])(
    'that is open in the log, and of an earlier leader, is refused by one whose hold is %s',
    (kind) => {
      expect(() => requireHeldEpoch(leading({ kind, epoch: 11 }), 3)).toThrow(changed);
    },
  );

  it('is the one that is held; 0 is none, in the log and here', () => {
    requireHeldEpoch(leading({ kind: 'held', epoch: 11 }), 11);
    requireHeldEpoch(leading({ kind: 'none' }, true), 0);
    requireHeldEpoch(leading({ kind: 'none' }), null);
    expect(() => requireHeldEpoch(leading({ kind: 'held', epoch: 11 }), 3)).toThrow(changed);
    expect(() => requireHeldEpoch(leading({ kind: 'none' }), 0)).toThrow(changed);
    expect(() => requireHeldEpoch(leading({ kind: 'granting', epoch: 11 }, true), 0)).toThrow(
      'b is just taking over',
    );
  });

  it('of an override is the one in the log, which nobody holds any more', () => {
    requireOpenEpoch(leading({ kind: 'none' }), 3);
    expect(() => requireOpenEpoch(leading({ kind: 'none' }), 0)).toThrow(changed);
  });
});

it('a switchover of a leader that does not hold is refused: it would move the wrong way', () => {
  const checksOf = (kind: string) => {
    const driver = { view: leading({ kind, epoch: 11 }) } as unknown as Driver;
    return new Switchover({ driver } as unknown as SwitchoverOptions).checks(a);
  };
  expect(() => requireAll('switchover to a', a, checksOf('granting'))).toThrow(
    expect.objectContaining({
      code: 'refused-unsafe',
      context: { violations: [expect.objectContaining({ type: 'LEADER' })] },
    }),
  );
  requireAll('switchover to a', a, checksOf('held'));
});
