/** H6: when a tenure moves because of a failure, and when it stays. */
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { Failures } from '../../src/agent/failures.ts';
import type { Clock } from '../../src/clock.ts';
import { epoch, instant, nodeId, type Proposal } from '../../src/core/index.ts';
import type { Fitness } from '../../src/peer/index.ts';

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
  isPaused = false;
  isOwnDataGood = true;
  isHandingOver = false;
  refusal: string | null = null;
  isRefusing = false;
  fitness: Fitness | null | Error = { ok: true, why: 'could take over' };
  readonly asked: string[] = [];
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
      mayTakeOver: (id: string) => id === 'b' && bench.isOtherEligible,
      get isPaused() {
        return bench.isPaused;
      },
      isEligible: (id: string) => id !== 'a' || bench.isOwnDataGood,
      get leadership() {
        const lease = { heardFrom: (id: string) => id === 'b' && bench.isOtherThere };
        return { lease, transfer: bench.isHandingOver ? {} : null };
      },
      get now() {
        return bench.nowMs;
      },
      timing: { leaseMs: 400, promiseMs: 1500 },
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
        return bench.isRefusing ? { refused: 'a transfer is under way' } : { index: 1, term: 1 };
      },
      transfer: (input: unknown) => {
        bench.transfers.push(input);
        return bench.refusal;
      },
    } as unknown as Driver;
    this.failures = new Failures({
      driver,
      executor: { keep: (of) => this.kept.push(of) },
      clock,
      log: pino({ level: 'silent' }),
      fitnessOf: async (node) => {
        this.asked.push(node);
        const { fitness } = this;
        if (fitness instanceof Error) throw fitness;
        return fitness;
      },
    });
  }

  /** The answer of the other node. */
  async answered(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
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
  it('moves to the other node, at once', async () => {
    const bench = new Bench();
    bench.takeFails();
    bench.pass(0);
    await bench.answered();
    expect(bench.transfers).toEqual([{ kind: 'transfer', to: 'b', reason: 'failure' }]);
    expect(bench.proposals).toMatchObject([{ kind: 'takeover-done', ok: false }]);
    expect(bench.kept).toEqual([]);
  });

  it.each([
    ['out of sync', { isOtherEligible: false }],
    ['silent', { isOtherThere: false }],
  ])('stays, degraded, where the other node is %s', async (_, change) => {
    const bench = Object.assign(new Bench(), change);
    bench.takeFails();
    bench.pass(0);
    await bench.answered();
    expect(bench.transfers).toEqual([]);
    expect(bench.kept).toEqual([at]);
    expect(bench.notes).toEqual([
      'degraded (epoch 7): the takeover failed at nfs: no; there is no other node that may hold',
    ]);
  });

  it('asks again when the node that was willing does not catch up: the core gives the transfer up without a word', async () => {
    const bench = new Bench();
    bench.takeFails();
    bench.pass(0);
    await bench.answered();
    expect(bench.transfers).toHaveLength(1);
    // It fell silent after its yes.
    bench.isOtherThere = false;
    bench.pass(3000);
    await bench.answered();
    expect(bench.transfers).toHaveLength(1);
    expect(bench.kept).toEqual([at]);
    expect(bench.failures.degraded.size).toBe(1);
  });

  it('is released and begun anew where the executor refused the epoch as a whole: there is nothing to keep', async () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    bench.takeFails('gate');
    bench.pass(0);
    await bench.answered();
    expect(bench.transfers).toHaveLength(1);
    expect(bench.kept).toEqual([]);
  });

  it('H7: stays while the cluster is paused, and moves when that is over', async () => {
    const bench = Object.assign(new Bench(), { isPaused: true });
    bench.takeFails();
    bench.pass(0);
    await bench.answered();
    expect([bench.transfers, bench.kept]).toEqual([[], [at]]);
    expect(bench.notes).toEqual([
      'degraded (epoch 7): the takeover failed at nfs: no; the cluster is paused: nothing moves by itself (H7)',
    ]);
    bench.isPaused = false;
    bench.repairFails();
    await bench.answered();
    expect(bench.transfers).toHaveLength(1);
  });

  it('H7: where nothing is held either, it says so once, and lets go when somebody resumes', async () => {
    const bench = Object.assign(new Bench(), { isPaused: true });
    bench.takeFails('gate');
    for (let second = 0; second < 10; second += 1) bench.pass(1000);
    expect([bench.transfers, bench.kept, bench.notes.length]).toEqual([[], [], 1]);
    bench.isPaused = false;
    bench.pass(1000);
    expect(bench.transfers).toEqual([{ kind: 'transfer', to: null, reason: 'failure' }]);
  });

  it('moves no more than four times an hour', async () => {
    const bench = new Bench();
    bench.moves = [0, 1000, 2000, 3000];
    bench.takeFails();
    bench.pass(0);
    await bench.answered();
    expect(bench.transfers).toEqual([]);
    expect(bench.kept).toEqual([at]);
    const later = new Bench();
    later.moves = [0, 1000, 2000, 3000];
    later.nowMs = HOUR + 500;
    later.takeFails();
    later.pass(0);
    await later.answered();
    expect(later.transfers).toHaveLength(1);
  });
});

describe('a takeover that fails because the cloud does not answer', () => {
  it('is tried by one other node, and then stays where it is', async () => {
    const first = new Bench();
    first.takeFails('eip', true);
    first.pass(0);
    await first.answered();
    expect(first.transfers).toHaveLength(1);
    const second = new Bench();
    second.moves = [0];
    second.takeFails('eip', true);
    second.pass(0);
    await second.answered();
    expect(second.transfers).toEqual([]);
    expect(second.kept).toEqual([at]);
  });
});

describe('a resource that is lost in spite of its repairs', () => {
  it('moves the tenure', async () => {
    const bench = new Bench();
    bench.repairFails();
    await bench.answered();
    expect(bench.transfers).toHaveLength(1);
  });

  it('of another tenure moves nothing', async () => {
    const bench = new Bench();
    bench.hold = { kind: 'held', epoch: 9 };
    bench.repairFails();
    await bench.answered();
    expect(bench.transfers).toEqual([]);
  });

  it('stays where nobody else may hold, and the log is told once for each resource (D4)', async () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    bench.repairFails('nfs');
    await bench.answered();
    bench.repairFails('nfs');
    await bench.answered();
    bench.repairFails('eip');
    await bench.answered();
    expect(bench.transfers).toEqual([]);
    expect(bench.notes).toEqual([
      'degraded (epoch 7): nfs is lost in spite of 3 repairs: no; there is no other node that may hold',
      'degraded (epoch 7): eip is lost in spite of 3 repairs: no; there is no other node that may hold',
    ]);
    // When the other node is back, it gets its turn.
    bench.isOtherThere = true;
    bench.repairFails('nfs');
    await bench.answered();
    expect(bench.transfers).toHaveLength(1);
  });

  it('says so again an hour later, however often it comes and goes meanwhile (D4)', async () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    for (let minute = 0; minute < 60; minute += 1) {
      bench.repairFails();
      await bench.answered();
      bench.pass(60_000);
      await bench.answered();
    }
    expect(bench.notes).toHaveLength(1);
    bench.repairFails();
    await bench.answered();
    expect(bench.notes).toHaveLength(2);
  });
});

describe('the other node is asked how it is before it gets the tenure', () => {
  it.each([
    [
      'says that it could not',
      { ok: false, why: 'b is not in the in-sync set (H1)' },
      'b is not in the in-sync set (H1)',
    ],
    [
      'does not say it',
      new Error('no answer within 1000 ms'),
      'it does not say how it is: no answer within 1000 ms',
    ],
  ])(
    'one that %s does not get it; after a failed takeover as after repairs in vain',
    async (_, fitness, why) => {
      const bench = Object.assign(new Bench(), { fitness });
      bench.repairFails();
      await bench.answered();
      expect(bench.asked).toEqual(['b']);
      expect(bench.notes).toEqual([
        `degraded (epoch 7): nfs is lost in spite of 3 repairs: no; b could not do better: ${why}`,
      ]);
      bench.takeFails();
      bench.pass(0);
      await bench.answered();
      expect(bench.transfers).toEqual([]);
      expect(bench.kept).toEqual([at]);
    },
  );

  it('one of an older version, which says nothing of the kind, gets it', async () => {
    const bench = Object.assign(new Bench(), { fitness: null });
    bench.repairFails();
    await bench.answered();
    expect(bench.transfers).toHaveLength(1);
  });

  it('an answer that comes after the tenure moves nothing; nor does a second failure ask again meanwhile', async () => {
    const bench = new Bench();
    bench.repairFails('nfs');
    bench.repairFails('eip');
    bench.hold = { kind: 'none' };
    await bench.answered();
    expect(bench.asked).toEqual(['b']);
    expect(bench.transfers).toEqual([]);
    expect(bench.notes).toEqual([]);
  });
});

describe('degraded', () => {
  const reads = (bench: Bench, probes: Record<string, 'held' | 'not-held' | 'unknown'>): void =>
    bench.failures.onProbes({
      kind: 'probes',
      resources: Object.entries(probes).map(([name, probe]) => ({
        name,
        kind: 'service',
        probe,
        detail: '',
      })),
      peers: {},
      disk: 'up-to-date',
      ioSuspended: false,
    });

  it('is said as long as the resource is not held, and its end is told once', async () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    bench.repairFails('nfs');
    await bench.answered();
    expect([...bench.failures.degraded]).toEqual([
      ['nfs', 'nfs is lost in spite of 3 repairs: no; there is no other node that may hold'],
    ]);
    reads(bench, { nfs: 'unknown', eip: 'held' });
    expect(bench.failures.degraded.size).toBe(1);
    for (let count = 0; count < 2; count += 1) reads(bench, { nfs: 'held', eip: 'not-held' });
    expect(bench.failures.degraded.size).toBe(0);
    expect(bench.notes.slice(1)).toEqual(['no longer degraded (epoch 7): nfs is held again']);
    // Within the hour it is in the status again, and not in the log.
    bench.repairFails('nfs');
    await bench.answered();
    reads(bench, { nfs: 'held' });
    expect(bench.notes).toHaveLength(2);
  });

  it('a log that refuses it is told later', async () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false, isRefusing: true });
    bench.repairFails('nfs');
    await bench.answered();
    reads(bench, { nfs: 'held' });
    expect(bench.notes).toEqual([
      'degraded (epoch 7): nfs is lost in spite of 3 repairs: no; there is no other node that may hold',
    ]);
    bench.isRefusing = false;
    bench.repairFails('nfs');
    await bench.answered();
    expect(bench.notes).toHaveLength(2);
  });

  it('is of one tenure', async () => {
    const bench = Object.assign(new Bench(), { isOtherThere: false });
    bench.repairFails('nfs');
    await bench.answered();
    bench.hold = { kind: 'held', epoch: 9 };
    expect(bench.failures.degraded.size).toBe(0);
  });
});

it('the step that failed is the last one of the entry, whatever ended after it', () => {
  const bench = new Bench();
  const steps = [
    { name: 'nfs', ms: 5, result: 'exit code 1' },
    { name: 'eip', ms: 9, result: 'associated' },
  ];
  bench.failures.onTakeFailed({
    kind: 'take-failed',
    epoch: at,
    step: 'nfs',
    why: 'exit code 1',
    mayPass: false,
    steps,
    totalMs: 9,
  });
  bench.takeFails('gate');
  const names = bench.proposals.map((one) =>
    one.kind === 'takeover-done' ? one.steps.map(({ name }) => name) : [],
  );
  expect(names).toEqual([['eip', 'nfs'], ['gate']]);
});

it('what a step has said is cut to what the log can take', async () => {
  const bench = new Bench();
  const step = { name: 'nfs', ms: 1, result: 'x'.repeat(4000) };
  bench.failures.onTaken({ kind: 'taken', epoch: at, steps: [step], totalMs: 5 });
  const [done] = bench.proposals;
  expect(done).toMatchObject({ kind: 'takeover-done', ok: true });
  expect(done?.kind === 'takeover-done' && done.steps[0]?.result.length).toBe(500);
});

it('H3: a holder that is not in sync and may not move is degraded, until it hands over', () => {
  const bench = new Bench();
  expect([...bench.failures.degraded]).toEqual([]);
  bench.isOwnDataGood = false;
  expect([...bench.failures.degraded]).toEqual([['own data', expect.stringContaining('not in sync')]]);
  bench.isHandingOver = true;
  expect([...bench.failures.degraded]).toEqual([]);
});
