/**
 * Both sides and what is between them, for one round. What only the other side has is set aside first, then renames, one at a time: the
 * plan is void after each, and made anew of what is read then.
 */
import type { Clock } from '../../clock.ts';
import type { Epoch } from '../../core/index.ts';
import type { ReceiverChannel, ReceiverOrder, Tail } from '../channel.ts';
import { type PoolPlan, planReplication, type Step } from '../plan.ts';
import { type Dataset, isFirstPart, isWithin, type PoolSide } from '../pool.ts';
import { type PoolsReading, sideOf } from '../reading.ts';
import { ORDER_LIMITS } from '../receiver/index.ts';
import { type KeptThere, keptThere, tailsOf } from '../roles/index.ts';
import type { ChangedCopies } from './changed.ts';
import type { ScopeOptions } from './scope.ts';
import type { Board } from './state.ts';
import { wordsOf } from './transfers.ts';

export interface PlanningOptions extends ScopeOptions {
  readonly epoch: Epoch;
  readonly channel: Pick<ReceiverChannel, 'read' | 'features'>;
  readonly order: (order: ReceiverOrder, limitMs: number) => Promise<void>;
  /** By a stream: it cannot be renamed or set aside now. */
  readonly isBusyAround: (dataset: string) => boolean;
  readonly changed: ChangedCopies;
  readonly board: Board;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const LIMITS = {
  orderMs: 60_000,
  /** Renames of one round; the rest waits for the next. */
  renames: 64,
  /** Of one order; some dozen commands for each dataset. */
  asideMs: 180_000,
  /** Such orders in one round. */
  asides: 16,
} as const;

/** Of one pool, with both sides known. */
export interface Planned {
  readonly source: ReadonlyMap<string, Dataset>;
  readonly target: ReadonlyMap<string, Dataset>;
  readonly plan: PoolPlan;
  /** What only the target has, of its own tenure or of somebody there. */
  readonly tails: readonly Tail[];
  /** What of it is kept there already, since this tenure; null: nothing. */
  readonly kept: KeptThere | null;
}

type Rename = Extract<Step, { kind: 'rename' }>;

type SetAsideOrder = Extract<ReceiverOrder, { readonly kind: 'set-aside' }>;

export class Planning {
  readonly #options: PlanningOptions;

  constructor(options: PlanningOptions) {
    this.#options = options;
  }

  async readTheirs(): Promise<PoolsReading> {
    const { channel, signal, replication } = this.#options;
    try {
      return await channel.read({ signal, limitMs: replication.send.answerMs });
    } catch (error) {
      const why = wordsOf(error).slice(0, 1000);
      return {
        version: 1,
        pools: replication.pools.map((name) => ({ kind: 'unknown', name, why }) as const),
      };
    }
  }

  /** What is only there is set aside first; then renames, one at a time. The plan is void after each. */
  async plan(own: PoolsReading, first: PoolsReading, problems: string[]): Promise<readonly Planned[]> {
    const { signal, board, clock, order, changed } = this.#options;
    let theirs = first;
    const failed: Rename[] = [];
    const stuck = new Set<string>();
    let last = '';
    for (let count = 0, asides = 0; ; ) {
      const planned = this.#options.replication.pools.map((pool) => this.#planPool(pool, own, theirs));
      const aside = asides < LIMITS.asides ? this.#nextAside(planned, stuck) : null;
      if (aside !== null && !signal.aborted) {
        asides += 1;
        const why = await this.#setAside(aside, last);
        if (why === null) changed.asked(copiesOf(aside, planned));
        last = JSON.stringify(aside);
        if (why !== null) {
          stuck.add(aside.pool);
          problems.push(`${aside.pool}: not set aside: ${why}`);
        }
        theirs = await this.readTheirs();
        continue;
      }
      const next = planned
        .map((one) => this.#nextRename(one, failed))
        .find((one): one is Rename => one !== null);
      if (next === undefined || count >= LIMITS.renames || signal.aborted)
        return planned.map((one) => withoutRenamed(one));
      count += 1;
      try {
        await order(next, LIMITS.orderMs);
      } catch (error) {
        failed.push(next);
        board.fail(next.to, clock.wallMs(), wordsOf(error));
      }
      theirs = await this.readTheirs();
    }
  }

  /** Resolves with why it is not done. */
  async #setAside(aside: SetAsideOrder, last: string): Promise<string | null> {
    const { order, ends, channel } = this.#options;
    // One of before sets aside what it has just cloned, again and again.
    if (!channel.features.has('replays')) return `${ends.to} has an older version, which cannot: upgrade it`;
    if (JSON.stringify(aside) === last)
      return `${aside.tails.map(({ dataset }) => dataset).join(', ')} is as it was before ${ends.to} has done it`;
    try {
      await order(aside, LIMITS.asideMs);
      return null;
    } catch (error) {
      return wordsOf(error);
    }
  }

  #planPool(pool: string, own: PoolsReading, theirs: PoolsReading): Planned {
    const { ends, replication, drbdBelow, epoch, changed } = this.#options;
    const [source, target] = [sideOf(own, pool), sideOf(theirs, pool)];
    const drbd = drbdBelow(pool);
    const { isChanged } = changed;
    const plan = planReplication({ pool, ends, source, target, filters: replication, drbd, isChanged });
    const isRead = source.kind === 'read' && target.kind === 'read';
    const tails = isRead ? tailsOf(source.pool, target.pool, plan) : [];
    const kept = target.kind === 'read' ? keptThere(target.pool, epoch) : null;
    return { plan, source: byName(source), target: byName(target), tails, kept };
  }

  /** Null: nothing is only there, or it cannot be touched now. */
  #nextAside(planned: readonly Planned[], stuck: ReadonlySet<string>): SetAsideOrder | null {
    for (const { plan, tails, target } of planned) {
      const free = tails.filter(({ dataset }) => !this.#options.isBusyAround(movedWith(dataset, target)));
      if (free.length > 0 && !stuck.has(plan.pool))
        return { kind: 'set-aside', pool: plan.pool, tails: free.slice(0, ORDER_LIMITS.tails) };
    }
    return null;
  }

  /** The first one of a plan has the names as they were read. */
  #nextRename({ plan, target }: Planned, failed: readonly Rename[]): Rename | null {
    const step = plan.tasks.flatMap(({ steps }) => steps).find(isRename);
    if (step === undefined || failed.some(({ from, to }) => from === step.from && to === step.to))
      return null;
    const parent = target.get(step.to.slice(0, step.to.lastIndexOf('/')));
    const isFree = !this.#options.isBusyAround(step.from) && !this.#options.isBusyAround(step.to);
    return isFree && parent !== undefined && !isFirstPart(parent) ? step : null;
  }
}

const copiesOf = ({ pool, tails }: SetAsideOrder, planned: readonly Planned[]): readonly Dataset[] => {
  const target = planned.find(({ plan }) => plan.pool === pool)?.target;
  return tails.flatMap(({ dataset }) => target?.get(dataset) ?? []);
};

/** With an encrypted dataset the root of its key goes, and what lies below that: the highest that is encrypted is as far as that can be. */
function movedWith(dataset: string, target: ReadonlyMap<string, Dataset>): string {
  const parts = dataset.split('/');
  const above = parts.map((_, at) => parts.slice(0, at + 1).join('/'));
  return above.find((name) => (target.get(name)?.encryption ?? null) !== null) ?? dataset;
}

export const isRename = (step: Step): step is Rename => step.kind === 'rename';

const byName = (side: PoolSide): ReadonlyMap<string, Dataset> =>
  new Map(side.kind === 'read' ? side.pool.datasets.map((one) => [one.name, one]) : []);

/** What a rename that has not been done would change waits for it; everything else goes on. */
function withoutRenamed(planned: Planned): Planned {
  const { plan } = planned;
  const renames = plan.tasks.flatMap(({ steps }) => steps.filter(isRename));
  const touches = (name: string): boolean =>
    renames.some(({ from, to }) => isWithin(name, from) || isWithin(name, to));
  const tasks = plan.tasks.map((task) => (touches(task.dataset) ? { ...task, steps: [] } : task));
  return { ...planned, plan: { ...plan, tasks } };
}
