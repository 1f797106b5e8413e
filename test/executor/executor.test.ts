/** What the executor does for whom: agents that come, and orders to fence. */
import { describe, expect, it, vi } from 'vitest';
import { deriveTiming, instant, nodeId } from '../../src/core/index.ts';
import { ownProcess } from '../../src/executor/processes.ts';
import { Bench, L, useVirtualTime } from './support/executor-bench.ts';

useVirtualTime();

it('R5: fences as ordered, and says how it ended', async () => {
  const bench = new Bench();
  await bench.hello();
  const until = instant(Date.now() + L);
  const order = { node: nodeId('b'), until, confirmedAt: instant(until - L) };
  bench.executor.onOrder({ kind: 'fence', id: 3, ...order });
  await vi.advanceTimersByTimeAsync(1);
  expect(bench.fences.orders).toMatchObject([order]);
  expect(bench.events.at(-1)).toEqual({
    kind: 'fence-ended',
    id: 3,
    node: 'b',
    outcome: 'stopped',
    detail: 'b is stopped',
    ms: 12,
  });
});

describe('hello', () => {
  it('of another node, another cluster or a process that is not there is refused', () => {
    const bench = new Bench();
    const hello = {
      kind: 'hello',
      version: 1,
      config: '',
      ...ownProcess(),
      members: new Map(),
      timing: deriveTiming({
        heartbeatMs: 100,
        leaseMs: L,
        releaseMs: 1000,
        guardMs: 25,
        watchdogTimeoutMs: null,
        clockErrorRate: 0,
      }),
    } as const;
    expect(bench.executor.onHello({ ...hello, node: nodeId('b'), cluster: 'test' })).toHaveProperty(
      'refusal',
    );
    expect(bench.executor.onHello({ ...hello, node: nodeId('a'), cluster: 'other' })).toHaveProperty(
      'refusal',
    );
    expect(
      bench.executor.onHello({ ...hello, node: nodeId('a'), cluster: 'test', startTime: '1' }),
    ).toHaveProperty('refusal');
  });
});
