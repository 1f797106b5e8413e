/** What of a pool is replicated, and by which policy. Decided anew by every reading: properties and filters say it. */
import type { ReplicationConfig, ReplicationPolicy, SendConfig } from '../../config/index.ts';
import type { Ends } from '../decide.ts';
import { whyNotReplicated } from '../filters.ts';
import type { PoolPlan } from '../plan.ts';
import { type Dataset, isFirstPart, type PoolSide } from '../pool.ts';
import { policyOf } from './schedule.ts';

export interface ScopeOptions {
  readonly ends: Ends;
  readonly replication: Pick<ReplicationConfig, 'pools' | 'include' | 'exclude'> & {
    readonly send: SendConfig;
  };
  /** DRBD resources that the config puts below a pool. */
  readonly drbdBelow: (pool: string) => readonly string[];
}

export class Scope {
  readonly #options: ScopeOptions;

  constructor(options: ScopeOptions) {
    this.#options = options;
  }

  policy(dataset: string): ReplicationPolicy {
    return policyOf(this.#options.replication.send, dataset);
  }

  /** What has something to be taken a snapshot of. */
  included(side: PoolSide, pool: string): readonly Dataset[] {
    const { drbdBelow } = this.#options;
    if (side.kind !== 'read' || drbdBelow(pool).length > 0) return [];
    return side.pool.datasets.filter((one) => !isFirstPart(one) && this.#isReplicated(one, pool));
  }

  isIncluded({ pool, state }: PoolPlan, source: ReadonlyMap<string, Dataset>, name: string): boolean {
    const dataset = source.get(name);
    return state !== 'by-drbd' && dataset !== undefined && this.#isReplicated(dataset, pool);
  }

  #isReplicated(dataset: Dataset, pool: string): boolean {
    const { ends, replication } = this.#options;
    return whyNotReplicated(dataset, { pool, from: ends.from, filters: replication }) === null;
  }
}
