/**
 * D is a bound that somebody chose (R1): a release is measured against it every time, so that one that grows is noticed
 * while it still fits. What outlives D is self-fencing, and without a watchdog only DRBD's refusal is left.
 */
import type { ReleaseMode } from '../resources/index.ts';

/** The part of D from which on an abrupt release is near it: the next one may meet a busier machine. */
const NEAR_SHARE = 0.7;

export const NEAR_BUDGET_ADVICE =
  'raise timing.release (D), or find out which resource takes so long: what outlives D is not covered by the promise (L5, R1)';

/** `ms` from the first step to the verification. A planned release runs under its lease: D does not bound it. */
export function isNearBudget(mode: ReleaseMode, ms: number, releaseMs: number): boolean {
  return mode === 'abrupt' && ms > NEAR_SHARE * releaseMs;
}

/** The evidence with what was measured, for the log that all nodes keep. */
export function withMeasure(evidence: string, mode: ReleaseMode, ms: number, releaseMs: number): string {
  return mode === 'abrupt'
    ? `${evidence}; ${ms} ms of D ${releaseMs} ms`
    : `${evidence}; verified in ${ms} ms (D ${releaseMs} ms)`;
}
