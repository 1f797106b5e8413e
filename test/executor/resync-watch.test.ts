/** When the progress of resyncs is asked for, and how often it is told. In virtual time. */
import { expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import type { SentEvent } from '../../src/executor/protocol.ts';
import { ResyncWatch, type Syncing } from '../../src/executor/resync-watch.ts';
import type { CommandResult } from '../../src/resources/index.ts';

const SYNCING: Syncing = {
  ...{ name: 'block', volume: 0, connName: 'peer', peer: 'b', role: 'source', paused: false },
};
const said = (rest: string): CommandResult => ({
  ...{ kind: 'exited', code: 0, stderr: '' },
  stdout: `r0 role:Primary\n  peer role:Secondary\n    ${rest}\n`,
});

class Bench {
  nowMs = 0;
  readMs = 5;
  answer: CommandResult = said('replication:SyncSource peer-disk:Inconsistent done:1.00 out-of-sync:8');
  readonly asked: string[] = [];
  readonly told: { readonly at: number; readonly volumes: readonly object[] }[] = [];
  readonly watch: ResyncWatch;
  #timers: { readonly at: number; readonly act: () => void }[] = [];

  /** Of processes that hang. */
  inFlight = 0;

  constructor() {
    const clock: Clock = {
      now: () => instant(this.nowMs),
      wallMs: () => 0,
      after: (ms, act) => {
        const timer = { at: this.nowMs + ms, act };
        this.#timers.push(timer);
        const cancel = (): void => {
          this.#timers = this.#timers.filter((one) => one !== timer);
        };
        return { cancel };
      },
      sleep: async () => undefined,
    };
    const inFlight = (): number => this.inFlight;
    this.watch = new ResyncWatch({
      resources: new Map([['block', 'r0']]),
      runner: {
        get inFlight() {
          return inFlight();
        },
        run: (command) => {
          this.asked.push(command.join(' '));
          return new Promise((resolve) => clock.after(this.readMs, () => resolve(this.answer)));
        },
      },
      clock,
      send: (event: SentEvent) => {
        if (event.kind === 'resync') this.told.push({ at: this.nowMs, volumes: event.volumes });
      },
    });
  }

  async pass(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.nowMs = next.at;
      next.act();
    }
    this.nowMs = end;
  }
}

it('starts no process beside one that hangs, and says that nothing is known meanwhile', async () => {
  const bench = new Bench();
  bench.watch.follow();
  bench.inFlight = 1;
  bench.watch.onSyncing([SYNCING]);
  await bench.pass(60_000);
  expect(bench.asked).toEqual([]);
  expect(bench.told.at(-1)?.volumes).toMatchObject([{ donePercent: null, outOfSyncBytes: null }]);
  bench.inFlight = 0;
  await bench.pass(60_000);
  expect(bench.asked.length).toBeGreaterThan(0);
});

it('asks nothing while none runs, and nothing for nobody', async () => {
  const bench = new Bench();
  bench.watch.follow();
  bench.watch.onSyncing([]);
  await bench.pass(60_000);
  expect(bench.asked).toEqual([]);
  bench.watch.unfollow();
  bench.watch.onSyncing([SYNCING]);
  await bench.pass(60_000);
  expect([bench.asked, bench.told]).toEqual([[], []]);
});

it('tells at most once a second, whatever changes, and that it is over', async () => {
  const bench = new Bench();
  bench.watch.follow();
  for (let step = 0; step < 300; step += 1) {
    bench.answer = said(`replication:SyncSource peer-disk:Inconsistent done:${(step / 3).toFixed(2)}`);
    bench.watch.onSyncing([{ ...SYNCING, paused: step % 2 === 0 }]);
    await bench.pass(100);
  }
  expect(bench.asked[0]).toBe('drbdsetup status r0 --verbose --statistics');
  const gaps = bench.told.slice(1).map(({ at }, before) => at - (bench.told[before]?.at ?? 0));
  expect(bench.told.length).toBeGreaterThan(25);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000);
  bench.watch.onSyncing([]);
  await bench.pass(2_000);
  expect(bench.told.at(-1)?.volumes).toEqual([]);
  const count = bench.asked.length;
  await bench.pass(60_000);
  expect([bench.asked.length, bench.told.at(-1)?.volumes]).toEqual([count, []]);
});

it('what cannot be read is not known, and not zero; one that has ended since is not told', async () => {
  const bench = new Bench();
  bench.watch.follow();
  bench.answer = { kind: 'timed-out', limitMs: 3000 };
  bench.watch.onSyncing([SYNCING]);
  await bench.pass(100);
  const { name, connName: _, ...facts } = SYNCING;
  const unknown = { resource: name, ...facts, donePercent: null, outOfSyncBytes: null };
  expect(bench.told.at(-1)?.volumes).toEqual([unknown]);
  bench.answer = said('replication:SyncSource peer-disk:Inconsistent done:1.00 out-of-sync:8');
  await bench.pass(1_100);
  expect(bench.told.at(-1)?.volumes).toEqual([{ ...unknown, donePercent: 1, outOfSyncBytes: 8192 }]);
  bench.answer = said('replication:Established peer-disk:UpToDate');
  await bench.pass(1_100);
  expect(bench.told.at(-1)?.volumes).toEqual([]);
});

it('is repeated while it stands still, told anew to a new agent, and asked less often where asking takes long', async () => {
  const bench = new Bench();
  bench.watch.follow();
  bench.watch.onSyncing([SYNCING]);
  await bench.pass(25_000);
  expect(bench.told.length).toBe(3);
  bench.watch.unfollow();
  bench.watch.follow();
  await bench.pass(1_100);
  expect(bench.told.length).toBe(4);
  bench.readMs = 500;
  const before = bench.asked.length;
  await bench.pass(55_000);
  expect(bench.asked.length - before).toBeLessThanOrEqual(11);
});
