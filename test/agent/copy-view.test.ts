/** When a node looks at its own copies, and for how long what it has seen counts. */
import { expect, it } from 'vitest';
import { CopyView } from '../../src/agent/copy-view.ts';
import type { Clock, Timer } from '../../src/clock.ts';
import { type CoreView, type Entry, type EntryBody, instant, nodeId } from '../../src/core/index.ts';
import type { CopyLoss } from '../../src/state/index.ts';
import { granted, released } from '../state/story.ts';

const [a, b] = [nodeId('a'), nodeId('b')];
const NOTHING: readonly CopyLoss[] = [{ kind: 'nothing', pool: 'tank' }];

/** Node b, with its time in the test's hand. */
class Bench {
  nowMs = 1_000;
  tenure: { node: typeof a; released: boolean } | null = { node: a, released: false };
  reads = 0;
  changes = 0;
  readonly #alarms = new Map<Timer, { atMs: number; act: () => void }>();
  #answers: ((losses: readonly CopyLoss[]) => void)[] = [];

  readonly view = new CopyView({
    driver: {
      view: ((bench) => ({
        self: b,
        get state() {
          return { tenure: bench.tenure };
        },
      }))(this) as unknown as CoreView,
    },
    clock: {
      now: () => instant(this.nowMs),
      wallMs: () => this.nowMs,
      sleep: () => Promise.resolve(),
      after: (ms, act) => {
        const timer: Timer = { cancel: () => void this.#alarms.delete(timer) };
        this.#alarms.set(timer, { atMs: this.nowMs + ms, act });
        return timer;
      },
    } satisfies Clock,
    read: () => {
      this.reads += 1;
      return new Promise((resolve) => this.#answers.push(resolve));
    },
    onChanged: () => {
      this.changes += 1;
    },
  });

  get isWaiting(): boolean {
    return this.#alarms.size > 0;
  }

  /** Until the next alarm, at most so long. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const [timer, { atMs, act }] of [...this.#alarms]) {
      if (atMs > this.nowMs) continue;
      this.#alarms.delete(timer);
      act();
    }
  }

  async answer(losses = NOTHING): Promise<void> {
    for (const one of this.#answers.splice(0)) one(losses);
    await new Promise((resolve) => setImmediate(resolve));
  }

  commit(body: EntryBody): void {
    this.view.onCommitted({ body } as Entry);
  }
}

it('looks at once, and again every half minute', async () => {
  const bench = new Bench();
  bench.view.start();
  bench.pass(0);
  expect(bench.reads).toBe(1);
  expect(bench.view.known).toBeNull();
  await bench.answer();
  expect(bench.view.known).toEqual(NOTHING);
  expect(bench.changes).toBe(1);
  bench.pass(29_999);
  expect(bench.reads).toBe(1);
  bench.pass(1);
  expect(bench.reads).toBe(2);
  // Meanwhile the one before counts.
  expect(bench.view.known).toEqual(NOTHING);
});

it('asks a host less often that takes long to answer, and never twice at a time', async () => {
  const bench = new Bench();
  bench.view.start();
  bench.pass(0);
  bench.view.onExecutorEvent({ kind: 'ready', evidence: '' });
  bench.pass(1_000);
  expect(bench.reads).toBe(1);
  await bench.answer();
  bench.pass(99_999);
  expect(bench.reads).toBe(1);
  bench.pass(1);
  expect(bench.reads).toBe(2);
  bench.pass(60_000);
  await bench.answer();
  bench.pass(600_000);
  expect(bench.reads).toBe(3);
});

it('does not ask while it holds, and looks when it has let go', async () => {
  const bench = new Bench();
  bench.tenure = { node: b, released: false };
  bench.view.start();
  bench.pass(0);
  bench.pass(30_000);
  expect(bench.reads).toBe(0);
  bench.tenure = { node: b, released: true };
  bench.commit(released(3, b));
  bench.pass(0);
  expect(bench.reads).toBe(1);
});

it('what was seen before a grant, or by an executor that is gone, does not count', async () => {
  const bench = new Bench();
  bench.view.start();
  bench.pass(0);
  await bench.answer();
  bench.commit(granted(a));
  expect(bench.view.known).toBeNull();
  bench.pass(0);
  expect(bench.reads).toBe(2);
  // The answer to a question of before the next grant is not taken, and asked for anew.
  bench.commit(granted(a));
  await bench.answer();
  expect(bench.view.known).toBeNull();
  bench.pass(3_000);
  expect(bench.reads).toBe(3);
  await bench.answer();
  expect(bench.view.known).toEqual(NOTHING);
  bench.view.onExecutorEvent({ kind: 'gone' });
  expect(bench.view.known).toBeNull();
});

it('asks nothing after its end', async () => {
  const bench = new Bench();
  bench.view.start();
  bench.pass(0);
  bench.view.end();
  await bench.answer();
  expect(bench.view.known).toBeNull();
  expect(bench.isWaiting).toBe(false);
});
