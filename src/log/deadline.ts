/** Bounds an operation that cannot be aborted. What it does after its deadline goes nowhere. */

/**
 * A stopped process finds its timers due before the completions that arrived meanwhile. So a due deadline first lets
 * these through.
 */
const GRACE_MS = 100;

export function withDeadline<Value>(
  operation: Promise<Value>,
  timeoutMs: number,
  late: () => Error,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    let timer = setTimeout(() => {
      timer = setTimeout(() => reject(late()), GRACE_MS);
    }, timeoutMs);
    operation.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
