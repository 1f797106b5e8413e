/** Streams of the engine, cut off anywhere: what goes by one, and what it goes through. */
import { delimiter } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  Bench,
  FILLER,
  guidsOf,
  heldOf,
  LIMIT_MS,
  snapshotsOf,
  startWorld,
  world,
} from '../support/engine-bench.ts';

startWorld();

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
        ...['zpool list', 'zpool status', 'zfs list', 'zfs list', 'zfs get'],
        ...['zfs snapshot', 'zfs list', 'zfs list'],
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
