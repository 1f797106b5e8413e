/** H6: when a tenure moves because of a failure, and when it stays. */
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { Failures } from '../../src/agent/failures.ts';
import type { Clock } from '../../src/clock.ts';
import { epoch, instant, nodeId, type Proposal } from '../../src/core/index.ts';

const HOUR = 3_600_000;
const at = epoch(7);

class Bench {
  nowMs = 10_000;
  readonly timers: { at: number; run: () => void }[] = [];
  readonly proposals: Proposal[] = [];
  readonly transfers: unknown[] = [];
  readonly kept: number[] = [];
  isOtherThere = true;
  isOtherEligible = true;
  refusal: string | null = null;
  /** Wall-clock times of earlier moves because of failures. */
  moves: number[] = [];
  hold: { kind: string; epoch?: number } = { kind: 'held', epoch: at };
  readonly failures: Failures;

  constructor() {
    const bench = this;
    const clock: Clock = {
      now: () => instant(bench.nowMs),
      wallMs: () => bench.nowMs + 1e12,
      after: (ms, run) => {
        const timer = { at: bench.nowMs + ms, run };
        bench.timers.push(timer);
        return { cancel: () => bench.timers.splice(bench.timers.indexOf(timer), 1) };
      },
      sleep: async () => undefined,
    };
    const view = {
      mayHold: true,
      get hold() {
        return bench.hold;
      },
      voters: ['a', 'b', 'w'].map(nodeId),
      self: nodeId('a'),
      isEligible: (id: string) => id === 'b' && bench.isOtherEligible,
      leadership: { lease: { heardFrom: (id: string) => id === 'b' && bench.isOtherThere } },
      get now() {
        return bench.nowMs;
      },
      timing: { leaseMs: 400 },
      log: {
        get all() {
          return bench.moves.map((when) => ({
            body: { kind: 'tenure-released', reason: 'failure', at: when + 1e12 },
          }));
        },
      },
    };
    // The parts of a driver that it uses.
    const driver = {
      view,
      propose: (proposal: Proposal) => {
        bench.proposals.push(proposal);
        return { index: 1, term: 1 };
      },
      transfer: (input: unknown) => {
        bench.transfers.push(input);
        return bench.refusal;
      },
    } as unknown as Driver;
    this.failures = new Failures(
      driver,
      { keep: (of) => this.kept.push(of) },
      clock,
      pino({ level: 'silent' }),
    );
  }

  takeFails(step = 'nfs', mayPass = false): void {
    this.failures.onTakeFailed({
      mayPass,
      kind: 'take-failed',
      epoch: at,
      step,
      why: 'no',
      steps: [],
      totalMs: 5,
    });
  }

  repairFails(name = 'nfs'): void {
    this.failures.onRepairFailed({ kind: 'repair-failed', epoch: at, name, count: 3, why: 'no' });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const timer of [...this.timers]) {
      if (timer.at > this.nowMs) continue;
      this.timers.splice(this.timers.indexOf(timer), 1);
      timer.run();
    }
  }

  get notes(): string[] {
    return this.proposals.flatMap((proposal) => (proposal.kind === 'note' ? [proposal.text] : []));
  }
}

describe('a takeover that fails half-way', () => {
  it('moves to the other node, at once', () => {
    const bench = new Bench();
    bench.takeFails();
    bench.pass(0);
    expect(bench.transfers).toEqual([{ kind: 'transfer', to: null, reason: 'failure' }]);
    expect(bench.proposals).toMatchObject([{ kind: 'takeover-done', ok: false }]);
    expect(bench.kept).toEqual([]);
  });

  it.each([
    ['out of sync', { isOtherEligible: false }],
    ['silent', { isOtherThere: false }],
  ])('stays, degraded, where the other node is %s', (_, change) => {
    const bench = Object.assign(new Bench(), change);
    bench.takeFails();
    bench.pass(0);
    expect(bench.transfers).toEqual([]);
    expect(bench.kept).toEqual([at]);
    expect(bench.notes).toEqual([
      'degraded (epoch 7): the takeover failed at nfs: no; there is no other node that may hold',
    ]);
  });

  it('is released and begun anew where the executor refused the epoch as a whole: there is nothing to keep', () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    bench.takeFails('gate');
    bench.pass(0);
    expect(bench.transfers).toHaveLength(1);
    expect(bench.kept).toEqual([]);
  });

  it('moves no more than four times an hour', () => {
    const bench = new Bench();
    bench.moves = [0, 1000, 2000, 3000];
    bench.takeFails();
    bench.pass(0);
    expect(bench.transfers).toEqual([]);
    expect(bench.kept).toEqual([at]);
    const later = new Bench();
    later.moves = [0, 1000, 2000, 3000];
    later.nowMs = HOUR + 500;
    later.takeFails();
    later.pass(0);
    expect(later.transfers).toHaveLength(1);
  });
});

describe('a takeover that fails because the cloud does not answer', () => {
  it('is tried by one other node, and then stays where it is', () => {
    const first = new Bench();
    first.takeFails('eip', true);
    first.pass(0);
    expect(first.transfers).toHaveLength(1);
    const second = new Bench();
    second.moves = [0];
    second.takeFails('eip', true);
    second.pass(0);
    expect(second.transfers).toEqual([]);
    expect(second.kept).toEqual([at]);
  });
});

describe('a resource that is lost in spite of its repairs', () => {
  it('moves the tenure', () => {
    const bench = new Bench();
    bench.repairFails();
    expect(bench.transfers).toHaveLength(1);
  });

  it('of another tenure moves nothing', () => {
    const bench = new Bench();
    bench.hold = { kind: 'held', epoch: 9 };
    bench.repairFails();
    expect(bench.transfers).toEqual([]);
  });

  it('stays where nobody else may hold, and the log is told once for each resource (D4)', () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    bench.repairFails('nfs');
    bench.repairFails('nfs');
    bench.repairFails('eip');
    expect(bench.transfers).toEqual([]);
    expect(bench.notes).toEqual([
      'degraded (epoch 7): nfs is lost in spite of 3 repairs: no; there is no other node that may hold',
      'degraded (epoch 7): eip is lost in spite of 3 repairs: no; there is no other node that may hold',
    ]);
    // When the other node is back, it gets its turn.
    bench.isOtherThere = true;
    bench.repairFails('nfs');
    expect(bench.transfers).toHaveLength(1);
  });

  it('says so again an hour later, however often it comes and goes meanwhile (D4)', () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    for (let minute = 0; minute < 60; minute += 1) {
      bench.repairFails();
      bench.pass(60_000);
    }
    expect(bench.notes).toHaveLength(1);
    bench.repairFails();
    expect(bench.notes).toHaveLength(2);
  });
});

it('what a step has said is cut to what the log can take', () => {
  const bench = new Bench();
  const step = { name: 'nfs', ms: 1, result: 'x'.repeat(4000) };
  bench.failures.onTaken({ kind: 'taken', epoch: at, steps: [step], totalMs: 5 });
  const [done] = bench.proposals;
  expect(done).toMatchObject({ kind: 'takeover-done', ok: true });
  expect(done?.kind === 'takeover-done' && done.steps[0]?.result.length).toBe(500);
});
