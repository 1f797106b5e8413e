/** The snapshots of a tenure: once per period of what is due, all of a pool by one command, by names that never come back. */
import type { Clock } from '../../clock.ts';
import type { Epoch } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { type PoolsReading, sideOf } from '../reading.ts';
import { type LocalPool, MAX_ATOMIC } from './local-pool.ts';
import { lastSnapshotName, newSnapshotName } from './names.ts';
import { Slots } from './schedule.ts';
import type { Scope } from './scope.ts';
import { wordsOf } from './transfers.ts';

export interface SnapshotsOptions {
  readonly pools: readonly string[];
  readonly scope: Scope;
  readonly epoch: Epoch;
  readonly local: Pick<LocalPool, 'read' | 'snapshot'>;
  readonly clock: Clock;
}

/** Names that are remembered: one that was destroyed here at once may be on the other side. */
const MAX_GIVEN = 100;

/** What somebody has asked for; `ALL` in it: everything. */
export const ALL = '';

export const isAsked = (asked: ReadonlySet<string>, dataset: string): boolean =>
  asked.has(ALL) || asked.has(dataset);

export interface Taken {
  readonly problems: string[];
  /** What was read before is old. */
  readonly hasTaken: boolean;
}

export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #slots: Slots;
  #given: readonly string[] = [];

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#slots = new Slots(options.clock.now());
  }

  untilNext(periodMs: number): number {
    return Math.max(0, this.#slots.untilNext(periodMs, this.#options.clock.now()));
  }

  async take(reading: PoolsReading, asked: ReadonlySet<string>): Promise<Taken> {
    const { pools, clock, epoch, local, scope } = this.#options;
    const problems: string[] = [];
    let hasTaken = false;
    for (const pool of pools) {
      const included = scope.included(sideOf(reading, pool), pool);
      const now = clock.now();
      const due = included.filter(
        ({ name }) => isAsked(asked, name) || this.#slots.isDue(name, scope.policy(name).periodMs, now),
      );
      if (due.length === 0) continue;
      if (due.length > MAX_ATOMIC) {
        problems.push(`${pool}: ${due.length} datasets are too many for one moment, ${MAX_ATOMIC} are not`);
        continue;
      }
      const taken = new Set([
        ...this.#given,
        ...included.flatMap(({ snapshots }) => snapshots.map(({ name }) => name)),
      ]);
      const name = newSnapshotName(clock.wallMs(), epoch, (one) => taken.has(one));
      this.#given = [...this.#given, name].slice(-MAX_GIVEN);
      try {
        const names = due.map((one) => one.name);
        await local.snapshot(names, name);
        hasTaken = true;
        for (const one of names) this.#slots.taken(one, scope.policy(one).periodMs, now);
      } catch (error) {
        problems.push(`${pool}: no snapshot: ${wordsOf(error)}`);
        // Some may be there all the same.
        hasTaken = true;
      }
    }
    return { problems, hasTaken };
  }

  /** Of everything in these pools, for a planned release. Resolves with its name; rejects where there is nothing, or too much. */
  async takeLast(pools: readonly string[]): Promise<string> {
    const { local, clock, epoch, scope } = this.#options;
    const name = lastSnapshotName(clock.wallMs(), epoch);
    const before = await local.read();
    for (const pool of pools) {
      const side = sideOf(before, pool);
      const datasets = scope.included(side, pool).map((one) => one.name);
      if (side.kind !== 'read') throw new QuorateError('replication-conflict', `${pool}: ${side.why}`);
      if (datasets.length === 0 || datasets.length > MAX_ATOMIC)
        throw new QuorateError(
          'replication-conflict',
          `${pool} has ${datasets.length} datasets to send, and it must be 1 to ${MAX_ATOMIC}`,
        );
      await local.snapshot(datasets, name);
    }
    return name;
  }
}
