/** A pool on which each hold, or each release, takes long: what has to be sent goes all the same, over a stand-in for ZFS. */
import { beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/clock.ts';
import { epoch, instant } from '../../../src/core/index.ts';
import { Board, Engine, LocalPool } from '../../../src/replication/engine/index.ts';
import type { CommandResult } from '../../../src/resources/index.ts';
import { LIMIT_MS, POLICY, startWorld, world } from '../support/engine-bench.ts';
import { LocalChannel } from '../support/local-channel.ts';
import { commandsOf, KERNEL } from '../support/stand-in.ts';

startWorld();
beforeEach(async () => {
  await world.a.zfs('create', 'tank/home');
});

/** `meanwhile` is asked before each command of the sending side: ms that it takes, or what comes of it. */
function bench(meanwhile: (command: readonly string[]) => number | CommandResult) {
  let lateMs = 0;
  const clock: Clock = Object.create(systemClock, {
    now: { value: () => instant(systemClock.now() + lateMs) },
  });
  const stop = new AbortController();
  const channel = new LocalChannel({ host: world.b });
  const board = new Board();
  const broken: unknown[] = [];
  const engine = new Engine({
    ends: { from: 'a', to: 'b' },
    replication: {
      ...{ pools: ['tank'], include: [], exclude: [] },
      send: { policy: POLICY, overrides: [], bytesPerSecond: null, answerMs: 30_000 },
    },
    drbdBelow: () => [],
    epoch: epoch(5),
    local: new LocalPool({
      pools: ['tank'],
      commands: {
        run: async (command, limits) => {
          const what = meanwhile(command);
          if (typeof what !== 'number') return what;
          lateMs += what;
          return commandsOf(world.a).run(command, limits);
        },
      },
      kernel: KERNEL,
      clock,
      signal: stop.signal,
    }),
    ...{ channel, board, clock: systemClock, signal: stop.signal },
    onBroken: (error) => broken.push(error),
  });
  let count = 0;
  return {
    board,
    runs: () =>
      channel.orders.flatMap((order) => ('snapshot' in order ? [(order.before?.length ?? 0) + 1] : [])),
    round: async () => {
      count += 1;
      await engine.round(count);
      await engine.settled();
      expect(broken).toEqual([]);
    },
    next: async () => {
      count += 1;
      engine.ask(null);
      await engine.round(count);
      await engine.settled();
    },
  };
}

const guidsOf = (host: 'a' | 'b') =>
  world[host]
    .pool()
    .datasets.get('tank/home')
    ?.snapshots.map(({ guid }) => guid) ?? [];
const heldOf = (host: 'a' | 'b') =>
  world[host]
    .pool()
    .get('tank/home')
    .snapshots.flatMap(({ guid, holds }) => (holds > 0 ? [guid] : []));

it(
  'a run whose holds take long goes in shorter ones, each of what is held by then',
  async () => {
    const { round, next, runs, board } = bench(([, verb, , ...names]) =>
      verb === 'hold' ? names.length * 5000 : 0,
    );
    await round();
    for (let at = 0; at < 20; at++) await world.a.zfs('snapshot', `tank/home@by-hand-${at}`);
    await next();
    expect(runs()).toEqual([1, 8, 8, 5]);
    expect(guidsOf('b')).toEqual(guidsOf('a'));
    expect([heldOf('a'), heldOf('b')]).toEqual([guidsOf('a').slice(-1), guidsOf('b').slice(-1)]);
    expect(board.get('tank/home')).toMatchObject({ state: 'current', failures: 0 });
  },
  LIMIT_MS,
);

it(
  'what has arrived has arrived, although what was held before it cannot be let go of; the next one lets it go',
  async () => {
    let isFailing = true;
    const { round, next, board } = bench(([, verb]) =>
      verb === 'release' && isFailing ? { kind: 'timed-out', limitMs: 60_000 } : 0,
    );
    await round();
    await next();
    expect(guidsOf('b')).toEqual(guidsOf('a'));
    expect(heldOf('a')).toEqual(guidsOf('a'));
    expect(board.get('tank/home')).toMatchObject({
      ...{ state: 'current', failures: 0 },
      why: expect.stringMatching(/is held still: "zfs release .* was killed/),
    });
    isFailing = false;
    await next();
    expect(heldOf('a')).toEqual(guidsOf('a').slice(-1));
    expect(board.get('tank/home')?.why).toBe('the copy has everything');
  },
  LIMIT_MS,
);

it(
  'what an earlier attempt has held already is not let go of between the parts of a run, and held again',
  async () => {
    const asked: string[] = [];
    const { round, next, runs } = bench(([, verb, , ...names]) => {
      if (verb === 'hold') asked.push(...names);
      return verb === 'hold' ? names.length * 5000 : 0;
    });
    await round();
    for (let at = 0; at < 20; at++) await world.a.zfs('snapshot', `tank/home@by-hand-${at}`);
    for (let at = 12; at < 20; at++) await world.a.zfs('hold', 'quorate', `tank/home@by-hand-${at}`);
    asked.length = 0;
    await next();
    expect(runs()).toEqual([1, 8, 13]);
    const byHand = Array.from({ length: 12 }, (_, at) => `tank/home@by-hand-${at}`);
    expect(asked.slice(0, 12)).toEqual(byHand);
    expect(asked).toHaveLength(13);
    expect([heldOf('a'), heldOf('b')]).toEqual([guidsOf('a').slice(-1), guidsOf('b').slice(-1)]);
  },
  LIMIT_MS,
);
