/**
 * Retention on both sides, after a plan. `retention.ts` says what may go; here is what must not, because the other side needs
 * it:
 *
 * 1. The newest that both have, what is being sent and what it goes after, and what a stream that broke off goes on with.
 * 2. In a conflict everything that both have here, and everything there: a change of roles will need it.
 * 3. Where the other side is not known, only what is held is certain to be enough, and that never goes.
 */
import type { ReplicationPolicy } from '../../config/index.ts';
import type { NamedSnapshot, ReceiverOrder } from '../channel.ts';
import type { PoolPlan, Task } from '../plan.ts';
import type { Dataset, Guid } from '../pool.ts';
import type { LocalPool, ToPrune } from './local-pool.ts';
import { toPrune } from './retention.ts';
import { wordsOf } from './transfers.ts';

export interface Pruning {
  readonly plan: PoolPlan;
  readonly source: ReadonlyMap<string, Dataset>;
  readonly target: ReadonlyMap<string, Dataset>;
  readonly policy: (dataset: string) => ReplicationPolicy;
  readonly isIncluded: (dataset: string) => boolean;
  /** By what is on its way. */
  readonly needed: (dataset: string) => ReadonlySet<Guid>;
  readonly isRunning: (dataset: string) => boolean;
  readonly local: Pick<LocalPool, 'prune'>;
  readonly order: (order: ReceiverOrder) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Of one order to the other side. */
const BATCH = 100;

/** Resolves with what did not work: sentences. */
export async function pruneBoth(pruning: Pruning): Promise<readonly string[]> {
  const { source, target, plan, signal, local, order, policy } = pruning;
  const problems: string[] = [];
  const failed = (of: string, error: unknown): void => {
    problems.push(`${of}: not pruned: ${wordsOf(error)}`);
  };
  const tasks = new Map(plan.tasks.map((task) => [task.dataset, task]));
  const here = [...source.values()].flatMap((dataset): ToPrune[] => {
    const { name } = dataset;
    if (!pruning.isIncluded(name)) return [];
    const copy = target.get(name) ?? null;
    const task = tasks.get(name) ?? null;
    const needed = new Set([...neededHere(dataset, copy, task), ...pruning.needed(name)]);
    const snapshots = toPrune(dataset.snapshots, policy(name).keep, needed);
    return snapshots.length === 0 ? [] : [{ dataset: name, snapshots }];
  });
  if (here.length > 0 && !signal.aborted)
    try {
      for (const [dataset, error] of await local.prune(here)) failed(dataset, error);
    } catch (error) {
      failed(plan.pool, error);
    }
  const there: NamedSnapshot[] = [...tasks.values()].flatMap((task) => {
    const { dataset } = task;
    const copy = target.get(dataset);
    if (copy === undefined || !mayPruneThere(task) || pruning.isRunning(dataset)) return [];
    const needed = neededThere(source.get(dataset) ?? null, copy);
    return toPrune(copy.snapshots, policy(dataset).keepCopy, needed).map(({ name, guid }) => ({
      dataset,
      name,
      guid,
    }));
  });
  for (let at = 0; at < there.length; at += BATCH) {
    const snapshots = there.slice(at, at + BATCH);
    if (signal.aborted) break;
    try {
      await order({ kind: 'prune', snapshots });
    } catch (error) {
      failed(plan.pool, error);
    }
  }
  return problems;
}

/** Of what is to be sent, what retention would destroy on the other side at once. `task` is of both, as they were read. */
export function unneededThere(
  { state, decision }: Task,
  copy: Dataset | null,
  keep: ReplicationPolicy['keepCopy'],
): ReadonlySet<Guid> {
  const isSure =
    decision.kind === 'full' ? state === 'new' : state === 'both' && 'snapshots' in decision && copy !== null;
  if (!isSure || !('snapshots' in decision)) return new Set();
  // What is held here is not held there.
  const toCome = decision.snapshots.map((one) => ({ ...one, holds: 0 }));
  const there = decision.kind === 'full' ? [] : (copy?.snapshots ?? []);
  const unneeded = toPrune([...there, ...toCome], keep, new Set());
  const coming = new Set(toCome.map(({ guid }) => guid));
  return new Set(unneeded.map(({ guid }) => guid).filter((guid) => coming.has(guid)));
}

function neededHere(source: Dataset, copy: Dataset | null, task: Task | null): readonly Guid[] {
  const there = new Set(copy?.snapshots.map(({ guid }) => guid));
  const common = source.snapshots.map(({ guid }) => guid).filter((guid) => there.has(guid));
  const stream = copy?.resume?.stream ?? null;
  const resumed =
    stream === null ? [] : [stream.toGuid, ...(stream.fromGuid === null ? [] : [stream.fromGuid])];
  return [...(task?.decision.kind === 'conflict' ? common : common.slice(-1)), ...resumed];
}

function neededThere(source: Dataset | null, copy: Dataset): ReadonlySet<Guid> {
  const here = new Set([...(source?.snapshots ?? []), ...(source?.bookmarks ?? [])].map(({ guid }) => guid));
  return new Set(
    copy.snapshots
      .filter(({ guid }) => here.has(guid))
      .slice(-1)
      .map(({ guid }) => guid),
  );
}

/** Where one of the two is not what it should be, nothing goes. */
const mayPruneThere = ({ decision, state }: Task): boolean =>
  state === 'both' &&
  decision.kind !== 'conflict' &&
  decision.kind !== 'excluded' &&
  decision.kind !== 'full';
