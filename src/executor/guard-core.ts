/**
 * The guard: decides at every instant whether this node may act, and releases by itself when it may not (T4).
 *
 * 1. Every entry first evaluates every deadline against `now`, then its input (T2).
 * 2. Acting needs: phase `tenure`, the same epoch, `now < until`; checked in the very step that starts the command (O1).
 * 3. An epoch that was begun ends in `releasing`, and never comes back: it and all older ones are dead, durably (R2).
 * 4. `released` means that every local resource read `not-held` after its last action (R2); `unknown` never counts.
 * 5. The watchdog is petted while nothing is held, or while the newest confirmation is younger than `G`, release or not
 *    (L5). It is closed in order only after a verified release.
 * 6. An abrupt release that outlives `D` stops the petting and fences where that is allowed (R1).
 */
import {
  assert,
  assertNever,
  type Epoch,
  type Instant,
  instant,
  epoch as makeEpoch,
  term as makeTerm,
  type Term,
  type Timing,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Clock, ProbeResult, ReleaseMode, Resource } from '../resources/index.ts';
import { type PlanResource, planRelease, runPlan } from '../takeover/index.ts';
import type { SuspendCheck } from './clock.ts';
import type { GuardReport, LogLevel, Released } from './guard-protocol.ts';
import type { SharedLease } from './shared-lease.ts';
import type { ExecutorState } from './state-file.ts';
import type { Watchdog } from './watchdog.ts';

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
  readonly children: {
    killInFlight(limitMs: number): Promise<boolean>;
    killLeftovers(): Promise<boolean>;
  };
  readonly watchdog: {
    readonly device: string;
    readonly mode: 'required' | 'automatic';
    readonly open: (device: string) => Promise<Watchdog>;
  } | null;
  readonly suspendCheck: () => SuspendCheck;
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
  readonly suspend: SuspendCheck;
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

/** Waits between two rounds of a release that could not be verified. */
const RETRY_MS = { first: 10, most: 500 } as const;
/** How often the watchdog and the suspend check are looked at; a quarter of `W` where that is shorter. */
const TICK_MS = 100;
const TICKS_PER_TIMEOUT = 4;
const STATE_WRITE_LIMIT_MS = 5000;
/** The part of D that a round waits for killed commands; one that is stuck in the kernel must not cost the whole. */
const KILL_SHARE = 0.2;
const COMPLAIN_EVERY_MS = 10_000;

export class GuardCore {
  readonly #options: GuardOptions;
  #phase: Phase = { kind: 'unverified' };
  #timing: Timing | null = null;
  /** End of the lease, and when the newest quorum round that it rests on was sent (L1). Kept while releasing. */
  #until: Instant = instant(0);
  #confirmedAt: Instant = instant(0);
  #early: { epoch: Epoch; until: Instant } | null = null;
  #watchdog: Watchdog | null = null;
  #isArmRequested = false;
  #isOverdue = false;
  #complained = { text: '', at: instant(0) };
  #deadlineTimer: NodeJS.Timeout | null = null;
  #tickTimer: NodeJS.Timeout | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  get phase(): Phase['kind'] {
    return this.#phase.kind;
  }

  setTiming(timing: Timing): void {
    this.evaluate();
    this.#timing = timing;
  }

  /** T2: what must have happened by now, happens now. Every entry begins with it. */
  evaluate(): void {
    if (this.#phase.kind !== 'tenure') return;
    const { tenure } = this.#phase;
    const now = this.#now();
    if (now >= this.#until) {
      this.#startAbrupt(`the lease ended ${Math.round(now - this.#until)} ms ago`);
      return;
    }
    if (tenure.suspend.check() === 'fine') return;
    // T3 asks for two readings in a row; the second one follows at once.
    if (tenure.suspend.check() === 'suspended')
      this.#startAbrupt('the host was suspended: the lease is void (T3)');
  }

  /** With every confirmed round (T4). One for an epoch that has not begun waits for its order. */
  renew(epoch: Epoch, until: Instant): void {
    this.evaluate();
    const phase = this.#phase;
    if (phase.kind === 'tenure' && phase.tenure.epoch === epoch) {
      this.#extend(until);
      this.#options.lease.set(epoch, this.#until);
    } else if (phase.kind === 'releasing' && phase.mode === 'planned' && phase.epoch === epoch) {
      // The lease runs on under a planned release: only petting and the bound of the release hear of it.
      this.#extend(until);
    } else if (epoch > this.#options.state.state.releasedEpoch) {
      this.#early = { epoch, until };
    }
  }

  async arm(): Promise<void> {
    this.evaluate();
    const { watchdog } = this.#options;
    if (watchdog === null) throw new QuorateError('watchdog-unusable', 'no watchdog is configured');
    this.#isArmRequested = true;
    if (this.#watchdog !== null) return;
    const opened = await watchdog.open(watchdog.device);
    const misfit = this.#misfit(opened.timeoutMs);
    if (misfit !== null || !this.#isArmRequested || this.#watchdog !== null) {
      await opened.disarm();
      if (misfit === null) return;
      throw new QuorateError('watchdog-unusable', `${watchdog.device} ${misfit}`);
    }
    opened.onLost((why) => this.#onWatchdogLost(why));
    this.#watchdog = opened;
    await this.#options.state.update({ isArmed: true }, 'written');
    this.#startTicking();
  }

  /** A device that fires later than the promise allows for would let two hold (L5). */
  #misfit(timeoutMs: number): string | null {
    const limitMs = this.#timing?.watchdog?.timeoutMs ?? null;
    if (limitMs === null) return 'cannot be used: the cluster was set up without a watchdog (L5)';
    return timeoutMs > limitMs
      ? `fires after ${timeoutMs} ms, but the promise allows ${limitMs} ms (L5)`
      : null;
  }

  async disarm(): Promise<void> {
    this.evaluate();
    this.#isArmRequested = false;
    if (this.#phase.kind === 'released') await this.#closeWatchdog();
  }

  async begin(epoch: Epoch, term: Term, until: Instant): Promise<void> {
    this.evaluate();
    const now = this.#now();
    const { state } = this.#options.state;
    if (this.#phase.kind !== 'released') throw refused(`nothing may begin while ${this.#phase.kind}`);
    if (epoch <= Math.max(state.releasedEpoch, state.begunEpoch))
      throw refused(`epoch ${epoch} is dead (R2)`);
    if (this.#timing === null) throw refused('the timing is not known');
    const isWatchdogMissing = this.#options.watchdog?.mode === 'required' && this.#watchdog === null;
    if (isWatchdogMissing) throw refused('the watchdog is required and not armed (H2)');
    const early = this.#early?.epoch === epoch ? this.#early.until : until;
    this.#early = null;
    this.#until = instant(0);
    this.#extend(instant(Math.max(until, early)));
    if (now >= this.#until)
      throw refused(`the order's lease ended ${Math.round(now - this.#until)} ms ago (O1)`);
    const tenure = { epoch, term, abort: new AbortController(), suspend: this.#options.suspendCheck() };
    tenure.suspend.check();
    this.#phase = { kind: 'tenure', tenure };
    this.#options.lease.set(epoch, this.#until);
    this.#startTicking();
    this.#armDeadline();
    this.#log('info', { event: 'tenure-begun', epoch, term });
    await this.#options.state.update({ begunEpoch: epoch, begunTerm: term }, 'written');
    this.evaluate();
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

  /** The planned plan has ended; what is left of it is released abruptly, then verified. */
  finish(epoch: Epoch): Promise<Released> {
    this.evaluate();
    if (this.#phase.kind === 'releasing') return this.#phase.result;
    if (this.#phase.kind !== 'tenure' || this.#phase.tenure.epoch !== epoch)
      return this.abrupt(epoch, 'ordered');
    return this.#startRelease('planned', 'planned release', true);
  }

  /** An epoch that is dead already is answered again; one that never began is dead from now on. */
  async abrupt(epoch: Epoch | null, why: string): Promise<Released> {
    this.evaluate();
    const phase = this.#phase;
    if (phase.kind === 'releasing') return phase.result;
    if (phase.kind === 'unverified') return this.verify(why);
    if (phase.kind === 'tenure') {
      if (epoch === null || epoch >= phase.tenure.epoch) return this.#startAbrupt(why);
      return {
        epoch,
        term: null,
        evidence: `epoch ${epoch} ended before`,
        ms: 0,
        mode: 'abrupt',
        isRepeat: true,
      };
    }
    const dead = epoch ?? makeEpoch(this.#options.state.state.releasedEpoch);
    if (dead > this.#options.state.state.releasedEpoch) {
      await this.#options.state.update({ releasedEpoch: dead, begunEpoch: dead }, 'durable');
    }
    this.#isArmRequested = false;
    await this.#closeWatchdog();
    return {
      epoch,
      term: null,
      evidence: 'nothing is held since the last verified release',
      ms: 0,
      mode: 'abrupt',
      isRepeat: true,
    };
  }

  close(): void {
    if (this.#deadlineTimer !== null) clearTimeout(this.#deadlineTimer);
    if (this.#tickTimer !== null) clearInterval(this.#tickTimer);
  }

  // ---- lease

  #extend(until: Instant): void {
    assert(this.#timing !== null, 'a lease needs a timing');
    // L1: q + L with q ≤ now. More can only be a mistake of the sender.
    const bounded = Math.min(until, this.#now() + this.#timing.leaseMs);
    if (bounded <= this.#until) return;
    this.#until = instant(bounded);
    this.#confirmedAt = instant(bounded - this.#timing.leaseMs);
  }

  /** One timer that looks again when it fires, instead of a new one for each round. */
  #armDeadline(): void {
    if (this.#deadlineTimer !== null) clearTimeout(this.#deadlineTimer);
    if (this.#phase.kind !== 'tenure') return;
    const waitMs = Math.max(0, Math.ceil(this.#until - this.#now()));
    this.#deadlineTimer = setTimeout(() => {
      this.evaluate();
      this.#armDeadline();
    }, waitMs);
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
    void this.#releaseUntilVerified(isReadFirst, wasUnverified).then(async (evidence) => {
      clearTimeout(watch.timer);
      const ms = Math.round((this.#now() - startedAt) * 10) / 10;
      if (dead !== null) await this.#bury(dead);
      this.#phase = { kind: 'released' };
      this.#isOverdue = false;
      this.#isArmRequested = false;
      const released: Released = { epoch: dead, term: deadTerm, evidence, ms, mode, isRepeat: false };
      this.#log('info', { event: 'released', epoch: dead, mode, ms, evidence });
      this.#options.report({ kind: 'released', released });
      settle(released);
      await this.#closeWatchdog();
    });
    return result;
  }

  /** R1: D bounds the plan; under a planned release the lease still runs, and D counts from its end. */
  #watchOverdue(mode: ReleaseMode, startedAt: Instant, dead: Epoch | null): { timer: NodeJS.Timeout } {
    const endsAt = (): number =>
      (mode === 'planned' ? Math.max(startedAt, this.#until) : startedAt) + this.#releaseMs();
    const watch = { timer: setTimeout(() => undefined, 0) };
    const look = (): void => {
      const leftMs = endsAt() - this.#now();
      if (leftMs > 0) {
        watch.timer = setTimeout(look, Math.ceil(leftMs));
        return;
      }
      this.#isOverdue = true;
      this.#log('fatal', { event: 'release-overdue', epoch: dead, limitMs: this.#releaseMs() });
      if (dead !== null)
        this.#options.selfFence(`the release of epoch ${dead} outlived its ${this.#releaseMs()} ms`);
    };
    look();
    return watch;
  }

  /** Returns only when everything local reads `not-held`; there is no other way out (R2). */
  async #releaseUntilVerified(isReadFirst: boolean, isFirst: boolean): Promise<string> {
    let isRead = isReadFirst;
    let pauseMs: number = RETRY_MS.first;
    for (;;) {
      const said = new Map<string, string>();
      // A command that cannot be killed may still change what was read: nothing is verified before it is gone.
      const isQuiet =
        (await this.#options.children.killInFlight(this.#releaseMs() * KILL_SHARE)) &&
        (!isFirst || (await this.#options.children.killLeftovers()));
      const observed = isRead ? await this.#probeAll() : new Map<string, ProbeResult>();
      isRead = false;
      const probes = new Map([...observed].map(([name, { probe }]) => [name, probe] as const));
      const plan = planRelease(this.#options.graph, probes, 'abrupt');
      const deadline = instant(this.#now() + this.#releaseMs());
      await runPlan(plan, {
        now: () => this.#now(),
        signal: new AbortController().signal,
        perform: async (step, signal) => {
          const resource = this.#options.local.get(step.name);
          assert(resource !== undefined, `no local resource ${step.name}`);
          const result = await resource.release({ mode: 'abrupt', deadline, signal });
          said.set(step.name, result);
          return result;
        },
      }).then((report) => {
        for (const step of report.steps) if (!said.has(step.name)) said.set(step.name, step.result);
      });
      const after = plan.steps.length === 0 ? observed : await this.#probeAll();
      const isReleased = [...after.values()].every((result) => result.probe === 'not-held');
      if (isQuiet && isReleased) return evidenceOf(after, said);
      this.#complain({
        event: 'release-unverified',
        isQuiet,
        said: Object.fromEntries(said),
        found: Object.fromEntries(after),
      });
      await this.#options.clock.sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, RETRY_MS.most);
    }
  }

  /** At once when it is new, then every ten seconds: a release is tried for as long as it takes. */
  #complain(fields: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify(fields);
    const now = this.#now();
    if (text === this.#complained.text && now < this.#complained.at + COMPLAIN_EVERY_MS) return;
    this.#complained = { text, at: now };
    this.#log('error', fields);
  }

  async #probeAll(): Promise<Map<string, ProbeResult>> {
    const deadline = instant(this.#now() + this.#releaseMs());
    const { signal } = new AbortController();
    const results = await Promise.all(
      [...this.#options.local.values()].map(
        async (resource) => [resource.name, await resource.probe({ deadline, signal })] as const,
      ),
    );
    return new Map(results);
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
        return now < this.#confirmedAt + windowMs;
      }
      default:
        return assertNever(this.#phase);
    }
  }

  #startTicking(): void {
    const everyMs = Math.min(
      TICK_MS,
      (this.#watchdog?.timeoutMs ?? Number.POSITIVE_INFINITY) / TICKS_PER_TIMEOUT,
    );
    if (this.#tickTimer !== null) clearInterval(this.#tickTimer);
    this.#tickTimer = setInterval(() => this.#tick(), everyMs);
  }

  #tick(): void {
    this.evaluate();
    if (this.#watchdog !== null && this.mayPet(this.#now())) this.#watchdog.pet();
    const isIdle = this.#watchdog === null && this.#phase.kind !== 'tenure';
    if (isIdle && this.#tickTimer !== null) {
      clearInterval(this.#tickTimer);
      this.#tickTimer = null;
    }
  }

  /** Only after a verified release, and only if nobody wants it armed. */
  async #closeWatchdog(): Promise<void> {
    if (this.#phase.kind !== 'released' || this.#isArmRequested) return;
    const { watchdog, state } = this.#options;
    // A predecessor died with the device armed: it ticks, and only an orderly close stops it.
    if (this.#watchdog === null && watchdog !== null && state.state.isArmed) {
      this.#watchdog = await watchdog.open(watchdog.device).catch((error: unknown) => {
        this.#log('error', { event: 'watchdog-not-closed', why: String(error) });
        return null;
      });
    }
    const opened = this.#watchdog;
    if (opened === null) return;
    if (!opened.canDisarm) {
      this.#startTicking();
      return;
    }
    this.#watchdog = null;
    await opened.disarm();
    // Unless it was armed again meanwhile.
    if (this.#watchdog === null) await state.update({ isArmed: false }, 'written');
  }

  #onWatchdogLost(why: string): void {
    this.#watchdog = null;
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

function evidenceOf(after: ReadonlyMap<string, ProbeResult>, said: ReadonlyMap<string, string>): string {
  if (after.size === 0) return 'no local resource';
  return [...after]
    .map(([name, { detail }]) => {
      const action = said.get(name);
      return action === undefined ? `${name}: ${detail}` : `${name}: ${detail} (${action})`;
    })
    .join('; ');
}
