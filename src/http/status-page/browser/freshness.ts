/**
 * How old the last news are. Pure; all times in ms.
 *
 * It is not enough to ask how long ago the last pulse came: one that has waited in a network's or a kernel's buffer may be minutes
 * old when it comes. So the way of each is compared with the shortest one of the same connection. A clock that stands still
 * (a suspended computer) makes news older, never younger.
 */

/** Three pulses missed, or that much behind: not present any more. */
export const STALE_MS = 3_000;

/** Of one reading: the monotonic clock of this browser, and the wall clock, which goes on in suspend. */
export interface LocalTime {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export class Freshness {
  #last: { readonly at: LocalTime; readonly lateMs: number } | null = null;
  #shortestMs = Number.POSITIVE_INFINITY;

  /** A new connection has its own shortest way. */
  begin(): void {
    this.#last = null;
    this.#shortestMs = Number.POSITIVE_INFINITY;
  }

  /** @param senderMs the sender's monotonic clock when it sent */
  heard(senderMs: number, at: LocalTime): void {
    const wayMs = at.monotonicMs - senderMs;
    this.#shortestMs = Math.min(this.#shortestMs, wayMs);
    this.#last = { at, lateMs: wayMs - this.#shortestMs };
  }

  /** Null: nothing was heard on this connection. */
  ageMs(now: LocalTime): number | null {
    if (this.#last === null) return null;
    const { at, lateMs } = this.#last;
    const sinceMs = Math.max(now.monotonicMs - at.monotonicMs, now.wallMs - at.wallMs);
    return Math.max(0, sinceMs) + lateMs;
  }

  isPresent(now: LocalTime): boolean {
    const ageMs = this.ageMs(now);
    return ageMs !== null && ageMs < STALE_MS;
  }
}
