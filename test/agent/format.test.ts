/** What an agent of an older version has not said that it understands is not written while it votes. */
import { describe, expect, it } from 'vitest';
import { formatNeeded, lackingVoters } from '../../src/agent/format.ts';
import { deriveTiming, durationMs, epoch, logIndex, nodeId, type Proposal } from '../../src/core/index.ts';

const TIMING = deriveTiming({
  ...{ heartbeatMs: 100, leaseMs: 600, releaseMs: 1_000, guardMs: 25 },
  ...{ watchdogTimeoutMs: null, clockErrorRate: 0.005 },
});
const [b, w] = [nodeId('b'), nodeId('w')];

describe('who has not said it', () => {
  const ask = (up: readonly string[], formats: Record<string, number | null>, format = 2) =>
    lackingVoters(
      [b, w],
      (id) => up.includes(id),
      (id) => formats[id] ?? null,
      format,
    );

  it('is who answers and says nothing, or an older format', () => {
    expect(ask(['b', 'w'], { b: 2, w: null })).toEqual([w]);
    expect(ask(['b', 'w'], { b: 1, w: 3 })).toEqual([b]);
    expect(ask(['b', 'w'], { b: 2, w: 2 })).toEqual([]);
    expect(ask(['b', 'w'], { b: 3, w: 2 }, 3)).toEqual([w]);
  });

  it('is not who is away', () => {
    expect(ask(['b'], { b: 2 })).toEqual([]);
  });
});

describe('what waits for it', () => {
  const order = { who: 'x', why: '', request: null, at: null };
  it.each<[number | boolean, Proposal]>([
    [true, { kind: 'pause', paused: true, ...order }],
    [false, { kind: 'pause', paused: false, ...order }],
    [true, { kind: 'standby', node: b, standby: true, ...order }],
    [true, { kind: 'restart', durationMs: durationMs(5_000), who: 'x', request: null }],
    [true, { kind: 'operator', who: 'x', action: 'y', to: b, request: 'r-12345678', at: null }],
    [false, { kind: 'operator', who: 'x', action: 'y', at: null }],
    [true, { kind: 'forced', node: b, mayLose: 'all', request: 'r-12345678', who: 'x', why: '', at: null }],
    [false, { kind: 'forced', node: b, mayLose: 'all', who: 'x', why: '', at: null }],
    // The entry of each of them says who has ordered it: an agent of before drops it, and everything after it.
    [true, { kind: 'add-learner', id: b, witness: false }],
    [true, { kind: 'promote', id: b }],
    [true, { kind: 'remove', id: b }],
    [true, { kind: 'set-timing', timing: TIMING, by: order }],
    [false, { kind: 'peer-outdated', peer: b }],
    [false, { kind: 'self-outdated' }],
    [
      3,
      {
        ...{ kind: 'switchover-scheduled', to: null, epoch: epoch(3), dueAt: 1, graceMs: durationMs(1) },
        ...order,
      },
    ],
    [3, { kind: 'switchover-begun', of: logIndex(3), to: b, at: null }],
    [3, { kind: 'switchover-ended', of: logIndex(3), outcome: 'done', ...order }],
  ])('%s: %o', (needed, proposal) => {
    expect(formatNeeded(proposal)).toBe(needed === true ? 2 : Number(needed));
  });
});
