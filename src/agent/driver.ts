/**
 * Runs the core: one input at a time, its effects in order, its deadlines on a timer (style 8).
 *
 * No `await` stands between reading and changing consensus state: what takes time (disk, network, executor) comes back
 * as an input of its own.
 */
import type { Clock, Timer } from '../clock.ts';
import type {
  CoreEvent,
  CoreOptions,
  Effect,
  Entry,
  Epoch,
  Input,
  LogIndex,
  Message,
  NodeId,
  Persist,
  Proposal,
} from '../core/index.ts';
import { assert, assertNever, Core } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import { parseEntryBody } from '../log/index.ts';
import { CommitWaiters, type Place } from './commit-waiters.ts';
import { formatNeeded } from './format.ts';
import { refusedByLeader, refusedFor } from './refusals.ts';

export interface DriverOptions {
  readonly core: CoreOptions;
  readonly clock: Clock;
  readonly executor: Pick<
    ExecutorClient,
    'arm' | 'disarm' | 'take' | 'renew' | 'release' | 'handOver' | 'bind' | 'adopt'
  >;
  readonly store: { persist(persists: readonly Persist[]): Promise<void> };
  readonly send: (message: Message) => void;
  /** H2 where no watchdog is armed: why this node may not hold nevertheless, or null. */
  readonly whyNotUnwatched: (view: Core['view']) => string | null;
  /** Asked before anything else: what of the data a takeover would lose beyond the bound (max_data_loss); null where nothing can be. */
  readonly whyLoss?: (() => Promise<string | null>) | null;
  /** R5: fences the old holder, where that is the proof that is missing and a takeover may wait for it; null where it may not. */
  readonly fence: (() => Promise<boolean>) | null;
  /** Voters that answer and may not understand what is newer than they are. */
  readonly lacking?: (format: number) => readonly NodeId[];
  readonly onCommitted: (entry: Entry) => void;
  readonly onRefusedToHold: (why: string) => void;
  readonly onEvent: (event: CoreEvent) => void;
  /** Called after every step: the place for what follows from the state as a whole. */
  readonly onStep: () => void;
  /** A write failed (D3) or an invariant broke: the process must end. Never called twice. */
  readonly onFatal: (error: unknown) => void;
}

export type ProposeResult = Place | { readonly refused: string; readonly isFormat?: true };

/** `setTimeout` counts in whole ms and may not be asked for more than this. */
const MAX_TIMER_MS = 60_000;

export class Driver {
  readonly #options: DriverOptions;
  readonly #core: Core;
  readonly #inputs: Input[] = [];
  #isStepping = false;
  #isEnded = false;
  #mayPrepare = true;
  #timer: Timer | null = null;
  /** When the timer fires, which may be before the core has something to do. */
  #timerAt = Number.POSITIVE_INFINITY;
  readonly #waiting: CommitWaiters;
  /** L7: it was kept for this process, which had begun without it by then. */
  #keptTooLong: Epoch | null = null;

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#waiting = new CommitWaiters(options.clock);
    this.#core = new Core(options.core, options.clock.now());
    this.#arm();
  }

  get view(): Core['view'] {
    return this.#core.view;
  }

  /** No further input is taken; waiting proposals end as unknown. */
  end(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
    this.#waiting.drop();
  }

  /** An ending node may still lead for a moment, and its vote may be needed, but it takes nothing any more. */
  holdNoMore(): void {
    this.#mayPrepare = false;
  }

  input(input: Input): void {
    this.#inputs.push(input);
    this.#drain();
  }

  /** Voters that answer and have not said that they can read it. */
  lacking(proposal: Proposal): readonly NodeId[] {
    const needed = formatNeeded(proposal);
    return needed === 0 ? [] : (this.#options.lacking?.(needed) ?? []);
  }

  /** Proposes at once; the place in the log, or why not. Whether it commits is another matter. */
  propose(proposal: Proposal): ProposeResult {
    const old = this.lacking(proposal);
    if (old.length > 0) return { refused: notUnderstood(old), isFormat: true };
    const why = whyNotStorable(proposal);
    if (why !== null) return { refused: why };
    let result: ProposeResult = { refused: 'the agent is ending' };
    this.#step({ kind: 'propose', proposal }, (effect) => {
      if (effect.kind === 'proposed') result = effect;
      else if (effect.kind === 'refused') result = { refused: effect.why };
    });
    this.#drain();
    return result;
  }

  /** Proposes and waits for the commit. Rejects `refused-unsafe` at once, or as `committed` does. */
  async commit(proposal: Proposal, limitMs: number): Promise<LogIndex> {
    const place = this.place(proposal);
    await this.committed(place, limitMs);
    return place.index;
  }

  /** Proposes at once. @throws QuorateError `refused-unsafe` */
  place(proposal: Proposal): Place {
    const result = this.propose(proposal);
    if (!('refused' in result)) return result;
    if (result.isFormat !== true) throw refusedByLeader(this.view.self, 'refused', result.refused);
    throw refusedFor(
      'it was',
      [{ name: 'format', ok: false, detail: result.refused }],
      this.view.self,
      'refused-unsafe',
    );
  }

  /** Resolves when this very entry is committed; rejects `timed-out-unknown` when that is lost sight of. */
  committed(place: Place, limitMs: number): Promise<void> {
    return this.view.commitIndex >= place.index ? Promise.resolve() : this.#waiting.add(place, limitMs);
  }

  /** Asks for a transfer (R3); why not, or null. */
  transfer(input: Extract<Input, { kind: 'transfer' }>): string | null {
    let refused: string | null = null;
    this.#step(input, (effect) => {
      if (effect.kind === 'refused') refused = effect.why;
    });
    this.#drain();
    return refused;
  }

  onExecutorEvent(event: ExecutorEvent): void {
    const { hold } = this.view;
    switch (event.kind) {
      case 'ready':
        // A new executor has verified that nothing is held: then this node does not hold, whatever it believed (O1).
        if (hold.kind !== 'none' && hold.kind !== 'releasing') this.input({ kind: 'executor-lost' });
        return this.input({ kind: 'released', evidence: event.evidence });
      case 'armed':
        return this.input({ kind: 'prepared', id: event.id, ok: true });
      case 'arm-failed':
        this.#options.onRefusedToHold(event.why);
        return this.input({ kind: 'prepared', id: event.id, ok: false });
      case 'released': {
        const known = this.view.isHoldingOrReleasing && 'epoch' in hold ? hold.epoch : null;
        const held = hold.kind === 'releasing' && known === null ? this.#keptTooLong : known;
        // A report about another tenure says nothing about this one.
        if (event.epoch === null || event.epoch !== held) return;
        this.#keptTooLong = null;
        if (hold.kind === 'adopting') this.input({ kind: 'bound', epoch: event.epoch, ok: false });
        // The guard let go by itself (a suspended host, a watchdog that failed): the tenure is over.
        if (hold.kind === 'held' || hold.kind === 'handed-over') this.input({ kind: 'executor-lost' });
        return this.input({ kind: 'released', evidence: event.evidence });
      }
      case 'release-failed':
        if (hold.kind !== 'releasing' || hold.epoch !== event.epoch) return;
        return this.input({ kind: 'release-failed' });
      case 'revoked':
        // The guard lets go: whatever this node believes of its lease, it holds no longer, and must not go on leading (O1).
        if (hold.kind === 'adopting') return this.input({ kind: 'bound', epoch: event.epoch, ok: false });
        if ((hold.kind === 'held' || hold.kind === 'handed-over') && hold.epoch === event.epoch)
          this.input({ kind: 'executor-lost' });
        return;
      case 'handed-over':
        return this.input({ kind: 'handed-over', epoch: event.epoch, ok: true });
      case 'hand-over-refused':
        return this.input({ kind: 'handed-over', epoch: event.epoch, ok: false });
      case 'bound':
        return this.input({ kind: 'bound', epoch: event.epoch, ok: event.ok });
      case 'unverified':
      case 'gone':
        this.#keptTooLong = null;
        return this.input({ kind: 'executor-lost' });
      case 'timing-applied':
        return this.input({ kind: 'timing-applied', timing: event.timing });
      case 'doctor':
      case 'fence-ended':
      case 'repair-failed':
      case 'taken':
      case 'take-failed':
      case 'probes':
      case 'data-read':
      case 'io-resumed':
      case 'pools-read':
      case 'pools-unread':
      case 'replication':
      case 'copies-read':
      case 'resync':
        return;
      case 'kept':
        // It has come too late to be adopted, and a release is owed (L3): no `ready` will say that it is done.
        if (hold.kind !== 'releasing' || hold.epoch !== null) return;
        this.#keptTooLong = event.epoch;
        return this.#options.executor.release(event.epoch, 'abrupt');
      default:
        return assertNever(event);
    }
  }

  #drain(): void {
    if (this.#isStepping) return;
    for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift())
      this.#step(input);
  }

  #step(input: Input, watch: (effect: Effect) => void = () => {}): void {
    if (this.#isEnded) return;
    assert(!this.#isStepping, 'one input at a time (style 8)');
    this.#isStepping = true;
    try {
      const effects = this.#core.step(input, this.#options.clock.now(), this.#options.clock.wallMs());
      // What is sent in this step does not wait for its persist (E2), and a commit waits for the peers' disks longer than for
      // this one: messages first, the own disk next, which works while the rest is done.
      for (const effect of effects) if (effect.kind === 'send') this.#options.send(effect.message);
      for (const effect of effects) if (effect.kind === 'persist') this.#persist(effect.persist);
      for (const effect of effects) {
        watch(effect);
        this.#perform(effect);
      }
      this.#options.onStep();
      this.#arm();
    } catch (error) {
      this.end();
      this.#options.onFatal(error);
    } finally {
      this.#isStepping = false;
    }
  }

  #perform(effect: Effect): void {
    const { executor } = this.#options;
    switch (effect.kind) {
      case 'send':
      case 'persist':
        return;
      case 'prepare':
        return this.#prepare(effect.id);
      case 'hold': {
        const { epoch, term, until, previousReleased, hasProof, isForced } = effect;
        executor.renew(epoch, until);
        return executor.take({
          ...{ epoch, term, until, previousReleased },
          ...(hasProof ? { hasProof } : {}),
          ...(isForced ? { isForced } : {}),
        });
      }
      case 'hand-over':
        return executor.handOver(effect.epoch, effect.until);
      case 'bind':
        return executor.bind(effect.epoch, effect.term, effect.until);
      case 'adopted':
        return executor.adopt(effect.epoch, effect.until);
      case 'lease':
        return executor.renew(effect.epoch, effect.until);
      case 'release':
        return effect.epoch === null ? executor.disarm() : executor.release(effect.epoch, effect.mode);
      case 'committed':
        return this.#onCommitted(effect.entry);
      case 'event':
        if (effect.event.event === 'stepped-down') this.#waiting.drop();
        return this.#options.onEvent(effect.event);
      case 'proposed':
      case 'refused':
        return;
      default:
        return assertNever(effect);
    }
  }

  /** H2: armed where the cluster has watchdogs; otherwise only with another proof that nobody else can still write. */
  #prepare(id: number): void {
    if (!this.#mayPrepare) {
      this.#inputs.push({ kind: 'prepared', id, ok: false });
      return;
    }
    const { whyLoss = null } = this.#options;
    if (whyLoss === null) return this.#prepareToWrite(id);
    void whyLoss().then((why) => this.#goOnPreparing(id, why, () => this.#prepareToWrite(id)));
  }

  #goOnPreparing(id: number, why: string | null, goOn: () => void): void {
    // A preparation that was dropped meanwhile must leave nothing armed behind it.
    const { hold } = this.view;
    if (hold.kind !== 'preparing' || hold.id !== id) return;
    if (why === null) goOn();
    else {
      this.#options.onRefusedToHold(why);
      this.#inputs.push({ kind: 'prepared', id, ok: false });
    }
    this.#drain();
  }

  #prepareToWrite(id: number): void {
    if (this.view.timing.watchdog !== null) return this.#options.executor.arm(id);
    const { fence } = this.#options;
    if (fence === null || this.#options.whyNotUnwatched(this.view) === null)
      return void this.#inputs.push(this.#provenInput(id));
    // Whatever becomes of it, it is the log that counts.
    void fence()
      .then(() => this.#options.whyLoss?.() ?? null)
      // Until it was stopped the old holder may have gone on writing: the bound is asked for once more.
      .then((why) => this.#goOnPreparing(id, why, () => this.#inputs.push(this.#provenInput(id))));
  }

  #provenInput(id: number): Input {
    const why = this.#options.whyNotUnwatched(this.view);
    if (why !== null) this.#options.onRefusedToHold(why);
    return { kind: 'prepared', id, ok: why === null };
  }

  #persist(persist: Persist): void {
    this.#options.store.persist([persist]).then(
      () => this.input({ kind: 'persisted', id: persist.id }),
      (error: unknown) => {
        // D3: never again on this handle. The step releases; then the process ends.
        this.input({ kind: 'persist-failed' });
        if (!this.#isEnded) {
          this.end();
          this.#options.onFatal(error);
        }
      },
    );
  }

  #onCommitted(entry: Entry): void {
    // Who waits is answered last, and is answered also where this is the end of the agent.
    const answer = this.#waiting.take(entry.index);
    this.#options.onCommitted(entry);
    answer((index) => this.view.log.termAt(index));
  }

  #arm(): void {
    const at = this.#core.nextDeadline() ?? Number.POSITIVE_INFINITY;
    // Every heartbeat puts a follower's election off: a timer that is too early looks again when it fires, which costs less.
    if (this.#timer !== null && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#timerAt = at;
    if (at === Number.POSITIVE_INFINITY || this.#isEnded) return;
    const waitMs = Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(at - this.#options.clock.now())));
    this.#timer = this.#options.clock.after(waitMs, () => {
      this.#timer = null;
      if (this.#options.clock.now() < (this.#core.nextDeadline() ?? Number.POSITIVE_INFINITY)) this.#arm();
      else this.input({ kind: 'tick' });
    });
  }
}

/** Those that become entries as they are. */
const ENTRY_BODIES: ReadonlySet<Proposal['kind']> = new Set([
  ...(['note', 'operator', 'operator-result', 'takeover-done', 'fenced', 'forced'] as const),
  ...(['pause', 'standby', 'switchover-scheduled', 'switchover-begun', 'switchover-ended'] as const),
]);

/** What the log does not take must not go out to the others first: there it would end them, or this leader (D1). */
function whyNotStorable(proposal: Proposal): string | null {
  if (!ENTRY_BODIES.has(proposal.kind)) return null;
  try {
    parseEntryBody(proposal);
    return null;
  } catch (error) {
    if (error instanceof QuorateError) return error.message;
    throw error;
  }
}

const notUnderstood = (old: readonly NodeId[]): string =>
  `${old.join(' and ')} may not understand it: an agent of an older version, to be upgraded first`;
