/** When the guard pets the watchdog (L5), and the tick that it and the suspend check are looked at by (T3). */
import type { Timer } from '../clock.ts';
import { assertNever, type Instant } from '../core/index.ts';
import type { GuardOptions } from './guard-options.ts';
import type { GuardState } from './guard-state.ts';
import { WatchdogKeeper } from './watchdog-keeper.ts';

/** How often the watchdog and the suspend check are looked at; a quarter of `W` where that is shorter. */
const TICK_MS = 100;
/** Only so that a suspend is noticed before the next order comes (T3). */
const IDLE_TICK_MS = 1_000;
const TICKS_PER_TIMEOUT = 4;

export interface PettingOptions {
  readonly guard: GuardState;
  readonly watchdog: GuardOptions['watchdog'];
  readonly state: GuardOptions['state'];
  /** T2: before every look at the watchdog. */
  readonly evaluate: () => void;
  readonly onLost: (why: string) => void;
}

export class Petting {
  /** Null: none is configured. */
  readonly watchdog: WatchdogKeeper | null;
  readonly #options: PettingOptions;
  #timer: Timer | null = null;

  constructor(options: PettingOptions) {
    const { watchdog, state, onLost } = options;
    this.#options = options;
    this.watchdog =
      watchdog === null
        ? null
        : new WatchdogKeeper({
            ...watchdog,
            state,
            onLost,
            onProblem: (why) => this.#onProblem(why),
          });
  }

  #onProblem(why: string): void {
    this.#options.guard.log('error', { event: 'watchdog-not-closed', why });
  }

  /** Invariant 5. */
  mayPet(now: Instant): boolean {
    const { guard } = this.#options;
    if (guard.isOverdue) return false;
    switch (guard.phase.kind) {
      case 'released':
        return true;
      case 'unverified':
        return false;
      case 'tenure':
      case 'releasing': {
        const windowMs = guard.timing?.watchdog?.petWindowMs ?? 0;
        return now < guard.restsOn + windowMs;
      }
      default:
        return assertNever(guard.phase);
    }
  }

  startTicking(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.guard.clock.after(this.#tickMs(), () => {
      this.startTicking();
      this.#tick();
    });
  }

  /** The process ends. What is not verified as released stays armed (R1). */
  end(): void {
    this.#timer?.cancel();
    if (this.#options.guard.phase.kind !== 'released') return;
    this.watchdog?.end().catch((error: unknown) => this.#onProblem(String(error)));
  }

  async closeWatchdog(): Promise<void> {
    if (this.#options.guard.phase.kind !== 'released') return;
    await this.watchdog?.close();
    this.startTicking();
  }

  #tickMs(): number {
    const timeoutMs = this.watchdog?.timeoutMs ?? null;
    if (timeoutMs !== null) return Math.min(TICK_MS, timeoutMs / TICKS_PER_TIMEOUT);
    return this.#options.guard.phase.kind === 'tenure' ? TICK_MS : IDLE_TICK_MS;
  }

  #tick(): void {
    this.#options.evaluate();
    if (this.mayPet(this.#options.guard.now)) this.watchdog?.pet();
  }
}
