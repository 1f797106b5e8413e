/**
 * Alerts on their way to one target, in order, one at a time.
 *
 * Invariants: at most `queued` wait, the oldest gives way and is counted in what is sent next; an alert is tried until it has
 * arrived, the target refuses it for good, or it is too old.
 */
import { type Clock, timeoutSignal } from '../clock.ts';
import type { Alert, Attempt, Target } from './alert.ts';

export const DELIVERY = {
  queued: 200,
  attemptMs: 15_000,
  firstRetryMs: 1_000,
  longestRetryMs: 300_000,
  /** Older ones are given up: the conditions that still last are repeated anyway. */
  oldestMs: 24 * 3_600_000,
} as const;

export type DeliveryNews =
  | { readonly kind: 'sent'; readonly target: string; readonly alert: Alert; readonly attempts: number }
  /** Said once for each alert; it is tried again. */
  | { readonly kind: 'failed'; readonly target: string; readonly alert: Alert; readonly why: string }
  | { readonly kind: 'given-up'; readonly target: string; readonly alert: Alert; readonly why: string }
  | { readonly kind: 'dropped'; readonly target: string; readonly alert: Alert };

export class Delivery {
  readonly #target: Target;
  readonly #clock: Clock;
  readonly #tell: (news: DeliveryNews) => void;
  #waiting: { readonly alert: Alert; readonly since: number }[] = [];
  #dropped = 0;
  #isRunning = false;
  readonly #ending = new AbortController();

  constructor(target: Target, clock: Clock, tell: (news: DeliveryNews) => void) {
    this.#target = target;
    this.#clock = clock;
    this.#tell = tell;
  }

  add(alert: Alert): void {
    if (this.#waiting.length >= DELIVERY.queued) {
      // The first may be on its way.
      const [lost] = this.#waiting.splice(1, 1);
      this.#dropped += 1;
      if (lost !== undefined) this.#tell({ kind: 'dropped', target: this.#target.name, alert: lost.alert });
    }
    this.#waiting.push({ alert, since: this.#clock.now() });
    if (!this.#isRunning) void this.#run();
  }

  end(): void {
    this.#ending.abort();
  }

  /** Once, past the queue. */
  async attempt(alert: Alert, dropped = 0): Promise<Attempt> {
    const limit = timeoutSignal(this.#clock, DELIVERY.attemptMs);
    try {
      return await this.#target.send(alert, dropped, AbortSignal.any([limit.signal, this.#ending.signal]));
    } finally {
      limit.cancel();
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      await this.#deliver(first.alert, first.since);
      if (this.#ending.signal.aborted) return;
      this.#waiting.shift();
    }
    this.#isRunning = false;
  }

  async #deliver(alert: Alert, since: number): Promise<void> {
    const target = this.#target.name;
    let waitMs: number = DELIVERY.firstRetryMs;
    for (let attempts = 1; !this.#ending.signal.aborted; attempts++) {
      const dropped = this.#dropped;
      const end = await this.attempt(alert, dropped);
      if (end.ok) {
        this.#dropped -= dropped;
        return this.#tell({ kind: 'sent', target, alert, attempts });
      }
      const isTooOld = this.#clock.now() + waitMs - since > DELIVERY.oldestMs;
      if (end.isFinal || isTooOld) return this.#tell({ kind: 'given-up', target, alert, why: end.why });
      if (attempts === 1) this.#tell({ kind: 'failed', target, alert, why: end.why });
      await this.#clock.sleep(waitMs, this.#ending.signal);
      waitMs = Math.min(2 * waitMs, DELIVERY.longestRetryMs);
    }
  }
}
