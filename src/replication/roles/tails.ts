/**
 * Which of the plan's conflicts are tails of the receiver's own: to be set aside there, before anything can be sent. Pure.
 *
 * A receiver says by `quorate:written` that it has held since it last had everything of the other side: only then its tails are
 * those of a tenure. Otherwise somebody has taken a snapshot there, or written, and that is left to people.
 */
import type { Tail } from '../channel.ts';
import type { PoolPlan } from '../plan.ts';
import type { Pool } from '../pool.ts';

const SET_ASIDE: ReadonlySet<string> = new Set(['diverged', 'modified']);

/** The newest snapshot that both sides have of each dataset in such a conflict. */
export function tailsOf(source: Pool, target: Pool, plan: PoolPlan): readonly Tail[] {
  return plan.tasks.flatMap(({ dataset, decision, renamedFrom }): readonly Tail[] => {
    if (decision.kind !== 'conflict' || !SET_ASIDE.has(decision.reason)) return [];
    const ours = source.datasets.find(({ name }) => name === dataset);
    const theirs = target.datasets.find(({ name }) => name === (renamedFrom ?? dataset));
    if (ours === undefined || theirs === undefined) return [];
    const known = new Set([...ours.snapshots, ...ours.bookmarks].map(({ guid }) => guid));
    const common = theirs.snapshots.findLast(({ guid }) => known.has(guid));
    return common === undefined ? [] : [{ dataset: theirs.name, common: common.guid }];
  });
}
