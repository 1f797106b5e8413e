/**
 * T3: was the host suspended? CLOCK_MONOTONIC stops in suspend, CLOCK_BOOTTIME does not: the distance between the two grows by
 * the time that our lease did not count, and by nothing else.
 */
import { uptime } from 'node:os';
import { systemClock } from '../clock.ts';

const MAX_BRACKET_MS = 5;
const MAX_APART_MS = 50;
/** A thread is rarely taken off its core in the middle of a reading; in so many in a row never, unless something is wrong. */
const MAX_READINGS = 5;

export const systemBootMs = (): number => uptime() * 1000;

/** CLOCK_BOOTTIME − CLOCK_MONOTONIC in ms; null for a reading that took too long to mean anything. */
function readDistance(now: () => number, bootMs: () => number): number | null {
  const before = now();
  const boot = bootMs();
  const after = now();
  return after - before > MAX_BRACKET_MS ? null : boot - (before + after) / 2;
}

/** Is the distance still this one? What cannot be read is not (style 10). */
export function isStillApart(
  expectedMs: number,
  now: () => number = systemClock.now,
  bootMs: () => number = systemBootMs,
): boolean {
  for (let reading = 0; reading < MAX_READINGS; reading += 1) {
    const distance = readDistance(now, bootMs);
    if (distance !== null && Math.abs(distance - expectedMs) <= MAX_APART_MS) return true;
  }
  return false;
}

/** Compares the distance with the one before; twice in a row more than 50 ms apart is a suspend. */
export class SuspendCheck {
  readonly #now: () => number;
  readonly #bootMs: () => number;
  #base: number | null = null;
  #apart = 0;

  constructor(now: () => number = systemClock.now, bootMs: () => number = systemBootMs) {
    this.#now = now;
    this.#bootMs = bootMs;
  }

  /** What the distance is compared with, ms; null before the first good reading. */
  get baseMs(): number | null {
    return this.#base;
  }

  /** `suspect`, `unreadable`: ask again at once. `suspended`: the lease is void; the new distance is the base from now on. */
  check(): 'fine' | 'suspect' | 'suspended' | 'unreadable' {
    const distance = readDistance(this.#now, this.#bootMs);
    if (distance === null) return 'unreadable';
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
 * When the host last went on after a suspend, as far as it is noticed: a lease whose newest round was not sent after that is
 * void, however much of it the monotonic clock says is left (T3).
 */
export class ResumeWatch {
  readonly #check: SuspendCheck;
  readonly #now: () => number;
  #resumedAt = Number.NEGATIVE_INFINITY;

  constructor(check: SuspendCheck, now: () => number) {
    this.#check = check;
    this.#now = now;
    for (let reading = 0; reading < MAX_READINGS && check.check() !== 'fine'; reading += 1);
  }

  /** For those who compare by themselves; NaN, which nothing is close to, where it could never be read. */
  get distanceMs(): number {
    return this.#check.baseMs ?? Number.NaN;
  }

  /** Looks now. A suspicion, or a reading that failed, is followed by another one at once; if none is good, it counts as a suspend. */
  look(): number {
    for (let reading = 0; reading < MAX_READINGS; reading += 1) {
      const seen = this.#check.check();
      if (seen === 'fine') return this.#resumedAt;
      if (seen === 'suspended') break;
    }
    this.#resumedAt = this.#now();
    return this.#resumedAt;
  }
}
