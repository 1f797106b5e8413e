import { describe, expect, it } from 'vitest';
import { Driver } from '../../src/agent/driver.ts';
import { epoch, instant, logIndex, term } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';
import { a, chain, elected, config as firstEntry, granted, restart } from '../state/story.ts';

/** Node a was restarted under epoch 3, and its executor did not say in time what it had kept. */
function begunWithout() {
  const entries = chain([1, firstEntry()], [1, elected(a)], [1, granted(a)], [1, restart(3, a)]);
  const orders: unknown[] = [];
  const nothing = () => undefined;
  const driver = new Driver({
    core: {
      ...{ self: a, digest: sha256, seed: 1, timing: firstEntry().timing, bootedAt: instant(0), kept: null },
      recovered: {
        hardState: { term: term(1), votedFor: a, commitIndex: logIndex(4), damaged: null },
        entries,
      },
    },
    clock: new VirtualClock(),
    executor: {
      ...{ arm: nothing, disarm: nothing, take: nothing, renew: nothing },
      ...{ handOver: nothing, bind: nothing, adopt: nothing },
      release: (of, mode) => void orders.push([of, mode]),
    },
    store: { persist: () => Promise.resolve() },
    ...{ send: nothing, onCommitted: nothing, onRefusedToHold: nothing, onEvent: nothing, onStep: nothing },
    ...{ whyNotUnwatched: () => null, fence: null },
    onFatal: (error) => {
      throw error;
    },
  });
  driver.input({ kind: 'executor-lost' });
  return { driver, orders };
}
const released = (of: number) =>
  ({ kind: 'released', epoch: epoch(of), evidence: 'nothing is held', ms: 1, mode: 'abrupt' }) as const;

describe('L7: what was kept is told of when the agent has begun without it', () => {
  it('it is released, and with that this node votes again', () => {
    const { driver, orders } = begunWithout();
    expect(driver.view.isBoundByHolding).toBe(true);
    driver.onExecutorEvent({ kind: 'kept', epoch: epoch(3), until: instant(5_000) });
    expect(orders).toEqual([[3, 'abrupt']]);
    driver.onExecutorEvent(released(2));
    expect(driver.view.isBoundByHolding).toBe(true);
    driver.onExecutorEvent(released(3));
    expect(driver.view.isBoundByHolding).toBe(false);
  });

  it('an executor that goes before it has said so leaves it open what is held (O1)', () => {
    const { driver } = begunWithout();
    driver.onExecutorEvent({ kind: 'kept', epoch: epoch(3), until: instant(5_000) });
    driver.onExecutorEvent({ kind: 'gone' });
    driver.onExecutorEvent(released(3));
    expect(driver.view.isBoundByHolding).toBe(true);
    driver.onExecutorEvent({ kind: 'ready', evidence: 'nothing is held' });
    expect(driver.view.isBoundByHolding).toBe(false);
  });
});

it('D1: what the log would not take is refused before anybody is told of it', () => {
  const { driver } = begunWithout();
  const operator = (action: string) => driver.propose({ kind: 'operator', who: 'alice', action, at: 0 });
  expect(operator('x'.repeat(4097))).toMatchObject({
    refused: expect.stringMatching(/operator is not valid/),
  });
  // A follower has another reason.
  expect(operator('x'.repeat(4096))).toMatchObject({ refused: expect.not.stringMatching(/not valid/) });
});
