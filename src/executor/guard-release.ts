/**
 * The guard's release: begun in one step, ended when it is verified (R2), buried before anybody hears of it, and measured by `D` (R1).
 * Whether there is to be one is decided in guard-core.
 */
import type { Timer } from '../clock.ts';
import {
  assert,
  type Epoch,
  type Instant,
  instant,
  epoch as makeEpoch,
  term as makeTerm,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ReleaseMode } from '../resources/index.ts';
import type { GuardOptions } from './guard-options.ts';
import type { Petting } from './guard-petting.ts';
import type { Released } from './guard-protocol.ts';
import type { GuardState } from './guard-state.ts';
import { isNearBudget, NEAR_BUDGET_ADVICE, withMeasure } from './release-budget.ts';
import { evidenceOf, releaseUntilVerified } from './verified-release.ts';

const STATE_WRITE_LIMIT_MS = 5000;
const COMPLAIN_EVERY_MS = 10_000;

export class GuardRelease {
  readonly #options: GuardOptions;
  readonly #guard: GuardState;
  readonly #petting: Petting;
  /** Looks anew when the release that runs must be over. */
  #lookOverdue: () => void = () => undefined;
  #complained = { text: '', at: instant(0) };

  constructor(options: GuardOptions, guard: GuardState, petting: Petting) {
    this.#options = options;
    this.#guard = guard;
    this.#petting = petting;
  }

  /** `D` is another one now. */
  lookOverdue(): void {
    this.#lookOverdue();
  }

  start(mode: ReleaseMode, why: string, isReadFirst: boolean): Promise<Released> {
    assert(this.#guard.phase.kind !== 'releasing', 'one release at a time');
    const startedAt = this.#guard.now;
    const tenure = this.#guard.phase.kind === 'tenure' ? this.#guard.phase.tenure : null;
    const wasUnverified = this.#guard.phase.kind === 'unverified';
    this.#options.lease.clear();
    this.#guard.early = null;
    this.#guard.isOverdue = false;
    let settle: (released: Released) => void = () => undefined;
    const result = new Promise<Released>((resolve) => {
      settle = resolve;
    });
    const { begunEpoch, releasedEpoch, begunTerm, isOfEarlierBoot } = this.#options.state.state;
    const isUnfinished = begunEpoch > releasedEpoch;
    const dead = tenure?.epoch ?? (isUnfinished ? makeEpoch(begunEpoch) : null);
    const deadTerm = tenure?.term ?? (isUnfinished ? makeTerm(begunTerm) : null);
    // The phase first: what the abort wakes must find that nothing may act any more.
    this.#guard.phase = { kind: 'releasing', mode, epoch: dead, result };
    tenure?.abort.abort();
    if (dead !== null) this.#options.report({ kind: 'revoked', epoch: dead, why });
    this.#guard.log(mode === 'abrupt' && dead !== null ? 'warn' : 'info', {
      event: 'release-begun',
      epoch: dead,
      mode,
      why,
    });
    const watch = this.#watchOverdue(mode, startedAt, dead, tenure === null && isOfEarlierBoot);
    void releaseUntilVerified({
      ...this.#options,
      limitMs: this.#guard.releaseMs,
      // What a dead one has left may be under way still where it cannot be read, as a start that waits in systemd's queue: a stop ends that.
      isReadFirst: isReadFirst && !(tenure === null && isUnfinished && !isOfEarlierBoot),
      mayHaveLeftovers: wasUnverified,
      onUnverified: (fields) => this.#complain(fields),
    })
      .then(async (findings) => {
        watch.cancel();
        const ms = Math.round((this.#guard.now - startedAt) * 10) / 10;
        const evidence = withMeasure(evidenceOf(findings), mode, ms, this.#guard.releaseMs);
        if (dead !== null) await this.#bury(dead);
        this.#guard.phase = { kind: 'released' };
        this.#guard.kept = null;
        this.#guard.isOverdue = false;
        this.#petting.watchdog?.unwant();
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
        await this.#petting.closeWatchdog();
      })
      .catch(this.#options.fatal);
    return result;
  }

  #logReleased({ epoch, mode, ms, evidence }: Released): void {
    const limitMs = this.#guard.releaseMs;
    this.#guard.log('info', { event: 'released', epoch, mode, ms, limitMs, evidence });
    if (isNearBudget(mode, ms, limitMs))
      this.#guard.log('warn', {
        event: 'release-near-budget',
        epoch,
        ms,
        limitMs,
        advice: NEAR_BUDGET_ADVICE,
      });
  }

  /**
   * R1: D bounds the plan; under a planned release the lease still runs, and D counts from its end. `hasBooted`: this host has been
   * reset since that tenure, which is all that fencing it could do. It is not reset once more: a host whose first look after a
   * boot takes longer than D would never come back. Until it is verified it votes for nobody (L3), as ever.
   */
  #watchOverdue(mode: ReleaseMode, startedAt: Instant, dead: Epoch | null, hasBooted: boolean): Timer {
    const endsAt = (): number =>
      (mode === 'planned' ? Math.max(startedAt, this.#guard.until) : startedAt) + this.#guard.releaseMs;
    let timer: Timer | null = null;
    const look = (): void => {
      timer?.cancel();
      const leftMs = endsAt() - this.#guard.now;
      if (leftMs > 0) {
        timer = this.#options.clock.after(Math.ceil(leftMs), look);
        return;
      }
      // mark: release-overdue
      this.#guard.isOverdue = true;
      this.#lookOverdue = () => undefined;
      this.#guard.log('fatal', {
        event: 'release-overdue',
        epoch: dead,
        limitMs: this.#guard.releaseMs,
        hasBooted,
      });
      if (dead !== null && !hasBooted)
        this.#options.selfFence(`the release of epoch ${dead} outlived its ${this.#guard.releaseMs} ms`);
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
    const now = this.#guard.now;
    if (text === this.#complained.text && now < this.#complained.at + COMPLAIN_EVERY_MS) return;
    this.#complained = { text, at: now };
    this.#guard.log('error', fields);
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
}
