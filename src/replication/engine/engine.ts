/**
 * The side that sends, for one tenure: once per period a snapshot of what is due, then read both sides, plan, send, hold,
 * prune.
 *
 * 1. Nothing is remembered but what is on its way: whatever ends this process, the next one reads and goes on.
 * 2. One round at a time. Streams outlive it: the plan of the next one leaves alone what is on its way.
 * 3. What one side has is not known: nothing is sent there, and the own snapshots go on.
 */
import type { Clock } from '../../clock.ts';
import { type Epoch, InvariantError } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { ReceiverChannel, ReceiverOrder } from '../channel.ts';
import type { ChainStep, Task } from '../plan.ts';
import { type Dataset, type Guid, isWithin, type Snapshot } from '../pool.ts';
import type { PoolsReading } from '../reading.ts';
import { inRuns, MAX_RUN } from '../runs.ts';
import { ChangedCopies } from './changed.ts';
import { Completion } from './completion.ts';
import type { LocalPool } from './local-pool.ts';
import { cursorName } from './names.ts';
import { isRename, type Planned, Planning } from './planning.ts';
import { pruneBoth, unneededThere } from './pruning.ts';
import { isOpen, minuteOfDay, shortestPeriodMs } from './schedule.ts';
import { Scope, type ScopeOptions } from './scope.ts';
import { ALL, isAsked, Snapshots, type Taken } from './snapshots.ts';
import type { Board } from './state.ts';
import { commonOf, type Transfer, Transfers, type TransfersOptions, wordsOf } from './transfers.ts';

export interface EngineOptions extends ScopeOptions {
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
  /** At the least. */
  orderMs: 60_000,
  /** In a planned release, which has a deadline of its own. */
  lastRounds: 60,
  lastPauseMs: 1000,
} as const;

export class Engine {
  readonly #options: EngineOptions;
  readonly #transfers: Transfers;
  readonly #scope: Scope;
  readonly #snapshots: Snapshots;
  readonly #planning: Planning;
  readonly #completion: Completion;
  /** What is held and marked as it should be, by this process. */
  readonly #settled = new Map<string, string>();
  /** Asked for by somebody, for the next round. */
  #asked = new Set<string>();
  /** Of those, what goes whatever the time of the day, until it has gone. */
  readonly #urgent = new Set<string>();
  #wake = new AbortController();

  constructor(options: EngineOptions) {
    this.#options = options;
    const { pools, send } = options.replication;
    this.#scope = new Scope(options);
    this.#snapshots = new Snapshots({ ...options, pools, scope: this.#scope });
    const changed = new ChangedCopies(options.channel);
    this.#planning = new Planning({
      ...options,
      changed,
      order: (order, limitMs) => this.#order(order, limitMs),
      isBusyAround: (dataset) => this.#transfers.isBusyAround(dataset),
    });
    this.#completion = new Completion({
      epoch: options.epoch,
      order: (order) => this.#order(order, LIMITS.orderMs),
      takesLeftOut: () => options.channel.features.has('left-out'),
      onFailure: (pool, error) => {
        const problem = `${pool}: not complete there: ${wordsOf(error)}`;
        if (!options.signal.aborted) options.board.setRound({ problem });
      },
    });
    this.#transfers = new Transfers({
      ...options,
      bytesPerSecond: send.bytesPerSecond,
      answerMs: send.answerMs,
      onArrived: (guid) => this.#completion.arrived(guid),
      onRefused: (why, copy) => {
        if (changed.heard(why, copy)) this.#wake.abort();
      },
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
      const signals = [signal, this.#wake.signal];
      await clock.sleep(this.#snapshots.untilNext(periodMs), AbortSignal.any(signals));
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
    await this.#round(number, asked, (before) => this.#snapshots.take(before, asked));
  }

  /**
   * In a planned release, when nothing can be written any more: a last snapshot of everything in these pools, sent whatever the time
   * of the day, and written down on the other side as the last. Resolves with its name; rejects where it does not get there.
   */
  async finish(pools: readonly string[]): Promise<string> {
    const { clock, signal, board } = this.#options;
    const name = await this.#snapshots.takeLast(pools);
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
    take: (before: PoolsReading) => Promise<Taken>,
  ): Promise<void> {
    const { board, clock, local, signal } = this.#options;
    board.setRound({ number, startedAt: clock.wallMs() });
    try {
      const before = await local.read();
      const { problems, hasTaken } = await take(before);
      const [own, theirs] = await Promise.all([
        hasTaken ? local.read(before) : before,
        this.#planning.readTheirs(),
      ]);
      const planned = await this.#planning.plan(own, theirs, problems);
      this.#forget(planned);
      // Of a pool that has more to set aside the sum is not known yet.
      board.setKept(planned.flatMap(({ kept, tails }) => (kept === null || tails.length > 0 ? [] : [kept])));
      for (const one of planned)
        this.#completion.plan({
          ...one,
          isIncluded: (dataset) => this.#scope.isIncluded(one.plan, one.source, dataset),
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

  // ---- what follows from it

  /** On the board, and what there is to do. */
  #show({ plan, source, target }: Planned, asked: ReadonlySet<string>): readonly Transfer[] {
    const { board, clock } = this.#options;
    if (plan.state !== 'planned') {
      // What both sides had is not unknown because one does not answer now.
      for (const { name } of source.values())
        if (board.get(name) !== null || this.#scope.isIncluded(plan, source, name))
          board.set(name, { state: 'unknown', why: plan.why, periodMs: this.#scope.policy(name).periodMs });
      return [];
    }
    const minute = minuteOfDay(clock.wallMs());
    return plan.tasks.flatMap((task): readonly Transfer[] => {
      const { dataset, decision } = task;
      const from = source.get(dataset);
      if (from === undefined || decision.kind === 'excluded') return [];
      const { periodMs, windows } = this.#scope.policy(dataset);
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
      const chain = this.#inRuns(task, from, copy);
      if (chain.length > 0) return isItsTime ? [{ dataset, source: from, copy, steps: chain, common }] : [];
      if (decision.kind !== 'nothing' || common === null || this.#isSettled(from, copy, common)) return [];
      this.#settled.set(dataset, common.guid);
      return [{ dataset, source: from, copy, steps: [], common }];
    });
  }

  /** In as few streams as the other side takes them. */
  #inRuns(task: Task, source: Dataset, copy: Dataset | null): readonly ChainStep[] {
    const most = this.#options.channel.features.has('runs') ? MAX_RUN : 1;
    const unneeded = unneededThere(task, copy, this.#scope.policy(source.name).keepCopy);
    const mayBeSpared = (guid: Guid): boolean => !this.#completion.isAwaited(guid);
    const chain = task.steps.filter((step): step is ChainStep => !isRename(step));
    return inRuns(chain, source, { most, unneeded: new Set([...unneeded].filter(mayBeSpared)) });
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
        [...source.keys()].filter((name) => this.#scope.isIncluded(plan, source, name)),
      ),
    );
    // A pool that could not be read has nothing here, and nothing of it is gone.
    const unread = planned.filter(({ source }) => source.size === 0).map(({ plan }) => plan.pool);
    this.#options.board.retain(
      (dataset) => known.has(dataset) || unread.some((pool) => isWithin(dataset, pool)),
    );
    for (const dataset of [...this.#settled.keys()]) if (!known.has(dataset)) this.#settled.delete(dataset);
  }

  #order(order: ReceiverOrder, limitMs: number): Promise<void> {
    const { channel, epoch, signal, replication } = this.#options;
    // Whoever is slow to answer is slow to take an order.
    return channel.perform(epoch, order, { signal, limitMs: Math.max(limitMs, replication.send.answerMs) });
  }

  #prune({ plan, source, target }: Planned, next: readonly Transfer[]): Promise<readonly string[]> {
    const { local, signal } = this.#options;
    return pruneBoth({
      plan,
      source,
      target,
      policy: (dataset) => this.#scope.policy(dataset),
      isIncluded: (dataset) => this.#scope.isIncluded(plan, source, dataset),
      needed: (dataset) => this.#transfers.neededOf(dataset, next),
      isRunning: (dataset) => this.#transfers.isRunning(dataset),
      local,
      order: (order) => this.#order(order, LIMITS.orderMs),
      signal,
    });
  }
}

const conflict = (why: string): QuorateError => new QuorateError('replication-conflict', why);

function newestCommon(source: Dataset, copy: Dataset | null): Snapshot | null {
  const there = new Set(copy?.snapshots.map(({ guid }) => guid));
  return source.snapshots.findLast(({ guid }) => there.has(guid)) ?? null;
}

function stateOf({ decision, steps }: Task, isItsTime: boolean) {
  const { why } = decision;
  if (decision.kind === 'conflict') return { state: 'conflict', why } as const;
  if (decision.kind === 'nothing' && steps.length === 0) return { state: 'current', why } as const;
  return { state: 'waiting', why: isItsTime ? why : 'waits for its time of the day' } as const;
}
