/** The main thread's decisions with a fake guard and a fake cloud. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import {
  deriveTiming,
  epoch,
  type Instant,
  instant,
  nodeId,
  type Released,
  term,
} from '../../src/core/index.ts';
import { type ErrorCode, QuorateError } from '../../src/errors.ts';
import { Executor } from '../../src/executor/executor.ts';
import type { ExecutorOptions } from '../../src/executor/executor-options.ts';
import type { FenceRequest } from '../../src/executor/fence-orders.ts';
import type { GuardAnswers, GuardOrder } from '../../src/executor/guard-protocol.ts';
import type { Guard } from '../../src/executor/guard-proxy.ts';
import { ownProcess } from '../../src/executor/processes.ts';
import type { Hello, SentEvent } from '../../src/executor/protocol.ts';
import { newLeaseBuffer, SharedLease } from '../../src/executor/shared-lease.ts';
import type { AcquireContext, Probe, Resource } from '../../src/resources/index.ts';

const L = 600;

class FakeGuard implements Guard {
  readonly orders: GuardOrder[] = [];
  readonly lease: SharedLease;
  probe: Probe = 'not-held';
  /** Holds back the answers to these until the test lets them go. */
  readonly held = new Map<GuardOrder['op'], (() => void)[]>();
  readonly failures = new Map<GuardOrder['op'], string>();

  constructor(lease: SharedLease) {
    this.lease = lease;
  }

  async ask<Order extends GuardOrder>(
    order: Order,
    signal?: AbortSignal,
  ): Promise<GuardAnswers[Order['op']]> {
    this.orders.push(order);
    const waiting = this.held.get(order.op);
    if (waiting !== undefined) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
      if (signal?.aborted) throw new QuorateError('order-ended', 'called off');
    }
    const failure = this.failures.get(order.op);
    if (failure !== undefined) throw new QuorateError('order-refused', failure);
    return this.#answer(order) as GuardAnswers[Order['op']];
  }

  ops(): string[] {
    return this.orders
      .filter((order) => order.op !== 'probe')
      .map((order) => ('name' in order ? `${order.op} ${order.name}` : order.op));
  }

  letGo(op: GuardOrder['op']): void {
    const waiting = this.held.get(op) ?? [];
    this.held.delete(op);
    for (const go of waiting) go();
  }

  #answer(order: GuardOrder): GuardAnswers[GuardOrder['op']] {
    const released = {
      epoch: null,
      term: null,
      evidence: 'all not-held',
      findings: [],
      ms: 5,
      mode: 'abrupt',
      isRepeat: false,
    } as const;
    switch (order.op) {
      case 'hello':
        return released;
      case 'begin':
        this.lease.set(order.epoch, order.until, instant(Date.now()));
        return null;
      case 'acquire':
        return 'acquired';
      case 'release':
        return 'released';
      case 'probe':
        return { probe: this.probe, detail: this.probe };
      case 'finish':
      case 'abrupt':
        this.lease.clear();
        return { ...released, epoch: order.epoch };
      case 'resume-io':
        return 'resumed';
      default:
        return null;
    }
  }
}

class FakeFences {
  readonly orders: FenceRequest[] = [];
  calledOff = 0;
  callOff(): void {
    this.calledOff += 1;
  }
  async fence(order: FenceRequest) {
    this.orders.push(order);
    return { outcome: 'stopped' as const, detail: `${order.node} is stopped`, ms: 12 };
  }
}

class FakeAddress implements Resource {
  readonly kind = 'elastic-ip';
  readonly scope = 'cloud';
  readonly name = 'eip';
  state: Probe = 'not-held';
  readonly acquires: AcquireContext[] = [];
  hang = false;
  /** It never stays. */
  isStubborn = false;
  refusal: ErrorCode | null = null;

  async acquire(context: AcquireContext): Promise<string> {
    this.acquires.push(context);
    if (this.refusal !== null) throw new QuorateError(this.refusal, 'said the cloud');
    if (this.hang) {
      await new Promise<void>((resolve) =>
        context.signal.addEventListener('abort', () => resolve(), { once: true }),
      );
      throw new QuorateError('order-ended', 'aborted');
    }
    this.state = this.isStubborn ? 'not-held' : 'held';
    return 'associated';
  }

  async release(): Promise<string> {
    return 'disassociated';
  }

  async probe() {
    return { probe: this.state, detail: this.state };
  }
}

class Bench {
  readonly lease = new SharedLease(newLeaseBuffer());
  readonly guard = new FakeGuard(this.lease);
  readonly address = new FakeAddress();
  readonly fences = new FakeFences();
  readonly events: SentEvent[] = [];
  readonly statements: { address: string; statement: Released; at: number }[] = [];
  readonly journal: string[] = [];
  /** What the replicator was told, and after how many orders to the guard. */
  readonly replication: { readonly told: string; readonly at: number }[] = [];
  unreachable = new Set<string>();
  agentIsGone = true;
  isBlockLost = false;
  readonly executor: Executor;

  constructor(more: Partial<ExecutorOptions> = {}) {
    this.executor = new Executor({
      node: nodeId('a'),
      cluster: 'test',
      graph: [
        { name: 'block', kind: 'drbd', scope: 'local', after: [] },
        { name: 'eip', kind: 'elastic-ip', scope: 'cloud', after: ['block'] },
      ],
      cloud: new Map([['eip', this.address]]),
      otherDataNodes: [nodeId('b')],
      hasReplication: true,
      guard: this.guard,
      fences: this.fences,
      lease: this.lease,
      clock: { ...systemClock, now: () => instant(Date.now()) },
      send: (event) => this.events.push(event),
      sendStatement: async (address, statement) => {
        if (this.unreachable.has(address)) throw new Error('refused');
        this.journal.push(`statement to ${statement.to}`);
        this.statements.push({ address, statement, at: Date.now() });
      },
      killProcess: async () => {
        this.journal.push('kill agent');
        return this.agentIsGone;
      },
      replicator: {
        send: (epoch) => this.#told(`send ${epoch}`),
        run: (dataset) => this.#told(`run ${dataset}`),
        stop: async () => {
          this.#told('stop');
          return true;
        },
      },
      log: () => undefined,
      ...more,
    });
    this.executor.start();
  }

  #told(told: string): void {
    this.replication.push({ told, at: this.guard.orders.length });
  }

  async hello(): Promise<void> {
    const hello: Hello = {
      kind: 'hello',
      version: 1,
      node: nodeId('a'),
      cluster: 'test',
      config: 'config.yaml',
      ...ownProcess(),
      members: new Map([
        [nodeId('b'), 'host-b:1'],
        [nodeId('w'), 'host-w:1'],
      ]),
      timing: deriveTiming({
        heartbeatMs: 100,
        leaseMs: L,
        releaseMs: 1000,
        guardMs: 25,
        watchdogTimeoutMs: null,
        clockErrorRate: 0.005,
      }),
    };
    expect(this.executor.onHello(hello)).toHaveProperty('session');
    await vi.advanceTimersByTimeAsync(1);
  }

  async take(
    of: number,
    until: Instant = instant(Date.now() + L),
    isForced = false,
    hasProof = false,
  ): Promise<void> {
    this.executor.onOrder({
      kind: 'take',
      epoch: epoch(of),
      term: term(3),
      until,
      previousReleased: true,
      hasProof,
      isForced,
    });
    await vi.advanceTimersByTimeAsync(1);
  }

  kinds(): string[] {
    return this.events.filter((event) => event.kind !== 'probes').map((event) => event.kind);
  }
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => vi.useRealTimers());

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

describe('H6: failures', () => {
  /** Half a minute of a tenure whose resources never stay, although every repair says that it has worked. */
  async function inVain(bench: Bench): Promise<Extract<SentEvent, { kind: 'repair-failed' }>[]> {
    await bench.hello();
    bench.guard.probe = 'unknown';
    await bench.take(7, instant(Date.now() + 600_000));
    for (let second = 0; second < 30; second += 1) {
      bench.lease.set(epoch(7), instant(Date.now() + 2000), 0);
      await vi.advanceTimersByTimeAsync(1000);
      bench.guard.probe = bench.isBlockLost ? 'not-held' : 'held';
    }
    return bench.events.filter((event) => event.kind === 'repair-failed');
  }

  it('what is lost in spite of its repairs is reported, and repaired on', async () => {
    const bench = new Bench();
    bench.isBlockLost = true;
    const reports = await inVain(bench);
    expect(reports[0]).toMatchObject({ epoch: 7, name: 'block', count: 3, why: 'acquired' });
    // The takeover's own, three repairs in vain, and one at least after each report.
    const acquires = bench.guard.ops().filter((op) => op === 'acquire block').length;
    expect(acquires).toBeGreaterThanOrEqual(4 + reports.length - 1);
    expect(bench.kinds()).not.toContain('released');
  });

  it('complaint 1: what the cloud does not keep, or shows late, is repaired on and reported to nobody', async () => {
    const bench = new Bench();
    bench.address.isStubborn = true;
    expect(await inVain(bench)).toEqual([]);
    expect(bench.address.acquires.length).toBeGreaterThan(4);
  });

  it.each([
    ['cloud-throttled', true],
    ['cloud-unreachable', true],
    ['cloud-refused', false],
  ] as const)('a takeover that the cloud fails with %s may pass: %s', async (code, mayPass) => {
    const bench = new Bench();
    await bench.hello();
    bench.address.refusal = code;
    await bench.take(7, instant(Date.now() + 60_000));
    expect(bench.events.find(({ kind }) => kind === 'take-failed')).toMatchObject({ step: 'eip', mayPass });
  });

  it('a failed takeover that is kept is completed by the reconcile loop', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.guard.failures.set('acquire', 'no data');
    await bench.take(7, instant(Date.now() + 60_000));
    expect(bench.kinds()).toContain('take-failed');
    await vi.advanceTimersByTimeAsync(5000);
    const before = bench.guard.ops().filter((op) => op === 'acquire block').length;
    expect(before).toBe(1);
    bench.guard.failures.clear();
    bench.executor.onOrder({ kind: 'keep', epoch: epoch(7) });
    await vi.advanceTimersByTimeAsync(5000);
    expect(bench.guard.ops().filter((op) => op === 'acquire block').length).toBeGreaterThan(before);
    expect(bench.address.state).toBe('held');
  });

  it('an order to keep another tenure keeps nothing', async () => {
    const bench = new Bench();
    await bench.hello();
    bench.guard.failures.set('acquire', 'no data');
    await bench.take(7, instant(Date.now() + 60_000));
    bench.guard.failures.clear();
    bench.executor.onOrder({ kind: 'keep', epoch: epoch(6) });
    await vi.advanceTimersByTimeAsync(5000);
    expect(bench.guard.ops().filter((op) => op === 'acquire block')).toHaveLength(1);
  });
});

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
