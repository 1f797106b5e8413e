const POLL_MS = 20;

/** Asks again until it is true; a condition that throws counts as not yet. Fails with `what` and the last error. */
export async function eventually(
  what: string,
  condition: () => Promise<boolean> | boolean,
  limitMs: number,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  let last = '';
  while (performance.now() < deadline) {
    try {
      if (await condition()) return;
      last = '';
    } catch (error) {
      last = ` (last: ${String(error)})`;
    }
    await new Promise((next) => setTimeout(next, POLL_MS));
  }
  throw new Error(`not in ${limitMs} ms: ${what}${last}`);
}
