/** max_data_loss in the gate, and an operator who accepts more. */
import { describe, expect, it } from 'vitest';
import { acceptLoss } from '../../src/agent/accept-loss.ts';
import { failoverAgain } from '../../src/agent/again.ts';
import { DataLoss } from '../../src/agent/data-loss.ts';
import type { Driver } from '../../src/agent/driver.ts';
import { OrderEntries } from '../../src/agent/order-entries.ts';
import { TakeoverWatch } from '../../src/agent/takeover-watch.ts';
import type { Config } from '../../src/config/index.ts';
import { type CoreView, type Entry, type EntryBody, epoch, logIndex, nodeId } from '../../src/core/index.ts';
import {
  type CopyWords,
  isSameRequest,
  lastSnapshotEvidence,
  NO_REQUESTS,
  rememberRequests,
} from '../../src/state/index.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';
import { a, b, chain, elected, config as firstEntry, granted } from '../state/story.ts';

const HELD_BY_A: readonly (readonly [number, EntryBody])[] = [
  [1, firstEntry()],
  [1, elected(a)],
  [1, granted(a)],
  [2, elected(b)],
];

const taken = (): EntryBody => ({
  kind: 'takeover-done',
  epoch: epoch(9),
  node: b,
  ok: true,
  totalMs: 1,
  steps: [],
  at: null,
});

/** Node b leads, and a held before. */
class Bench {
  readonly clock = new VirtualClock();
  rows = [...HELD_BY_A];
  copies: readonly CopyWords[] | null = [];
  answering: readonly string[] = [];
  /** Voters of an older version. */
  lacking: readonly string[] = [];
  readonly inputs: string[] = [];
  readonly dataLoss: DataLoss;
  readonly takeovers: TakeoverWatch;
  readonly #maxMs: number;

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
    this.takeovers = new TakeoverWatch(this.clock, 1000);
    this.dataLoss = new DataLoss({
      config: this.config,
      driver: () => this.driver,
      executor: {
        connected: true,
        readCopies: (id) => {
          const { copies } = this;
          if (copies !== null)
            queueMicrotask(() =>
              this.dataLoss.onCopiesRead({ kind: 'copies-read', id, copies: [...copies] }),
            );
        },
      },
      clock: this.clock,
    });
  }

  get config(): Config {
    // The parts that are read.
    return {
      maxDataLossMs: this.#maxMs,
      resources: [{ name: 'store', kind: 'replicated-pool', pool: 'tank', loadKeys: false, after: [] }],
    } as unknown as Config;
  }

  get entries(): Entry[] {
    return chain(...this.rows);
  }

  get notes(): string[] {
    return this.rows.flatMap(([, body]) => (body.kind === 'note' ? [body.text] : []));
  }

  get driver(): Driver {
    const { entries } = this;
    const view = {
      self: b,
      hold: { kind: 'none' },
      hard: { term: 2 },
      now: this.clock.now(),
      isPaused: false,
      isSetAside: () => false,
      timing: { leaseMs: 600 },
      leadership: {
        electedAt: this.clock.now() - 5000,
        lease: { heardFrom: (id: string) => this.answering.includes(id) },
      },
      state: { inSync: [a, b], members: firstEntry().members, tenure: null },
      commitIndex: logIndex(entries.length),
      log: { all: entries, slice: () => entries },
    };
    return {
      view,
      propose: (body: EntryBody) => {
        this.rows.push([2, body]);
        return { index: logIndex(this.rows.length), term: 2 };
      },
      commit: async (body: EntryBody) => {
        this.rows.push([2, body]);
        return logIndex(this.rows.length);
      },
      lacking: () => this.lacking,
      place: (body: EntryBody) => {
        this.rows.push([2, body]);
        return { index: logIndex(this.rows.length), term: 2 };
      },
      committed: async () => undefined,
      input: ({ kind }: { kind: string }) => {
        this.inputs.push(kind);
        for (const entry of chain([3, taken()])) this.takeovers.onCommitted(entry);
      },
    } as unknown as Driver;
  }

  accept(change: Partial<Parameters<typeof acceptLoss>[0]> = {}) {
    const order = { to: b, who: 'root@nas-b', why: 'the rack burned', acceptDataLoss: true, dryRun: false };
    const { driver, clock, takeovers, dataLoss } = this;
    return acceptLoss(
      { ...order, requestId: '', expectedEpoch: null, ...change },
      { driver, clock, takeovers, dataLoss, entries: new OrderEntries(driver), limitMs: 1000 },
    );
  }
}

const word = (takenAtMs: number, isFinal = false): CopyWords => ({
  ...{ kind: 'read', pool: 'tank', written: null },
  complete: {
    ...{ epoch: 3, snapshot: 'p7', takenAtMs, isFinal },
    of: { guid: '11', dataset: 'tank/home' },
  },
});

describe('max_data_loss', () => {
  it('lets a takeover through that loses no more, and the log says from where it goes on', async () => {
    const bench = new Bench(90_000);
    bench.copies = [word(bench.clock.wallMs() - 500)];
    expect(await bench.dataLoss.why()).toBeNull();
    bench.dataLoss.onTaken(epoch(9));
    expect(bench.notes).toEqual([
      expect.stringMatching(
        /^epoch 9: tank goes on from @p7 \(GUID 11 of tank\/home\) of .*, 0\.5 s old: what a wrote after that in epoch 3 is on a only \(single datasets may be newer here\), how many bytes is unknown until a is back$/,
      ),
    ]);
  });

  it('refuses one that loses more, once in the log however often it is tried, and in the status', async () => {
    const bench = new Bench(0);
    bench.copies = [word(bench.clock.wallMs() - 500)];
    for (let count = 0; count < 3; count++)
      expect(await bench.dataLoss.why()).toMatch(
        /tank@p7.* 0.5 s old, and max_data_loss is 0 s \("quorate failover --to b/,
      );
    expect(bench.notes).toHaveLength(1);
    expect(bench.notes[0]).toMatch(/^no takeover by b: /);
    expect([...bench.dataLoss.refusals]).toEqual([
      ['store', expect.stringContaining('max_data_loss is 0 s')],
    ]);
    bench.dataLoss.onTaken(epoch(9));
  });

  it('refuses where the executor says nothing, or nothing of the pool', async () => {
    const silent = new Bench(1e9);
    silent.copies = null;
    const waiting = silent.dataLoss.why();
    await silent.clock.sleep(6000);
    expect(await waiting).toContain('the executor has not said');
    const other = new Bench(1e9);
    other.copies = [{ ...word(0), pool: 'other' }];
    expect(await other.dataLoss.why()).toContain('the executor has not said');
  });

  it('after a planned release with its last snapshot lets everything through', async () => {
    const bench = new Bench(0);
    bench.copies = [word(0, true)];
    expect(await bench.dataLoss.why()).toContain('max_data_loss is 0 s');
    const evidence = lastSnapshotEvidence('p7');
    bench.rows = [
      ...HELD_BY_A,
      [
        2,
        {
          kind: 'tenure-released',
          epoch: epoch(3),
          node: a,
          reason: 'switchover',
          evidence,
          successor: b,
          at: null,
        },
      ],
    ];
    expect(await bench.dataLoss.why()).toBeNull();
    bench.dataLoss.onTaken(epoch(9));
    expect(bench.notes).toEqual([]);
  });
});

describe('O3: quorate failover --accept-data-loss', () => {
  const refused = async (): Promise<Bench> => {
    const bench = new Bench(0);
    bench.copies = [word(bench.clock.wallMs() - 500)];
    await bench.dataLoss.why();
    return bench;
  };

  it('is logged with who said it, why and what; then the node asks for a term, and the gate lets it through', async () => {
    const bench = await refused();
    const outcome = await bench.accept();
    expect(outcome).toMatchObject({
      to: b,
      epoch: 9,
      mayLose: expect.stringContaining('what a wrote after that'),
    });
    expect(bench.inputs).toEqual(['lead-anew']);
    const said = bench.rows.at(-1)?.[1];
    expect(said).toMatchObject({
      kind: 'operator',
      who: 'root@nas-b',
      action: expect.stringMatching(
        /^accepts the loss of a takeover by b: the rack burned \(may lose: tank goes on/,
      ),
    });
    expect(await bench.dataLoss.why()).toBeNull();
    expect(bench.dataLoss.refusals.size).toBe(0);
  });

  it('has its request id in the log, by which a repeat to whoever leads is known and told the same', async () => {
    const bench = await refused();
    const outcome = await bench.accept({ requestId: 'request-1' });
    expect(outcome).toMatchObject({ idNotInLog: false });
    expect(bench.rows.at(-1)?.[1]).toMatchObject({ kind: 'operator', to: b, request: 'request-1' });
    const entries = chain(...bench.rows, [3, taken()]);
    const [record] = entries.reduce(rememberRequests, NO_REQUESTS).records;
    if (record === undefined) throw new Error('it is not remembered');
    expect(isSameRequest(record, 'failover', b)).toBe(true);
    const log = { at: (index: number) => entries[index - 1] } as unknown as CoreView['log'];
    expect(failoverAgain(log, record, false)).toMatchObject({
      ...{ to: b, mayLose: outcome.mayLose, forcedAt: outcome.forcedAt, alreadyDone: true },
    });
  });

  it('in mid-upgrade says that the log has no id of it, and must name its epoch', async () => {
    const bench = await refused();
    bench.lacking = ['w'];
    await expect(bench.accept({ requestId: 'request-1' })).rejects.toMatchObject({
      context: { violations: [{ type: 'EPOCH_NEEDED' }] },
    });
    expect(await bench.accept({ requestId: 'request-1', expectedEpoch: 0 })).toMatchObject({
      idNotInLog: true,
    });
    expect(bench.rows.at(-1)?.[1]).not.toHaveProperty('request');
  });

  it('needs the words, and a dry run writes nothing', async () => {
    const bench = await refused();
    const before = bench.rows.length;
    await expect(bench.accept({ acceptDataLoss: false })).rejects.toMatchObject({ code: 'usage' });
    expect(await bench.accept({ dryRun: true })).toMatchObject({ dryRun: true, forcedAt: null });
    expect([bench.rows.length, bench.inputs]).toEqual([before, []]);
  });

  it('is refused while the other node answers: it may have the data; and where nothing holds this one back', async () => {
    const bench = await refused();
    bench.answering = ['a'];
    await expect(bench.accept()).rejects.toThrow(/a answers and may have the data/);
    const free = new Bench(0);
    await expect(free.accept()).rejects.toThrow(/nothing holds b back/);
    expect([bench.inputs, free.inputs]).toEqual([[], []]);
    expect(nodeId('b')).toBe(b);
  });
});
