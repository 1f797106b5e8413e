/**
 * A child that is to yield to everything else of the host does so only once it has loaded itself, which takes as long as the
 * start of an executor, and comes at the worst moments: beside that start, and at the end of a takeover. So it is set from here.
 */
import { constants, getPriority, setPriority } from 'node:os';

/** As the child itself sets it (src/replication/priority.ts). */
const NICENESS = constants.priority.PRIORITY_BELOW_NORMAL;

/** `pid`: of a child that was just started; undefined where it was not. One that is gone already needs nothing. */
export function yieldFromStart(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, Math.max(getPriority(pid), NICENESS));
  } catch {
    // It is only a courtesy: the child does the same.
  }
}
