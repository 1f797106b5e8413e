/** The engine over a stand-in for ZFS: real processes, two directories for two pools, streams that are cut off anywhere. */
import { delimiter } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import type { KeepConfig, SendConfig } from '../../../src/config/index.ts';
import { durationMs, epoch } from '../../../src/core/index.ts';
import { Board, Engine, LocalPool } from '../../../src/replication/engine/index.ts';
import { LocalChannel, type LocalChannelOptions } from '../support/local-channel.ts';
import { commandsOf, KERNEL, type StandIn, standIn } from '../support/stand-in.ts';

const KEEP: KeepConfig = { last: 1000, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const POLICY = { periodMs: durationMs(3_600_000), keep: KEEP, keepCopy: KEEP, windows: [] };
const SEND: SendConfig = { policy: POLICY, overrides: [], bytesPerSecond: null, answerMs: 30_000 };
const LIMIT_MS = 60_000;
const FILLER = 1024 * 1024;

let world: StandIn;
const path = process.env.PATH;
beforeAll(() => {
  process.env.STAND_IN_FILLER = '1000';
});
beforeEach(async () => {
  world = await standIn();
  process.env.PATH = `${world.a.bin}${delimiter}${path}`;
});
afterEach(() => world.remove());
afterAll(() => {
  process.env.PATH = path;
  delete process.env.STAND_IN_FILLER;
});

class Bench {
  readonly board = new Board();
  readonly channel: LocalChannel;
  readonly stop = new AbortController();
  readonly broken: unknown[] = [];
  /** Those of the sending side that are no streams. */
  readonly commands: string[] = [];
  readonly engine: Engine;
  #count = 0;

  constructor(send: Partial<SendConfig> = {}, options: Partial<LocalChannelOptions> = {}, tenure = 5) {
    this.channel = new LocalChannel({ host: world.b, ...options });
    this.engine = new Engine({
      ends: { from: 'a', to: 'b' },
      replication: { pools: ['tank'], include: [], exclude: [], send: { ...SEND, ...send } },
      drbdBelow: () => [],
      epoch: epoch(tenure),
      local: new LocalPool({
        pools: ['tank'],
        commands: {
          run: (command, limits) => {
            this.commands.push(command.slice(0, 2).join(' '));
            return commandsOf(world.a).run(command, limits);
          },
        },
        kernel: KERNEL,
        clock: systemClock,
        signal: this.stop.signal,
      }),
      channel: this.channel,
      board: this.board,
      clock: systemClock,
      signal: this.stop.signal,
      onBroken: (error) => this.broken.push(error),
    });
  }

  /** And everything that it has begun. */
  async round(): Promise<void> {
    this.#count += 1;
    await this.engine.round(this.#count);
    await this.engine.settled();
    expect(this.broken).toEqual([]);
  }

  state(dataset: string): string | undefined {
    return this.board.get(dataset)?.state;
  }
}

const wordOf = (host: 'a' | 'b'): string | undefined =>
  world[host].pool().get('tank').properties.get('quorate:complete');

const snapshotsOf = (host: 'a' | 'b', dataset: string) =>
  world[host].pool().datasets.get(dataset)?.snapshots ?? [];
const guidsOf = (host: 'a' | 'b', dataset: string): string[] =>
  snapshotsOf(host, dataset).map(({ guid }) => guid);
const heldOf = (host: 'a' | 'b', dataset: string): string[] =>
  snapshotsOf(host, dataset).flatMap(({ name, tags }) => (tags?.includes('quorate') ? [name] : []));

describe('the word that everything has arrived', () => {
  it(
    'is written once all of one moment is there, not while one dataset is in conflict or left out of that moment',
    async () => {
      for (const name of ['tank/home', 'tank/mail']) await world.a.zfs('create', name);
      const bench = new Bench();
      await bench.round();
      const name = snapshotsOf('a', 'tank/home')[0]?.name;
      expect(wordOf('b')).toMatch(new RegExp(`^1:5:\\d+:running:${name}$`));
      // A round without anything new says nothing new.
      await bench.round();
      expect(bench.channel.orders.filter(({ kind }) => kind === 'complete')).toHaveLength(1);
      // Of one dataset alone it is no moment of the pool.
      bench.engine.ask('tank/home');
      await bench.round();
      expect(wordOf('b')).toContain(name);
      await world.b.zfs('snapshot', 'tank/mail@by-hand');
      bench.engine.ask(null);
      await bench.round();
      expect(wordOf('b')).toContain(name);
      expect(bench.state('tank/mail')).toBe('conflict');
      expect(bench.board.round.problem).toContain('not written by a tenure of this node');
      expect(snapshotsOf('b', 'tank/mail').map((one) => one.name)).toEqual([name, 'by-hand']);
      await world.b.zfs('destroy', 'tank/mail@by-hand');
      bench.engine.ask(null);
      await bench.round();
      expect(bench.board.round.problem).toBeNull();
      expect(wordOf('b')).toContain(snapshotsOf('a', 'tank/mail').at(-1)?.name);
    },
    LIMIT_MS,
  );

  it(
    'waits for what has broken off',
    async () => {
      process.env.STAND_IN_FILLER = String(FILLER);
      await world.a.zfs('create', 'tank/home');
      let breakAt: number | null = FILLER / 2;
      const bench = new Bench({}, { breaksAt: () => breakAt });
      await bench.round();
      expect(wordOf('b')).toBeUndefined();
      breakAt = null;
      await bench.round();
      process.env.STAND_IN_FILLER = '1000';
      expect(wordOf('b')).toMatch(/^1:5:/);
    },
    LIMIT_MS,
  );

  it(
    'a tail of the copy’s own tenure is set aside first, and the word comes after it',
    async () => {
      await world.a.zfs('create', 'tank/home');
      await new Bench().round();
      await world.b.zfs('set', 'readonly=off', 'quorate:readonly=off', 'tank/home');
      await world.b.zfs('set', 'quorate:written=6', 'tank');
      await world.b.zfs('write', 'tank/home', 'only there');
      const bench = new Bench({}, {}, 7);
      await bench.round();
      // ZFS has said that it was written to, and took nothing: only now it is known.
      expect(bench.state('tank/home')).toBe('failed');
      bench.engine.ask(null);
      await bench.round();
      expect(bench.board.round.problem).toBeNull();
      expect(bench.state('tank/home')).toBe('current');
      const kept = world.b.pool().get('tank/.diverged/7/home');
      expect(kept).toMatchObject({ content: 'only there', isReadonly: true });
      expect(guidsOf('b', 'tank/home')).toEqual(guidsOf('a', 'tank/home'));
      expect(world.b.pool().get('tank').properties.has('quorate:written')).toBe(false);
      expect(wordOf('b')).toContain(snapshotsOf('a', 'tank/home').at(-1)?.name);
      // The common one has a clone now: retention leaves it, and says nothing.
      const few = { ...POLICY, keep: { ...KEEP, last: 1 }, keepCopy: { ...KEEP, last: 1 } };
      const pruning = new Bench({ policy: few }, {}, 7);
      await pruning.round();
      pruning.engine.ask(null);
      await pruning.round();
      pruning.engine.ask(null);
      await pruning.round();
      expect(pruning.board.round.problem).toBeNull();
      expect(guidsOf('b', 'tank/home').length).toBeLessThan(5);
    },
    LIMIT_MS,
  );
});

describe('a round', () => {
  it(
    'takes all snapshots of one moment, sends parents first, holds the newest common one on both sides, and marks it',
    async () => {
      for (const name of ['tank/home', 'tank/home/x', 'tank/mail']) await world.a.zfs('create', name);
      await world.a.zfs('write', 'tank/home', 'hello');
      const bench = new Bench();
      await bench.round();
      for (const name of ['tank/home', 'tank/home/x', 'tank/mail']) {
        expect(guidsOf('b', name)).toEqual(guidsOf('a', name));
        const [one] = snapshotsOf('a', name);
        expect(one?.name).toMatch(/^quorate-.*Z-5$/);
        expect([heldOf('a', name), heldOf('b', name)]).toEqual([[one?.name], [one?.name]]);
        expect(world.a.pool().get(name).bookmarks).toMatchObject([{ name: `quorate-${one?.guid}` }]);
        expect(bench.state(name)).toBe('current');
        expect(bench.board.get(name)?.common?.name).toBe(one?.name);
      }
      expect(new Set(['tank/home', 'tank/mail'].map((name) => snapshotsOf('a', name)[0]?.name)).size).toBe(1);
      // The pool's own file system is nobody's copy.
      expect(snapshotsOf('a', 'tank')).toEqual([]);
      expect(world.b.pool().get('tank/home')).toMatchObject({ content: 'hello', isReadonly: true });
      expect(bench.board.get('tank/home')?.sentBytes).toBe(1000);

      await world.a.zfs('write', 'tank/home', ', world');
      bench.engine.ask('tank/home');
      await bench.round();
      expect(guidsOf('b', 'tank/home')).toEqual(guidsOf('a', 'tank/home'));
      expect(guidsOf('b', 'tank/home')).toHaveLength(2);
      expect(guidsOf('a', 'tank/mail')).toHaveLength(1);
      const [, second] = snapshotsOf('a', 'tank/home');
      // Of the one before both have let go, and its cursor is dropped.
      expect([heldOf('a', 'tank/home'), heldOf('b', 'tank/home')]).toEqual([[second?.name], [second?.name]]);
      expect(world.a.pool().get('tank/home').bookmarks).toMatchObject([{ guid: second?.guid }]);
    },
    LIMIT_MS,
  );

  it(
    'sets right what somebody was killed in the middle of: holds too many, and no cursor',
    async () => {
      await world.a.zfs('create', 'tank/home');
      const bench = new Bench();
      await bench.round();
      bench.engine.ask(null);
      await bench.round();
      const [first, second] = snapshotsOf('a', 'tank/home');
      for (const host of [world.a, world.b]) await host.zfs('hold', 'quorate', `tank/home@${first?.name}`);
      await world.a.zfs('hold', 'backup', `tank/home@${first?.name}`);
      await world.a.zfs('destroy', `tank/home#quorate-${second?.guid}`);
      // The same process, which takes no new snapshot; it looks at holds of others once.
      const settle = async (): Promise<void> => {
        await bench.round();
        expect(heldOf('a', 'tank/home')).toEqual([second?.name]);
        expect(heldOf('b', 'tank/home')).toEqual([second?.name]);
        expect(snapshotsOf('a', 'tank/home')[0]?.tags).toEqual(['backup']);
        expect(world.a.pool().get('tank/home').bookmarks).toMatchObject([{ guid: second?.guid }]);
      };
      await settle();
      const { length } = bench.channel.orders;
      await settle();
      expect(bench.channel.orders).toHaveLength(length);
    },
    LIMIT_MS,
  );

  it(
    'goes on from the cursor where somebody has destroyed the common snapshot',
    async () => {
      await world.a.zfs('create', 'tank/home');
      const bench = new Bench();
      await bench.round();
      const [first] = snapshotsOf('a', 'tank/home');
      await world.a.zfs('release', 'quorate', `tank/home@${first?.name}`);
      await world.a.zfs('destroy', `tank/home@${first?.name}`);
      await world.a.zfs('write', 'tank/home', 'more');
      bench.engine.ask(null);
      await bench.round();
      expect(snapshotsOf('b', 'tank/home')).toHaveLength(2);
      expect(world.b.pool().get('tank/home').content).toBe('more');
      expect(bench.state('tank/home')).toBe('current');
    },
    LIMIT_MS,
  );

  it(
    'says what is in conflict and destroys nothing of it, while the others go on',
    async () => {
      for (const name of ['tank/home', 'tank/mail']) await world.a.zfs('create', name);
      const bench = new Bench({ policy: { ...POLICY, keep: { ...KEEP, last: 1 } } });
      await bench.round();
      await world.b.zfs('snapshot', 'tank/mail@by-hand');
      for (let count = 0; count < 3; count++) {
        bench.engine.ask(null);
        await bench.round();
      }
      expect(bench.state('tank/mail')).toBe('conflict');
      expect(bench.board.get('tank/mail')?.why).toContain('by-hand');
      expect(snapshotsOf('b', 'tank/mail').map(({ name }) => name)).toContain('by-hand');
      // What both have stays here, for a change of roles.
      expect(guidsOf('a', 'tank/mail')).toContain(guidsOf('b', 'tank/mail')[0]);
      expect(bench.state('tank/home')).toBe('current');
      expect(snapshotsOf('b', 'tank/home').at(-1)?.guid).toBe(snapshotsOf('a', 'tank/home').at(-1)?.guid);
    },
    LIMIT_MS,
  );

  it(
    'goes on with its own snapshots and its own pruning while the other side does not answer, and then from there',
    async () => {
      await world.a.zfs('create', 'tank/home');
      await world.a.zfs('snapshot', 'tank/home@manual');
      const bench = new Bench({ policy: { ...POLICY, keep: { ...KEEP, last: 2 } } });
      await bench.round();
      const common = snapshotsOf('b', 'tank/home').at(-1)?.guid;
      bench.channel.isDown = 'b is away';
      for (let count = 0; count < 5; count++) {
        bench.engine.ask(null);
        await bench.round();
      }
      expect(bench.state('tank/home')).toBe('unknown');
      expect(bench.board.round.problem).toContain('b is away');
      expect(bench.board.get('tank/home')?.common).not.toBeNull();
      // The last two, the newest common one, and what somebody has made; the newest of all was taken after the last pruning.
      expect(snapshotsOf('a', 'tank/home')).toHaveLength(4);
      expect(guidsOf('a', 'tank/home')).toContain(common);
      bench.channel.isDown = null;
      await bench.round();
      expect(bench.state('tank/home')).toBe('current');
      expect(snapshotsOf('b', 'tank/home').at(-1)?.guid).toBe(snapshotsOf('a', 'tank/home').at(-1)?.guid);
    },
    LIMIT_MS,
  );

  it(
    'follows a rename, and what lies in it',
    async () => {
      for (const name of ['tank/home', 'tank/home/x', 'tank/other']) await world.a.zfs('create', name);
      const bench = new Bench();
      await bench.round();
      await world.a.zfs('rename', 'tank/home', 'tank/moved');
      bench.engine.ask(null);
      await bench.round();
      expect([...world.b.pool().datasets.keys()].toSorted()).toEqual([
        'tank',
        'tank/moved',
        'tank/moved/x',
        'tank/other',
      ]);
      expect(guidsOf('b', 'tank/moved/x')).toEqual(guidsOf('a', 'tank/moved/x'));
      expect(bench.board.get('tank/home')).toBeNull();
      expect(bench.state('tank/moved')).toBe('current');
    },
    LIMIT_MS,
  );

  it(
    'prunes on both sides by their own rules',
    async () => {
      await world.a.zfs('create', 'tank/home');
      await world.a.zfs('snapshot', 'tank/home@manual');
      const keep = { ...KEEP, last: 2 };
      const bench = new Bench({ policy: { ...POLICY, keep, keepCopy: { ...KEEP, last: 3 } } });
      for (let count = 0; count < 6; count++) {
        bench.engine.ask(null);
        await bench.round();
      }
      // One more by what came in the last round itself, after its plan was made.
      expect(snapshotsOf('a', 'tank/home').length).toBeLessThanOrEqual(4);
      expect(snapshotsOf('b', 'tank/home').length).toBeLessThanOrEqual(5);
      expect(snapshotsOf('b', 'tank/home').length).toBeGreaterThan(3);
      for (const host of ['a', 'b'] as const) expect(snapshotsOf(host, 'tank/home')[0]?.name).toBe('manual');
      expect(bench.state('tank/home')).toBe('current');
    },
    LIMIT_MS,
  );

  it(
    'sends nothing outside its window, unless somebody asks for it',
    async () => {
      await world.a.zfs('create', 'tank/home');
      const minute = new Date().getHours() * 60 + new Date().getMinutes();
      const windows = [{ fromMinute: (minute + 600) % 1440, toMinute: (minute + 660) % 1440 }];
      const bench = new Bench({ policy: { ...POLICY, windows } });
      await bench.round();
      expect(snapshotsOf('a', 'tank/home')).toHaveLength(1);
      expect(await world.b.zfs('list', '-t', 'filesystem,volume')).not.toContain('tank/home');
      expect(bench.board.get('tank/home')).toMatchObject({ state: 'waiting', why: /time of the day/ });
      bench.engine.ask('tank/home');
      await bench.round();
      expect(bench.state('tank/home')).toBe('current');
    },
    LIMIT_MS,
  );
});

describe('a stream', () => {
  it(
    'never passes this process where the sink has a descriptor, and arrives where it has none',
    async () => {
      const filler = 192 * 1024 * 1024;
      process.env.STAND_IN_FILLER = String(filler);
      try {
        await world.a.zfs('create', 'tank/home');
        const bench = new Bench();
        let sink: { bytesWritten: number } | null = null;
        const receive = bench.channel.receive.bind(bench.channel);
        bench.channel.receive = async (...args) => {
          const receiving = await receive(...args);
          sink = receiving.sink as unknown as { bytesWritten: number };
          return receiving;
        };
        let mostBytes = 0;
        const before = process.memoryUsage().rss;
        const timer = setInterval(() => {
          mostBytes = Math.max(mostBytes, process.memoryUsage().rss - before);
        }, 20);
        await bench.round();
        clearInterval(timer);
        expect(bench.state('tank/home')).toBe('current');
        expect(bench.board.get('tank/home')?.sentBytes).toBe(filler);
        expect((sink as { bytesWritten: number } | null)?.bytesWritten).toBe(0);
        expect(mostBytes).toBeLessThan(20 * 1024 * 1024);
        process.env.STAND_IN_FILLER = String(4 * 1024 * 1024);
        await world.a.zfs('create', 'tank/mail');
        const other = new Bench({}, { throughProcess: true });
        await other.round();
        expect(other.state('tank/mail')).toBe('current');
        expect(guidsOf('b', 'tank/mail')).toEqual(guidsOf('a', 'tank/mail'));
      } finally {
        process.env.STAND_IN_FILLER = '1000';
      }
    },
    LIMIT_MS,
  );

  it(
    'that is broken off again and again goes on each time, and at last everything has arrived',
    async () => {
      process.env.STAND_IN_FILLER = String(FILLER);
      try {
        for (const name of ['tank/home', 'tank/home/x', 'tank/mail']) await world.a.zfs('create', name);
        await world.a.zfs('write', 'tank/mail', 'letters');
        let breaks = 0;
        const bench = new Bench(
          {},
          { breaksAt: () => (breaks++ < 8 ? 1 + Math.round(Math.random() * FILLER) : null) },
        );
        const resumed = new Set<string>();
        for (let count = 0; count < 30; count++) {
          if (count < 3) bench.engine.ask(null);
          await bench.round();
          for (const order of bench.channel.orders) if (order.kind === 'resume') resumed.add(order.dataset);
          if (['tank/home', 'tank/home/x', 'tank/mail'].every((name) => bench.state(name) === 'current'))
            if (count >= 3) break;
        }
        expect(breaks).toBeGreaterThan(8);
        expect(resumed.size).toBeGreaterThan(0);
        for (const name of ['tank/home', 'tank/home/x', 'tank/mail']) {
          expect(guidsOf('b', name)).toEqual(guidsOf('a', name));
          expect(heldOf('a', name)).toEqual([snapshotsOf('a', name).at(-1)?.name]);
          expect(heldOf('b', name)).toEqual([snapshotsOf('b', name).at(-1)?.name]);
        }
        expect(world.b.pool().get('tank/mail').content).toBe('letters');
      } finally {
        process.env.STAND_IN_FILLER = '1000';
      }
    },
    LIMIT_MS,
  );

  it(
    'takes along all that was missed while the other side was away, with no more processes than for one',
    async () => {
      await world.a.zfs('create', 'tank/home');
      await new Bench().round();
      const [before] = snapshotsOf('a', 'tank/home');
      for (const name of ['m1', 'by-hand', 'm2']) await world.a.zfs('snapshot', `tank/home@${name}`);
      const bench = new Bench();
      await bench.round();
      const last = snapshotsOf('a', 'tank/home').at(-1)?.name ?? '';
      expect(guidsOf('b', 'tank/home')).toEqual(guidsOf('a', 'tank/home'));
      const streams = bench.channel.orders.filter((order) => 'snapshot' in order);
      expect(streams).toMatchObject([
        { kind: 'incremental', before: [{ name: 'm1' }, { name: 'by-hand' }, { name: 'm2' }] },
      ]);
      expect(streams[0]).toMatchObject({ snapshot: { name: last }, letGo: [{ name: before?.name }] });
      expect(heldOf('a', 'tank/home')).toEqual([last]);
      expect(heldOf('b', 'tank/home')).toEqual([last]);
      expect(bench.board.get('tank/home')?.sentBytes).toBe(4000);
      // Of the round, then of the stream; `zfs send` is another one, and the other side's calls are the reading, the stream and the word;
      // and at a start the word of what is there already: nothing is remembered of whether it was given.
      expect(bench.commands).toEqual([
        ...['zpool list', 'zpool status', 'zfs list', 'zfs list', 'zfs snapshot', 'zfs list', 'zfs list'],
        ...['zfs hold', 'zfs bookmark', 'zfs destroy', 'zfs release'],
      ]);
      expect(bench.channel.orders.map(({ kind }) => kind)).toEqual(['complete', 'incremental', 'complete']);
    },
    LIMIT_MS,
  );

  it(
    'to a receiver of the version before has one snapshot, and is held there by an order of its own',
    async () => {
      await world.a.zfs('create', 'tank/home');
      await new Bench().round();
      for (const name of ['m1', 'm2']) await world.a.zfs('snapshot', `tank/home@${name}`);
      const bench = new Bench({}, { features: [] });
      await bench.round();
      expect(guidsOf('b', 'tank/home')).toEqual(guidsOf('a', 'tank/home'));
      const kinds = bench.channel.orders.map(({ kind }) => kind);
      const each = ['incremental', 'hold'];
      expect(kinds).toEqual(['complete', ...each, ...each, ...each, 'complete']);
      const streams = bench.channel.orders.filter((order) => 'snapshot' in order);
      for (const order of streams) expect(Object.keys(order)).toEqual(['dataset', 'snapshot', 'kind']);
    },
    LIMIT_MS,
  );

  it(
    'of a run that breaks off leaves what has come whole, and the next round goes on from there',
    async () => {
      process.env.STAND_IN_FILLER = String(FILLER);
      try {
        await world.a.zfs('create', 'tank/home');
        await new Bench().round();
        for (const name of ['m1', 'm2', 'm3']) await world.a.zfs('snapshot', `tank/home@${name}`);
        let breakAt: number | null = FILLER * 2.5;
        const bench = new Bench({}, { breaksAt: () => breakAt });
        await bench.round();
        expect(bench.state('tank/home')).toBe('failed');
        expect(
          snapshotsOf('b', 'tank/home')
            .map(({ name }) => name)
            .slice(1),
        ).toEqual(['m1', 'm2']);
        // Nothing that either side may need is free yet.
        expect(heldOf('a', 'tank/home')).toHaveLength(5);
        expect(heldOf('b', 'tank/home')).toEqual([snapshotsOf('b', 'tank/home')[0]?.name]);
        breakAt = null;
        await bench.round();
        await bench.round();
        expect(bench.channel.orders.flatMap((one) => ('snapshot' in one ? [one.kind] : []))).toEqual([
          ...['incremental', 'resume', 'incremental'],
        ]);
        expect(guidsOf('b', 'tank/home')).toEqual(guidsOf('a', 'tank/home'));
        const last = snapshotsOf('a', 'tank/home').at(-1)?.name;
        expect([heldOf('a', 'tank/home'), heldOf('b', 'tank/home')]).toEqual([[last], [last]]);
      } finally {
        process.env.STAND_IN_FILLER = '1000';
      }
    },
    LIMIT_MS,
  );

  it(
    'with a limit of bandwidth is sent through pv, and without pv not at all',
    async () => {
      await world.a.zfs('create', 'tank/home');
      process.env.PATH = `${world.a.bin}${delimiter}/nowhere`;
      const bench = new Bench({ bytesPerSecond: 1024 * 1024 });
      await bench.round();
      expect(bench.board.get('tank/home')).toMatchObject({
        state: 'failed',
        why: 'pv is not installed or not in PATH',
      });
      expect(bench.board.get('tank/home')?.sentBytes).toBe(0);
    },
    LIMIT_MS,
  );
});
