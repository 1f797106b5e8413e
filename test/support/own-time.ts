/**
 * Time as this process had it: the monotonic clock without the spans in which its main thread was ready and waited for a
 * processor. For bounds on how fast something is that goes on in this process, on a machine that does other things too: with
 * the processor to itself it is the clock, and under load it leaves out what the load took.
 *
 * What another process waits for that has a part in it is to be taken off by its pid. A processor that runs slower is not seen.
 */
import { readFileSync } from 'node:fs';

/**
 * How long the main thread of a process was ready without a processor; by default this one's. Linux says nanoseconds on a processor,
 * nanoseconds ready without one, and turns; a kernel without SCHED_INFO nothing, and then no wait is left out.
 */
export function waitedForProcessorMs(pid?: number): number {
  try {
    const file = pid === undefined ? '/proc/thread-self/schedstat' : `/proc/${pid}/schedstat`;
    return Number(readFileSync(file, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** Milliseconds; only differences mean something. */
export function ownTimeMs(): number {
  return Number(process.hrtime.bigint()) / 1e6 - waitedForProcessorMs();
}
