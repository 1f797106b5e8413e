/**
 * What is being sent, and what waits for its turn: one chain of steps for each dataset.
 *
 * 1. What is sent is held here before its first byte, so that whatever the other side may have by now can be gone on from. Of a run
 *    for which that takes long, what is held by then goes first, and the rest after it.
 * 2. After each stream that has arrived: its last snapshot is held there, marked by a cursor here, and then the holds of the ones before
 *    let go; what is newer and held, by an earlier attempt, is still to be sent, and stays so. Killed in between, or where letting go does
 *    not work, there is a hold too many, which the next one lets go. Of a run that breaks off what has come stays, with all its holds
 *    here: the next round reads, and goes on after the newest that is there.
 * 3. A chain ends with its first failure, and takes first copies below with it: the next round reads and plans anew.
 * 4. No first copy begins while the first copy of what it lies in is on its way. A later one waits for nothing.
 * 5. Where a round has more to send than a period has time for, each dataset gets its turn all the same (turns.ts).
 */
import type { Clock } from '../../clock.ts';
import { assert, type Epoch, InvariantError } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { CallOptions, ReceiverChannel } from '../channel.ts';
import type { ChainStep, Step, StreamStep } from '../plan.ts';
import { type Dataset, type Guid, isWithin, type Snapshot } from '../pool.ts';
import { cutAfter, namesOfRun } from '../runs.ts';
import { type Held, heldNow, letGoThere, namedOf } from './held.ts';
import type { LocalPool } from './local-pool.ts';
import { cursorName, readOwnName } from './names.ts';
import type { Sending, SendOptions } from './send.ts';
import type { Board } from './state.ts';
import { carry } from './stream.ts';
import { isFirstCopy, Turns } from './turns.ts';

export interface Transfer {
  readonly dataset: string;
  /** As it was read when this was planned; the copy by its name after the renames. */
  readonly source: Dataset;
  readonly copy: Dataset | null;
  /** Without renames. None: only what is held, and the cursor, are to be set right. */
  readonly steps: readonly ChainStep[];
  /** The newest that both have; null before the first has arrived. */
  readonly common: Snapshot | null;
}

export interface TransfersOptions {
  readonly epoch: Epoch;
  readonly channel: ReceiverChannel;
  readonly local: LocalPool;
  readonly board: Board;
  readonly clock: Clock;
  readonly bytesPerSecond: number | null;
  /** Until the receiver is ready for a stream. */
  readonly answerMs: number;
  readonly signal: AbortSignal;
  /** Real processes where absent. */
  readonly startSend?: (options: SendOptions) => Sending;
  /** It is in the copy, held there. */
  readonly onArrived: (guid: Guid) => void;
  /** Its chain has come to its end. `isAll`: with it everything that was there to send. */
  readonly onDone: (dataset: string, isAll: boolean) => void;
  /** It, or its stream, was not taken; `copy` as it was planned for. */
  readonly onRefused: (why: string, copy: Dataset | null) => void;
  readonly onBroken: (error: unknown) => void;
}

interface Running {
  readonly transfer: Transfer;
  readonly abort: AbortController;
}

const LIMITS = {
  streams: 2,
  orderMs: 60_000,
} as const;

export class Transfers {
  readonly #options: TransfersOptions;
  readonly #running = new Map<string, Running>();
  readonly #turns = new Turns();
  #queue: readonly Transfer[] = [];
  /** Whoever is slow to answer a question is slow to take an order. */
  readonly #orderMs: number;
  #idle: (() => void)[] = [];

  constructor(options: TransfersOptions) {
    this.#options = options;
    this.#orderMs = Math.max(LIMITS.orderMs, options.answerMs);
  }

  isRunning(dataset: string): boolean {
    return this.#running.has(dataset);
  }

  /** Something of it, above it or below it is on its way. */
  isBusyAround(name: string): boolean {
    return [...this.#running.keys()].some((one) => isWithin(one, name) || isWithin(name, one));
  }

  /** What must not vanish here meanwhile, also by what is to be begun next. */
  neededOf(dataset: string, next: readonly Transfer[]): ReadonlySet<Guid> {
    const all = [...next, ...this.#queue, ...[...this.#running.values()].map(({ transfer }) => transfer)];
    const needed = all.filter((one) => one.dataset === dataset);
    return new Set(
      needed.flatMap(({ steps, source }) => {
        const names = new Set(steps.flatMap((step) => namesOf(step)));
        return source.snapshots.filter(({ name }) => names.has(name)).map(({ guid }) => guid);
      }),
    );
  }

  /** What was planned before and has not begun is void. */
  plan(transfers: readonly Transfer[]): void {
    const waiting = transfers.filter(({ dataset }) => !this.#running.has(dataset));
    this.#queue = this.#turns.inTurn(waiting);
    this.#pump();
  }

  stop(dataset: string, why: string): void {
    this.#running.get(dataset)?.abort.abort(why);
  }

  /** Resolves when nothing is on its way, and nothing waits. */
  async settled(): Promise<void> {
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    const { signal, bytesPerSecond } = this.#options;
    // A limit is for all together.
    const most = bytesPerSecond === null ? LIMITS.streams : 1;
    while (!signal.aborted && this.#running.size < most) {
      const next = this.#queue.find((one, at) => !this.#mustWait(one, at));
      if (next === undefined) break;
      this.#queue = this.#queue.filter((one) => one !== next);
      this.#start(next);
    }
    if (!this.#isIdle()) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** What waits when everything is ended waits for nothing. */
  #isIdle(): boolean {
    const { signal } = this.#options;
    return this.#running.size === 0 && (this.#queue.length === 0 || signal.aborted);
  }

  /** First copies of what it lies in are before it in the queue. */
  #mustWait(next: Transfer, at: number): boolean {
    if (!isFirstCopy(next)) return false;
    const running = [...this.#running.values()].map(({ transfer }) => transfer);
    const before = [...running, ...this.#queue.slice(0, at)].filter(isFirstCopy);
    return before.some(({ dataset }) => isWithin(next.dataset, dataset));
  }

  #start(transfer: Transfer): void {
    const { signal, board, clock, onBroken, onRefused } = this.#options;
    const { dataset } = transfer;
    const abort = new AbortController();
    this.#running.set(dataset, { transfer, abort });
    this.#turns.begun(dataset);
    void this.#run(transfer, AbortSignal.any([abort.signal, signal]))
      .catch((error: unknown) => {
        if (error instanceof InvariantError) return onBroken(error);
        if (abort.signal.aborted)
          board.set(dataset, { state: 'waiting', progress: null, why: String(abort.signal.reason) });
        else if (!signal.aborted) {
          onRefused(wordsOf(error), transfer.copy);
          board.fail(dataset, clock.wallMs(), wordsOf(error));
        }
        // It may lie in what has not arrived.
        this.#queue = this.#queue.filter((one) => !(isFirstCopy(one) && isWithin(one.dataset, dataset)));
      })
      .finally(() => {
        this.#running.delete(dataset);
        this.#pump();
      });
  }

  async #run(transfer: Transfer, signal: AbortSignal): Promise<void> {
    const { dataset, source, copy, steps, common } = transfer;
    const { channel, epoch, local } = this.#options;
    const held = heldNow(source, copy);
    if (steps.length === 0) {
      assert(common !== null, 'without steps there is a common snapshot');
      await local.hold(dataset, [common]);
      await this.#settle(source, common, held, signal);
      if (held.why !== null) this.#options.board.set(dataset, { why: everything(held) });
      return;
    }
    for (const step of steps) {
      if (step.kind === 'abandon') await channel.perform(epoch, step, within(signal, this.#orderMs));
      else
        for (let rest: StreamStep | null = step; rest !== null; )
          rest = await this.#stream(transfer, rest, held, signal);
    }
    const { board, onDone } = this.#options;
    // A stream that went on is the whole plan of its round, whatever is newer.
    const isAll = steps.some((step) => namesOf(step)[0] === source.snapshots.at(-1)?.name);
    const rest = { state: 'waiting', why: 'the next round sends what is newer' } as const;
    const all = { state: 'current', why: everything(held) } as const;
    board.set(dataset, { ...(isAll ? all : rest), progress: null });
    onDone(dataset, isAll);
  }

  /** Resolves with what is left of it to be sent. */
  async #stream(
    transfer: Transfer,
    wanted: StreamStep,
    held: Held,
    signal: AbortSignal,
  ): Promise<StreamStep | null> {
    const { dataset, source } = transfer;
    const { local, board, clock, channel } = this.#options;
    const run = namesOfRun(wanted);
    const all = source.snapshots.filter(({ name }) => run.includes(name));
    assert(all.length === run.length, 'the plan sends what is there');
    const snapshots = all.slice(0, await local.hold(dataset, all));
    const [step, rest] = cutAfter(wanted, snapshots.length);
    const snapshot = snapshots.at(-1);
    assert(snapshot?.name === step.snapshot, 'what is sent is held, up to its last');
    held.here = [...held.here, ...snapshots];
    const along = snapshots.length === 1 ? '' : ` and ${snapshots.length - 1} before it`;
    board.set(dataset, {
      state: 'sending',
      why: step.kind === 'resume' ? `goes on with @${snapshot.name}` : `sends @${snapshot.name}${along}`,
      progress: {
        snapshot: snapshot.name,
        bytes: 0,
        totalBytes: null,
        bytesPerSecond: null,
        startedAt: clock.wallMs(),
      },
    });
    const isSettling = channel.features.has('settles');
    const first = step.kind === 'full' ? { makes: source.kind } : {};
    const before = snapshots.slice(0, -1).map((one) => namedOf(dataset, one));
    const bytes = await carry({
      ...this.#options,
      step,
      signal,
      order: {
        ...{ dataset, snapshot: namedOf(dataset, snapshot), kind: step.kind, ...first },
        ...(before.length === 0 ? {} : { before }),
        ...(isSettling ? { letGo: letGoThere(dataset, snapshot, held) } : {}),
      },
      onProgress: (progress) => {
        const known = board.get(dataset)?.progress;
        if (known !== null && known !== undefined)
          board.set(dataset, { progress: { ...known, ...progress } });
      },
    });
    const sentBytes = (board.get(dataset)?.sentBytes ?? 0) + bytes;
    board.set(dataset, { sentBytes, common: commonOf(snapshot) });
    if (isSettling) await this.#settleHere(source, snapshot, held);
    else await this.#settle(source, snapshot, held, signal);
    for (const { guid } of snapshots) this.#options.onArrived(guid);
    return rest;
  }

  /** 2. It is held here already. */
  async #settle(source: Dataset, keep: Snapshot, held: Held, signal: AbortSignal): Promise<void> {
    const { channel, epoch } = this.#options;
    const { name: dataset } = source;
    const letGo = letGoThere(dataset, keep, held);
    const order = { kind: 'hold', keep: namedOf(dataset, keep), letGo } as const;
    await channel.perform(epoch, order, within(signal, this.#orderMs));
    await this.#settleHere(source, keep, held);
  }

  /** 2. It is held there too. */
  async #settleHere({ name: dataset }: Dataset, keep: Snapshot, held: Held): Promise<void> {
    const { local } = this.#options;
    held.there = [keep];
    await local.markCursor(dataset, keep.name, keep.guid);
    const cursor = cursorName(keep.guid);
    for (const old of held.cursors) if (old !== cursor) await local.dropCursor(dataset, old);
    held.cursors = [cursor];
    const before = held.here.filter(({ createtxg }) => createtxg < keep.createtxg).map(({ name }) => name);
    try {
      await local.letGo(dataset, [...new Set(before)]);
      const after = held.here.filter(({ createtxg }) => createtxg > keep.createtxg);
      Object.assign(held, { here: [keep, ...after], why: null });
    } catch (error) {
      // What has arrived has arrived, and is held: the next one lets go.
      if (!(error instanceof QuorateError) || error.code === 'order-ended') throw error;
      held.why = error.message;
    }
  }
}

const everything = ({ why }: Held): string =>
  `the copy has everything${why === null ? '' : `, and what was held before it here is held still: ${why}`}`;

const within = (signal: AbortSignal, limitMs: number): CallOptions => ({ signal, limitMs });

/** The newest that goes out first, what it goes after last. */
function namesOf(step: Step): readonly string[] {
  if (step.kind === 'rename' || step.kind === 'abandon') return [];
  const base = step.kind === 'incremental' ? [step.from.slice(1)] : [];
  return [...namesOfRun(step).toReversed(), ...base];
}

export function commonOf(snapshot: Snapshot): { name: string; takenAt: number | null } {
  return { name: snapshot.name, takenAt: readOwnName(snapshot.name)?.takenAtMs ?? null };
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
