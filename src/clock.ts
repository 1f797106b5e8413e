/**
 * Time as a dependency: whatever waits, measures or dates takes a `Clock`, so that a whole cluster can run in virtual
 * time. The core takes no clock at all: time comes in with its inputs (T1).
 */
import { type Instant, instant } from './core/index.ts';

export interface Timer {
  /** No effect once it has fired. */
  cancel(): void;
}

export interface Clock {
  /** CLOCK_MONOTONIC in ms, with fractions: one clock for all processes of a host (T3). */
  now(): Instant;
  /** Milliseconds since 1970, for people only (T3). */
  wallMs(): number;
  /** Calls back once, after `ms` or later. */
  after(ms: number, act: () => void): Timer;
  /** Resolves after `ms`, or at once when the signal fires; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => instant(Number(process.hrtime.bigint()) / 1e6),
  wallMs: () => Date.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
};

/** `AbortSignal.timeout` on a clock of ours; cancel it when it is not needed any more. */
export function timeoutSignal(
  clock: Pick<Clock, 'after'>,
  ms: number,
): Timer & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const { cancel } = clock.after(ms, () => controller.abort());
  return { signal: controller.signal, cancel };
}

/** `sleep` for a clock that has `after`. */
export function sleepOn(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
