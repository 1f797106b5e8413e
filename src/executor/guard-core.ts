/**
 * The guard: decides at every instant whether this node may act, and releases by itself when it may not (T4).
 *
 * 1. Every entry first evaluates every deadline against `now`, then its input (T2).
 * 2. Acting needs: phase `tenure`, the same epoch, `now < until`; checked in the very step that starts the command (O1).
 * 3. An epoch that was begun ends in `releasing`, and never comes back: it and all older ones are dead, durably (R2).
 * 4. `released` means that every local resource read `not-held` after its last action (R2); `unknown` never counts.
 * 5. The watchdog is petted while nothing is held, or while the newest confirmation is younger than `G`, release or not
 *    (L5). It is closed in order only after a verified release.
 * 6. Over a planned restart of the agent (L7) an epoch is kept until a deadline without anybody's renewals; what ends a tenure
 *    otherwise, but the closing of the agent's connection, ends that too.
 * 7. An abrupt release that outlives `D` stops the petting and fences where that is allowed (R1).
 */

import type { Clock, Timer } from '../clock.ts';
import {
  assert,
  assertNever,
  type Epoch,
  type Instant,
  instant,
  MAX_RESTART_MS,
  epoch as makeEpoch,
  term as makeTerm,
  type Term,
  type Timing,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ReleaseMode, Resource } from '../resources/index.ts';
import type { PlanResource } from '../takeover/index.ts';
import type { GuardReport, LogLevel, Released } from './guard-protocol.ts';
import { isNearBudget, NEAR_BUDGET_ADVICE, withMeasure } from './release-budget.ts';
import type { SharedLease } from './shared-lease.ts';
import type { ExecutorState } from './state-file.ts';
import { ResumeWatch, type SuspendCheck } from './suspend-check.ts';
import { evidenceOf, releaseUntilVerified, type VerifiedReleaseOptions } from './verified-release.ts';
import type { Watchdog } from './watchdog.ts';
import { WatchdogKeeper } from './watchdog-keeper.ts';

export interface GuardOptions {
  /** All of them, for the graph; only the local ones have an entry in `local`. */
  readonly graph: readonly PlanResource[];
  readonly local: ReadonlyMap<string, Resource>;
  readonly clock: Clock;
  readonly lease: SharedLease;
  readonly state: {
    readonly state: ExecutorState;
    update(change: Partial<ExecutorState>, how: 'written' | 'durable'): Promise<void>;
  };
  readonly children: VerifiedReleaseOptions['children'];
  readonly watchdog: {
    readonly device: string;
    readonly mode: 'required' | 'automatic';
    readonly open: (device: string) => Promise<Watchdog>;
  } | null;
  readonly suspendCheck: () => SuspendCheck;
  /** Neither a refusal nor an operating error of a command: this thread must end, and the process with it (D3, style 5). */
  readonly fatal: (error: unknown) => void;
  /** Off outside real hosts (R1). */
  readonly selfFence: (why: string) => void;
  readonly report: (report: GuardReport) => void;
  /** `D` until an agent says the cluster's. */
  readonly releaseMs: number;
}

interface Tenure {
  readonly epoch: Epoch;
  readonly term: Term;
  readonly abort: AbortController;
}

type Phase =
  /** Nothing is known yet: nobody may act, nobody may vote (L3, L4). */
  | { readonly kind: 'unverified' }
  | { readonly kind: 'released' }
  | { readonly kind: 'tenure'; readonly tenure: Tenure }
  | {
      readonly kind: 'releasing';
      readonly mode: ReleaseMode;
      readonly epoch: Epoch | null;
      readonly result: Promise<Released>;
    };

/** L7: the tenure over a planned restart of the agent. */
interface Kept {
  /** The deadline: whatever a lease says, it ends here until the new agent has adopted it. */
  readonly until: Instant;
  /**
   * `alone`: no agent is there, or the one before, which goes; `asked`: a new one has come, and nothing is different yet;
   * `bound`: its lease counts too.
   */
  readonly phase: 'alone' | 'asked' | 'bound';
}

/** How often the watchdog and the suspend check are looked at; a quarter of `W` where that is shorter. */
const TICK_MS = 100;
/** Only so that a suspend is noticed before the next order comes (T3). */
const IDLE_TICK_MS = 1_000;
const TICKS_PER_TIMEOUT = 4;
const STATE_WRITE_LIMIT_MS = 5000;
const COMPLAIN_EVERY_MS = 10_000;

export class GuardCore {
  readonly #options: GuardOptions;
  readonly #watchdog: WatchdogKeeper | null;
  #phase: Phase = { kind: 'unverified' };
  #timing: Timing | null = null;
  /** End of the lease, and when the newest quorum round that it rests on was sent (L1). Kept while releasing. */
  #until: Instant = instant(0);
  #confirmedAt: Instant = instant(0);
  readonly #resumes: ResumeWatch;
  #early: { epoch: Epoch; until: Instant } | null = null;
  #kept: Kept | null = null;
  #isOverdue = false;
  /** Looks anew when the release that runs must be over. */
  #lookOverdue: () => void = () => undefined;
  #complained = { text: '', at: instant(0) };
  #deadlineTimer: Timer | null = null;
  #tickTimer: Timer | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#resumes = new ResumeWatch(options.suspendCheck(), () => options.clock.now());
    this.#watchdog =
      options.watchdog === null
        ? null
        : new WatchdogKeeper({
            ...options.watchdog,
            state: options.state,
            onLost: (why) => this.#onWatchdogLost(why),
            onProblem: (why) => this.#log('error', { event: 'watchdog-not-closed', why }),
          });
  }

  get phase(): Phase['kind'] {
    return this.#phase.kind;
  }

  setTiming(timing: Timing): void {
    this.evaluate();
    const isShorter = this.#timing !== null && timing.leaseMs < this.#timing.leaseMs;
    const isFirst = this.#timing === null;
    this.#timing = timing;
    // R1: what a dead predecessor left is given up by the config file's D until an agent comes, and that may be longer.
    if (isFirst) this.#lookOverdue();
    // L7: what waits for an agent rests on the others' waiting, not on a round: its deadline is no lease.
    if (this.#kept !== null && this.#kept.phase !== 'bound') return;
    // L8: what a round was good for under the longer lease, it is not any more.
    if (isShorter && this.#phase.kind === 'tenure') {
      const { epoch } = this.#phase.tenure;
      this.#until = instant(Math.min(this.#until, this.#confirmedAt + timing.leaseMs));
      this.#options.lease.set(epoch, this.#until, this.#resumes.distanceMs);
      this.#armDeadline();
    }
  }

  /** T2: what must have happened by now, happens now. Every entry begins with it. */
  evaluate(): void {
    const resumedAt = this.#resumes.look();
    if (this.#phase.kind !== 'tenure') return;
    const now = this.#now();
    if (now >= this.#until) {
      // mark: guard-ends-the-lease
      this.#startAbrupt(`the lease ended ${Math.round(now - this.#until)} ms ago`);
      return;
    }
    if (this.#confirmedAt <= resumedAt) this.#startAbrupt('the host was suspended: the lease is void (T3)');
  }

  /** With every confirmed round (T4). One for an epoch that has not begun waits for its order. */
  renew(epoch: Epoch, until: Instant): void {
    this.evaluate();
    const phase = this.#phase;
    // L7: who goes has nothing more to say, and who comes nothing yet.
    if (this.#kept !== null && this.#kept.phase !== 'bound') return;
    if (phase.kind === 'tenure' && phase.tenure.epoch === epoch) {
      this.#extend(until);
      this.#options.lease.set(epoch, this.#until, this.#resumes.distanceMs);
    } else if (phase.kind === 'releasing' && phase.mode === 'planned' && phase.epoch === epoch) {
      // The lease runs on under a planned release: only petting and the bound of the release hear of it.
      this.#extend(until);
    } else if (epoch > this.#options.state.state.releasedEpoch) {
      this.#early = { epoch, until };
    }
  }

  async arm(): Promise<void> {
    this.evaluate();
    if (this.#watchdog === null) throw new QuorateError('watchdog-unusable', 'no watchdog is configured');
    // It is not petted while something may be held that nobody has confirmed (L5).
    if (this.#phase.kind !== 'released') throw refused(`no watchdog is armed while ${this.#phase.kind}`);
    await this.#watchdog.arm(this.#timing?.watchdog?.timeoutMs ?? null);
    this.#startTicking();
  }

  async disarm(): Promise<void> {
    this.evaluate();
    this.#watchdog?.unwant();
    await this.#closeWatchdog();
  }

  async begin(epoch: Epoch, term: Term, until: Instant): Promise<void> {
    this.evaluate();
    const now = this.#now();
    const { state } = this.#options.state;
    if (this.#phase.kind !== 'released') throw refused(`nothing may begin while ${this.#phase.kind}`);
    if (epoch <= Math.max(state.releasedEpoch, state.begunEpoch))
      throw refused(`epoch ${epoch} is dead (R2)`);
    if (this.#timing === null) throw refused('the timing is not known');
    if (this.#watchdog?.isMissing === true) throw refused('the watchdog is required and not armed (H2)');
    // The promise of this cluster counts on it, whatever this node's config says.
    if (this.#timing.watchdog !== null && (this.#watchdog?.timeoutMs ?? null) === null) {
      throw refused('the cluster was set up with watchdogs, and none is armed here (H2)');
    }
    const early = this.#early?.epoch === epoch ? this.#early.until : until;
    this.#early = null;
    this.#until = instant(0);
    this.#extend(instant(Math.max(until, early)));
    if (now >= this.#until)
      throw refused(`the order's lease ended ${Math.round(now - this.#until)} ms ago (O1)`);
    if (!Number.isFinite(this.#resumes.distanceMs)) throw refused('the boot clock cannot be read (T3)');
    // What the order rests on was confirmed before the host stood still: its monotonic end says nothing.
    if (this.#confirmedAt <= this.#resumes.look())
      throw refused('the host was suspended: the lease is void (T3)');
    const tenure = { epoch, term, abort: new AbortController() };
    this.#phase = { kind: 'tenure', tenure };
    this.#options.lease.set(epoch, this.#until, this.#resumes.distanceMs);
    this.#startTicking();
    this.#armDeadline();
    this.#log('info', { event: 'tenure-begun', epoch, term });
    await this.#options.state.update({ begunEpoch: epoch, begunTerm: term }, 'written');
    this.evaluate();
  }

  // ---- restart of the agent (L7)

  /**
   * The agent goes and means to come back: until the deadline this tenure is as one whose lease was confirmed `L` before it.
   * Others wait for longer than that lasts. A suspend ends it as ever (T3): what was confirmed was so before.
   */
  handOver(epoch: Epoch, until: Instant): void {
    this.evaluate();
    if (this.#phase.kind !== 'tenure' || this.#phase.tenure.epoch !== epoch)
      throw refused(`epoch ${epoch} is not held (L7)`);
    if (this.#kept !== null) throw refused('a restart is under way already (L7)');
    const limit = this.#now() + MAX_RESTART_MS;
    if (until > limit) throw refused(`a restart of more than ${MAX_RESTART_MS} ms (L7)`);
    this.#kept = { until, phase: 'alone' };
    this.#until = until;
    this.#options.lease.set(epoch, until, this.#resumes.distanceMs);
    this.#armDeadline();
    this.#log('info', { event: 'tenure-kept', epoch, forMs: Math.round(until - this.#now()) });
    this.evaluate();
  }

  /** A closing connection to the agent; one that is expected ends nothing. */
  onAgentClosed(): void {
    this.evaluate();
    if (this.#kept?.phase === 'alone') return;
    void this.abrupt(null, 'the agent closed its connection');
  }

  /** A new agent is there for what was kept: from here on it must not go (O1). The deadline stands. */
  awaitAdoption(epoch: Epoch): Instant {
    this.evaluate();
    if (this.#phase.kind !== 'tenure' || this.#phase.tenure.epoch !== epoch || this.#kept?.phase !== 'alone')
      throw refused(`epoch ${epoch} is not kept (L7)`);
    this.#kept = { ...this.#kept, phase: 'asked' };
    return this.#kept.until;
  }

  /**
   * Before the adoption is written, which ends the waiting of the others: from here on the lease of the new term bounds the
   * tenure as ever, besides the deadline.
   */
  async bind(epoch: Epoch, term: Term, until: Instant): Promise<void> {
    this.evaluate();
    if (this.#phase.kind !== 'tenure' || this.#phase.tenure.epoch !== epoch || this.#kept?.phase !== 'asked')
      throw refused(`epoch ${epoch} is not kept for adoption (L7)`);
    assert(this.#timing !== null, 'a tenure has a timing');
    this.#kept = { ...this.#kept, phase: 'bound' };
    this.#phase = { kind: 'tenure', tenure: { ...this.#phase.tenure, term } };
    this.#until = instant(0);
    this.#confirmedAt = instant(0);
    this.#extend(until);
    this.#options.lease.set(epoch, this.#until, this.#resumes.distanceMs);
    this.#armDeadline();
    await this.#options.state.update({ begunTerm: term }, 'written');
    this.evaluate();
    if (!this.mayAct(epoch)) throw refused(`the lease of term ${term} is over`);
  }

  /** The adoption is committed: no deadline any more but the lease. */
  adopt(epoch: Epoch, until: Instant): void {
    this.evaluate();
    if (this.#phase.kind !== 'tenure' || this.#phase.tenure.epoch !== epoch || this.#kept?.phase !== 'bound')
      throw refused(`epoch ${epoch} is not kept for adoption (L7)`);
    this.#kept = null;
    this.#extend(until);
    this.#options.lease.set(epoch, this.#until, this.#resumes.distanceMs);
    this.#log('info', { event: 'tenure-adopted', epoch, term: this.#phase.tenure.term });
  }

  /** True only inside the tenure of `epoch` with a running lease. The caller acts in the same step. */
  mayAct(epoch: Epoch): boolean {
    this.evaluate();
    return this.#phase.kind === 'tenure' && this.#phase.tenure.epoch === epoch;
  }

  /** Fires when the epoch's right to act ends. */
  signalOf(epoch: Epoch): AbortSignal {
    if (!this.mayAct(epoch) || this.#phase.kind !== 'tenure')
      throw refused(`epoch ${epoch} may not act (O1)`);
    return this.#phase.tenure.abort.signal;
  }

  /** L4, O1: whatever a predecessor left is killed, released and verified. Read first: most often nothing is held. */
  verify(why: string): Promise<Released> {
    this.evaluate();
    if (this.#phase.kind === 'releasing') return this.#phase.result;
    return this.#startRelease('abrupt', why, true);
  }

  /** R2: something has come back, or was put there by somebody else, since the last verified release. A tenure is left alone. */
  tidy(why: string): Promise<Released> {
    this.evaluate();
    if (this.#phase.kind === 'tenure') throw refused('a tenure has begun');
    // An order is on its way: what stands in it is verified when it has ended, or has begun.
    if (this.#watchdog?.isWanted === true) throw refused('a tenure is about to begin');
    return this.verify(why);
  }

  /** The planned plan has ended; what is left of it is released abruptly, then verified. */
  finish(epoch: Epoch): Promise<Released> {
    this.evaluate();
    if (this.#phase.kind === 'releasing' && this.#phase.epoch === epoch) return this.#phase.result;
    if (this.#phase.kind !== 'tenure' || this.#phase.tenure.epoch !== epoch)
      return this.abrupt(epoch, 'ordered');
    return this.#startRelease('planned', 'planned release', true);
  }

  /** An epoch that is dead already is answered again; one that never began is dead from now on. */
  async abrupt(epoch: Epoch | null, why: string): Promise<Released> {
    this.evaluate();
    const phase = this.#phase;
    if (phase.kind === 'releasing') {
      if (epoch === null || epoch === phase.epoch) return phase.result;
      // A release of something else: this epoch is dead when that has ended, and that must be said (R2).
      await phase.result;
      return this.abrupt(epoch, why);
    }
    if (phase.kind === 'unverified') return this.verify(why);
    if (phase.kind === 'tenure') {
      if (epoch === null || epoch >= phase.tenure.epoch) return this.#startAbrupt(why);
      return {
        epoch,
        term: null,
        evidence: `epoch ${epoch} ended before`,
        findings: [],
        ms: 0,
        mode: 'abrupt',
        isRepeat: true,
      };
    }
    const dead = epoch ?? makeEpoch(this.#options.state.state.releasedEpoch);
    if (dead > this.#options.state.state.releasedEpoch) {
      await this.#options.state.update({ releasedEpoch: dead, begunEpoch: dead }, 'durable');
    }
    this.#watchdog?.unwant();
    await this.#closeWatchdog();
    return {
      epoch,
      term: null,
      evidence: 'nothing is held since the last verified release',
      findings: [],
      ms: 0,
      mode: 'abrupt',
      isRepeat: true,
    };
  }

  close(): void {
    this.#deadlineTimer?.cancel();
    this.#tickTimer?.cancel();
  }

  // ---- lease

  #extend(until: Instant): void {
    assert(this.#timing !== null, 'a lease needs a timing');
    // L1: q + L with q ≤ now. More can only be a mistake of the sender.
    const keptUntil = this.#kept?.until ?? Number.POSITIVE_INFINITY;
    const bounded = Math.min(until, this.#now() + this.#timing.leaseMs, keptUntil);
    if (bounded <= this.#until) return;
    this.#until = instant(bounded);
    this.#confirmedAt = instant(bounded - this.#timing.leaseMs);
  }

  /** One timer that looks again when it fires, instead of a new one for each round. */
  #armDeadline(): void {
    this.#deadlineTimer?.cancel();
    if (this.#phase.kind !== 'tenure') return;
    const waitMs = Math.max(0, Math.ceil(this.#until - this.#now()));
    this.#deadlineTimer = this.#options.clock.after(waitMs, () => {
      this.evaluate();
      this.#armDeadline();
    });
  }

  // ---- release

  #startAbrupt(why: string): Promise<Released> {
    if (this.#phase.kind === 'releasing') return this.#phase.result;
    return this.#startRelease('abrupt', why, false);
  }

  #startRelease(mode: ReleaseMode, why: string, isReadFirst: boolean): Promise<Released> {
    assert(this.#phase.kind !== 'releasing', 'one release at a time');
    const startedAt = this.#now();
    const tenure = this.#phase.kind === 'tenure' ? this.#phase.tenure : null;
    const wasUnverified = this.#phase.kind === 'unverified';
    this.#options.lease.clear();
    this.#early = null;
    this.#isOverdue = false;
    let settle: (released: Released) => void = () => undefined;
    const result = new Promise<Released>((resolve) => {
      settle = resolve;
    });
    const { begunEpoch, releasedEpoch, begunTerm } = this.#options.state.state;
    const isUnfinished = begunEpoch > releasedEpoch;
    const dead = tenure?.epoch ?? (isUnfinished ? makeEpoch(begunEpoch) : null);
    const deadTerm = tenure?.term ?? (isUnfinished ? makeTerm(begunTerm) : null);
    // The phase first: what the abort wakes must find that nothing may act any more.
    this.#phase = { kind: 'releasing', mode, epoch: dead, result };
    tenure?.abort.abort();
    if (dead !== null) this.#options.report({ kind: 'revoked', epoch: dead, why });
    this.#log(mode === 'abrupt' && dead !== null ? 'warn' : 'info', {
      event: 'release-begun',
      epoch: dead,
      mode,
      why,
    });
    const watch = this.#watchOverdue(mode, startedAt, dead);
    void releaseUntilVerified({
      ...this.#options,
      limitMs: this.#releaseMs(),
      isReadFirst,
      mayHaveLeftovers: wasUnverified,
      onUnverified: (fields) => this.#complain(fields),
    })
      .then(async (findings) => {
        watch.cancel();
        const ms = Math.round((this.#now() - startedAt) * 10) / 10;
        const evidence = withMeasure(evidenceOf(findings), mode, ms, this.#releaseMs());
        if (dead !== null) await this.#bury(dead);
        this.#phase = { kind: 'released' };
        this.#kept = null;
        this.#isOverdue = false;
        this.#watchdog?.unwant();
        const released: Released = {
          epoch: dead,
          term: deadTerm,
          evidence,
          findings,
          ms,
          mode,
          isRepeat: false,
        };
        this.#logReleased(released);
        this.#options.report({ kind: 'released', released });
        settle(released);
        await this.#closeWatchdog();
      })
      .catch(this.#options.fatal);
    return result;
  }

  #logReleased({ epoch, mode, ms, evidence }: Released): void {
    const limitMs = this.#releaseMs();
    this.#log('info', { event: 'released', epoch, mode, ms, limitMs, evidence });
    if (isNearBudget(mode, ms, limitMs))
      this.#log('warn', { event: 'release-near-budget', epoch, ms, limitMs, advice: NEAR_BUDGET_ADVICE });
  }

  /** R1: D bounds the plan; under a planned release the lease still runs, and D counts from its end. */
  #watchOverdue(mode: ReleaseMode, startedAt: Instant, dead: Epoch | null): Timer {
    const endsAt = (): number =>
      (mode === 'planned' ? Math.max(startedAt, this.#until) : startedAt) + this.#releaseMs();
    let timer: Timer | null = null;
    const look = (): void => {
      timer?.cancel();
      const leftMs = endsAt() - this.#now();
      if (leftMs > 0) {
        timer = this.#options.clock.after(Math.ceil(leftMs), look);
        return;
      }
      // mark: release-overdue
      this.#isOverdue = true;
      this.#lookOverdue = () => undefined;
      this.#log('fatal', { event: 'release-overdue', epoch: dead, limitMs: this.#releaseMs() });
      if (dead !== null)
        this.#options.selfFence(`the release of epoch ${dead} outlived its ${this.#releaseMs()} ms`);
    };
    this.#lookOverdue = look;
    look();
    return {
      cancel: () => {
        timer?.cancel();
        this.#lookOverdue = () => undefined;
      },
    };
  }

  /** At once when it is new, then every ten seconds: a release is tried for as long as it takes. */
  #complain(fields: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify(fields);
    const now = this.#now();
    if (text === this.#complained.text && now < this.#complained.at + COMPLAIN_EVERY_MS) return;
    this.#complained = { text, at: now };
    this.#log('error', fields);
  }

  /** Durable before anybody hears of it. A disk that hangs delays the report, never the release itself. */
  async #bury(dead: Epoch): Promise<void> {
    const writing = this.#options.state.update({ releasedEpoch: dead, begunEpoch: dead }, 'durable');
    const isWritten = await Promise.race([
      writing.then(() => true),
      this.#options.clock.sleep(STATE_WRITE_LIMIT_MS).then(() => false),
    ]);
    if (!isWritten)
      throw new QuorateError('storage-failed', 'executor-state.json could not be written in time (D3)');
  }

  // ---- watchdog

  /** Invariant 5. */
  mayPet(now: Instant): boolean {
    if (this.#isOverdue) return false;
    switch (this.#phase.kind) {
      case 'released':
        return true;
      case 'unverified':
        return false;
      case 'tenure':
      case 'releasing': {
        const windowMs = this.#timing?.watchdog?.petWindowMs ?? 0;
        return now < this.#restsOn() + windowMs;
      }
      default:
        return assertNever(this.#phase);
    }
  }

  /** The newest confirmation, or what the others' waiting for a restart is as good as (L7). */
  #restsOn(): Instant {
    if (this.#kept === null || this.#kept.phase === 'bound') return this.#confirmedAt;
    const leaseMs = this.#timing?.leaseMs ?? 0;
    return instant(Math.max(this.#confirmedAt, this.#kept.until - leaseMs));
  }

  #startTicking(): void {
    this.#tickTimer?.cancel();
    this.#tickTimer = this.#options.clock.after(this.#tickMs(), () => {
      this.#startTicking();
      this.#tick();
    });
  }

  #tickMs(): number {
    const timeoutMs = this.#watchdog?.timeoutMs ?? null;
    if (timeoutMs !== null) return Math.min(TICK_MS, timeoutMs / TICKS_PER_TIMEOUT);
    return this.#phase.kind === 'tenure' ? TICK_MS : IDLE_TICK_MS;
  }

  #tick(): void {
    this.evaluate();
    if (this.mayPet(this.#now())) this.#watchdog?.pet();
  }

  async #closeWatchdog(): Promise<void> {
    if (this.#phase.kind !== 'released') return;
    await this.#watchdog?.close();
    this.#startTicking();
  }

  #onWatchdogLost(why: string): void {
    this.#log('error', { event: 'watchdog-lost', why });
    // The promise counts on it (L5): without it this node may not go on holding.
    if (this.#phase.kind === 'tenure') this.#startAbrupt(`the watchdog was lost: ${why}`);
  }

  #releaseMs(): number {
    return this.#timing?.releaseMs ?? this.#options.releaseMs;
  }

  #now(): Instant {
    return this.#options.clock.now();
  }

  #log(level: LogLevel, fields: Readonly<Record<string, unknown>>): void {
    this.#options.report({ kind: 'log', level, fields });
  }
}

function refused(why: string): QuorateError {
  return new QuorateError('order-refused', why);
}
