/** Waits for a condition that is looked at after every step of the core, each with a limit. */
import type { Clock } from '../clock.ts';

export class Waiting {
  readonly #clock: Clock;
  #waiting: { isDone: () => boolean; resolve: () => void }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves true once the condition holds after some step, false when the time is over. */
  until(isDone: () => boolean, limitMs: number): Promise<boolean> {
    if (isDone()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#clock.after(limitMs, () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        resolve(false);
      });
      const waiter = {
        isDone,
        resolve: () => {
          timer.cancel();
          resolve(true);
        },
      };
      this.#waiting.push(waiter);
    });
  }

  wake(): void {
    if (this.#waiting.length === 0) return;
    const done = this.#waiting.filter(({ isDone }) => isDone());
    this.#waiting = this.#waiting.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) waiter.resolve();
  }
}
