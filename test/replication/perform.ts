/** Does a planner's steps on the model: what sending and receiving will do on real pools. */
import { isDeepStrictEqual } from 'node:util';
import type { ModelPool } from '../../cluster/zfs-model/index.ts';
import type { IsChanged } from '../../src/replication/decide.ts';
import type { Step } from '../../src/replication/index.ts';
import { parsePool } from '../../src/replication/list-text.ts';
import { type PoolPlan, planReplication } from '../../src/replication/plan.ts';
import { inRuns } from '../../src/replication/runs.ts';

export const ENDS = { from: 'a', to: 'b' } as const;

/** `isChanged`: as a receiver has it that replays nothing, where absent. */
export function planOf(
  source: ModelPool,
  target: ModelPool,
  isChanged: IsChanged = ({ written }) => written !== 0,
): PoolPlan {
  return planReplication({
    pool: source.name,
    ends: ENDS,
    source: { kind: 'read', pool: parsePool(source.name, source.texts()) },
    target: { kind: 'read', pool: parsePool(target.name, target.texts()) },
    filters: { include: [], exclude: [] },
    drbd: [],
    isChanged,
  });
}

export const stepsIn = (plan: PoolPlan): readonly Step[] => plan.tasks.flatMap(({ steps }) => steps);

/** In streams of up to `most` snapshots, as the engine makes them. */
export function runsIn(plan: PoolPlan, source: ModelPool, most: number): readonly Step[] {
  const { datasets } = parsePool(source.name, source.texts());
  return plan.tasks.flatMap(({ dataset, steps }) => {
    const from = datasets.find(({ name }) => name === dataset);
    if (from === undefined) return steps;
    const chain = steps.filter((step) => step.kind !== 'rename');
    const renames = steps.filter((step) => step.kind === 'rename');
    return [...renames, ...inRuns(chain, from, { most, unneeded: new Set() })];
  });
}

/**
 * Throws a `ZfsRefusal` for a step that ZFS would not take. `breaksOff`: only for a stream; of a run when `whole` of it have arrived, or
 * in the last.
 */
export function perform(
  step: Step,
  source: ModelPool,
  target: ModelPool,
  breaksOff = false,
  whole = 0,
): void {
  switch (step.kind) {
    case 'rename':
      return target.rename(step.from, step.to);
    case 'abandon':
      return target.abandon(step.dataset);
    case 'resume': {
      const { partial } = target.get(step.dataset);
      if (partial === null) throw new Error('the plan resumes what has not begun');
      return target.receive(step.dataset, source.sendResumed(partial), breaksOff, step.token);
    }
    case 'full':
      return target.receive(
        step.dataset,
        source.send(step.dataset, step.snapshot, null, step.isRaw),
        breaksOff,
      );
    case 'incremental':
      return performIncremental(step, source, target, breaksOff ? whole : null);
  }
}

function performIncremental(
  step: Extract<Step, { kind: 'incremental' }>,
  source: ModelPool,
  target: ModelPool,
  breaksIn: number | null,
): void {
  const { dataset, between = [], snapshot, from, isRaw } = step;
  const streams =
    between.length === 0
      ? [source.send(dataset, snapshot, from, isRaw)]
      : source.sendRun(dataset, snapshot, from, isRaw);
  const sent = streams.map((stream) => stream.snapshot.name);
  // Nothing goes along that nobody has planned.
  if (!isDeepStrictEqual(sent, [...between, snapshot]))
    throw new Error(`${JSON.stringify(step)} sends ${sent.join(', ')}`);
  for (const [at, stream] of streams.entries()) {
    const isBroken = breaksIn !== null && at === Math.min(breaksIn, streams.length - 1);
    target.receive(dataset, stream, isBroken);
    if (isBroken) return;
  }
}
