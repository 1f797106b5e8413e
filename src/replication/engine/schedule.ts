/** When a dataset's next snapshot is due, and when anything may be sent. Pure: time comes in. */
import type { ReplicationPolicy, SendConfig, TimeWindow } from '../../config/index.ts';
import type { Instant } from '../../core/index.ts';
import { matchesPattern } from '../filters.ts';

/** The first override that names the dataset, or what it lies in, counts. */
export function policyOf({ policy, overrides }: SendConfig, dataset: string): ReplicationPolicy {
  const override = overrides.find(({ datasets }) =>
    datasets.some((pattern) => matchesPattern(pattern, dataset)),
  );
  return override === undefined ? policy : override.policy;
}

export function shortestPeriodMs({ policy, overrides }: SendConfig): number {
  return Math.min(policy.periodMs, ...overrides.map((override) => override.policy.periodMs));
}

/**
 * Periods on one grid for all datasets, so that those of the same period are always of one moment. By the monotonic clock
 * of the process: one that has just begun takes all of them at once.
 */
export class Slots {
  readonly #startedAt: Instant;
  readonly #last = new Map<string, number>();

  constructor(startedAt: Instant) {
    this.#startedAt = startedAt;
  }

  isDue(dataset: string, periodMs: number, now: Instant): boolean {
    return this.#last.get(dataset) !== this.#slot(periodMs, now);
  }

  taken(dataset: string, periodMs: number, now: Instant): void {
    this.#last.set(dataset, this.#slot(periodMs, now));
  }

  /** Milliseconds until the next slot of that period begins. */
  untilNext(periodMs: number, now: Instant): number {
    return this.#startedAt + (this.#slot(periodMs, now) + 1) * periodMs - now;
  }

  #slot(periodMs: number, now: Instant): number {
    return Math.floor((now - this.#startedAt) / periodMs);
  }
}

/** `minute` of the day, 0 to 1439. A window may go past midnight; without any it is always open. */
export function isOpen(windows: readonly TimeWindow[], minute: number): boolean {
  if (windows.length === 0) return true;
  return windows.some(({ fromMinute, toMinute }) =>
    fromMinute <= toMinute
      ? minute >= fromMinute && minute < toMinute
      : minute >= fromMinute || minute < toMinute,
  );
}

/** By the clock on the wall of this host, in its own time zone. */
export function minuteOfDay(wallMs: number): number {
  const date = new Date(wallMs);
  return date.getHours() * 60 + date.getMinutes();
}
