/**
 * Which timing this cluster needs, from what was measured on this node (L5). Pure.
 *
 * 1. Longer is proposed as soon as something measured does not fit; shorter only where it saves a good part of the
 *    outage, and a shorter release only where many were measured and a watchdog stands behind it (R1).
 * 2. The promise is never proposed, it is derived: what is proposed always satisfies L5.
 */
import type { TimingConfig, WatchdogConfig } from '../config/index.ts';
import { deriveTiming, type Timing } from '../core/index.ts';
import type { Measurement } from './report.ts';
import { type Summary, summaryOf } from './statistics.ts';

export interface AdviceInput {
  /** What the cluster runs with (L8); null: not known, the file's values count. */
  readonly inForce: Timing | null;
  readonly config: TimingConfig;
  readonly watchdog: Pick<WatchdogConfig, 'mode' | 'timeoutMs'>;
  readonly measured: readonly Measurement[];
}

/** All in ms. `outageMs`: how long clients wait at least when the holder's host is cut off. */
export interface TimingSet {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly releaseMs: number;
  readonly promiseMs: number;
  readonly outageMs: number;
}

export interface TimingAdvice {
  readonly verdict: 'keep' | 'change';
  readonly current: TimingSet;
  /** Null where nothing is to be changed. */
  readonly proposed: TimingSet | null;
  /** Sentences, the most important one first. */
  readonly reasons: readonly string[];
  readonly measured: {
    readonly roundTrip: Summary | null;
    readonly sync: Summary | null;
    readonly release: Summary | null;
    readonly takeover: Summary | null;
  };
}

/** A round trip must fit so often into a heartbeat, or acks of one round arrive in the next. */
const ROUND_TRIPS_PER_HEARTBEAT = 2;
/** L ≥ 3H is the least (L5); twice that bears a lost packet and a busy moment. */
const HEARTBEATS_PER_LEASE = 6;
/** D has to bound the worst abrupt release, of which the measured ones are samples. */
const RELEASE_ROOM = 1.5;
const RELEASE_FACTOR = 2;
const LEAST_RELEASE_MS = 200;
const RELEASES_FOR_TRUST = 5;
/** Below that a change is not worth an operator's night. */
const WORTHWHILE = 0.8;

/** Null where the promise cannot be computed: W is not known, or the present values break L5, which other checks say. */
export function adviseTiming(input: AdviceInput): TimingAdvice | null {
  const measured = measuredOf(input.measured);
  const watchdogMs = watchdogOf(input);
  if (watchdogMs === null && input.inForce === null && input.watchdog.mode === 'required') return null;
  const base = input.inForce ?? input.config;
  const now = { heartbeatMs: base.heartbeatMs, leaseMs: base.leaseMs, releaseMs: base.releaseMs };
  const promise = promiseWith(base, watchdogMs, input);
  const currentPromise = input.inForce?.promiseMs ?? promise(now);
  if (currentPromise === null) return null;
  const takeoverMs = measured.takeover?.p50 ?? 0;
  const set = (values: Values, promiseMs: number): TimingSet => ({
    ...values,
    promiseMs: Math.ceil(promiseMs),
    outageMs: Math.ceil(promiseMs + values.heartbeatMs + takeoverMs),
  });
  const current = set(now, currentPromise);
  const needed = needs(now, measured);
  const neededPromise = promise(needed.values);
  if (needed.reasons.length > 0) {
    if (neededPromise === null) return null;
    const proposed = set(needed.values, neededPromise);
    return { verdict: 'change', current, proposed, reasons: [...needed.reasons, outage(proposed)], measured };
  }
  const saved = savings(now, measured, watchdogMs);
  const savedPromise = promise(saved.values);
  if (savedPromise !== null && savedPromise <= currentPromise * WORTHWHILE) {
    const proposed = set(saved.values, savedPromise);
    return { verdict: 'change', current, proposed, reasons: [...saved.reasons, outage(proposed)], measured };
  }
  const reasons = [...keepReasons(now, measured, watchdogMs, base.guardMs), outage(current)];
  return { verdict: 'keep', current, proposed: null, reasons, measured };
}

type Values = Pick<TimingSet, 'heartbeatMs' | 'leaseMs' | 'releaseMs'>;
type Measured = TimingAdvice['measured'];

function measuredOf(all: readonly Measurement[]): Measured {
  const of = (kind: 'syncs' | 'releases' | 'takeovers'): Summary | null =>
    summaryOf(all.flatMap((one) => (one.kind === kind ? one.ms : [])));
  const trips = (over: 'agent' | 'tcp'): number[] =>
    all.flatMap((one) => (one.kind === 'round-trips' && one.over === over ? one.ms : []));
  // Through the agents is what heartbeats really take.
  const roundTrip = summaryOf(trips('agent')) ?? summaryOf(trips('tcp'));
  return { roundTrip, sync: of('syncs'), release: of('releases'), takeover: of('takeovers') };
}

/** W; null without a watchdog. */
function watchdogOf({ inForce, watchdog, measured }: AdviceInput): number | null {
  if (inForce !== null) return inForce.watchdog?.timeoutMs ?? null;
  if (watchdog.mode === 'off') return null;
  const seen = measured.find((one) => one.kind === 'watchdog')?.timeoutMs;
  return watchdog.timeoutMs ?? seen ?? null;
}

/** P by L5; null where the values cannot satisfy it. */
function promiseWith(
  base: Pick<Timing, 'guardMs' | 'clockErrorRate'>,
  watchdogTimeoutMs: number | null,
  { inForce, config }: AdviceInput,
) {
  // A promise that the operator made longer stays so.
  const atLeast = inForce === null ? (config.promiseMs ?? 0) : 0;
  return (values: Values): number | null => {
    try {
      const { guardMs, clockErrorRate } = base;
      return Math.max(
        atLeast,
        deriveTiming({ ...values, guardMs, clockErrorRate, watchdogTimeoutMs }).promiseMs,
      );
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  };
}

/** What does not fit, and values that do. */
function needs(now: Values, measured: Measured): { values: Values; reasons: string[] } {
  const { roundTrip, release } = measured;
  const reasons: string[] = [];
  let { heartbeatMs, leaseMs, releaseMs } = now;
  // One slow round trip costs one round, which the lease bears; most of them must fit.
  const usual = roundTrip?.p90 ?? 0;
  if (heartbeatMs < ROUND_TRIPS_PER_HEARTBEAT * usual) {
    heartbeatMs = up(2 * ROUND_TRIPS_PER_HEARTBEAT * usual, 10);
    reasons.push(
      `one of ten round trips takes ${text(usual)}: a heartbeat of ${text(now.heartbeatMs)} asks again before the answer is there`,
    );
  }
  if (leaseMs < 3 * heartbeatMs + hiccup(measured)) {
    leaseMs = leaseFor(heartbeatMs, measured);
    reasons.push(
      `three heartbeats and ${hiccupText(measured)} do not fit into a lease of ${text(now.leaseMs)}: one hiccup would end it`,
    );
  }
  const worst = release?.max ?? 0;
  if (releaseMs < RELEASE_ROOM * worst) {
    releaseMs = up(RELEASE_FACTOR * worst, 50);
    reasons.unshift(
      worst > now.releaseMs
        ? `a release took ${text(worst)}, longer than D = ${text(now.releaseMs)} allows: without a watchdog two nodes could hold at once`
        : `a release took ${text(worst)}, near D = ${text(now.releaseMs)}`,
    );
  }
  return { values: { heartbeatMs, leaseMs, releaseMs }, reasons };
}

/** Shorter values that all measurements bear. */
function savings(now: Values, measured: Measured, watchdogMs: number | null) {
  const { roundTrip, sync, release } = measured;
  const reasons: string[] = [];
  let { leaseMs, releaseMs } = now;
  const { heartbeatMs } = now;
  if (roundTrip !== null && sync !== null) {
    const enough = leaseFor(heartbeatMs, measured);
    if (leaseMs > enough) {
      leaseMs = enough;
      reasons.push(`nothing measured here needs a lease of ${text(now.leaseMs)}`);
    }
  }
  const mayShorten = release !== null && release.count >= RELEASES_FOR_TRUST && watchdogMs !== null;
  if (mayShorten) {
    const enough = Math.max(LEAST_RELEASE_MS, up(RELEASE_FACTOR * release.max, 50));
    if (releaseMs > enough) {
      releaseMs = enough;
      reasons.push(
        `the worst of ${release.count} releases took ${text(release.max)}, and a watchdog stands behind a slower one`,
      );
    }
  }
  return { values: { heartbeatMs, leaseMs, releaseMs }, reasons };
}

function keepReasons(
  now: Values,
  { roundTrip, sync, release }: Measured,
  watchdogMs: number | null,
  guardMs: number,
): string[] {
  const reasons: string[] = [];
  if (roundTrip !== null)
    reasons.push(`round trips of ${text(roundTrip.p90)} fit into a heartbeat of ${text(now.heartbeatMs)}`);
  if (sync !== null) reasons.push(`syncs of ${text(sync.max)} fit into a lease of ${text(now.leaseMs)}`);
  reasons.push(
    release === null
      ? 'no abrupt release was measured yet, so D is a guess: kill the agent of the holder once, when that may be, and ask again'
      : `the worst of ${release.count} releases took ${text(release.max)} of D = ${text(now.releaseMs)}`,
  );
  const { heartbeatMs: H, leaseMs: L, releaseMs: D } = now;
  if (
    watchdogMs !== null &&
    Math.max(3 * H, L + 2 * guardMs + D - watchdogMs) + 2 * watchdogMs > L + guardMs + D
  )
    reasons.push(
      `the watchdog's ${text(watchdogMs)} decides about the promise: only a shorter one makes the outage shorter`,
    );
  return reasons;
}

/** The worst of what a lease must bear besides its rounds. */
const hiccup = ({ roundTrip, sync }: Measured): number => (roundTrip?.max ?? 0) + (sync?.max ?? 0);

function hiccupText({ roundTrip, sync }: Measured): string {
  const parts = [
    ...(roundTrip === null ? [] : [`a round trip of ${text(roundTrip.max)}`]),
    ...(sync === null ? [] : [`a sync of ${text(sync.max)}`]),
  ];
  return parts.length === 0 ? 'nothing else' : parts.join(' and ');
}

const leaseFor = (heartbeatMs: number, measured: Measured): number =>
  up(Math.max(HEARTBEATS_PER_LEASE * heartbeatMs, 3 * heartbeatMs + 2 * hiccup(measured)), 10);

const outage = ({ promiseMs, outageMs }: TimingSet): string =>
  `a host that is cut off costs clients about ${text(outageMs)}: the promise of ${text(promiseMs)}, an election, the takeover`;

const up = (ms: number, step: number): number => Math.ceil(ms / step) * step;

const text = (ms: number): string => (ms < 10 ? `${Number(ms.toFixed(1))} ms` : `${Math.round(ms)} ms`);
