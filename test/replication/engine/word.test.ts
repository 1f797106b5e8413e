/** The word that everything of a moment has arrived, as the engine gives it. */
import { describe, expect, it } from 'vitest';
import {
  Bench,
  FILLER,
  guidsOf,
  KEEP,
  LIMIT_MS,
  POLICY,
  snapshotsOf,
  startWorld,
  wordOf,
  world,
} from '../support/engine-bench.ts';

startWorld();

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
    'has with it what is there and no part of it, which is marked there until it is part again',
    async () => {
      for (const name of ['tank/home', 'tank/mail', 'tank/gone']) await world.a.zfs('create', name);
      const bench = new Bench();
      await bench.round();
      const marks = () =>
        [...world.b.pool().datasets.values()].flatMap(({ name, properties }) =>
          properties.has('quorate:left-out') ? [name] : [],
        );
      expect(marks()).toEqual([]);
      await world.a.zfs('set', 'quorate:replicate=off', 'tank/mail');
      await world.b.zfs('create', 'tank/own');
      bench.engine.ask(null);
      await bench.round();
      expect(marks()).toEqual(['tank/mail']);
      // To a version of before nothing is said of it.
      await world.a.zfs('inherit', 'quorate:replicate', 'tank/mail');
      await world.a.zfs('set', 'quorate:replicate=off', 'tank/gone');
      const older = new Bench({}, { features: ['runs', 'settles', 'replays'] }, 7);
      await older.round();
      expect([marks(), older.board.round.problem]).toEqual([[], null]);
      expect(older.channel.orders.some((order) => 'leftOut' in order)).toBe(false);
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
