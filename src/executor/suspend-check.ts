/** T3: was the host suspended under us? */
import { uptime } from 'node:os';
import { systemClock } from '../clock.ts';

const MAX_BRACKET_MS = 5;
const MAX_APART_MS = 50;

/**
 * T3: CLOCK_MONOTONIC stops in suspend, CLOCK_BOOTTIME does not. Twice in a row more than 50 ms apart from where they
 * stood at the start: time went by that our lease did not count.
 */
export class SuspendCheck {
  readonly #now: () => number;
  readonly #bootMs: () => number;
  #base: number | null = null;
  #apart = 0;

  constructor(now: () => number = systemClock.now, bootMs: () => number = () => uptime() * 1000) {
    this.#now = now;
    this.#bootMs = bootMs;
  }

  /** `suspect`: ask again at once. `suspended`: the lease is void; the new distance is the base from now on. */
  check(): 'fine' | 'suspect' | 'suspended' {
    const before = this.#now();
    const boot = this.#bootMs();
    const after = this.#now();
    if (after - before > MAX_BRACKET_MS) return 'fine';
    const distance = boot - (before + after) / 2;
    this.#base ??= distance;
    if (Math.abs(distance - this.#base) <= MAX_APART_MS) {
      this.#apart = 0;
      return 'fine';
    }
    this.#apart += 1;
    if (this.#apart < 2) return 'suspect';
    this.#apart = 0;
    this.#base = distance;
    return 'suspended';
  }
}

/**
 * When the host last went on after a suspend, as far as it is noticed: a lease whose newest round was not sent after that is void,
 * however much of it the monotonic clock says is left (T3).
 */
export class ResumeWatch {
  readonly #check: SuspendCheck;
  readonly #now: () => number;
  #resumedAt = Number.NEGATIVE_INFINITY;

  constructor(check: SuspendCheck, now: () => number) {
    this.#check = check;
    this.#now = now;
    check.check();
  }

  /** Looks now. T3 asks for two readings in a row; the second one follows at once. */
  look(): number {
    if (this.#check.check() !== 'fine' && this.#check.check() === 'suspended') this.#resumedAt = this.#now();
    return this.#resumedAt;
  }
}
