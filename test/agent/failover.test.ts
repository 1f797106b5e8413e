/** O3, H2: what an override still waits for, and what it refuses before the core is asked. */
import { describe, expect, it } from 'vitest';
import { DataLook } from '../../src/agent/data-look.ts';
import type { Driver } from '../../src/agent/driver.ts';
import { Failover } from '../../src/agent/failover.ts';
import { OrderEntries } from '../../src/agent/order-entries.ts';
import { TakeoverWatch } from '../../src/agent/takeover-watch.ts';
import { whyNotUnwatched } from '../../src/agent/unwatched.ts';
import type { Clock } from '../../src/clock.ts';
import type { Config } from '../../src/config/index.ts';
import {
  type ClusterState,
  EMPTY_STATE,
  type Entry,
  type EntryBody,
  epoch,
  instant,
  logIndex,
  nodeId,
  term,
} from '../../src/core/index.ts';
import { chain, config as firstEntry, granted, outdated } from '../state/story.ts';

const [a, b] = [nodeId('a'), nodeId('b')];
type Tenure = NonNullable<ClusterState['tenure']>;
const OPEN: Tenure = {
  epoch: epoch(3),
  node: a,
  term: term(1),
  released: false,
  fenced: false,
  isForced: false,
  isTaken: true,
  unproven: [],
};

function configOf(
  mode: 'required' | 'automatic' | 'off',
  { hasDrbd = true, ec2Stop = 'off' }: { hasDrbd?: boolean; ec2Stop?: 'off' | 'after' | 'before' } = {},
): Config {
  // The parts of a config that are read.
  return {
    watchdog: { mode },
    resources: hasDrbd ? [{ name: 'block', kind: 'drbd', resource: 'r0', after: [] }] : [],
    fencing: { ec2Stop, instances: { a: 'i-1' }, isolationGroup: null },
  } as unknown as Config;
}

const state = (tenure: Partial<Tenure> | null): ClusterState => ({
  ...EMPTY_STATE,
  inSync: [a],
  tenure: tenure === null ? null : { ...OPEN, ...tenure },
});

describe('H2 without a watchdog', () => {
  it('DRBD is a proof, but not for a node that promotes by force', () => {
    const automatic = configOf('automatic');
    expect(whyNotUnwatched(automatic, state({}), false)).toBeNull();
    expect(whyNotUnwatched(automatic, state({}), true)).toContain('DRBD is overridden');
    for (const proof of [{ released: true }, { fenced: true }])
      expect(whyNotUnwatched(automatic, state(proof), true)).toBeNull();
    expect(whyNotUnwatched(automatic, state(null), true)).toBeNull();
    expect(whyNotUnwatched(configOf('off'), state({}), true)).toBeNull();
    expect(whyNotUnwatched(configOf('required'), state({ released: true }), true)).not.toBeNull();
    expect(whyNotUnwatched(configOf('automatic', { hasDrbd: false }), state({}), false)).toContain('no DRBD');
  });
});

class Bench {
  readonly proposals: unknown[] = [];
  entries: Entry[] = [];
  state = state({});
  watchdog: object | null = { timeoutMs: 400 };
  isWhole: boolean | null = true;
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
  }

  get failover(): Failover {
    const clock: Clock = {
      now: () => instant(1000),
      wallMs: () => 0,
      after: () => ({ cancel: () => undefined }),
      sleep: async () => undefined,
    };
    const view = {
      self: b,
      now: instant(1000),
      isWitness: false,
      isDataVoter: () => true,
      isSetAside: () => false,
      leadership: null,
      hold: { kind: 'none' },
      hard: { term: term(2) },
      state: this.state,
      timing: { leaseMs: 400, watchdog: this.watchdog },
      commitIndex: logIndex(9),
      log: { slice: () => this.entries },
    };
    const driver = {
      view,
      commit: async (entry: unknown) => this.proposals.push(entry),
      lacking: () => [],
    } as unknown as Driver;
    const takeovers = new TakeoverWatch(clock, 1000);
    return new Failover({
      config: this.#config,
      driver,
      clock,
      takeovers,
      entries: new OrderEntries(driver),
      hasWholeData: async () => this.isWhole,
      limitMs: 1000,
    });
  }

  order(change: Partial<Parameters<Failover['run']>[0]> = {}) {
    const order = { to: b, who: 'root', why: '', acceptDataLoss: true, dryRun: false };
    return this.failover.run({ ...order, requestId: '', expectedEpoch: null, ...change });
  }

  async check(name: string, to = b): Promise<{ ok: boolean; detail: string } | undefined> {
    const { checks } = await this.order({ dryRun: true, to });
    return checks.find((check) => check.name === name);
  }
}

describe('the old holder', () => {
  it.each([
    ['a watchdog stands behind its promise', configOf('required'), {}, true, /its watchdog/],
    ['it has released', configOf('automatic'), { released: true }, true, /released epoch 3/],
    ['its machine was stopped', configOf('automatic'), { fenced: true }, true, /was stopped/],
    ['the operator answers for it by name', configOf('off'), {}, true, /you answer for it/],
    ['the cloud stops it first', configOf('automatic', { ec2Stop: 'before' }), {}, true, /through the cloud/],
    [
      'the cloud stops it only afterwards',
      configOf('automatic', { ec2Stop: 'after' }),
      {},
      false,
      /no proof/,
    ],
    ['nothing but DRBD', configOf('automatic'), {}, false, /no proof that a has released epoch 3/],
  ] as [string, Config, Partial<Tenure>, boolean, RegExp][])(
    '%s',
    async (_name, config, tenure, ok, detail) => {
      const bench = new Bench(config);
      bench.state = state(tenure);
      bench.watchdog = config.watchdog.mode === 'required' ? { timeoutMs: 400 } : null;
      expect(await bench.check('old holder')).toEqual({
        name: 'old holder',
        ok,
        detail: expect.stringMatching(detail),
      });
    },
  );
});

describe('the data', () => {
  it.each([
    [true, true, /of one moment/],
    [false, false, /a resync broke off/],
    [null, false, /cannot be read/],
  ] as [boolean | null, boolean, RegExp][])('whole: %s', async (isWhole, ok, detail) => {
    const bench = new Bench(configOf('off'));
    bench.isWhole = isWhole;
    expect(await bench.check('data')).toEqual({ name: 'data', ok, detail: expect.stringMatching(detail) });
  });

  it('of another node cannot be seen, and without DRBD there is none', async () => {
    const bench = new Bench(configOf('off'));
    bench.isWhole = true;
    expect(await bench.check('data', a)).toMatchObject({
      ok: false,
      detail: expect.stringContaining('ask a when it leads'),
    });
    const without = new Bench(configOf('off', { hasDrbd: false }));
    without.isWhole = null;
    expect(await without.check('data')).toMatchObject({ ok: true });
  });
});

describe('DataLook', () => {
  const asked: number[] = [];
  const timers: (() => void)[] = [];
  let now = 1_000;
  const clock: Clock = {
    now: () => instant(now),
    wallMs: () => 0,
    after: (_ms, run) => {
      timers.push(run);
      return { cancel: () => undefined };
    },
    sleep: async () => undefined,
  };
  const read = (readAt: number, isWhole: boolean) =>
    ({ kind: 'data-read', readAt: instant(readAt), peers: {}, disk: 'unknown', isWhole }) as const;

  it('takes only what was read after it asked, and gives up at its limit', async () => {
    const look = new DataLook({ look: () => asked.push(now) }, clock);
    const first = look.isWhole();
    expect(asked).toEqual([1_000]);
    look.onDataRead(read(999, true));
    look.onDataRead(read(1_000, false));
    expect(await first).toBe(false);
    now = 2_000;
    const second = look.isWhole();
    for (const run of timers) run();
    expect(await second).toBeNull();
  });
});

describe('an order', () => {
  const log: [number, EntryBody][] = [
    [0, firstEntry()],
    [1, { kind: 'operator', who: '', action: '', at: Date.UTC(2026, 0, 2, 3, 4, 5) }],
    [1, granted(a)],
    [1, outdated(b, 3)],
  ];

  it('without the loss accepted is a usage error that says what would be lost, and writes nothing', async () => {
    const bench = new Bench(configOf('off'));
    bench.entries = chain(...log);
    await expect(bench.order({ acceptDataLoss: false })).rejects.toMatchObject({
      code: 'usage',
      message:
        'a failover to b needs --accept-data-loss: what may be lost is every write that a acknowledged since b left the in-sync set (entry 4, some time after 2026-01-02T03:04:05.000Z)',
    });
    expect(bench.proposals).toEqual([]);
  });

  it('says so where the node never had the data', async () => {
    const bench = new Bench(configOf('off'));
    bench.entries = chain([0, firstEntry({ inSync: [a] })], [1, granted(a)]);
    const { mayLose } = await bench.order({ dryRun: true });
    expect(mayLose).toBe('everything that a wrote: b has never been in the in-sync set');
  });

  it('is refused with the first check that fails, before anything is written', async () => {
    const bench = new Bench(configOf('off'));
    await expect(bench.order()).rejects.toMatchObject({ code: 'refused-unsafe' });
    expect(bench.proposals).toEqual([]);
  });

  it('has a reason of bounded length', async () => {
    const bench = new Bench(configOf('off'));
    await expect(bench.order({ why: 'x'.repeat(501) })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('TakeoverWatch', () => {
  const clockWith = (timers: (() => void)[]): Clock => ({
    now: () => instant(0),
    wallMs: () => 0,
    after: (_ms, run) => {
      timers.push(run);
      return { cancel: () => undefined };
    },
    sleep: async () => undefined,
  });
  const done = (ok: boolean): EntryBody => ({
    kind: 'takeover-done',
    epoch: epoch(9),
    node: b,
    ok,
    totalMs: 5,
    steps: [{ name: 'block', ms: 5, result: ok ? 'ok' : 'refused' }],
    at: null,
  });
  const commit = (watch: TakeoverWatch, body: EntryBody) => watch.onCommitted({ body } as Entry);

  it('resolves with the takeover, and not with what came before or is about others', async () => {
    const watch = new TakeoverWatch(clockWith([]), 1000);
    commit(watch, done(false));
    const { promise } = watch.next(b, 'failover-failed');
    commit(watch, granted(b));
    commit(watch, done(true));
    expect(await promise).toEqual({ epoch: 9, steps: [{ name: 'block', ms: 5, result: 'ok' }] });
  });

  it.each([
    ['another node holds', granted(a), /did not reach b: a holds/],
    ['it could not take everything', done(false), /b could not take over: refused/],
  ] as [string, EntryBody, RegExp][])('fails where %s', async (_name, body, message) => {
    const watch = new TakeoverWatch(clockWith([]), 1000);
    const { promise } = watch.next(b, 'failover-failed');
    commit(watch, body);
    await expect(promise).rejects.toMatchObject({
      code: 'failover-failed',
      message: expect.stringMatching(message),
    });
  });

  it('is unknown at its limit', async () => {
    const timers: (() => void)[] = [];
    const { promise } = new TakeoverWatch(clockWith(timers), 1000).next(b, 'failover-failed');
    for (const run of timers) run();
    await expect(promise).rejects.toMatchObject({ code: 'timed-out-unknown' });
  });
});
