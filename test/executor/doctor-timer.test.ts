/** The doctor in the executor: when it looks, that it says only what has changed, and that it can break nothing. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { DoctorReport, Result } from '../../src/doctor/index.ts';
import { type DoctorSummary, DoctorTimer, ownFailures } from '../../src/executor/doctor-timer.ts';

const LIMIT_MS = 20_000;

/** Time stands still until somebody turns it. */
class Hands {
  readonly waits: number[] = [];
  #act: (() => void) | null = null;

  after(ms: number, act: () => void): { cancel(): void } {
    this.waits.push(ms);
    this.#act = act;
    return {
      cancel: () => {
        this.#act = null;
      },
    };
  }

  get isSet(): boolean {
    return this.#act !== null;
  }

  /** Lets the one timer fire, and waits until the next one is set. */
  async turn(): Promise<void> {
    const count = this.waits.length;
    this.fire();
    // The first one loads the doctor.
    const deadline = performance.now() + LIMIT_MS;
    while (this.waits.length === count && performance.now() < deadline) await systemClock.sleep(1);
    if (this.waits.length === count) throw new Error('no next timer was set');
  }

  fire(): void {
    const act = this.#act;
    this.#act = null;
    if (act === null) throw new Error('no timer is set');
    act();
  }
}

const report = (...checks: readonly (readonly [subject: string, result: Result])[]): DoctorReport => ({
  node: 'a',
  at: '2026-11-26T12:00:00.000Z',
  ok: checks.every(([, result]) => result !== 'failed'),
  checks: checks.map(([subject, result]) => ({
    name: 'disk',
    subject,
    result,
    detail: `${subject} is ${result}`,
    remedy: result === 'failed' ? 'mend it' : null,
    ms: 1,
  })),
  advice: { timing: null },
});

function start(...reports: readonly (DoctorReport | Error)[]) {
  const clock = new Hands();
  const said: unknown[] = [];
  const summaries: DoctorSummary[] = [];
  const left = [...reports];
  let looks = 0;
  const timer = new DoctorTimer({
    clock,
    examine: async () => {
      looks += 1;
      const next = left.shift();
      if (next instanceof Error) throw next;
      return next ?? report();
    },
    log: (level, fields) => said.push([level, fields]),
    onSummary: (summary) => summaries.push(summary),
  });
  timer.start();
  return { clock, said, summaries, timer, looks: () => looks };
}

const PROBLEM = { check: 'disk', subject: 'sync', detail: 'sync is failed', remedy: 'mend it' };

it('looks first after half a minute, and then every ten', async () => {
  const { clock, looks } = start();
  expect(looks()).toBe(0);
  await clock.turn();
  await clock.turn();
  expect(looks()).toBe(2);
  expect(clock.waits).toEqual([30_000, 600_000, 600_000]);
});

it('looks every minute while something has failed', async () => {
  const bad = report(['sync', 'failed']);
  const { clock } = start(bad, bad, report(['sync', 'ok']));
  for (let look = 0; look < 3; look += 1) await clock.turn();
  expect(clock.waits).toEqual([30_000, 60_000, 60_000, 600_000]);
});

it('H6: what it has found of other nodes says nothing about a takeover here', () => {
  const failed = ['network', 'disk', 'peers'].map((check) => ({ ...PROBLEM, check }));
  expect(ownFailures({ at: '', ok: false, failed })).toEqual(['disk: sync: sync is failed']);
});

describe('what it says', () => {
  it('nothing while nothing fails, also of what is unknown', async () => {
    const { clock, said, summaries } = start(report(['sync', 'ok'], ['free space', 'unknown']));
    await clock.turn();
    expect(said).toEqual([]);
    expect(summaries).toEqual([{ at: '2026-11-26T12:00:00.000Z', ok: true, failed: [] }]);
  });

  it('a failure once, and once that it has healed', async () => {
    const bad = report(['sync', 'failed']);
    const { clock, said, summaries } = start(bad, bad, report(['sync', 'unknown']), report(['sync', 'ok']));
    await clock.turn();
    expect(said).toEqual([['warn', { event: 'doctor', failed: [PROBLEM] }]]);
    await clock.turn();
    await clock.turn();
    expect(said).toHaveLength(1);
    expect(summaries.at(-1)).toMatchObject({ ok: false, failed: [PROBLEM] });
    await clock.turn();
    expect(said.at(-1)).toEqual(['info', { event: 'doctor', healed: ['disk: sync'] }]);
    expect(summaries.at(-1)).toMatchObject({ ok: true, failed: [] });
  });
});

it('goes on after a check that broke it', async () => {
  const { clock, said, looks } = start(new Error('a bug'), report(['sync', 'failed']));
  await clock.turn();
  expect(said).toEqual([['warn', { event: 'doctor-broke', why: 'a bug' }]]);
  await clock.turn();
  expect(looks()).toBe(2);
});

describe('stopped', () => {
  it('before it looks: it does not', () => {
    const { clock, timer, looks } = start();
    timer.stop();
    expect(clock.isSet).toBe(false);
    expect(looks()).toBe(0);
  });

  it('while it looks: it says nothing any more, and sets no timer', async () => {
    let answer = (_: DoctorReport): void => undefined;
    const clock = new Hands();
    const said: unknown[] = [];
    const timer = new DoctorTimer({
      clock,
      examine: () => new Promise((resolve) => (answer = resolve)),
      log: (level, fields) => said.push([level, fields]),
    });
    timer.start();
    clock.fire();
    timer.stop();
    answer(report(['sync', 'failed']));
    await systemClock.sleep(10);
    expect(said).toEqual([]);
    expect(clock.isSet).toBe(false);
  });
});
