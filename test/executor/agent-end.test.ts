/** R4: what follows the end of an agent. */
import { describe, expect, it, vi } from 'vitest';
import { Bench, L, useVirtualTime } from './support/executor-bench.ts';

useVirtualTime();

describe('R4: the end of the agent', () => {
  it('first released and gone, then stated, to each until it has acknowledged', async () => {
    const bench = new Bench();
    await bench.hello();
    await bench.take(7);
    bench.unreachable.add('host-w:1');
    bench.guard.held.set('abrupt', []);
    bench.executor.onClosed();
    await vi.advanceTimersByTimeAsync(200);
    expect(bench.statements).toEqual([]);
    bench.guard.letGo('abrupt');
    await vi.advanceTimersByTimeAsync(200);
    expect(bench.journal).toEqual(['kill agent', 'statement to b']);
    expect(bench.statements[0]).toMatchObject({
      address: 'host-b:1',
      statement: { kind: 'released', from: 'a', to: 'b', epoch: 7, term: 3 },
    });
    bench.unreachable.clear();
    await vi.advanceTimersByTimeAsync(200);
    expect(bench.journal).toEqual(['kill agent', 'statement to b', 'statement to w']);
  });

  it('says nothing while the agent may be alive', async () => {
    const bench = new Bench();
    await bench.hello();
    await bench.take(7);
    bench.agentIsGone = false;
    bench.executor.onClosed();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(bench.statements).toEqual([]);
  });

  it('says nothing where there was no tenure, and nothing after a farewell', async () => {
    for (const farewell of [true, false]) {
      const bench = new Bench();
      await bench.hello();
      if (farewell) {
        await bench.take(7);
        bench.executor.onOrder({ kind: 'bye' });
      }
      bench.executor.onClosed();
      await vi.advanceTimersByTimeAsync(10_000);
      expect(bench.statements).toEqual([]);
      expect(bench.guard.ops()).toContain('abrupt');
      expect(bench.journal).toEqual(farewell ? [] : ['kill agent']);
    }
  });

  it('gives up after two promises', async () => {
    const bench = new Bench();
    await bench.hello();
    await bench.take(7);
    bench.unreachable.add('host-w:1').add('host-b:1');
    bench.executor.onClosed();
    const promiseMs = 1.01 * (L + 25 + 1000);
    await vi.advanceTimersByTimeAsync(2 * promiseMs + 1100);
    bench.unreachable.clear();
    await vi.advanceTimersByTimeAsync(5000);
    expect(bench.statements).toEqual([]);
  });
});
