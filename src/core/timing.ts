/**
 * The arithmetic of the promise (L5). Symbols: `H` heartbeat, `L` lease, `D` worst abrupt release, `g` lateness of the
 * guard, `W` watchdog timeout, `G` age of the newest confirmation up to which the watchdog is petted, `ρ` largest
 * relative error of a clock's rate, `k = (1+ρ)/(1−ρ)`. All in milliseconds.
 */
import type { Timing } from './entry.ts';
import { durationMs } from './types.ts';

export interface TimingInput {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly releaseMs: number;
  readonly guardMs: number;
  /** `W`; null without a watchdog. */
  readonly watchdogTimeoutMs: number | null;
  /** `G`; derived when absent. */
  readonly petWindowMs?: number;
  /** 0 ≤ ρ < 0.1, e.g. 0.005 for 0.5 %. */
  readonly clockErrorRate: number;
  /** May be longer than what L5 derives, never shorter. */
  readonly promiseMs?: number;
}

/** The shortest promise that L5 allows. */
export function leastPromiseMs(timing: TimingInput): number {
  const { leaseMs: L, guardMs: g, releaseMs: D, clockErrorRate: rho } = timing;
  const k = (1 + rho) / (1 - rho);
  if (timing.watchdogTimeoutMs === null) return k * (L + g + D);
  return k * Math.max(L + g + D, petWindow(timing, timing.watchdogTimeoutMs) + 2 * timing.watchdogTimeoutMs);
}

function petWindow(timing: TimingInput, watchdogMs: number): number {
  const { heartbeatMs: H, leaseMs: L, guardMs: g, releaseMs: D } = timing;
  return timing.petWindowMs ?? Math.max(3 * H, L + 2 * g + D - watchdogMs);
}

/** Cluster timing from its parts; throws a RangeError that names the broken bound. */
export function deriveTiming(input: TimingInput): Timing {
  const {
    heartbeatMs: H,
    leaseMs: L,
    guardMs: g,
    releaseMs: D,
    watchdogTimeoutMs: W,
    clockErrorRate: rho,
  } = input;
  for (const [name, value] of Object.entries({
    heartbeat: H,
    lease: L,
    release: D,
    guard: g,
    watchdog: W ?? 1,
  })) {
    const isTooSmall = name === 'guard' ? value < 0 : value <= 0;
    if (isTooSmall || !(value <= 3_600_000)) {
      throw new RangeError(`${name} must be more than 0 ms and at most 1 h, got ${value} ms`);
    }
  }
  if (!(rho >= 0 && rho < 0.1))
    throw new RangeError(`clock error must be at least 0 % and under 10 %, got ${rho * 100} %`);
  if (L < 3 * H)
    throw new RangeError(`lease ${L} ms is shorter than three heartbeats of ${H} ms (L5: L ≥ 3H)`);
  const G = W === null ? null : petWindow(input, W);
  if (W !== null && G !== null) {
    if (G < 3 * H)
      throw new RangeError(`pet window ${G} ms is shorter than three heartbeats of ${H} ms (L5: G ≥ 3H)`);
    if (G + W < L + 2 * g + D) {
      throw new RangeError(
        `pet window ${G} ms + watchdog ${W} ms end before an orderly release can (L5: G + W ≥ L + 2g + D = ${L + 2 * g + D} ms)`,
      );
    }
  }
  const least = leastPromiseMs(input);
  if (input.promiseMs !== undefined && input.promiseMs < least) {
    throw new RangeError(
      `promise ${input.promiseMs} ms is too short: with these values L5 needs at least ${Math.ceil(least)} ms; a longer one is allowed`,
    );
  }
  return {
    heartbeatMs: durationMs(H),
    leaseMs: durationMs(L),
    releaseMs: durationMs(D),
    guardMs: durationMs(g),
    watchdog: W === null || G === null ? null : { timeoutMs: durationMs(W), petWindowMs: durationMs(G) },
    clockErrorRate: rho,
    promiseMs: durationMs(input.promiseMs ?? least),
  };
}
