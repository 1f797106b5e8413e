/** Does a planner's steps on the model: what sending and receiving will do on real pools. */
import type { Step } from '../../src/replication/index.ts';
import { parsePool } from '../../src/replication/list-text.ts';
import { type PoolPlan, planReplication } from '../../src/replication/plan.ts';
import type { ModelPool } from './zfs-model.ts';

export const ENDS = { from: 'a', to: 'b' } as const;

export function planOf(source: ModelPool, target: ModelPool): PoolPlan {
  return planReplication({
    pool: source.name,
    ends: ENDS,
    source: { kind: 'read', pool: parsePool(source.name, source.texts()) },
    target: { kind: 'read', pool: parsePool(target.name, target.texts()) },
    filters: { include: [], exclude: [] },
    drbd: [],
  });
}

export const stepsIn = (plan: PoolPlan): readonly Step[] => plan.tasks.flatMap(({ steps }) => steps);

/** Throws a `ZfsRefusal` for a step that ZFS would not take. `breaksOff`: only for a stream. */
export function perform(step: Step, source: ModelPool, target: ModelPool, breaksOff = false): void {
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
      return target.receive(
        step.dataset,
        source.send(step.dataset, step.snapshot, step.from, step.isRaw),
        breaksOff,
      );
  }
}
