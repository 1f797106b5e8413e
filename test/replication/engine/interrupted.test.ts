/**
 * The engine over two pools in memory, killed before or after any of its commands, or in the middle of any stream, again and again:
 * whatever the instant, the next one goes on, nobody's snapshot is lost, and in the end everything is common, held and marked.
 *
 * A longer search: `FUZZ_RUNS=100000 npx vitest run test/replication/engine/interrupted.test.ts`.
 */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Guids, ModelPool, ZfsRefusal } from '../../../cluster/zfs-model/index.ts';
import type { Clock } from '../../../src/clock.ts';
import { durationMs, epoch, instant } from '../../../src/core/index.ts';
import { FEATURES } from '../../../src/replication/channel.ts';
import { Board, Engine, LocalPool } from '../../../src/replication/engine/index.ts';
import { readOwnName } from '../../../src/replication/engine/names.ts';
import type { Sending, SendOptions } from '../../../src/replication/engine/send.ts';
import type { PoolsReading, ReceiveEnd, ReceiverChannel } from '../../../src/replication/index.ts';
import type { CommandResult } from '../../../src/resources/index.ts';
import { perform } from '../perform.ts';
import { commandsFor } from '../support/local-channel.ts';
import { KERNEL } from '../support/stand-in.ts';
import { runOn } from '../support/zfs-verbs.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 40);
const LIMIT_MS = 60_000 + RUNS * 50;
const NAMES = ['tank/a', 'tank/a/x', 'tank/b'] as const;
const MINUTE = 60_000;

const name = fc.constantFrom(...NAMES);
/** Of one tenure. */
const round = fc.record({
  writes: fc.array(name, { maxLength: 3 }),
  byHand: fc.option(name, { freq: 3 }),
  renames: fc.boolean(),
  /** At which command of this tenure it is killed; null: it is not. */
  crashAt: fc.option(fc.nat(60), { freq: 3 }),
  isAfter: fc.boolean(),
  /** Which of the streams breaks off without anybody being killed. */
  breaks: fc.option(fc.nat(4), { freq: 2 }),
  isDown: fc.boolean(),
  /** The other side takes one snapshot at a time, and each order for itself. */
  isOlder: fc.boolean(),
  /** Of a run that breaks off: what has arrived before. */
  whole: fc.nat(3),
  minutes: fc.integer({ min: 1, max: 200 }),
});
type Round = typeof round extends fc.Arbitrary<infer Value> ? Value : never;

class Crash extends Error {}

class World {
  readonly #guids = new Guids();
  readonly a = new ModelPool('tank', this.#guids);
  readonly b = new ModelPool('tank', this.#guids);
  readonly others = new Set<string>();
  wallMs = Date.UTC(2026, 10, 27);
  #epoch = 0;
  #count = 0;

  constructor() {
    for (const one of NAMES) this.a.create(one);
  }

  async tenure(events: Round): Promise<Board> {
    this.wallMs += events.minutes * MINUTE;
    this.#people(events);
    this.#epoch += 1;
    const one = new Tenure(this, this.#epoch, events);
    await one.run();
    this.check();
    return one.board;
  }

  #people({ writes, byHand, renames }: Round): void {
    for (const one of writes) if (this.a.datasets.has(one)) this.a.write(one, `${this.#count++},`);
    if (byHand !== null && this.a.datasets.has(byHand)) {
      this.a.snapshot(byHand, `manual-${this.#count++}`);
      this.others.add(this.a.get(byHand).snapshots.at(-1)?.guid ?? '');
    }
    // In the middle of a first copy there would be a second one under the new name, and the first stays behind (docs/replication.md).
    const isFirst = [...this.b.datasets.values()].some(
      (one) => one.partial !== null && one.snapshots.length === 0,
    );
    if (renames && !isFirst) {
      const isThere = this.a.datasets.has('tank/b');
      this.a.rename(isThere ? 'tank/b' : 'tank/c', isThere ? 'tank/c' : 'tank/b');
    }
  }

  /** What must be true at every instant. */
  check(): void {
    const here = new Set<string>();
    for (const { snapshots } of this.a.datasets.values()) for (const { guid } of snapshots) here.add(guid);
    for (const guid of this.others)
      if (!here.has(guid)) throw new Error(`somebody's snapshot ${guid} is gone`);
    for (const { name: copy, snapshots } of this.b.datasets.values()) {
      const newest = snapshots.at(-1)?.guid;
      if (newest === undefined) continue;
      const bases = [...this.a.datasets.values()].flatMap((one) => [...one.snapshots, ...one.bookmarks]);
      if (!bases.some(({ guid }) => guid === newest)) throw new Error(`${copy} cannot be gone on from`);
    }
  }
}

class Tenure {
  readonly board = new Board();
  readonly #world: World;
  readonly #events: Round;
  readonly #stop = new AbortController();
  readonly #engine: Engine;
  #acts = 0;
  #streams = 0;
  readonly #ends = new Map<string, (end: ReceiveEnd) => void>();

  constructor(world: World, number: number, events: Round) {
    this.#world = world;
    this.#events = events;
    const keep = { last: 2, hourly: 2, daily: 1, weekly: 0, monthly: 0, yearly: 0 };
    const policy = {
      periodMs: durationMs(1000),
      keep,
      keepCopy: { ...keep, last: 1, hourly: 3 },
      windows: [],
    };
    const send = { policy, overrides: [], bytesPerSecond: null, answerMs: 30_000 };
    const { signal } = this.#stop;
    const clock = this.#clock();
    this.#engine = new Engine({
      ends: { from: 'a', to: 'b' },
      replication: { pools: ['tank'], include: [], exclude: [], send },
      drbdBelow: () => [],
      epoch: epoch(number),
      local: new LocalPool({
        pools: ['tank'],
        commands: { run: async (words) => this.#command(world.a, words) },
        kernel: KERNEL,
        clock,
        signal,
      }),
      channel: this.#channel(),
      board: this.board,
      clock,
      startSend: (options) => this.#send(options),
      signal,
      onBroken: (error) => {
        throw error;
      },
    });
  }

  /** Two rounds: what broke off in the first goes on in the second. */
  async run(): Promise<void> {
    for (const number of [1, 2]) {
      await this.#engine.round(number);
      await this.#engine.settled();
    }
  }

  /** Nothing waits for time here. */
  #clock(): Clock {
    const world = this.#world;
    return {
      now: () => instant(world.wallMs),
      wallMs: () => world.wallMs,
      after: () => ({ cancel: () => undefined }),
      sleep: (_ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          signal?.addEventListener('abort', () => resolve(), { once: true });
        }),
    };
  }

  /** Killed before or after it. */
  #act<Result>(work: () => Result): Result {
    if (this.#stop.signal.aborted) throw new Crash('dead');
    const isLast = this.#acts++ === this.#events.crashAt;
    if (!isLast) {
      const result = work();
      this.#world.check();
      return result;
    }
    if (this.#events.isAfter) work();
    this.#stop.abort();
    throw new Crash('killed');
  }

  #command(pool: ModelPool, [program = '', ...words]: readonly string[]): CommandResult {
    try {
      return {
        kind: 'exited',
        code: 0,
        stdout: this.#act(() => runOn(pool, program, words)),
        stderr: '',
      };
    } catch (error) {
      if (error instanceof Crash) return { kind: 'aborted' };
      if (error instanceof ZfsRefusal) return { kind: 'exited', code: 1, stdout: '', stderr: error.message };
      throw error;
    }
  }

  #channel(): ReceiverChannel {
    const { b } = this.#world;
    const up = (): void => {
      if (this.#events.isDown) throw new Error('b is away');
    };
    return {
      name: 'local',
      features: this.#events.isOlder ? new Set() : new Set(FEATURES),
      read: async (): Promise<PoolsReading> => {
        up();
        return { version: 1, pools: [{ kind: 'read', name: 'tank', texts: b.texts() }] };
      },
      perform: async (_epoch, order) => {
        up();
        // Of a change of roles there is another test.
        if (order.kind === 'set-aside' || order.kind === 'complete') return;
        this.#perform(order);
      },
      receive: async (_epoch, { dataset, snapshot: keep, letGo }) => ({
        sink: new PassThrough(),
        ended: new Promise<ReceiveEnd>((resolve) => this.#ends.set(dataset, resolve)).then((end) => {
          if (end.kind !== 'received' || letGo === undefined) return end;
          try {
            this.#perform({ kind: 'hold', keep, letGo });
            return end;
          } catch (error) {
            return { kind: 'broken', code: 'refused', why: String(error) };
          }
        }),
        abort: () => this.#ends.get(dataset)?.({ kind: 'broken', code: 'aborted', why: 'given up' }),
      }),
      close: async () => undefined,
    };
  }

  #perform(order: Parameters<typeof commandsFor>[0]): void {
    for (const words of commandsFor(order)) {
      const result = this.#command(this.#world.b, ['zfs', ...words]);
      const isDone = result.kind === 'exited' && /tag already exists|no such tag/.test(result.stderr);
      if (result.kind === 'aborted') throw new Crash('killed');
      if (result.kind === 'exited' && result.code !== 0 && !isDone) throw new Error(result.stderr);
    }
  }

  #send({ step }: SendOptions): Sending {
    const { a, b } = this.#world;
    const isBroken = this.#streams++ === this.#events.breaks;
    const end = this.#ends.get(step.dataset);
    const why = 'cut off';
    try {
      // Killed "before" it: in the middle.
      if (this.#acts === this.#events.crashAt && !this.#events.isAfter)
        perform(step, a, b, true, this.#events.whole);
      this.#act(() => perform(step, a, b, isBroken, this.#events.whole));
      end?.(isBroken ? { kind: 'broken', code: 'stream', why } : { kind: 'received' });
      return { ended: Promise.resolve({ kind: 'sent' }), stop: () => undefined };
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      end?.({ kind: 'broken', code: 'aborted', why });
      return { ended: Promise.resolve({ kind: 'failed', why, isOwn: false }), stop: () => undefined };
    }
  }
}

const CALM: Round = {
  writes: [],
  byHand: null,
  renames: false,
  crashAt: null,
  isAfter: false,
  breaks: null,
  isDown: false,
  isOlder: false,
  whole: 1,
  minutes: 1,
};

/** Found: a stream under the name in between was taken for somebody else's. */
const renamedTwice = (crashAt: number): Round[] => [
  CALM,
  { ...CALM, renames: true, isDown: true },
  { ...CALM, renames: true, isDown: true },
  { ...CALM, renames: true, crashAt },
  { ...CALM, isDown: true },
  { ...CALM, renames: true },
];

/** Around the first stream, whichever commands there are by now. */
const CRASHES = Array.from({ length: 16 }, (_, at) => at + 6);

it(
  `interrupted anywhere it goes on, loses nothing, and comes to an end (${RUNS})`,
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 2, maxLength: 8 }), async (rounds) => {
        const world = new World();
        for (const one of rounds) await world.tenure(one);
        await world.tenure(CALM);
        const board = await world.tenure(CALM);
        for (const { name: dataset, snapshots, bookmarks } of world.a.datasets.values()) {
          if (dataset === 'tank') continue;
          expect(board.get(dataset), board.get(dataset)?.why).toMatchObject({
            state: 'current',
            lastError: null,
          });
          const there = world.b.get(dataset).snapshots;
          const newest = snapshots.at(-1);
          expect(there.at(-1)).toMatchObject({ guid: newest?.guid, content: newest?.content });
          for (const side of [snapshots, there])
            expect(side.filter(({ tags }) => tags?.includes('quorate')).map(({ guid }) => guid)).toEqual([
              newest?.guid,
            ]);
          expect(bookmarks.map(({ guid }) => guid)).toEqual([newest?.guid]);
          // Both grids hold: those of people, and a few of ours.
          expect(snapshots.filter((one) => readOwnName(one.name) !== null).length).toBeLessThanOrEqual(7);
        }
      }),
      { numRuns: RUNS, examples: CRASHES.map((at): [Round[]] => [renamedTwice(at)]) },
    );
  },
  LIMIT_MS,
);
