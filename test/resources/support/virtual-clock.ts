/** Time that passes only when somebody sleeps. */
import { type Clock, sleepOn } from '../../../src/clock.ts';
import { type Instant, instant } from '../../../src/core/index.ts';

interface Alarm {
  readonly atMs: number;
  readonly act: () => void;
}

export class VirtualClock implements Clock {
  #nowMs = 1000;
  #alarms: Alarm[] = [];
  #isTurning = false;

  now(): Instant {
    return instant(this.#nowMs);
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(ms: number, act: () => void): { cancel(): void } {
    const alarm = { atMs: this.#nowMs + Math.max(0, ms), act };
    this.#alarms.push(alarm);
    this.#turn();
    return {
      cancel: () => {
        this.#alarms = this.#alarms.filter((one) => one !== alarm);
      },
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }

  /** When everything that can be done without waiting is done, the next alarm rings. */
  #turn(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      const [next] = this.#alarms.toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined) return;
      this.#alarms = this.#alarms.filter((one) => one !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.act();
      this.#turn();
    });
  }
}
