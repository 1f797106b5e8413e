import { deriveTiming as deriveCoreTiming, type Timing } from '../core/index.ts';
import type { TimingConfig } from './config.ts';

/**
 * The cluster's timing from the file's values and the watchdog's timeout, null without a watchdog (L5).
 * Throws a RangeError with a sentence where L5 cannot be met.
 */
export function deriveTiming(config: TimingConfig, watchdogTimeoutMs: number | null): Timing {
  const { promiseMs, ...values } = config;
  return deriveCoreTiming({ ...values, watchdogTimeoutMs, ...(promiseMs === null ? {} : { promiseMs }) });
}
