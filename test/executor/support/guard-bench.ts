/** The guard's decisions in virtual time: vitest's fake timers move both the clock and the timers. */
import { afterEach, beforeEach, vi } from 'vitest';
import { type Clock, systemClock } from '../../../src/clock.ts';
import { deriveTiming, epoch, instant, term } from '../../../src/core/index.ts';
import { GuardCore } from '../../../src/executor/guard-core.ts';
import type { GuardReport, Released } from '../../../src/executor/guard-protocol.ts';
import { newLeaseBuffer, SharedLease } from '../../../src/executor/shared-lease.ts';
import { type ExecutorState, FRESH_STATE } from '../../../src/executor/state-file.ts';
import { SuspendCheck } from '../../../src/executor/suspend-check.ts';
import type { Watchdog } from '../../../src/executor/watchdog.ts';
import type { Probe, Resource } from '../../../src/resources/index.ts';

export const L = 600;
export const D = 1000;
export const W = 400;

export class FakeResource implements Resource {
  readonly kind = 'service';
  readonly scope = 'local';
  readonly name: string;
  state: Probe = 'not-held';
  /** How long a release takes; Infinity: it never ends. */
  releaseMs = 10;
  readonly #journal: string[];

  constructor(name: string, journal: string[]) {
    this.name = name;
    this.#journal = journal;
  }

  async acquire(): Promise<string> {
    this.state = 'held';
    return 'held';
  }

  async release(): Promise<string> {
    this.#journal.push(`release ${this.name}`);
    if (!Number.isFinite(this.releaseMs)) return new Promise(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, this.releaseMs));
    if (this.state === 'held') this.state = 'not-held';
    return 'released';
  }

  async probe() {
    return { probe: this.state, detail: `reads ${this.state}` };
  }
}

export const timingOf = (leaseMs: number) =>
  deriveTiming({
    heartbeatMs: 100,
    leaseMs,
    releaseMs: D,
    guardMs: 25,
    watchdogTimeoutMs: W,
    clockErrorRate: 0.005,
  });

export class GuardBench {
  readonly journal: string[] = [];
  readonly block = new FakeResource('block', this.journal);
  readonly store = new FakeResource('store', this.journal);
  readonly pets: number[] = [];
  readonly reports: GuardReport[] = [];
  readonly fences: string[] = [];
  readonly lease = new SharedLease(newLeaseBuffer());
  state: ExecutorState;
  bootMs = 0;
  stored: Partial<ExecutorState>[] = [];
  isArmed = false;
  canDisarm = true;
  openMs = 0;
  inFlightIsGone = true;
  lose: (why: string) => void = () => undefined;
  readonly core: GuardCore;
  readonly clock: Clock = { ...systemClock, now: () => instant(Date.now()) };

  constructor(state: Partial<ExecutorState> = {}, watchdogTimeoutMs = W, hasAgent = true) {
    this.state = { ...FRESH_STATE, ...state };
    const canDisarm = (): boolean => this.canDisarm;
    const device: Watchdog = {
      timeoutMs: watchdogTimeoutMs,
      get canDisarm() {
        return canDisarm();
      },
      pet: () => this.pets.push(Date.now()),
      disarm: async () => {
        this.journal.push('disarm');
        this.isArmed = false;
      },
      onLost: (listener) => {
        this.lose = listener;
      },
    };
    this.core = new GuardCore({
      graph: [
        { name: 'block', scope: 'local', after: [] },
        { name: 'eip', scope: 'cloud', after: ['block'] },
        { name: 'store', scope: 'local', after: ['eip'] },
      ],
      local: new Map<string, Resource>([
        ['block', this.block],
        ['store', this.store],
      ]),
      clock: this.clock,
      lease: this.lease,
      state: storeOf(this),
      children: {
        killInFlight: async () => {
          this.journal.push('kill in flight');
          return this.inFlightIsGone;
        },
        killLeftovers: async () => {
          this.journal.push('kill leftovers');
          return true;
        },
      },
      watchdog: {
        device: 'dog',
        mode: 'required',
        open: async () => {
          if (this.openMs > 0) await new Promise((resolve) => setTimeout(resolve, this.openMs));
          if (this.isArmed) throw new Error('busy');
          this.isArmed = true;
          return device;
        },
      },
      suspendCheck: () =>
        new SuspendCheck(
          () => Date.now(),
          () => Date.now() + this.bootMs,
        ),
      fatal: (error) => {
        throw error;
      },
      selfFence: (why) => this.fences.push(why),
      report: (report) => this.reports.push(report),
      releaseMs: D,
    });
    if (hasAgent) this.setLease(L);
  }

  setLease(leaseMs: number): void {
    this.core.setTiming(timingOf(leaseMs));
  }

  get released(): Released[] {
    return this.reports.flatMap((report) =>
      report.kind === 'released' && report.released.epoch !== null ? [report.released] : [],
    );
  }

  /** Everything verified, armed, `of` begun and held, confirmed now. */
  async hold(of: number): Promise<void> {
    void this.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await this.core.arm();
    await this.core.begin(epoch(of), term(2), instant(Date.now() + L));
    this.block.state = 'held';
    this.store.state = 'held';
    this.journal.length = 0;
  }

  renew(of: number): void {
    this.core.renew(epoch(of), instant(Date.now() + L));
  }
}

function storeOf(bench: GuardBench) {
  return {
    get state() {
      return bench.state;
    },
    async update(change: Partial<ExecutorState>, how: 'written' | 'durable') {
      bench.state = { ...bench.state, ...change };
      bench.stored.push(change);
      bench.journal.push(`${how} ${JSON.stringify(change)}`);
    },
  };
}

/** For a whole file. */
export function useVirtualTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => vi.useRealTimers());
}
