/**
 * What sends and receives yields to everything else of the host: heartbeats and renewals come first, and the services too. Seen in
 * the lab: a new holder that sent at the executor's own priority did not pet its watchdog in time.
 */
import { getPriority, setPriority } from 'node:os';

/** As `nice` has it by default. */
const NICENESS = 10;

/** Of this process, and of all that it starts from now on. Who is called with a larger one keeps it: less would need a right. */
export function yieldToOthers(): void {
  setPriority(Math.max(getPriority(), NICENESS));
}
