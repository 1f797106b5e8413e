/** Rounds of the engine: what is taken, sent, held, marked, renamed and pruned. */
import { describe, expect, it } from 'vitest';
import {
  Bench,
  guidsOf,
  heldOf,
  KEEP,
  LIMIT_MS,
  POLICY,
  snapshotsOf,
  startWorld,
  world,
} from '../support/engine-bench.ts';

startWorld();

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
