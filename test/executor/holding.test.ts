/** Taking, keeping and giving back a tenure's resources, and what is sent meanwhile. */
import { describe, expect, it, vi } from 'vitest';
import { epoch, instant, term } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import type { ExecutorOptions } from '../../src/executor/executor-options.ts';
import { Bench, L, useVirtualTime } from './support/executor-bench.ts';

useVirtualTime();

describe('orders', () => {
  it('H2, O1: nothing is taken before everything was verified', async () => {
    const bench = new Bench();
    bench.guard.held.set('hello', []);
    await bench.hello();
    await bench.take(7);
    expect(bench.kinds()).toEqual(['take-failed']);
    expect(bench.guard.ops()).toEqual(['hello']);
    bench.guard.letGo('hello');
    await vi.advanceTimersByTimeAsync(1);
    await bench.take(7);
    expect(bench.kinds()).toEqual(['take-failed', 'ready', 'taken']);
  });

  it('O1: what the guard refuses to begin is not taken', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.guard.failures.set('begin', 'epoch 7 is dead (R2)');
    await bench.take(7);
    expect(bench.events.at(-1)).toMatchObject({ kind: 'take-failed', step: 'gate' });
    expect(bench.address.acquires).toEqual([]);
  });

  it('O2: a call to the cloud is aborted at the end of the lease, and goes on while it is renewed', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.address.hang = true;
    await bench.take(7);
    bench.lease.set(epoch(7), instant(Date.now() + 2 * L), instant(Date.now()));
    await vi.advanceTimersByTimeAsync(2 * L - 10);
    expect(bench.address.acquires[0]?.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(20);
    expect(bench.address.acquires[0]?.signal.aborted).toBe(true);
    expect(bench.events.at(-1)?.kind === 'take-failed' || bench.kinds().includes('take-failed')).toBe(true);
  });

  it.each([true, false])(
    'O3: an order to take by force (%s) reaches every local acquire',
    async (isForced) => {
      const bench = new Bench();
      await bench.hello();
      await bench.take(7, instant(Date.now() + L), isForced);
      const acquires = bench.guard.orders.flatMap((order) =>
        order.op === 'acquire' ? [order.isForced] : [],
      );
      // A repair too: that what was had once is not forced again is the business of the guard.
      expect([...new Set(acquires)]).toEqual([isForced]);
      // The cloud knows no force.
      expect(bench.address.acquires[0]).not.toHaveProperty('mayForce');
    },
  );

  it.each([
    [true, ['fresh', 'stale', 'stale']],
    [false, ['none', 'none', 'none']],
  ])(
    'R4: proof (%s) is of the grant: what a repair or a take-back acquires has only the old one',
    async (hasProof, expected) => {
      const bench = new Bench();
      await bench.hello();
      await bench.take(7, instant(Date.now() + 60_000), false, hasProof);
      bench.lease.set(epoch(7), instant(Date.now() + 60_000), instant(Date.now()));
      await vi.advanceTimersByTimeAsync(3000);
      bench.guard.probe = 'held';
      await vi.advanceTimersByTimeAsync(6000);
      const proofs = () =>
        bench.guard.orders.flatMap((order) => (order.op === 'acquire' ? [order.proof] : []));
      const afterRepairs = proofs();
      expect(afterRepairs.length).toBeGreaterThan(1);
      bench.guard.failures.set('release', 'busy');
      bench.executor.onOrder({ kind: 'release', epoch: epoch(7), mode: 'planned' });
      await vi.advanceTimersByTimeAsync(100);
      expect(bench.kinds()).toContain('release-failed');
      expect(proofs().length).toBeGreaterThan(afterRepairs.length);
      expect([proofs()[0], proofs()[1], proofs().at(-1)]).toEqual(expected);
    },
  );

  it('a release calls off a takeover first, waits for it, and then gives everything back', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.address.hang = true;
    await bench.take(7);
    bench.executor.onOrder({ kind: 'release', epoch: epoch(7), mode: 'planned' });
    await vi.advanceTimersByTimeAsync(1);
    expect(bench.kinds()).toContain('take-failed');
    expect(bench.guard.ops()).toEqual([
      'hello',
      'begin',
      'acquire block',
      'call-off',
      'release block',
      'finish',
    ]);
  });

  describe('of a pool that is replicated by snapshots', () => {
    const graph: ExecutorOptions['graph'] = [
      { name: 'tank', kind: 'replicated-pool', scope: 'local', after: [] },
    ];
    const planned = async (lastSnapshot?: ExecutorOptions['lastSnapshot'], ms = 100) => {
      const bench = new Bench({ graph, ...(lastSnapshot === undefined ? {} : { lastSnapshot }) });
      await bench.hello();
      const until = instant(Date.now() + 200_000);
      await bench.take(7, until);
      bench.lease.set(epoch(7), until, instant(Date.now()));
      bench.executor.onOrder({ kind: 'release', epoch: epoch(7), mode: 'planned' });
      await vi.advanceTimersByTimeAsync(ms);
      return bench;
    };

    it('a planned release sends the last snapshot when everything is shut, and only then ends', async () => {
      let arrived = () => {};
      const bench = await planned(async ({ epoch: of }) => {
        expect(of).toBe(7);
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
        return 'p9';
      });
      expect(bench.guard.ops().at(-1)).toBe('release tank');
      arrived();
      await vi.advanceTimersByTimeAsync(10);
      expect(bench.guard.ops().at(-1)).toBe('finish');
      // What the guard then reports is told with it; what it had to do by force is not.
      const released = {
        epoch: epoch(7),
        term: term(1),
        evidence: 'all',
        findings: [],
        ms: 5,
        isRepeat: false,
      };
      for (const mode of ['planned', 'abrupt'] as const)
        bench.executor.onGuardReport({ kind: 'released', released: { ...released, mode } });
      const told = bench.events.flatMap((one) => (one.kind === 'released' ? [one.evidence] : []));
      expect(told.slice(-2)).toEqual(['last snapshot @p9 has arrived; all', 'all']);
    });

    it.each([
      ['it fails', () => Promise.reject(new QuorateError('peer-unreachable', 'b is away')), 100, /b is away/],
      ['it does not end', () => new Promise<string>(() => {}), 61_000, /not sent within 60000 ms/],
      ['nothing sends', undefined, 100, /nothing sends snapshots here/],
    ] as const)('R1: where %s, everything is taken back and the role stays', async (_, last, ms, why) => {
      const bench = await planned(last, ms);
      expect(bench.guard.ops()).not.toContain('finish');
      expect(bench.guard.ops().filter((op) => op === 'acquire tank').length).toBeGreaterThan(1);
      const failed = bench.events.find(({ kind }) => kind === 'release-failed');
      expect(failed).toMatchObject({ step: 'last snapshot', why: expect.stringMatching(why) });
    });
  });

  it('H4: repairs only what was taken, and only what is certainly lost', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.guard.probe = 'unknown';
    await vi.advanceTimersByTimeAsync(5000);
    await bench.take(7, instant(Date.now() + 60_000));
    bench.guard.probe = 'held';
    bench.address.state = 'unknown';
    await vi.advanceTimersByTimeAsync(5000);
    expect(bench.address.acquires).toHaveLength(1);
    bench.address.state = 'not-held';
    await vi.advanceTimersByTimeAsync(2000);
    expect(bench.address.acquires).toHaveLength(2);
    // d.0: not blindly; what a stranger has got meanwhile is not taken from him.
    expect(bench.address.acquires[1]?.previousReleased).toBe(true);
    expect(bench.guard.ops().filter((op) => op === 'acquire block')).toHaveLength(1);
  });
});

describe('replication by snapshots', () => {
  const told = (bench: Bench): string[] => bench.replication.map((one) => one.told);

  it('begins after a complete takeover, and ends as the first act of a planned release', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.address.hang = true;
    await bench.take(7, instant(Date.now() + 60_000));
    expect(told(bench)).toEqual([]);
    bench.executor.onOrder({ kind: 'release', epoch: epoch(7), mode: 'abrupt' });
    await vi.advanceTimersByTimeAsync(1);
    bench.address.hang = false;
    bench.replication.length = 0;
    await bench.take(8, instant(Date.now() + 60_000));
    expect(told(bench)).toEqual(['send 8']);
    bench.executor.onOrder({ kind: 'replicate', dataset: 'tank/home' });
    expect(told(bench)).toEqual(['send 8', 'run tank/home']);
    const orders = bench.guard.orders.length;
    bench.executor.onOrder({ kind: 'release', epoch: epoch(8), mode: 'planned' });
    expect(bench.replication.at(-1)).toEqual({ told: 'stop', at: orders });
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.guard.ops()).toContain('finish');
    expect(told(bench)).not.toContain('send 7');
  });

  it('ends with the lease, and with the agent', async () => {
    for (const end of ['lease', 'agent'] as const) {
      const bench = new Bench();
      await bench.hello();
      await bench.take(7, instant(Date.now() + 60_000));
      const orders = bench.guard.orders.length;
      if (end === 'agent') bench.executor.onClosed();
      else bench.executor.onGuardReport({ kind: 'revoked', epoch: epoch(7), why: 'the lease ended' });
      expect(bench.replication).toEqual([
        { told: 'send 7', at: expect.any(Number) },
        { told: 'stop', at: orders },
      ]);
    }
  });

  it('R1: goes on where a planned release could not end and everything was taken again', async () => {
    const bench = new Bench();
    await bench.hello();
    await bench.take(7, instant(Date.now() + 60_000));
    bench.guard.failures.set('release', 'busy');
    bench.executor.onOrder({ kind: 'release', epoch: epoch(7), mode: 'planned' });
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.kinds()).toContain('release-failed');
    expect(told(bench)).toEqual(['send 7', 'stop', 'send 7']);
  });
});
