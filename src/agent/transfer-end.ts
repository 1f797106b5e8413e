/** What became of a transfer that outlasted its order: a release that hangs may be undone after minutes (R1). */
import type { Clock } from '../clock.ts';
import type { Driver } from './driver.ts';

/** Longer than a planned release may take before the core ends it by force, and every later phase. */
const LIMIT_MS = 150_000;
const LOOK_EVERY_MS = 100;

/** Whether this node leads and holds as before, once no transfer is under way. Never rejects. */
export async function holdsAfterTransfer(
  driver: Pick<Driver, 'view'>,
  clock: Pick<Clock, 'now' | 'sleep'>,
): Promise<boolean> {
  const { term } = driver.view.hard;
  const until = clock.now() + LIMIT_MS;
  for (;;) {
    const { leadership, hard, hold } = driver.view;
    if (leadership === null || hard.term !== term) return false;
    if (leadership.transfer === null) return hold.kind === 'held';
    if (clock.now() >= until) return false;
    await clock.sleep(LOOK_EVERY_MS);
  }
}
