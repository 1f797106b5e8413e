/**
 * The side that sends, for one tenure: once per period a snapshot of what is due, then read both sides, plan, send, hold,
 * prune.
 *
 * 1. Nothing is remembered but what is on its way: whatever ends this process, the next one reads and goes on.
 * 2. One round at a time. Streams outlive it: the plan of the next one leaves alone what is on its way.
 * 3. What one side has is not known: nothing is sent there, and the own snapshots go on.
 */
import type { Clock } from '../../clock.ts';
import type { ReplicationConfig, ReplicationPolicy, SendConfig } from '../../config/index.ts';
import { type Epoch, InvariantError } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { ReceiverChannel, ReceiverOrder, Tail } from '../channel.ts';
import type { Ends } from '../decide.ts';
import { whyNotReplicated } from '../filters.ts';
import { type PoolPlan, planReplication, type Step, type Task } from '../plan.ts';
import { type Dataset, isFirstPart, type PoolSide, type Snapshot } from '../pool.ts';
import { type PoolsReading, sideOf } from '../reading.ts';
import { ORDER_LIMITS } from '../receiver/index.ts';
import { tailsOf } from '../roles/index.ts';
import { Completion } from './completion.ts';
import { type LocalPool, MAX_ATOMIC } from './local-pool.ts';
import { cursorName, lastSnapshotName, newSnapshotName } from './names.ts';
import { pruneBoth } from './pruning.ts';
import { isOpen, minuteOfDay, policyOf, Slots, shortestPeriodMs } from './schedule.ts';
import type { Board } from './state.ts';
import { commonOf, isWithin, type Transfer, Transfers, type TransfersOptions, wordsOf } from './transfers.ts';

export interface EngineOptions {
  readonly ends: Ends;
  readonly replication: Pick<ReplicationConfig, 'pools' | 'include' | 'exclude'> & {
    readonly send: SendConfig;
  };
  /** DRBD resources that the config puts below a pool. */
  readonly drbdBelow: (pool: string) => readonly string[];
  readonly epoch: Epoch;
  readonly local: LocalPool;
  readonly channel: ReceiverChannel;
  readonly board: Board;
  readonly clock: Clock;
  /** Real processes where absent. */
  readonly startSend?: NonNullable<TransfersOptions['startSend']>;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** A broken invariant: the process must end. */
  readonly onBroken: (error: unknown) => void;
}

const LIMITS = {
  readMs: 30_000,
  orderMs: 60_000,
  /** Renames of one round; the rest waits for the next. */
  renames: 64,
  /** Of one order; some dozen commands for each dataset. */
  asideMs: 180_000,
  /** Such orders in one round. */
  asides: 16,
  /** In a planned release, which has a deadline of its own. */
  lastRounds: 60,
  lastPauseMs: 1000,
  given: 100,
} as const;

/** Of one pool, with both sides known. */
interface Planned {
  readonly source: ReadonlyMap<string, Dataset>;
  readonly target: ReadonlyMap<string, Dataset>;
  readonly plan: PoolPlan;
  /** What only the target has, of its own tenure or of somebody there. */
  readonly tails: readonly Tail[];
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #transfers: Transfers;
  readonly #slots: Slots;
  readonly #completion: Completion;
  /** What is held and marked as it should be, by this process. */
  readonly #settled = new Map<string, string>();
  /** Asked for by somebody, for the next round. */
  #asked = new Set<string>();
  /** Of those, what goes whatever the time of the day, until it has gone. */
  readonly #urgent = new Set<string>();
  /** Names of late: one that was destroyed here at once may be on the other side. */
  #given: readonly string[] = [];
  #wake = new AbortController();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#slots = new Slots(options.clock.now());
    const { send } = options.replication;
    this.#completion = new Completion({
      epoch: options.epoch,
      order: (order) => this.#order(order, LIMITS.orderMs),
      onFailure: (pool, error) => {
        const problem = `${pool}: not complete there: ${wordsOf(error)}`;
        if (!options.signal.aborted) options.board.setRound({ problem });
      },
    });
    this.#transfers = new Transfers({
      ...options,
      bytesPerSecond: send.bytesPerSecond,
      onArrived: (guid) => this.#completion.arrived(guid),
      onDone: (dataset, isAll) => {
        if (isAll) this.#urgent.delete(dataset);
        else this.#wake.abort();
      },
    });
  }

  /** A round as soon as the one that runs has ended. Null: of everything. */
  ask(dataset: string | null): void {
    this.#asked.add(dataset ?? ALL);
    this.#wake.abort();
  }

  /** Until the signal fires. */
  async run(): Promise<void> {
    const { signal, clock, replication } = this.#options;
    const periodMs = shortestPeriodMs(replication.send);
    for (let number = 1; !signal.aborted; number++) {
      this.#wake = new AbortController();
      await this.round(number);
      const ms = this.#slots.untilNext(periodMs, clock.now());
      await clock.sleep(Math.max(0, ms), AbortSignal.any([signal, this.#wake.signal]));
    }
  }

  /** Resolves when everything that it has begun has ended; for tests. */
  async settled(): Promise<void> {
    await this.#transfers.settled();
    await this.#completion.settled();
  }

  async round(number: number): Promise<void> {
    const asked = this.#asked;
    this.#asked = new Set();
    await this.#round(number, asked, (before) => this.#takeSnapshots(before, asked));
  }

  /**
   * In a planned release, when nothing can be written any more: a last snapshot of everything in these pools, sent whatever the time
   * of the day, and written down on the other side as the last. Resolves with its name; rejects where it does not get there.
   */
  async finish(pools: readonly string[]): Promise<string> {
    const { local, clock, epoch, signal, board } = this.#options;
    const name = lastSnapshotName(clock.wallMs(), epoch);
    const before = await local.read();
    for (const pool of pools) {
      const side = sideOf(before, pool);
      const datasets = this.#included(side, pool).map((one) => one.name);
      if (side.kind !== 'read') throw conflict(`${pool}: ${side.why}`);
      if (datasets.length === 0 || datasets.length > MAX_ATOMIC)
        throw conflict(`${pool} has ${datasets.length} datasets to send, and it must be 1 to ${MAX_ATOMIC}`);
      await local.snapshot(datasets, name);
    }
    this.#completion.onlyLast(name);
    for (let number = 1; number <= LIMITS.lastRounds && !signal.aborted; number++) {
      this.#wake = new AbortController();
      await this.#round(number, new Set([ALL]), async () => ({ problems: [], hasTaken: false }));
      await this.settled();
      if (pools.every((pool) => this.#completion.isDone(pool, name))) return name;
      const hindrance = pools.map((pool) => this.#completion.conflictOf(pool)).find((why) => why !== null);
      if (hindrance !== undefined && hindrance !== null) throw conflict(hindrance);
      await clock.sleep(LIMITS.lastPauseMs, AbortSignal.any([signal, this.#wake.signal]));
    }
    throw conflict(`@${name} has not arrived: ${board.round.problem ?? 'it was not sent in time'}`);
  }

  async #round(
    number: number,
    asked: ReadonlySet<string>,
    take: (before: PoolsReading) => Promise<{ readonly problems: string[]; readonly hasTaken: boolean }>,
  ): Promise<void> {
    const { board, clock, local, signal } = this.#options;
    board.setRound({ number, startedAt: clock.wallMs() });
    try {
      const before = await local.read();
      const { problems, hasTaken } = await take(before);
      const [own, theirs] = await Promise.all([hasTaken ? local.read() : before, this.#readTheirs()]);
      const planned = await this.#planned(own, theirs, problems);
      this.#forget(planned);
      for (const one of planned)
        this.#completion.plan({
          ...one,
          isIncluded: (dataset) => this.#isIncluded(one.plan, one.source, dataset),
        });
      const transfers = planned.flatMap((one) => this.#show(one, asked));
      // Before anything is begun: a copy that is being received into is left alone.
      for (const one of planned) problems.push(...(await this.#prune(one, transfers)));
      this.#transfers.plan(transfers);
      const unread = planned.flatMap(({ plan: { pool, state, why } }) =>
        state === 'unknown' || state === 'missing' ? [`${pool}: ${why}`] : [],
      );
      const said = [...problems, ...unread].join('; ');
      board.setRound({ problem: said === '' ? null : said });
      this.#completion.check();
    } catch (error) {
      if (!signal.aborted) board.setRound({ problem: wordsOf(error) });
      if (error instanceof InvariantError) this.#options.onBroken(error);
    }
  }

  // ---- snapshots

  async #takeSnapshots(reading: PoolsReading, asked: ReadonlySet<string>) {
    const { replication, clock, epoch, local } = this.#options;
    const problems: string[] = [];
    let hasTaken = false;
    for (const pool of replication.pools) {
      const included = this.#included(sideOf(reading, pool), pool);
      const now = clock.now();
      const due = included.filter(
        ({ name }) => isAsked(asked, name) || this.#slots.isDue(name, this.#policy(name).periodMs, now),
      );
      if (due.length === 0) continue;
      if (due.length > MAX_ATOMIC) {
        problems.push(`${pool}: ${due.length} datasets are too many for one moment, ${MAX_ATOMIC} are not`);
        continue;
      }
      const taken = new Set([
        ...this.#given,
        ...included.flatMap(({ snapshots }) => snapshots.map(({ name }) => name)),
      ]);
      const name = newSnapshotName(clock.wallMs(), epoch, (one) => taken.has(one));
      this.#given = [...this.#given, name].slice(-LIMITS.given);
      try {
        const names = due.map((one) => one.name);
        await local.snapshot(names, name);
        hasTaken = true;
        for (const one of names) this.#slots.taken(one, this.#policy(one).periodMs, now);
      } catch (error) {
        problems.push(`${pool}: no snapshot: ${wordsOf(error)}`);
        // Some may be there all the same.
        hasTaken = true;
      }
    }
    return { problems, hasTaken };
  }

  #included(side: PoolSide, pool: string): readonly Dataset[] {
    const { replication, ends, drbdBelow } = this.#options;
    if (side.kind !== 'read' || drbdBelow(pool).length > 0) return [];
    return side.pool.datasets.filter(
      (dataset) =>
        !isFirstPart(dataset) &&
        whyNotReplicated(dataset, { pool, from: ends.from, filters: replication }) === null,
    );
  }

  #policy(dataset: string): ReplicationPolicy {
    return policyOf(this.#options.replication.send, dataset);
  }

  // ---- the plan

  async #readTheirs(): Promise<PoolsReading> {
    const { channel, signal, replication } = this.#options;
    try {
      return await channel.read({ signal, limitMs: LIMITS.readMs });
    } catch (error) {
      const why = wordsOf(error).slice(0, 1000);
      return {
        version: 1,
        pools: replication.pools.map((name) => ({ kind: 'unknown', name, why }) as const),
      };
    }
  }

  /** What is only there is set aside first; then renames, one at a time. The plan is void after each. */
  async #planned(own: PoolsReading, first: PoolsReading, problems: string[]): Promise<readonly Planned[]> {
    const { signal, board, clock } = this.#options;
    let theirs = first;
    const failed: Rename[] = [];
    const stuck = new Set<string>();
    for (let count = 0, asides = 0; ; ) {
      const planned = this.#options.replication.pools.map((pool) => this.#planPool(pool, own, theirs));
      const aside = asides < LIMITS.asides ? this.#nextAside(planned, stuck) : null;
      if (aside !== null && !signal.aborted) {
        asides += 1;
        try {
          await this.#order(aside, LIMITS.asideMs);
        } catch (error) {
          stuck.add(aside.pool);
          problems.push(`${aside.pool}: not set aside: ${wordsOf(error)}`);
        }
        theirs = await this.#readTheirs();
        continue;
      }
      const next = planned
        .map((one) => this.#nextRename(one, failed))
        .find((one): one is Rename => one !== null);
      if (next === undefined || count >= LIMITS.renames || signal.aborted)
        return planned.map((one) => withoutRenamed(one));
      count += 1;
      try {
        await this.#order(next, LIMITS.orderMs);
      } catch (error) {
        failed.push(next);
        board.fail(next.to, clock.wallMs(), wordsOf(error));
      }
      theirs = await this.#readTheirs();
    }
  }

  #planPool(pool: string, own: PoolsReading, theirs: PoolsReading): Planned {
    const { ends, replication, drbdBelow } = this.#options;
    const [source, target] = [sideOf(own, pool), sideOf(theirs, pool)];
    const drbd = drbdBelow(pool);
    const plan = planReplication({ pool, ends, source, target, filters: replication, drbd });
    const isRead = source.kind === 'read' && target.kind === 'read';
    const tails = isRead ? tailsOf(source.pool, target.pool, plan) : [];
    return { plan, source: byName(source), target: byName(target), tails };
  }

  /** Null: nothing is only there, or it cannot be touched now. */
  #nextAside(planned: readonly Planned[], stuck: ReadonlySet<string>): SetAsideOrder | null {
    for (const { plan, tails } of planned) {
      const free = tails.filter(({ dataset }) => !this.#transfers.isBusyAround(dataset));
      if (free.length > 0 && !stuck.has(plan.pool))
        return { kind: 'set-aside', pool: plan.pool, tails: free.slice(0, ORDER_LIMITS.tails) };
    }
    return null;
  }

  #order(order: ReceiverOrder, limitMs: number): Promise<void> {
    const { channel, epoch, signal } = this.#options;
    return channel.perform(epoch, order, { signal, limitMs });
  }

  /** The first one of a plan has the names as they were read. */
  #nextRename({ plan, target }: Planned, failed: readonly Rename[]): Rename | null {
    const step = plan.tasks.flatMap(({ steps }) => steps).find(isRename);
    if (step === undefined || failed.some(({ from, to }) => from === step.from && to === step.to))
      return null;
    const parent = target.get(step.to.slice(0, step.to.lastIndexOf('/')));
    const isFree = !this.#transfers.isBusyAround(step.from) && !this.#transfers.isBusyAround(step.to);
    return isFree && parent !== undefined && !isFirstPart(parent) ? step : null;
  }

  // ---- what follows from it

  /** On the board, and what there is to do. */
  #show({ plan, source, target }: Planned, asked: ReadonlySet<string>): readonly Transfer[] {
    const { board, clock } = this.#options;
    if (plan.state !== 'planned') {
      // What both sides had is not unknown because one does not answer now.
      for (const { name } of source.values())
        if (board.get(name) !== null || this.#isIncluded(plan, source, name))
          board.set(name, { state: 'unknown', why: plan.why, periodMs: this.#policy(name).periodMs });
      return [];
    }
    const minute = minuteOfDay(clock.wallMs());
    return plan.tasks.flatMap((task): readonly Transfer[] => {
      const { dataset, decision, steps } = task;
      const from = source.get(dataset);
      if (from === undefined || decision.kind === 'excluded') return [];
      const { periodMs, windows } = this.#policy(dataset);
      if (isAsked(asked, dataset)) this.#urgent.add(dataset);
      const isItsTime = isOpen(windows, minute) || this.#urgent.has(dataset);
      if (this.#transfers.isRunning(dataset)) {
        if (!isItsTime) this.#transfers.stop(dataset, 'its time of the day is over: it goes on next time');
        return [];
      }
      const copy = target.get(dataset) ?? null;
      const common = newestCommon(from, copy);
      board.set(dataset, {
        ...stateOf(task, isItsTime),
        periodMs,
        progress: null,
        ...(common === null ? {} : { common: commonOf(common) }),
      });
      const chain = steps.filter((step) => !isRename(step));
      if (chain.length > 0) return isItsTime ? [{ dataset, source: from, copy, steps: chain, common }] : [];
      if (decision.kind !== 'nothing' || common === null || this.#isSettled(from, copy, common)) return [];
      this.#settled.set(dataset, common.guid);
      return [{ dataset, source: from, copy, steps: [], common }];
    });
  }

  #isIncluded({ pool, state }: PoolPlan, source: ReadonlyMap<string, Dataset>, name: string): boolean {
    const dataset = source.get(name);
    const { replication, ends } = this.#options;
    const filters = { pool, from: ends.from, filters: replication };
    return state !== 'by-drbd' && dataset !== undefined && whyNotReplicated(dataset, filters) === null;
  }

  /** Somebody else's holds are not told from ours: whoever has them is looked at once. */
  #isSettled(source: Dataset, copy: Dataset | null, common: Snapshot): boolean {
    const held = (of: Dataset | null): number =>
      of?.snapshots.find(({ guid }) => guid === common.guid)?.holds ?? 0;
    const hasCursor = source.bookmarks.some(({ name }) => name === cursorName(common.guid));
    if (held(source) === 0 || held(copy) === 0 || !hasCursor) return false;
    const others = [...source.snapshots, ...(copy?.snapshots ?? [])].some(
      ({ guid, holds }) => holds > 0 && guid !== common.guid,
    );
    return !others || this.#settled.get(source.name) === common.guid;
  }

  #forget(planned: readonly Planned[]): void {
    const known = new Set(
      planned.flatMap(({ plan, source }) =>
        [...source.keys()].filter((name) => this.#isIncluded(plan, source, name)),
      ),
    );
    // A pool that could not be read has nothing here, and nothing of it is gone.
    const unread = planned.filter(({ source }) => source.size === 0).map(({ plan }) => plan.pool);
    this.#options.board.retain(
      (dataset) => known.has(dataset) || unread.some((pool) => isWithin(dataset, pool)),
    );
    for (const dataset of [...this.#settled.keys()]) if (!known.has(dataset)) this.#settled.delete(dataset);
  }

  #prune({ plan, source, target }: Planned, next: readonly Transfer[]): Promise<readonly string[]> {
    const { local, signal } = this.#options;
    return pruneBoth({
      plan,
      source,
      target,
      policy: (dataset) => this.#policy(dataset),
      isIncluded: (dataset) => this.#isIncluded(plan, source, dataset),
      needed: (dataset) => this.#transfers.neededOf(dataset, next),
      isRunning: (dataset) => this.#transfers.isRunning(dataset),
      local,
      order: (order) => this.#order(order, LIMITS.orderMs),
      signal,
    });
  }
}

type SetAsideOrder = Extract<ReceiverOrder, { readonly kind: 'set-aside' }>;

const conflict = (why: string): QuorateError => new QuorateError('replication-conflict', why);

type Rename = Extract<Step, { kind: 'rename' }>;

const ALL = '';

const isAsked = (asked: ReadonlySet<string>, dataset: string): boolean =>
  asked.has(ALL) || asked.has(dataset);

const isRename = (step: Step): step is Rename => step.kind === 'rename';

const byName = (side: PoolSide): ReadonlyMap<string, Dataset> =>
  new Map(side.kind === 'read' ? side.pool.datasets.map((one) => [one.name, one]) : []);

/** What a rename that has not been done would change waits for it; everything else goes on. */
function withoutRenamed(planned: Planned): Planned {
  const { plan } = planned;
  const renames = plan.tasks.flatMap(({ steps }) => steps.filter(isRename));
  const touches = (name: string): boolean =>
    renames.some(({ from, to }) => isWithin(name, from) || isWithin(name, to));
  const tasks = plan.tasks.map((task) => (touches(task.dataset) ? { ...task, steps: [] } : task));
  return { ...planned, plan: { ...plan, tasks } };
}

export function newestCommon(source: Dataset, copy: Dataset | null): Snapshot | null {
  const there = new Set(copy?.snapshots.map(({ guid }) => guid));
  return source.snapshots.findLast(({ guid }) => there.has(guid)) ?? null;
}

function stateOf({ decision, steps }: Task, isItsTime: boolean) {
  const { why } = decision;
  if (decision.kind === 'conflict') return { state: 'conflict', why } as const;
  if (decision.kind === 'nothing' && steps.length === 0) return { state: 'current', why } as const;
  return { state: 'waiting', why: isItsTime ? why : 'waits for its time of the day' } as const;
}
