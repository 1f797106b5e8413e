/** The guard's decisions in virtual time: vitest's fake timers move both the clock and the timers. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { deriveTiming, durationMs, epoch, instant, term } from '../../src/core/index.ts';
import { GuardCore } from '../../src/executor/guard-core.ts';
import type { GuardReport, Released } from '../../src/executor/guard-protocol.ts';
import { newLeaseBuffer, SharedLease } from '../../src/executor/shared-lease.ts';
import { type ExecutorState, FRESH_STATE } from '../../src/executor/state-file.ts';
import { SuspendCheck } from '../../src/executor/suspend-check.ts';
import type { Watchdog } from '../../src/executor/watchdog.ts';
import type { Probe, Resource } from '../../src/resources/index.ts';

const L = 600;
const D = 1000;
const W = 400;

class FakeResource implements Resource {
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

const timingOf = (leaseMs: number) =>
  deriveTiming({
    heartbeatMs: 100,
    leaseMs,
    releaseMs: D,
    guardMs: 25,
    watchdogTimeoutMs: W,
    clockErrorRate: 0.005,
  });

class Bench {
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
  openMs = 0;
  inFlightIsGone = true;
  lose: (why: string) => void = () => undefined;
  readonly core: GuardCore;
  readonly clock: Clock = { ...systemClock, now: () => instant(Date.now()) };

  constructor(state: Partial<ExecutorState> = {}, watchdogTimeoutMs = W, hasAgent = true) {
    this.state = { ...FRESH_STATE, ...state };
    const device: Watchdog = {
      timeoutMs: watchdogTimeoutMs,
      canDisarm: true,
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

function storeOf(bench: Bench) {
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

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => vi.useRealTimers());

describe('lease', () => {
  it('L8: a lease that becomes shorter ends at its new end, counted from the same round; a longer one only with the next round', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await vi.advanceTimersByTimeAsync(100);
    bench.setLease(300);
    expect(bench.lease.isValid(epoch(7), instant(Date.now() + 199))).toBe(true);
    expect(bench.lease.isValid(epoch(7), instant(Date.now() + 201))).toBe(false);
    await vi.advanceTimersByTimeAsync(198);
    expect(bench.core.phase).toBe('tenure');
    bench.setLease(900);
    await vi.advanceTimersByTimeAsync(4);
    expect(bench.core.phase).toBe('releasing');
  });

  it('T4: releases by itself at the deadline: users before the block role, then verifies, then tells', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await vi.advanceTimersByTimeAsync(L - 1);
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.core.phase).toBe('releasing');
    expect(bench.core.mayAct(epoch(7))).toBe(false);
    expect(bench.lease.isValid(epoch(7), instant(Date.now()))).toBe(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.journal.slice(0, 6)).toEqual([
      'kill in flight',
      'release store',
      'release block',
      // What the round itself has started, and once more after everything was read.
      'kill in flight',
      'kill in flight',
      'durable {"releasedEpoch":7,"begunEpoch":7}',
    ]);
    expect(bench.released).toMatchObject([{ epoch: 7, term: 2, mode: 'abrupt' }]);
    expect(bench.released[0]?.evidence).toContain('block: reads not-held');
  });

  it('T4: a renewal moves the deadline; one of another epoch does not', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await vi.advanceTimersByTimeAsync(500);
    bench.renew(7);
    await vi.advanceTimersByTimeAsync(500);
    expect(bench.core.phase).toBe('tenure');
    bench.renew(6);
    bench.renew(8);
    await vi.advanceTimersByTimeAsync(101);
    expect(bench.core.phase).toBe('releasing');
  });

  it('T2: a renewal that is read after the deadline revives nothing', async () => {
    const bench = new Bench();
    await bench.hold(7);
    // The process was stopped: the clock went on, no timer ran.
    vi.setSystemTime(Date.now() + L + 50);
    bench.renew(7);
    expect(bench.core.phase).toBe('releasing');
    bench.renew(7);
    expect(bench.core.mayAct(epoch(7))).toBe(false);
  });

  it('L1: an until further away than L counts as L', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.core.renew(epoch(7), instant(Date.now() + 1_000_000));
    await vi.advanceTimersByTimeAsync(L + 1);
    expect(bench.core.phase).toBe('releasing');
  });

  it('a renewal may come before the order that it belongs to', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    const until = instant(Date.now() + 100);
    await vi.advanceTimersByTimeAsync(50);
    bench.renew(7);
    await bench.core.begin(epoch(7), term(2), until);
    await vi.advanceTimersByTimeAsync(400);
    expect(bench.core.phase).toBe('tenure');
  });

  it('T3: two readings more than 50 ms apart void the lease', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.bootMs = 45;
    bench.renew(7);
    expect(bench.core.phase).toBe('tenure');
    bench.bootMs = 60;
    bench.renew(7);
    expect(bench.core.phase).toBe('releasing');
  });
});

describe('orders', () => {
  it('O1: before the first verified release nothing may begin', async () => {
    const bench = new Bench();
    await expect(bench.core.begin(epoch(7), term(2), instant(Date.now() + L))).rejects.toThrow(/unverified/);
  });

  it('T3: an order whose lease was confirmed before the host was suspended is refused', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    const until = instant(Date.now() + L - 20);
    bench.bootMs = 5_000;
    await expect(bench.core.begin(epoch(7), term(2), until)).rejects.toThrow(/suspended/);
    await vi.advanceTimersByTimeAsync(10);
    await bench.core.begin(epoch(8), term(3), instant(Date.now() + L));
    expect(bench.core.phase).toBe('tenure');
  });

  it('O1: an order past its deadline is refused', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    await expect(bench.core.begin(epoch(7), term(2), instant(Date.now() - 1))).rejects.toThrow(
      /ended 1 ms ago/,
    );
  });

  it('H2: with a required watchdog nothing begins unarmed', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await expect(bench.core.begin(epoch(7), term(2), instant(Date.now() + L))).rejects.toThrow(/watchdog/);
  });

  it('R2: a released epoch and all older ones are dead, also for the next executor', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const releasing = bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(100);
    await releasing;
    for (const next of [bench, new Bench(bench.state)]) {
      void next.core.verify('test');
      await vi.advanceTimersByTimeAsync(100);
      await next.core.arm();
      for (const dead of [5, 7]) {
        await expect(next.core.begin(epoch(dead), term(2), instant(Date.now() + L))).rejects.toThrow(/dead/);
      }
    }
  });

  it('O1: an epoch that a predecessor had begun is released and dead for its successor', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2 });
    bench.block.state = 'held';
    const verifying = bench.core.verify('start');
    await vi.advanceTimersByTimeAsync(100);
    expect(await verifying).toMatchObject({ epoch: 7, term: 2 });
    expect(bench.journal).toContain('kill leftovers');
    expect(bench.journal).toContain('release block');
    expect(bench.state.releasedEpoch).toBe(7);
  });

  it('a release of an epoch that never began makes it dead', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    expect(await bench.core.abrupt(epoch(9), 'test')).toMatchObject({ epoch: 9, isRepeat: true });
    await bench.core.arm();
    await expect(bench.core.begin(epoch(9), term(2), instant(Date.now() + L))).rejects.toThrow(/dead/);
  });

  it('a release that is ordered twice happens once', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const both = Promise.all([bench.core.abrupt(epoch(7), 'one'), bench.core.abrupt(null, 'two')]);
    await vi.advanceTimersByTimeAsync(100);
    const [one, two] = await both;
    expect(one).toBe(two);
    expect(bench.journal.filter((line) => line === 'release block')).toHaveLength(1);
  });
});

describe('release', () => {
  it('R2: unknown is not released: it goes on until everything reads not-held', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.state = 'unknown';
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D - 100);
    expect(bench.released).toEqual([]);
    bench.block.state = 'not-held';
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.released).toHaveLength(1);
  });

  it('O1: nothing counts as released while a command is in flight that cannot be killed', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.inFlightIsGone = false;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(800);
    expect(bench.block.state).toBe('not-held');
    expect(bench.released).toEqual([]);
    bench.inFlightIsGone = true;
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.released).toHaveLength(1);
  });

  it('R1, L8: a release that began under the longer D of the file is measured by that of the cluster', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2 }, W, false);
    bench.store.state = 'held';
    bench.store.releaseMs = Number.POSITIVE_INFINITY;
    void bench.core.verify('the executor starts');
    await vi.advanceTimersByTimeAsync(D / 4);
    bench.core.setTiming({ ...timingOf(L), releaseMs: durationMs(D / 2) });
    await vi.advanceTimersByTimeAsync(D / 4 - 1);
    expect(bench.fences).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.fences).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(D);
    expect(bench.fences).toHaveLength(1);
  });

  it('L8: a shorter D, ordered while a release runs, does not fence whoever began under the longer one', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.store.releaseMs = Number.POSITIVE_INFINITY;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D / 2);
    bench.core.setTiming({ ...timingOf(L), releaseMs: durationMs(D / 4) });
    await vi.advanceTimersByTimeAsync(D / 2 - 1);
    expect(bench.fences).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.fences).toHaveLength(1);
  });

  it('R1: what outlives D fences and stops the petting, though the lease was fresh', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = Number.POSITIVE_INFINITY;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D - 1);
    expect(bench.fences).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.fences).toHaveLength(1);
    expect(bench.core.mayPet(instant(Date.now()))).toBe(false);
    expect(bench.released).toEqual([]);
  });

  it('R1: a host that was reset since is not reset again: a look that takes longer than D would never end', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isOfEarlierBoot: true });
    bench.store.state = 'held';
    bench.store.releaseMs = 3 * D;
    const released = bench.core.verify('the executor starts');
    await vi.advanceTimersByTimeAsync(2 * D);
    expect(bench.fences).toEqual([]);
    // L3: nor does it vote for anybody before that is over.
    expect(bench.released).toEqual([]);
    expect(bench.core.mayPet(instant(Date.now()))).toBe(false);
    await vi.advanceTimersByTimeAsync(2 * D);
    expect(await released).toMatchObject({ epoch: 7 });
  });

  it('R1: one whose executor alone has started again is', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isOfEarlierBoot: false });
    bench.store.state = 'held';
    bench.store.releaseMs = 3 * D;
    void bench.core.verify('the executor starts');
    await vi.advanceTimersByTimeAsync(2 * D);
    expect(bench.fences).toHaveLength(1);
  });

  it('R1: a planned release has until D after the end of the lease, which goes on meanwhile', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.state = 'unknown';
    void bench.core.finish(epoch(7));
    for (let at = 0; at < 3000; at += 100) {
      bench.renew(7);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(bench.fences).toEqual([]);
    expect(bench.core.mayPet(instant(Date.now()))).toBe(true);
    await vi.advanceTimersByTimeAsync(L + D);
    expect(bench.fences).toHaveLength(1);
  });
});

describe('D is measured (R1)', () => {
  const near = (bench: Bench): unknown[] =>
    bench.reports.flatMap((report) =>
      report.kind === 'log' && report.fields.event === 'release-near-budget' ? [report.fields] : [],
    );

  it('every release says how long it took, in the evidence that the log keeps', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const releasing = bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(100);
    // Two resources after each other, 10 ms each.
    expect((await releasing).evidence).toBe(
      'block: reads not-held (released); store: reads not-held (released); 20 ms of D 1000 ms',
    );
    expect((await releasing).findings).toEqual([
      { name: 'block', detail: 'reads not-held', action: 'released' },
      { name: 'store', detail: 'reads not-held', action: 'released' },
    ]);
    expect(near(bench)).toEqual([]);
  });

  it('an abrupt one that took more than 70 % of D is a warning, with the advice', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = 0.7 * D;
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(D);
    expect(near(bench)).toMatchObject([
      { epoch: 7, ms: 710, limitMs: D, advice: expect.stringContaining('timing.release') },
    ]);
  });

  it('a planned one runs under its lease: D does not bound it', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = 0.9 * D;
    const finishing = bench.core.finish(epoch(7));
    await vi.advanceTimersByTimeAsync(D);
    expect((await finishing).evidence).toMatch(/; verified in 910 ms \(D 1000 ms\)$/);
    expect(near(bench)).toEqual([]);
  });
});

describe('watchdog', () => {
  it('L5: is petted while the newest confirmation is younger than G, release or not', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.block.releaseMs = 5000;
    const G = L + 2 * 25 + D - W;
    const confirmedAt = Date.now();
    await vi.advanceTimersByTimeAsync(G + 500);
    const last = bench.pets.at(-1) ?? 0;
    expect(last).toBeLessThan(confirmedAt + G);
    expect(last).toBeGreaterThan(confirmedAt + G - W / 2);
  });

  it('R1: is closed in order only after the verified release', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.store.state = 'unknown';
    void bench.core.abrupt(epoch(7), 'test');
    await vi.advanceTimersByTimeAsync(800);
    expect(bench.isArmed).toBe(true);
    bench.store.state = 'not-held';
    await vi.advanceTimersByTimeAsync(1000);
    expect(bench.isArmed).toBe(false);
    expect(bench.journal.indexOf('disarm')).toBeGreaterThan(bench.journal.lastIndexOf('release block'));
    expect(bench.state.isArmed).toBe(false);
  });

  it('L5: one that fires later than the promise allows for is not armed', async () => {
    const bench = new Bench({}, W + 1);
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await expect(bench.core.arm()).rejects.toThrow(/fires after 401 ms/);
    expect(bench.isArmed).toBe(false);
  });

  it('is petted while armed and nothing is held', async () => {
    const bench = new Bench();
    void bench.core.verify('test');
    await vi.advanceTimersByTimeAsync(50);
    await bench.core.arm();
    await vi.advanceTimersByTimeAsync(5000);
    expect(Date.now() - (bench.pets.at(-1) ?? 0)).toBeLessThanOrEqual(W / 2);
    await bench.core.disarm();
    expect(bench.isArmed).toBe(false);
  });

  it('R1: is not closed while something is held, whoever asks', async () => {
    const bench = new Bench();
    await bench.hold(7);
    await bench.core.disarm();
    expect(bench.isArmed).toBe(true);
  });

  it('O1: one that a dead predecessor left ticking is closed once everything is verified', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isArmed: true });
    void bench.core.verify('start');
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.journal).toContain('disarm');
    expect(bench.state.isArmed).toBe(false);
  });

  it('two who ask for it to be closed both wait until it is', async () => {
    const bench = new Bench({ begunEpoch: 7, begunTerm: 2, isArmed: true });
    // Long enough that the second asks while the first has not opened it yet.
    bench.openMs = 40;
    const verifying = bench.core.verify('start');
    await vi.advanceTimersByTimeAsync(20);
    await verifying;
    const closing = bench.core.disarm().then(() => bench.isArmed);
    await vi.advanceTimersByTimeAsync(200);
    expect(await closing).toBe(false);
    expect(bench.journal.filter((line) => line === 'disarm')).toHaveLength(1);
    expect(bench.state.isArmed).toBe(false);
  });

  it('losing the device ends the tenure', async () => {
    const bench = new Bench();
    await bench.hold(7);
    bench.lose('unplugged');
    expect(bench.core.phase).toBe('releasing');
  });
});

describe('a planned restart of the agent (L7)', () => {
  const KEPT = 3_000;
  async function kept(): Promise<{ bench: Bench; until: number }> {
    const bench = new Bench();
    await bench.hold(7);
    const until = Date.now() + KEPT;
    bench.core.handOver(epoch(7), instant(until));
    bench.core.onAgentClosed();
    return { bench, until };
  }

  it('keeps everything and pets until the deadline, without an agent, and then releases', async () => {
    const { bench, until } = await kept();
    await vi.advanceTimersByTimeAsync(KEPT - 1);
    expect(bench.core.phase).toBe('tenure');
    expect(bench.pets.at(-1)).toBeGreaterThan(until - W);
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.core.phase).toBe('releasing');
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.released).toMatchObject([{ epoch: 7, mode: 'abrupt' }]);
  });

  it('takes no renewal of who goes, and none of who has only come', async () => {
    const { bench } = await kept();
    await vi.advanceTimersByTimeAsync(KEPT - 100);
    bench.renew(7);
    bench.core.awaitAdoption(epoch(7));
    bench.renew(7);
    await vi.advanceTimersByTimeAsync(101);
    expect(bench.core.phase).toBe('releasing');
  });

  it('of more than ten seconds, of another epoch, or twice, is refused', async () => {
    const bench = new Bench();
    await bench.hold(7);
    const at = (ms: number) => instant(Date.now() + ms);
    expect(() => bench.core.handOver(epoch(7), at(10_001))).toThrow(/more than 10000 ms/);
    expect(() => bench.core.handOver(epoch(6), at(2_000))).toThrow(/not held/);
    bench.core.handOver(epoch(7), at(2_000));
    expect(() => bench.core.handOver(epoch(7), at(9_000))).toThrow(/under way/);
  });

  it('bound: the new lease ends it long before the deadline, although nothing is adopted', async () => {
    const { bench } = await kept();
    bench.core.awaitAdoption(epoch(7));
    await bench.core.bind(epoch(7), term(3), instant(Date.now() + L));
    expect(bench.lease.until).toBeLessThanOrEqual(Date.now() + L);
    await vi.advanceTimersByTimeAsync(L + 1);
    expect(bench.core.phase).toBe('releasing');
    await vi.advanceTimersByTimeAsync(100);
    expect(bench.released).toMatchObject([{ epoch: 7, term: 3 }]);
  });

  it('bound and renewed, but not adopted: the deadline stands', async () => {
    const { bench, until } = await kept();
    bench.core.awaitAdoption(epoch(7));
    await bench.core.bind(epoch(7), term(3), instant(Date.now() + L));
    while (Date.now() < until - 200) {
      await vi.advanceTimersByTimeAsync(100);
      bench.renew(7);
    }
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(201);
    expect(bench.core.phase).toBe('releasing');
  });

  it('adopted: renewals carry it past the deadline, and a lost one ends it', async () => {
    const { bench, until } = await kept();
    bench.core.awaitAdoption(epoch(7));
    await bench.core.bind(epoch(7), term(3), instant(Date.now() + L));
    bench.core.adopt(epoch(7), instant(Date.now() + L));
    while (Date.now() < until + 1_000) {
      await vi.advanceTimersByTimeAsync(100);
      bench.renew(7);
    }
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(L + 1);
    expect(bench.core.phase).toBe('releasing');
  });

  it('O1: whoever has come for it must not go', async () => {
    const { bench } = await kept();
    bench.core.awaitAdoption(epoch(7));
    bench.core.onAgentClosed();
    expect(bench.core.phase).toBe('releasing');
  });

  it('L8: a shorter lease, said meanwhile, does not bring its deadline forward: that is no lease', async () => {
    const { bench, until } = await kept();
    await vi.advanceTimersByTimeAsync(L);
    bench.setLease(L * 0.75);
    bench.core.awaitAdoption(epoch(7));
    bench.setLease(L / 2);
    await vi.advanceTimersByTimeAsync(until - Date.now() - 1);
    expect(bench.core.phase).toBe('tenure');
    await vi.advanceTimersByTimeAsync(2);
    expect(bench.core.phase).toBe('releasing');
  });

  it('T3: a suspend of the host ends it, however far away the deadline is', async () => {
    const { bench } = await kept();
    await vi.advanceTimersByTimeAsync(500);
    bench.bootMs += 60_000;
    await vi.advanceTimersByTimeAsync(500);
    expect(bench.core.phase).toBe('released');
    expect(bench.released).toMatchObject([{ epoch: 7 }]);
  });

  it('nothing that was not kept is bound or adopted', async () => {
    const bench = new Bench();
    await bench.hold(7);
    expect(() => bench.core.awaitAdoption(epoch(7))).toThrow(/not kept/);
    await expect(bench.core.bind(epoch(7), term(3), instant(Date.now() + L))).rejects.toThrow(/not kept/);
    expect(() => bench.core.adopt(epoch(7), instant(Date.now() + L))).toThrow(/not kept/);
  });
});
