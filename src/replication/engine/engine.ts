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
import type { ReceiverChannel } from '../channel.ts';
import type { Ends } from '../decide.ts';
import { whyNotReplicated } from '../filters.ts';
import { type PoolPlan, planReplication, type Step, type Task } from '../plan.ts';
import { type Dataset, isFirstPart, type PoolSide, type Snapshot } from '../pool.ts';
import { type PoolsReading, sideOf } from '../reading.ts';
import { type LocalPool, MAX_ATOMIC } from './local-pool.ts';
import { cursorName, newSnapshotName } from './names.ts';
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
  given: 100,
} as const;

/** Of one pool, with both sides known. */
interface Planned {
  readonly source: ReadonlyMap<string, Dataset>;
  readonly target: ReadonlyMap<string, Dataset>;
  readonly plan: PoolPlan;
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #transfers: Transfers;
  readonly #slots: Slots;
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
    this.#transfers = new Transfers({
      ...options,
      bytesPerSecond: send.bytesPerSecond,
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
  settled(): Promise<void> {
    return this.#transfers.settled();
  }

  async round(number: number): Promise<void> {
    const { board, clock, local, signal } = this.#options;
    const asked = this.#asked;
    this.#asked = new Set();
    board.setRound({ number, startedAt: clock.wallMs() });
    try {
      const before = await local.read();
      const { problems, hasTaken } = await this.#takeSnapshots(before, asked);
      const [own, theirs] = await Promise.all([hasTaken ? local.read() : before, this.#readTheirs()]);
      const planned = await this.#planned(own, theirs);
      this.#forget(planned);
      const transfers = planned.flatMap((one) => this.#show(one, asked));
      // Before anything is begun: a copy that is being received into is left alone.
      for (const one of planned) problems.push(...(await this.#prune(one, transfers)));
      this.#transfers.plan(transfers);
      const unread = planned.flatMap(({ plan: { pool, state, why } }) =>
        state === 'unknown' || state === 'missing' ? [`${pool}: ${why}`] : [],
      );
      const said = [...problems, ...unread].join('; ');
      board.setRound({ problem: said === '' ? null : said });
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

  /** Renames first, one at a time, because the plan is void after each. */
  async #planned(own: PoolsReading, first: PoolsReading): Promise<readonly Planned[]> {
    const { channel, epoch, signal, board, clock } = this.#options;
    let theirs = first;
    const failed: Rename[] = [];
    for (let count = 0; ; count++) {
      const planned = this.#options.replication.pools.map((pool) => this.#planPool(pool, own, theirs));
      const next = planned
        .map((one) => this.#nextRename(one, failed))
        .find((one): one is Rename => one !== null);
      if (next === undefined || count >= LIMITS.renames || signal.aborted)
        return planned.map((one) => withoutRenamed(one));
      try {
        await channel.perform(epoch, next, { signal, limitMs: LIMITS.orderMs });
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
    return { plan, source: byName(source), target: byName(target) };
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
    const { local, channel, epoch, signal } = this.#options;
    return pruneBoth({
      plan,
      source,
      target,
      policy: (dataset) => this.#policy(dataset),
      isIncluded: (dataset) => this.#isIncluded(plan, source, dataset),
      needed: (dataset) => this.#transfers.neededOf(dataset, next),
      isRunning: (dataset) => this.#transfers.isRunning(dataset),
      local,
      order: (order) => channel.perform(epoch, order, { signal, limitMs: LIMITS.orderMs }),
      signal,
    });
  }
}

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
