import { describe, expect, it } from 'vitest';
import { instant } from '../../src/core/index.ts';
import { type Plan, type PlanReport, runPlan, type Step } from '../../src/takeover/index.ts';

const step = (name: string, ...after: string[]): Step => ({ action: 'acquire', name, id: name, after });
const plan = (onFailure: Plan['onFailure'], ...steps: Step[]): Plan => ({ steps, onFailure });

/** Steps end only when the test says so; time is a number. */
class Bench {
  time = 0;
  readonly started: string[] = [];
  readonly abort = new AbortController();
  readonly #ends = new Map<string, { resolve: (said: string) => void; reject: (error: Error) => void }>();

  run(of: Plan): Promise<PlanReport> {
    return runPlan(of, {
      now: () => instant(this.time),
      signal: this.abort.signal,
      perform: (next) => {
        this.started.push(next.name);
        return new Promise((resolve, reject) => this.#ends.set(next.name, { resolve, reject }));
      },
    });
  }

  async end(name: string, error?: string): Promise<void> {
    const end = this.#ends.get(name);
    if (error === undefined) end?.resolve(`${name} done`);
    else end?.reject(new Error(error));
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

describe('runner', () => {
  it('starts each step when those before it have ended, in parallel where the graph allows', async () => {
    const bench = new Bench();
    const running = bench.run(
      plan('stop', step('block'), step('eip', 'block'), step('tank', 'block'), step('nfs', 'eip', 'tank')),
    );
    expect(bench.started).toEqual(['block']);
    bench.time = 30;
    await bench.end('block');
    expect(bench.started).toEqual(['block', 'eip', 'tank']);
    bench.time = 45;
    await bench.end('tank');
    expect(bench.started).toHaveLength(3);
    bench.time = 50;
    await bench.end('eip');
    bench.time = 60;
    await bench.end('nfs');
    const report = await running;
    expect(report).toMatchObject({ outcome: 'done', failure: null, totalMs: 60 });
    expect(report.steps).toEqual([
      { name: 'block', ms: 30, result: 'block done' },
      { name: 'tank', ms: 15, result: 'tank done' },
      { name: 'eip', ms: 20, result: 'eip done' },
      { name: 'nfs', ms: 10, result: 'nfs done' },
    ]);
  });

  it('stops at a failure, but only when what runs has ended', async () => {
    const bench = new Bench();
    let isOver = false;
    const running = bench.run(plan('stop', step('a'), step('b'), step('c', 'a'))).finally(() => {
      isOver = true;
    });
    await bench.end('a', 'no');
    expect(isOver).toBe(false);
    await bench.end('b');
    expect(await running).toMatchObject({ outcome: 'failed', failure: { step: 'a', why: 'no' } });
    expect(bench.started).toEqual(['a', 'b']);
  });

  it('R1: an abrupt plan tries everything, whatever fails', async () => {
    const bench = new Bench();
    const running = bench.run(plan('go-on', step('service'), step('block', 'service')));
    await bench.end('service', 'hangs');
    expect(bench.started).toEqual(['service', 'block']);
    await bench.end('block');
    expect((await running).outcome).toBe('failed');
  });

  it('O1: starts nothing after the signal', async () => {
    const bench = new Bench();
    const running = bench.run(plan('stop', step('a'), step('b', 'a')));
    bench.abort.abort();
    await bench.end('a');
    expect(await running).toMatchObject({ outcome: 'aborted', failure: null });
    expect(bench.started).toEqual(['a']);
  });

  it('has nothing to do in an empty plan', async () => {
    expect(await new Bench().run(plan('stop'))).toMatchObject({ outcome: 'done', steps: [] });
  });
});
