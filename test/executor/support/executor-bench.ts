/** The main thread's decisions with a fake guard and a fake cloud. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import {
  deriveTiming,
  epoch,
  type Instant,
  instant,
  nodeId,
  type Released,
  term,
} from '../../../src/core/index.ts';
import { type ErrorCode, QuorateError } from '../../../src/errors.ts';
import { Executor } from '../../../src/executor/executor.ts';
import type { ExecutorOptions } from '../../../src/executor/executor-options.ts';
import type { FenceRequest } from '../../../src/executor/fence-orders.ts';
import type { GuardAnswers, GuardOrder } from '../../../src/executor/guard-protocol.ts';
import type { Guard } from '../../../src/executor/guard-proxy.ts';
import { ownProcess } from '../../../src/executor/processes.ts';
import type { Hello, SentEvent } from '../../../src/executor/protocol.ts';
import { newLeaseBuffer, SharedLease } from '../../../src/executor/shared-lease.ts';
import type { AcquireContext, Probe, Resource } from '../../../src/resources/index.ts';

export const L = 600;

export class FakeGuard implements Guard {
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

export class FakeFences {
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

export class FakeAddress implements Resource {
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

export class Bench {
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

/** For a whole file. */
export function useVirtualTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => vi.useRealTimers());
}
