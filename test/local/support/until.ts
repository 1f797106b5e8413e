/** Polls a condition every few ms; fails with `what` and the last error after the deadline. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = null;
  while (performance.now() < deadline) {
    try {
      if (await condition()) return;
      last = null;
    } catch (error) {
      last = error;
    }
    await new Promise((next) => setTimeout(next, 5));
  }
  throw new Error(`not in ${timeoutMs} ms: ${what}${last === null ? '' : ` (${String(last)})`}`);
}
