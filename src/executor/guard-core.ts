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
import type { Timer } from '../clock.ts';
import {
  type Epoch,
  type Instant,
  instant,
  epoch as makeEpoch,
  type Term,
  type Timing,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { GuardKept } from './guard-kept.ts';
import type { GuardOptions } from './guard-options.ts';
import { Petting } from './guard-petting.ts';
import type { Released } from './guard-protocol.ts';
import { GuardRelease } from './guard-release.ts';
import { GuardState, type Phase, refused } from './guard-state.ts';

export class GuardCore {
  readonly #options: GuardOptions;
  readonly #guard: GuardState;
  readonly #petting: Petting;
  readonly #release: GuardRelease;
  readonly #kept: GuardKept;
  #deadlineTimer: Timer | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
    const guard = new GuardState(options);
    this.#guard = guard;
    this.#petting = new Petting({
      guard,
      watchdog: options.watchdog,
      state: options.state,
      evaluate: () => this.evaluate(),
      onLost: (why) => this.#onWatchdogLost(why),
    });
    this.#release = new GuardRelease(options, guard, this.#petting);
    this.#kept = new GuardKept({
      guard,
      state: options.state,
      evaluate: () => this.evaluate(),
      mayAct: (epoch) => this.mayAct(epoch),
      armDeadline: () => this.#armDeadline(),
    });
  }

  get phase(): Phase['kind'] {
    return this.#guard.phase.kind;
  }

  setTiming(timing: Timing): void {
    this.evaluate();
    const isShorter = this.#guard.timing !== null && timing.leaseMs < this.#guard.timing.leaseMs;
    const isFirst = this.#guard.timing === null;
    this.#guard.timing = timing;
    // R1: what a dead predecessor left is given up by the config file's D until an agent comes, and that may be longer.
    if (isFirst) this.#release.lookOverdue();
    // L7: what waits for an agent rests on the others' waiting, not on a round: its deadline is no lease.
    if (this.#guard.kept !== null && this.#guard.kept.phase !== 'bound') return;
    // L8: what a round was good for under the longer lease, it is not any more.
    if (isShorter && this.#guard.phase.kind === 'tenure') {
      const { epoch } = this.#guard.phase.tenure;
      this.#guard.until = instant(Math.min(this.#guard.until, this.#guard.confirmedAt + timing.leaseMs));
      this.#guard.publish(epoch);
      this.#armDeadline();
    }
  }

  /** T2: what must have happened by now, happens now. Every entry begins with it. */
  evaluate(): void {
    const resumedAt = this.#guard.resumes.look();
    const isVoid = this.#guard.confirmedAt <= resumedAt;
    if (isVoid) {
      // Nor is anything petted any more for what was confirmed before: the clock that stood still would count it as new.
      this.#guard.confirmedAt = instant(0);
      this.#guard.kept = null;
    }
    if (this.#guard.phase.kind !== 'tenure') return;
    const now = this.#guard.now;
    if (now >= this.#guard.until) {
      // mark: guard-ends-the-lease
      this.#startAbrupt(`the lease ended ${Math.round(now - this.#guard.until)} ms ago`);
      return;
    }
    if (isVoid) this.#startAbrupt('the host was suspended: the lease is void (T3)');
  }

  /** With every confirmed round (T4). One for an epoch that has not begun waits for its order. */
  renew(epoch: Epoch, until: Instant): void {
    this.evaluate();
    const phase = this.#guard.phase;
    // L7: who goes has nothing more to say, and who comes nothing yet.
    if (this.#guard.kept !== null && this.#guard.kept.phase !== 'bound') return;
    if (phase.kind === 'tenure' && phase.tenure.epoch === epoch) {
      this.#guard.extend(until);
      this.#guard.publish(epoch);
    } else if (phase.kind === 'releasing' && phase.mode === 'planned' && phase.epoch === epoch) {
      // The lease runs on under a planned release: only petting and the bound of the release hear of it.
      this.#guard.extend(until);
    } else if (epoch > this.#options.state.state.releasedEpoch) {
      this.#guard.early = { epoch, until };
    }
  }

  async arm(): Promise<void> {
    this.evaluate();
    if (this.#petting.watchdog === null)
      throw new QuorateError('watchdog-unusable', 'no watchdog is configured');
    // It is not petted while something may be held that nobody has confirmed (L5).
    if (this.#guard.phase.kind !== 'released')
      throw refused(`no watchdog is armed while ${this.#guard.phase.kind}`);
    await this.#petting.watchdog.arm(this.#guard.timing?.watchdog?.timeoutMs ?? null);
    this.#petting.startTicking();
  }

  async disarm(): Promise<void> {
    this.evaluate();
    this.#petting.watchdog?.unwant();
    await this.#petting.closeWatchdog();
  }

  async begin(epoch: Epoch, term: Term, until: Instant): Promise<void> {
    this.evaluate();
    const now = this.#guard.now;
    const { state } = this.#options.state;
    if (this.#guard.phase.kind !== 'released')
      throw refused(`nothing may begin while ${this.#guard.phase.kind}`);
    if (epoch <= Math.max(state.releasedEpoch, state.begunEpoch))
      throw refused(`epoch ${epoch} is dead (R2)`);
    if (this.#guard.timing === null) throw refused('the timing is not known');
    if (this.#petting.watchdog?.isMissing === true)
      throw refused('the watchdog is required and not armed (H2)');
    // The promise of this cluster counts on it, whatever this node's config says.
    if (this.#guard.timing.watchdog !== null && (this.#petting.watchdog?.timeoutMs ?? null) === null) {
      throw refused('the cluster was set up with watchdogs, and none is armed here (H2)');
    }
    const early = this.#guard.early?.epoch === epoch ? this.#guard.early.until : until;
    this.#guard.early = null;
    this.#guard.until = instant(0);
    this.#guard.extend(instant(Math.max(until, early)));
    if (now >= this.#guard.until)
      throw refused(`the order's lease ended ${Math.round(now - this.#guard.until)} ms ago (O1)`);
    if (!Number.isFinite(this.#guard.resumes.distanceMs)) throw refused('the boot clock cannot be read (T3)');
    // What the order rests on was confirmed before the host stood still: its monotonic end says nothing.
    if (this.#guard.confirmedAt <= this.#guard.resumes.look())
      throw refused('the host was suspended: the lease is void (T3)');
    const tenure = { epoch, term, abort: new AbortController() };
    this.#guard.phase = { kind: 'tenure', tenure };
    this.#guard.publish(epoch);
    this.#petting.startTicking();
    this.#armDeadline();
    this.#guard.log('info', { event: 'tenure-begun', epoch, term });
    await this.#options.state.update({ begunEpoch: epoch, begunTerm: term }, 'written');
    this.evaluate();
  }

  // ---- restart of the agent (L7)

  handOver(epoch: Epoch, until: Instant): void {
    this.#kept.handOver(epoch, until);
  }

  /** A closing connection to the agent; one that is expected ends nothing. */
  onAgentClosed(): void {
    this.evaluate();
    if (this.#guard.kept?.phase === 'alone') return;
    void this.abrupt(null, 'the agent closed its connection');
  }

  awaitAdoption(epoch: Epoch): Instant {
    return this.#kept.awaitAdoption(epoch);
  }

  bind(epoch: Epoch, term: Term, until: Instant): Promise<void> {
    return this.#kept.bind(epoch, term, until);
  }

  adopt(epoch: Epoch, until: Instant): void {
    this.#kept.adopt(epoch, until);
  }

  /** Invariant 5. */
  mayPet(now: Instant): boolean {
    return this.#petting.mayPet(now);
  }

  // ---- acting

  /** True only inside the tenure of `epoch` with a running lease. The caller acts in the same step. */
  mayAct(epoch: Epoch): boolean {
    this.evaluate();
    return this.#guard.phase.kind === 'tenure' && this.#guard.phase.tenure.epoch === epoch;
  }

  /** Fires when the epoch's right to act ends. */
  signalOf(epoch: Epoch): AbortSignal {
    if (!this.mayAct(epoch) || this.#guard.phase.kind !== 'tenure')
      throw refused(`epoch ${epoch} may not act (O1)`);
    return this.#guard.phase.tenure.abort.signal;
  }

  // ---- release

  /** L4, O1: whatever a predecessor left is killed, released and verified. Read first: most often nothing is held. */
  verify(why: string): Promise<Released> {
    this.evaluate();
    if (this.#guard.phase.kind === 'releasing') return this.#guard.phase.result;
    return this.#release.start('abrupt', why, true);
  }

  /** R2: something has come back, or was put there by somebody else, since the last verified release. A tenure is left alone. */
  tidy(why: string): Promise<Released> {
    this.evaluate();
    if (this.#guard.phase.kind === 'tenure') throw refused('a tenure has begun');
    // An order is on its way: what stands in it is verified when it has ended, or has begun.
    if (this.#petting.watchdog?.isWanted === true) throw refused('a tenure is about to begin');
    return this.verify(why);
  }

  /** The planned plan has ended; what is left of it is released abruptly, then verified. */
  finish(epoch: Epoch): Promise<Released> {
    this.evaluate();
    if (this.#guard.phase.kind === 'releasing' && this.#guard.phase.epoch === epoch)
      return this.#guard.phase.result;
    if (this.#guard.phase.kind !== 'tenure' || this.#guard.phase.tenure.epoch !== epoch)
      return this.abrupt(epoch, 'ordered');
    return this.#release.start('planned', 'planned release', true);
  }

  /** An epoch that is dead already is answered again; one that never began is dead from now on. */
  async abrupt(epoch: Epoch | null, why: string): Promise<Released> {
    this.evaluate();
    const phase = this.#guard.phase;
    if (phase.kind === 'releasing') {
      if (epoch === null || epoch === phase.epoch) return phase.result;
      // A release of something else: this epoch is dead when that has ended, and that must be said (R2).
      await phase.result;
      return this.abrupt(epoch, why);
    }
    if (phase.kind === 'unverified') return this.verify(why);
    if (phase.kind === 'tenure') {
      if (epoch === null || epoch >= phase.tenure.epoch) return this.#startAbrupt(why);
      return ofThePast(epoch, `epoch ${epoch} ended before`);
    }
    const dead = epoch ?? makeEpoch(this.#options.state.state.releasedEpoch);
    if (dead > this.#options.state.state.releasedEpoch) {
      await this.#options.state.update({ releasedEpoch: dead, begunEpoch: dead }, 'durable');
    }
    this.#petting.watchdog?.unwant();
    await this.#petting.closeWatchdog();
    return ofThePast(epoch, 'nothing is held since the last verified release');
  }

  close(): void {
    this.#deadlineTimer?.cancel();
    this.#petting.end();
  }

  /** One timer that looks again when it fires, instead of a new one for each round. */
  #armDeadline(): void {
    this.#deadlineTimer?.cancel();
    if (this.#guard.phase.kind !== 'tenure') return;
    const waitMs = Math.max(0, Math.ceil(this.#guard.until - this.#guard.now));
    this.#deadlineTimer = this.#options.clock.after(waitMs, () => {
      this.evaluate();
      this.#armDeadline();
    });
  }

  #startAbrupt(why: string): Promise<Released> {
    if (this.#guard.phase.kind === 'releasing') return this.#guard.phase.result;
    return this.#release.start('abrupt', why, false);
  }

  #onWatchdogLost(why: string): void {
    this.#guard.log('error', { event: 'watchdog-lost', why });
    // The promise counts on it (L5): without it this node may not go on holding.
    if (this.#guard.phase.kind === 'tenure') this.#startAbrupt(`the watchdog was lost: ${why}`);
  }
}

function ofThePast(epoch: Epoch | null, evidence: string): Released {
  return { epoch, term: null, evidence, findings: [], ms: 0, mode: 'abrupt', isRepeat: true };
}
