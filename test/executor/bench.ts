/** An executor's main thread and its guard, without a thread in between, over resources that only say how they are; virtual time. */
import { vi } from 'vitest';
import { type Clock, sleepOn, systemClock } from '../../src/clock.ts';
import {
  assertNever,
  deriveTiming,
  epoch,
  instant,
  nodeId,
  type Timing,
  term,
} from '../../src/core/index.ts';
import { type ErrorCode, QuorateError } from '../../src/errors.ts';
import { Executor } from '../../src/executor/executor.ts';
import { GuardCore } from '../../src/executor/guard-core.ts';
import type { GuardAnswers, GuardOrder, LogLevel } from '../../src/executor/guard-protocol.ts';
import type { Guard } from '../../src/executor/guard-proxy.ts';
import { ownProcess } from '../../src/executor/processes.ts';
import type { SentEvent } from '../../src/executor/protocol.ts';
import { newLeaseBuffer, SharedLease } from '../../src/executor/shared-lease.ts';
import { type ExecutorState, FRESH_STATE } from '../../src/executor/state-file.ts';
import { SuspendCheck } from '../../src/executor/suspend-check.ts';
import type { Watchdog } from '../../src/executor/watchdog.ts';
import type { Probe, Resource } from '../../src/resources/index.ts';
import type { PlanResource } from '../../src/takeover/index.ts';

const L = 600;
const RENEW_MS = 200;

const clock: Clock = {
  ...systemClock,
  now: () => instant(Date.now()),
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
};

export class FakeResource implements Resource, PlanResource {
  readonly name: string;
  readonly kind: Resource['kind'];
  readonly scope: 'local' | 'cloud';
  readonly after: readonly string[];
  readonly isDoor: boolean;
  state: Probe = 'not-held';
  acquireMs = 1;
  releaseMs = 1;
  probeMs = 1;
  /** With it every acquire fails. */
  refusal: ErrorCode | null = null;
  acquires = 0;
  releases = 0;

  constructor(name: string, kind: Resource['kind'], ...after: readonly string[]) {
    this.name = name;
    this.kind = kind;
    this.scope = kind === 'elastic-ip' ? 'cloud' : 'local';
    this.after = after;
    this.isDoor = kind === 'port-block';
  }

  async acquire({ signal }: { readonly signal: AbortSignal }): Promise<string> {
    this.acquires += 1;
    await clock.sleep(this.acquireMs, signal);
    if (signal.aborted) throw new QuorateError('order-ended', 'called off');
    if (this.refusal !== null) throw new QuorateError(this.refusal, `${this.name} cannot be had`);
    this.state = 'held';
    return 'acquired';
  }

  /** The cloud's side is left to the next holder. */
  async release(): Promise<string> {
    if (this.scope === 'cloud') return 'left';
    this.releases += 1;
    await clock.sleep(this.releaseMs);
    this.state = 'not-held';
    return 'released';
  }

  async probe(): Promise<{ probe: Probe; detail: string }> {
    await clock.sleep(this.probeMs);
    return { probe: this.state, detail: `reads ${this.state}` };
  }
}

export class Bench {
  readonly resources: readonly FakeResource[];
  readonly events: SentEvent[] = [];
  readonly logged: string[] = [];
  readonly pets: number[] = [];
  isArmed = false;
  state: ExecutorState = FRESH_STATE;
  /** The agent's renewals reach the guard. */
  isRenewing = true;
  readonly lease = new SharedLease(newLeaseBuffer());
  readonly core: GuardCore;
  readonly executor: Executor;
  readonly #timing: Timing;
  #epoch = 0;

  constructor(resources: readonly FakeResource[], watchdogTimeoutMs: number | null = null) {
    this.resources = resources;
    this.#timing = deriveTiming({
      heartbeatMs: 100,
      leaseMs: L,
      releaseMs: 1000,
      guardMs: 25,
      watchdogTimeoutMs,
      clockErrorRate: 0.005,
    });
    this.core = this.#makeCore(watchdogTimeoutMs);
    this.executor = new Executor({
      node: nodeId('a'),
      cluster: 'test',
      graph: resources,
      cloud: new Map(resources.flatMap((one) => (one.scope === 'cloud' ? [[one.name, one]] : []))),
      otherDataNodes: [nodeId('b')],
      hasReplication: false,
      guard: this.#guard(),
      fences: {
        fence: async () => ({ outcome: 'unconfirmed', detail: 'nobody is fenced here', ms: 0 }),
        callOff: () => undefined,
      },
      lease: this.lease,
      clock,
      send: (event) => this.events.push(event),
      sendStatement: async () => undefined,
      killProcess: async () => true,
      log: (_level: LogLevel, { event }) => this.logged.push(String(event)),
    });
    this.executor.start();
    setInterval(() => {
      if (this.isRenewing && this.#epoch > 0) this.core.renew(epoch(this.#epoch), instant(Date.now() + L));
    }, RENEW_MS);
  }

  #makeCore(watchdogTimeoutMs: number | null): GuardCore {
    const bench = this;
    const opened = (timeoutMs: number): Watchdog => ({
      timeoutMs,
      canDisarm: true,
      pet: () => this.pets.push(Date.now()),
      disarm: async () => {
        this.isArmed = false;
      },
      onLost: () => undefined,
    });
    return new GuardCore({
      graph: this.resources,
      local: new Map(this.resources.flatMap((one) => (one.scope === 'local' ? [[one.name, one]] : []))),
      clock,
      lease: this.lease,
      state: {
        get state() {
          return bench.state;
        },
        async update(change) {
          bench.state = { ...bench.state, ...change };
        },
      },
      children: { killInFlight: async () => true, killLeftovers: async () => true },
      watchdog:
        watchdogTimeoutMs === null
          ? null
          : {
              device: 'dog',
              mode: 'required',
              open: async () => {
                this.isArmed = true;
                return opened(watchdogTimeoutMs);
              },
            },
      suspendCheck: () =>
        new SuspendCheck(
          () => Date.now(),
          () => Date.now(),
        ),
      fatal: (error) => {
        throw error;
      },
      selfFence: () => undefined,
      report: (report) => this.executor.onGuardReport(report),
      releaseMs: 1000,
    });
  }

  #guard(): Guard {
    return {
      // Each order is answered by its own kind.
      ask: <Asked extends GuardOrder>(order: Asked, signal?: AbortSignal) =>
        this.#perform(order, signal ?? new AbortController().signal) as Promise<GuardAnswers[Asked['op']]>,
    };
  }

  async #perform(order: GuardOrder, signal: AbortSignal): Promise<GuardAnswers[GuardOrder['op']]> {
    switch (order.op) {
      case 'hello':
        this.core.setTiming(order.timing);
        return this.core.verify('hello');
      case 'arm':
        await this.core.arm();
        return null;
      case 'disarm':
        await this.core.disarm();
        return null;
      case 'begin':
        await this.core.begin(order.epoch, order.term, order.until);
        this.#epoch = order.epoch;
        return null;
      case 'acquire':
        return this.of(order.name).acquire({
          signal: AbortSignal.any([signal, this.core.signalOf(order.epoch)]),
        });
      case 'release':
        this.core.signalOf(order.epoch);
        return this.of(order.name).release();
      case 'probe':
        return this.of(order.name).probe();
      case 'finish':
        return this.core.finish(order.epoch);
      case 'verify':
        return this.core.tidy(order.why);
      case 'abrupt':
        return this.core.abrupt(order.epoch, order.why);
      case 'timing':
      case 'call-off':
      case 'close':
      case 'hand-over':
      case 'bind':
      case 'adopt':
        return null;
      case 'come-back':
        return order.epoch > 0 ? instant(clock.now() + 1_000) : instant(0);
      case 'refresh':
        return { outcome: 'well', said: 'nothing to refresh' };
      case 'others':
        return null;
      case 'resume-io':
      case 'look':
        throw new Error(`nobody asks ${order.op} here`);
      default:
        return assertNever(order);
    }
  }

  of(name: string): FakeResource {
    const found = this.resources.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no resource ${name}`);
    return found;
  }

  async hello(): Promise<void> {
    const answer = this.executor.onHello({
      kind: 'hello',
      version: 1,
      node: nodeId('a'),
      cluster: 'test',
      config: 'config.yaml',
      ...ownProcess(),
      members: new Map(),
      timing: this.#timing,
    });
    if ('refusal' in answer) throw new Error(answer.refusal);
    await vi.advanceTimersByTimeAsync(20);
  }

  order(order: Parameters<Executor['onOrder']>[0]): void {
    this.executor.onOrder(order);
  }

  /** As an agent that has just been granted it. */
  async take(of: number): Promise<void> {
    const until = instant(Date.now() + L);
    this.order({
      kind: 'take',
      epoch: epoch(of),
      term: term(3),
      until,
      previousReleased: true,
      hasProof: false,
      isForced: false,
    });
    await vi.advanceTimersByTimeAsync(20);
  }

  all<Kind extends SentEvent['kind']>(kind: Kind): Extract<SentEvent, { kind: Kind }>[] {
    return this.events.filter((event): event is Extract<SentEvent, { kind: Kind }> => event.kind === kind);
  }

  /** What the agent was told, but for probes. */
  get told(): string[] {
    return this.events.flatMap((event) => {
      if (event.kind === 'probes') return [];
      return ['epoch' in event ? `${event.kind} ${event.epoch}` : event.kind];
    });
  }
}
