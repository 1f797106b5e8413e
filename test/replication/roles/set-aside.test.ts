/**
 * Random failovers of a replicated pool, with a power cut before any command: what either node had, it has for ever, and in the end
 * everything is common again. A longer search: `FUZZ_RUNS=100000 npx vitest run test/replication/roles/set-aside.test.ts`.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Guids, type ModelDataset, ModelPool, ZfsRefusal } from '../../../cluster/zfs-model/index.ts';
import { QuorateError } from '../../../src/errors.ts';
import { FEATURES, type Tail } from '../../../src/replication/channel.ts';
import { ChangedCopies } from '../../../src/replication/engine/changed.ts';
import { parsePool } from '../../../src/replication/list-text.ts';
import { type PoolPlan, planReplication, type Step } from '../../../src/replication/plan.ts';
import type { Guid } from '../../../src/replication/pool.ts';
import {
  endAside,
  finishAside,
  isHeir,
  keptIn,
  readAside,
  setAside,
  tailsOf,
} from '../../../src/replication/roles/index.ts';
import type { CommandOptions } from '../../../src/resources/index.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { perform, stepsIn } from '../perform.ts';
import { PowerCut, ZfsCommand } from '../zfs-command.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 60);
const LIMIT_MS = 120_000 + RUNS * 500;
const POOL = 'tank';
const FOLDER = 'tank/.diverged';

type Side = 'a' | 'b';
const other = (side: Side): Side => (side === 'a' ? 'b' : 'a');

class Pair {
  readonly guids = new Guids();
  readonly pools = { a: new ModelPool(POOL, this.guids), b: new ModelPool(POOL, this.guids) };
  readonly zfs = { a: new ZfsCommand(this.pools.a), b: new ZfsCommand(this.pools.b) };
  holder: Side = 'a';
  epoch = 10;
  #periods = 0;
  #writes = 0;
  readonly #changed = new ChangedCopies({ features: new Set(FEATURES) });
  /** What every snapshot was taken of. */
  readonly #contents = new Map<string, string>();
  /** Where a tenure has ended unreplicated: what its datasets had must stay. */
  readonly #left: { side: Side; content: string }[] = [];

  get source(): ModelPool {
    return this.pools[this.holder];
  }

  get target(): ModelPool {
    return this.pools[other(this.holder)];
  }

  write(name: string): void {
    if (this.source.datasets.has(name)) this.source.write(name, `${this.#writes++},`);
  }

  /** A period: a recursive snapshot. */
  period(): void {
    this.#periods += 1;
    for (const { name } of this.ownOf(this.source)) this.source.snapshot(name, `p${this.#periods}`);
    this.remember();
  }

  ownOf(pool: ModelPool): readonly ModelDataset[] {
    const isOwn = ({ name, partial, snapshots }: ModelDataset): boolean =>
      name !== POOL && !name.startsWith(FOLDER) && !(partial !== null && snapshots.length === 0);
    return [...pool.datasets.values()].filter(isOwn);
  }

  /** The power of the holder goes; the other one takes over with what it has. `late`: what has just been written there with a sync. */
  async failover(late: readonly string[] = []): Promise<void> {
    const { source } = this;
    source.powerCut((name) => (late.includes(name) ? `${this.#writes++},` : null));
    for (const { content, log = '' } of this.ownOf(source))
      this.#left.push({ side: this.holder, content: content + log });
    for (const one of this.ownOf(this.source)) one.isReadonly = true;
    this.holder = other(this.holder);
    this.epoch += 10;
    await endAside(POOL, this.#parts(this.holder));
    this.check();
    for (const one of this.ownOf(this.source)) {
      one.isReadonly = false;
      this.source.replay(one.name);
    }
    this.source.get(POOL).properties.set('quorate:written', String(this.epoch));
  }

  plan(): PoolPlan {
    const { source, target, holder } = this;
    return planReplication({
      pool: POOL,
      ends: { from: holder, to: other(holder) },
      source: { kind: 'read', pool: parsePool(POOL, source.texts()) },
      target: { kind: 'read', pool: parsePool(POOL, target.texts()) },
      filters: { include: [], exclude: [] },
      drbd: [],
      isChanged: this.#changed.isChanged,
    });
  }

  /** One round of the sender, with everything that a receiver does for it. `cut`: after so many changes on the receiver. */
  async round(cut: number | null): Promise<void> {
    const zfs = this.zfs[other(this.holder)];
    zfs.changesLeft = cut ?? Number.POSITIVE_INFINITY;
    try {
      await this.#aside([]);
      const tails = tailsOf(
        parsePool(POOL, this.source.texts()),
        parsePool(POOL, this.target.texts()),
        this.plan(),
      );
      await this.#aside(tails);
      const refused = new Set<string>();
      for (const step of stepsIn(this.plan())) {
        if (step.kind !== 'rename' && refused.has(step.dataset)) continue;
        if (zfs.changesLeft <= 0) throw new PowerCut();
        zfs.changesLeft -= 1;
        const breaksOff = zfs.changesLeft === 0 && step.kind !== 'rename' && step.kind !== 'abandon';
        if (!this.#receive(step, breaksOff) && step.kind !== 'rename') refused.add(step.dataset);
        this.check();
      }
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
    } finally {
      zfs.changesLeft = Number.POSITIVE_INFINITY;
      this.check();
    }
  }

  /** As the receiver does it: what may be in the log alone is replayed before anything is taken. Returns whether it was. */
  #receive(step: Step, breaksOff: boolean): boolean {
    const { target } = this;
    const isIncremental = step.kind === 'incremental' || step.kind === 'resume';
    if (isIncremental) target.replay(step.dataset);
    const copy = parsePool(POOL, target.texts()).datasets.find(
      ({ name }) => isIncremental && name === step.dataset,
    );
    try {
      perform(step, this.source, target, breaksOff);
      return true;
    } catch (error) {
      if (!(error instanceof ZfsRefusal) || !this.#changed.heard(error.message, copy ?? null)) throw error;
      return false;
    }
  }

  async #aside(tails: readonly Tail[]): Promise<void> {
    const parts = this.#parts(other(this.holder));
    if (tails.length === 0) await finishAside(POOL, parts);
    else await setAside({ pool: POOL, epoch: this.epoch, tails }, parts);
  }

  #parts(side: Side): Parameters<typeof setAside>[1] {
    const run = async (command: readonly string[]) => {
      const result = await this.zfs[side].run(command);
      this.check();
      return result;
    };
    const { signal } = new AbortController();
    return {
      commands: { run },
      clock: new VirtualClock(),
      signal,
      mayChange: () => true,
      hasDevice: async () => true,
    };
  }

  remember(): void {
    for (const side of ['a', 'b'] as const)
      for (const { snapshots } of this.pools[side].datasets.values())
        for (const { guid, content } of snapshots) this.#contents.set(`${side} ${guid}`, content);
  }

  /** Nothing that was ever there on a side is gone there, or another. */
  check(): void {
    const found = new Map<string, string>();
    for (const side of ['a', 'b'] as const)
      for (const { snapshots } of this.pools[side].datasets.values())
        for (const { guid, content } of snapshots) found.set(`${side} ${guid}`, content);
    for (const [key, content] of this.#contents)
      if (found.get(key) !== content) throw new Error(`${key} is lost`);
    this.remember();
  }

  /** Every tail is in a snapshot, or still where it was written; what is written goes behind what was. */
  checkLeft(): void {
    for (const { side, content } of this.#left) {
      const all = [...this.pools[side].datasets.values()];
      const isThere = all.some(
        (one) =>
          (one.content + (one.log ?? '')).startsWith(content) ||
          one.snapshots.some((snapshot) => snapshot.content.startsWith(content)),
      );
      if (!isThere) throw new Error(`${side} has lost what was written: ${content}`);
    }
  }

  async quietDown(): Promise<void> {
    this.period();
    for (let count = 0; count < 6; count++) await this.round(null);
    const plan = this.plan();
    expect(stepsIn(plan)).toEqual([]);
    for (const { decision, dataset } of plan.tasks)
      if (decision.kind !== 'nothing' && decision.kind !== 'excluded')
        throw new Error(`${dataset}: ${decision.kind}, ${decision.why}`);
    for (const { name, snapshots, content } of this.ownOf(this.source)) {
      const copy = this.target.get(name);
      expect([name, copy.content]).toEqual([name, content]);
      expect(copy.snapshots.at(-1)?.guid).toBe(snapshots.at(-1)?.guid);
    }
    this.check();
    this.checkLeft();
  }
}

function make(): Pair {
  const pair = new Pair();
  const { a } = pair.pools;
  a.get(POOL).properties.set('quorate:written', '10');
  a.create('tank/a');
  a.create('tank/a/x');
  a.create('tank/a/x/y');
  a.create('tank/b');
  a.create('tank/disk', false, 'volume');
  a.create('tank/secret', true);
  a.createBelowKey('tank/secret/in');
  a.createBelowKey('tank/secret/in/deep', 'volume');
  a.get('tank/a').properties.set('mountpoint', '/srv/a');
  a.get('tank/a/x').properties.set('canmount', 'off');
  return pair;
}

const NAMES = [
  'tank/a',
  'tank/a/x',
  'tank/a/x/y',
  'tank/b',
  'tank/disk',
  'tank/secret',
  'tank/secret/in',
  'tank/secret/in/deep',
];
const event = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('write' as const), name: fc.constantFrom(...NAMES) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('period' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('failover' as const), late: fc.subarray(NAMES) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('round' as const), cut: fc.option(fc.nat(12), { freq: 3 }) }),
  },
);

async function happens(pair: Pair, one: typeof event extends fc.Arbitrary<infer Value> ? Value : never) {
  switch (one.kind) {
    case 'write':
      return pair.write(one.name);
    case 'period':
      return pair.period();
    case 'failover':
      return pair.failover(one.late);
    case 'round':
      return pair.round(one.cut);
  }
}

describe('failovers', () => {
  it(
    `lose nothing that anybody wrote, and end with everything in common (${RUNS})`,
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40, size: 'max' }), async (events) => {
          const pair = make();
          pair.period();
          await pair.round(null);
          for (const one of events) {
            await happens(pair, one);
            pair.check();
            pair.checkLeft();
          }
          await pair.quietDown();
        }),
        { numRuns: RUNS },
      );
    },
    LIMIT_MS,
  );
});

it('a stream that broke off twice', async () => {
  const pair = make();
  pair.period();
  await pair.round(null);
  pair.period();
  await pair.failover();
  for (const cut of [6, 7, 1]) await pair.round(cut);
  await pair.failover();
  pair.period();
  await pair.round(null);
  pair.write('tank/a');
  await pair.round(null);
  pair.write('tank/a');
  await pair.quietDown();
});

describe('one failover', () => {
  /** a has @p2 and data that b never got. */
  async function diverged(): Promise<Pair> {
    const pair = make();
    pair.period();
    await pair.round(null);
    pair.write('tank/a');
    pair.write('tank/secret/in');
    pair.write('tank/disk');
    pair.period();
    pair.write('tank/a');
    await pair.failover();
    pair.write('tank/a');
    pair.write('tank/b');
    pair.period();
    return pair;
  }

  it('keeps the tail as a held clone of the common snapshot, unmounted, and goes on under the old name', async () => {
    const pair = await diverged();
    const before = pair.pools.a.get('tank/a').content;
    await pair.quietDown();
    const { a } = pair.pools;
    const kept = a.get('tank/.diverged/20/a');
    expect(kept.content).toBe(before);
    expect(kept.snapshots.map(({ name, holds }) => [name, holds])).toEqual([
      ['p2', 1],
      ['quorate-diverged-20', 1],
    ]);
    expect([kept.isReadonly, kept.properties.get('canmount')]).toEqual([true, 'noauto']);
    const heir = a.get('tank/a');
    expect(a.ownerOf(kept.origin ?? fail()).name).toBe('tank/a');
    expect([heir.properties.get('mountpoint'), heir.properties.get('canmount')]).toEqual(['/srv/a', 'on']);
    expect(a.get('tank/a/x').properties.get('canmount')).toBe('off');
    expect([...a.datasets.keys()].filter((name) => name.startsWith('tank/.diverged/20/')).sort()).toEqual(
      [
        'tank/.diverged/20/a',
        'tank/.diverged/20/disk',
        'tank/.diverged/20/secret',
        'tank/.diverged/20/secret/in',
        // What b never had any word of: p2 was taken of everything.
        ...['a/x', 'a/x/y', 'b', 'secret/in/deep'].map((name) => `tank/.diverged/20/${name}`),
      ].sort(),
    );
    expect(pair.zfs.a.calls.filter((call) => / (destroy|rollback) /.test(call))).toEqual([]);
  });

  const commonOf = (pair: Pair, dataset: string) =>
    (pair.target.get(dataset).snapshots.at(-1)?.guid ?? fail()) as Guid;

  it('reads a pool of many datasets a few times, however many there are', async () => {
    const readings = async (count: number): Promise<number> => {
      const pair = make();
      const names = Array.from({ length: count }, (_, index) => `tank/fs${index}`);
      for (const name of names) pair.pools.a.create(name);
      pair.period();
      await pair.round(null);
      for (const name of names) pair.write(name);
      await pair.failover();
      let lists = 0;
      const run = (command: readonly string[]) => {
        if (command[1] === 'list') lists += 1;
        return pair.zfs.a.run(command);
      };
      const tails = names.map((dataset) => ({ dataset, common: commonOf(pair, dataset) }));
      await setAside(
        { pool: POOL, epoch: 20, tails },
        {
          commands: { run },
          hasDevice: async () => true,
          clock: new VirtualClock(),
          signal: new AbortController().signal,
          mayChange: () => true,
        },
      );
      await pair.quietDown();
      return lists;
    };
    expect(await readings(30)).toBe(await readings(2));
  });

  it('has in the snapshot of a tail what was synced last, and was in the intent log alone', async () => {
    const pair = make();
    pair.write('tank/a');
    pair.period();
    await pair.round(null);
    pair.period();
    await pair.failover(['tank/a']);
    pair.period();
    await pair.round(null);
    const { snapshots, content } = pair.pools.a.get('tank/.diverged/20/a');
    expect([content, snapshots.at(-1)?.content]).toEqual(['0,1,', '0,1,']);
    expect(pair.pools.a.get('tank/a').content).toBe('0,');
  });

  it('says of a log that cannot be replayed that it is left: in the name of the snapshot, and of what is kept', async () => {
    const pair = make();
    pair.period();
    await pair.round(null);
    for (const name of ['tank/a', 'tank/disk']) pair.write(name);
    pair.period();
    await pair.failover(['tank/a', 'tank/disk']);
    const { a } = pair.pools;
    const run = (command: readonly string[]) => {
      const isLocked = command[0] === 'unshare' && command.at(-1) === 'tank/a';
      const stderr = "mount: /tmp: can't read superblock\n";
      return isLocked ? ({ kind: 'exited', code: 32, stdout: '', stderr } as const) : pair.zfs.a.run(command);
    };
    const parts = { clock: new VirtualClock(), signal: new AbortController().signal, mayChange: () => true };
    const tails = ['tank/a', 'tank/b', 'tank/disk'].map((dataset) => ({
      dataset,
      common: a.get(dataset).snapshots[0]?.guid as Guid,
    }));
    const commands = { run: async (command: readonly string[]) => run(command) };
    const hasDevice = async (): Promise<boolean> => false;
    await setAside({ pool: POOL, epoch: 20, tails }, { ...parts, commands, hasDevice });
    const kept = keptIn(await readAside(POOL, { ...parts, commands }));
    expect(
      kept.map(({ original, snapshots, isUnreplayed }) => [original, ...snapshots, isUnreplayed]),
    ).toEqual([
      ['tank/a', 'p2', 'quorate-diverged-20-unreplayed', true],
      ['tank/b', 'p2', 'quorate-diverged-20', false],
      ['tank/disk', 'p2', 'quorate-diverged-20-unreplayed', true],
    ]);
    const logs = ['a', 'b'].map((name) => a.get(`tank/.diverged/20/${name}`).log ?? null);
    expect(logs).toEqual([expect.stringMatching(/^\d,$/), null]);
  });

  it('what cannot be replayed is a tail, though ZFS counts nothing as written: set aside once, and the copy goes on', async () => {
    const pair = make();
    pair.period();
    await pair.round(null);
    await pair.failover();
    const { a } = pair.pools;
    a.isLocked = true;
    const tails = ['tank/secret', 'tank/secret/in', 'tank/disk', 'tank/b'].map((dataset) => ({
      dataset,
      common: commonOf(pair, dataset),
    }));
    const parts = {
      ...{ commands: pair.zfs.a, clock: new VirtualClock(), signal: new AbortController().signal },
      ...{ mayChange: () => true, hasDevice: async () => false },
    };
    const order = { pool: POOL, epoch: 20, tails };
    await setAside(order, parts);
    const kept = () => readAside(POOL, parts).then((pool) => keptIn(pool));
    const places = ['disk', 'secret', 'secret/in'].map((name) => `tank/.diverged/20/${name}`);
    expect((await kept()).map(({ dataset }) => dataset)).toEqual(places);
    for (const { snapshots } of await kept()) expect(snapshots).toEqual(['quorate-diverged-20-unreplayed']);
    pair.zfs.a.calls.length = 0;
    await setAside(order, parts);
    expect(pair.zfs.a.calls.filter((call) => !call.startsWith('unshare'))).toEqual([]);
    // Whatever it receives in that tenure, it has no log.
    const isHeirIn = async (epoch: number) => isHeir(await readAside(POOL, parts), epoch, 'tank/secret');
    expect([await isHeirIn(20), await isHeirIn(30)]).toEqual([true, false]);
    pair.period();
    await pair.round(null).catch(() => undefined);
    a.receive('tank/secret', pair.source.send('tank/secret', 'p2', '@p1', true), false);
    expect(await isHeirIn(20)).toBe(true);
  });

  it.each([
    ['too small', '3', [undefined, undefined, 'lz4']],
    ['enough', '900', ['900', '1000', 'lz4']],
  ])(
    'a refquota that is %s for the common snapshot keeps no name from coming back',
    async (_, refquota, left) => {
      const pair = make();
      for (let count = 0; count < 2; count++) pair.write('tank/b');
      pair.period();
      await pair.round(null);
      pair.write('tank/b');
      await pair.failover();
      const { properties } = pair.pools.a.get('tank/b');
      const own = { refquota, quota: '1000', compression: 'lz4' };
      for (const [name, value] of Object.entries(own)) properties.set(name, value);
      await pair.quietDown();
      const { a } = pair.pools;
      const ofHeir = a.get('tank/b').properties;
      expect(Object.keys(own).map((name) => ofHeir.get(name))).toEqual(left);
      expect(a.get('tank/.diverged/20/b').properties.get('refquota')).toBe(refquota);
    },
  );

  it('a clone that is refused for something else is an error, and made by the next attempt', async () => {
    const pair = await diverged();
    pair.pools.a.get('tank/a').properties.set('refquota', '1000');
    const parts = {
      ...{ clock: new VirtualClock(), signal: new AbortController().signal, mayChange: () => true },
      hasDevice: async () => true,
    };
    const tails = [{ dataset: 'tank/a', common: pair.pools.a.get('tank/a').snapshots[0]?.guid as Guid }];
    const run = async (command: readonly string[]) =>
      command[1] === 'clone'
        ? ({ kind: 'exited', code: 1, stdout: '', stderr: "cannot create 'tank/a': out of space" } as const)
        : pair.zfs.a.run(command);
    const order = { pool: POOL, epoch: 20, tails };
    await expect(setAside(order, { ...parts, commands: { run } })).rejects.toThrow(/out of space/);
    await setAside(order, { ...parts, commands: pair.zfs.a });
    expect(pair.pools.a.get('tank/a').properties.get('refquota')).toBe('1000');
  });

  it('a takeover with nothing to end asks for the marks only; with something, for as long and as much as a large pool takes', async () => {
    const pair = make();
    pair.period();
    const asked: { readonly command: string; readonly ms: number; readonly bytes: number }[] = [];
    const clock = new VirtualClock();
    const parts = {
      ...{ clock, signal: new AbortController().signal, mayChange: () => true },
      commands: {
        run: (command: readonly string[], { deadline, maxOutputBytes = 0 }: CommandOptions) => {
          asked.push({ command: command.join(' '), ms: deadline - clock.now(), bytes: maxOutputBytes });
          return pair.zfs.a.run(command);
        },
      },
    };
    expect(await endAside(POOL, parts)).toEqual({ commands: [] });
    expect(asked.map(({ command }) => command)).toEqual([
      'zfs list -H -p -r -t filesystem,volume -o name,guid,quorate:set-aside,quorate:readonly tank',
    ]);
    const { guid, properties } = pair.pools.a.get('tank/b');
    properties.set('quorate:set-aside', `1:20:${guid}:77:tank/b`);
    expect(await endAside(POOL, parts)).toEqual({ commands: ['zfs inherit quorate:set-aside tank/b'] });
    const snapshots = asked.find(({ command }) => command.includes('-t snapshot'));
    expect(snapshots).toMatchObject({ ms: 60_000, bytes: 16 * 1024 * 1024 });
  });

  it(
    'goes on after a power cut before any single command',
    async () => {
      for (let cut = 0; ; cut++) {
        const pair = await diverged();
        await pair.round(cut);
        const isWhole = pair.zfs.a.calls.length < cut;
        await pair.quietDown();
        if (isWhole) break;
        expect(cut).toBeLessThan(500);
      }
    },
    LIMIT_MS,
  );

  it('a copy that has nothing of its own is left as it is', async () => {
    const pair = make();
    pair.period();
    await pair.round(null);
    await pair.failover();
    pair.write('tank/b');
    await pair.quietDown();
    expect(pair.zfs.a.calls).toEqual([]);
  });

  it('changes nothing once the node may hold', async () => {
    const pair = await diverged();
    const { signal } = new AbortController();
    const parts = {
      commands: pair.zfs.a,
      clock: new VirtualClock(),
      signal,
      mayChange: () => false,
      hasDevice: async () => true,
    };
    const common = pair.pools.a.get('tank/a').snapshots[0]?.guid as never;
    await expect(
      setAside({ pool: POOL, epoch: 20, tails: [{ dataset: 'tank/a', common }] }, parts),
    ).rejects.toMatchObject({
      code: 'order-refused',
    });
    expect(pair.zfs.a.calls).toEqual([]);
  });

  it('a snapshot that was not taken in a tenure is left to people', async () => {
    const pair = make();
    pair.period();
    await pair.round(null);
    pair.pools.b.snapshot('tank/a', 'by-hand');
    pair.period();
    await expect(pair.round(null)).rejects.toThrow(/tank\/a: what is only here was not written by a tenure/);
    expect(pair.zfs.b.calls).toEqual([]);
  });

  it('mounts nothing on the way, whatever is shared', async () => {
    const pair = await diverged();
    await pair.round(null);
    expect(pair.zfs.a.calls.some((call) => call.startsWith('zfs rename'))).toBe(true);
    expect(pair.zfs.a.mounted).toEqual([]);
  });

  it('says what is in the way where the old name has another owner, and destroys nothing', async () => {
    const pair = await diverged();
    const { a } = pair.pools;
    await pair.round(60).catch(() => undefined);
    const fresh = await diverged();
    const zfs = fresh.zfs.a;
    zfs.changesLeft = 0;
    expect(a).toBeDefined();
    const { signal } = new AbortController();
    const parts = {
      commands: zfs,
      clock: new VirtualClock(),
      signal,
      mayChange: () => true,
      hasDevice: async () => true,
    };
    const common = fresh.pools.a.get('tank/b').snapshots[0]?.guid as never;
    for (let cut = 1; !zfs.calls.some((call) => call.startsWith('zfs rename')); cut++) {
      // A hold and the mark go together.
      zfs.changesLeft = zfs.calls.some((call) => call.startsWith('zfs set')) ? 1 : 2;
      await setAside({ pool: POOL, epoch: 20, tails: [{ dataset: 'tank/b', common }] }, parts).catch(
        () => undefined,
      );
      expect(cut).toBeLessThan(20);
    }
    fresh.pools.a.create('tank/b');
    zfs.changesLeft = 100;
    const error: unknown = await finishAside(POOL, parts).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(QuorateError);
    expect(String(error)).toContain(
      'tank/b is there again, and is not what goes on from tank/.diverged/20/b@p1',
    );
  });
});

function fail(): never {
  throw new ZfsRefusal('nothing there');
}
