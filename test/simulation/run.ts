/** One seed: a cluster begins, faults happen (safety), everything heals (liveness), and the checks look all the time. */
import type { Entry } from '../../src/core/index.ts';
import { Cluster } from './cluster.ts';
import type { Violation } from './engine/world.ts';
import { describeFault, drawFaults, type Fault } from './faults.ts';
import { inflict } from './inflict.ts';
import { collectMarks } from './marks.ts';
import { profileOf } from './profiles.ts';

/** Faults are drawn over this span; the run goes on at least as long as `LEAST_MS`. */
const FAULT_SPAN_MS = 14_000;
const SETTLE_MS = 2_000;
/** Every so many clusters meet their faults as soon as the operator has heard that the bootstrap is done (H7). */
const YOUNG_EVERY = 5;
const LEAST_MS = 20_000;
/** Two whole rounds of the longest back-off that a cluster without faults can still be waiting for. */
export const LIVENESS_LIMIT_MS = 120_000;

export interface RunResult {
  readonly seed: number;
  readonly profile: string;
  readonly violation: Violation | null;
  readonly simulatedMs: number;
  /** From the end of the faults until all is well; null where that never came. */
  readonly healedMs: number | null;
  readonly events: number;
  readonly acknowledged: number;
  readonly tenures: number;
  /** L8: how often L or D became another one, and how often P became smaller, in the committed log. */
  readonly retimed: { readonly changed: number; readonly shrunk: number };
  readonly marks: ReadonlySet<string>;
  readonly hash: string;
  readonly faults: readonly Fault[];
  readonly story: readonly string[];
}

export interface RunOptions {
  readonly seed: number;
  readonly profile: string | null;
  /** Instead of those that the seed draws. */
  readonly faults?: readonly Fault[];
  readonly isVerbose?: boolean;
}

export async function runSeed({
  seed,
  profile: wanted,
  faults: given,
  isVerbose = false,
}: RunOptions): Promise<RunResult> {
  const { name, profile } = profileOf(seed, wanted);
  const cluster = new Cluster(seed, profile.shape, profile.weather);
  const { world } = cluster;
  world.isVerbose = isVerbose;
  collectMarks(world.marks);
  const ids = profile.shape.members.map(({ id }) => id);
  const faults =
    given ??
    drawFaults(seed, ids, {
      weights: profile.weights,
      count: profile.count,
      spanMs: FAULT_SPAN_MS,
      promiseMs: cluster.timing.promiseMs,
    });
  const stop = watchForErrors(cluster);
  let healedMs: number | null = null;
  try {
    const isUp = await cluster.begin(seed % YOUNG_EVERY === 0 ? 'bootstrapped' : 'serving');
    if (!isUp) world.fail('liveness', `the cluster does not begin: ${cluster.whatIsMissing()}`);
    const began = world.now;
    for (const fault of faults) {
      world.after(fault.at, () => {
        world.say('*', describeFault(fault));
        inflict(cluster, fault);
      });
    }
    await world.run(began + FAULT_SPAN_MS + SETTLE_MS);
    world.say('*', 'everything heals');
    cluster.heal();
    const healedAt = world.now;
    const isWell = await world.runUntil(() => cluster.whatIsMissing() === null, LIVENESS_LIMIT_MS);
    if (isWell) healedMs = world.now - healedAt;
    else
      world.fail(
        'liveness',
        `${LIVENESS_LIMIT_MS / 1000} s after the last fault: ${cluster.whatIsMissing()}`,
      );
    await world.run(Math.max(began + LEAST_MS, world.now));
    if (world.violation === null) cluster.finalChecks();
  } finally {
    stop();
  }
  const acknowledged = [...cluster.client.acknowledged.values()].reduce((sum, list) => sum + list.length, 0);
  return {
    seed,
    profile: name,
    violation: world.violation,
    simulatedMs: world.now,
    healedMs,
    events: world.events,
    acknowledged,
    tenures: cluster.consensus.committed.filter(({ body }) => body.kind === 'tenure-granted').length,
    retimed: retimedIn(cluster.consensus.committed),
    marks: world.marks,
    hash: world.hash,
    faults,
    story: world.story,
  };
}

function retimedIn(committed: readonly Entry[]): RunResult['retimed'] {
  const timings = committed.flatMap(({ body }) => (body.kind === 'config' ? [body.timing] : []));
  const steps = timings.slice(1).map((timing, position) => [timings[position] ?? timing, timing] as const);
  return {
    changed: steps.filter(([was, is]) => was.leaseMs !== is.leaseMs || was.releaseMs !== is.releaseMs).length,
    shrunk: steps.filter(([was, is]) => is.promiseMs < was.promiseMs).length,
  };
}

/** An error that nobody handles ends a process in production. Every one has its handler, so here it is a violation. */
function watchForErrors({ world }: Cluster): () => void {
  const onError = (error: unknown): void => {
    world.fail('unhandled', error instanceof Error ? (error.stack ?? error.message) : String(error));
  };
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  return () => {
    process.off('uncaughtException', onError);
    process.off('unhandledRejection', onError);
  };
}
