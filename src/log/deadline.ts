/** Bounds an operation that cannot be aborted. What it does after its deadline goes nowhere. */
import type { Clock } from '../clock.ts';

/**
 * A stopped process finds its timers due before the completions that arrived meanwhile. So a due deadline first lets
 * these through.
 */
const GRACE_MS = 100;

export function withDeadline<Value>(
  operation: Promise<Value>,
  timeoutMs: number,
  clock: Pick<Clock, 'after'>,
  late: () => Error,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    let timer = clock.after(timeoutMs, () => {
      timer = clock.after(GRACE_MS, () => reject(late()));
    });
    operation.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
