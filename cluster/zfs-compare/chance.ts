/** What all that is drawn is drawn by: a chance, the few names that there are, and what a pool has. */
import type { ModelDataset, ModelPool } from '../zfs-model/index.ts';

export const FILE_SYSTEMS = ['a', 'a/x', 'b', 'c', 'c/y'] as const;
export const COPIES = ['a', 'a/x', 'b', 'c', 'copy', 'a/copy'] as const;
/** Few: names come back. */
export const SNAPSHOTS = ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'] as const;
/** Of a choice that the model would take. */
export const SENSIBLE = 0.9;

/** What is drawn from: a number in [0, 1). */
export class Chance {
  readonly #next: () => number;

  constructor(next: () => number) {
    this.#next = next;
  }

  isTrue(chance: number): boolean {
    return this.#next() < chance;
  }

  below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  of<Value>(values: readonly Value[], otherwise: Value): Value {
    return values[this.below(values.length)] ?? otherwise;
  }

  /** One of those that are there, mostly; else one of all. */
  sensible(there: readonly string[], all: readonly string[]): string {
    return there.length > 0 && this.isTrue(SENSIBLE) ? this.of(there, '') : this.of(all, 'a');
  }
}

/** Without its pool; never the pool itself. */
export function dataset(
  pool: ModelPool,
  random: Chance,
  isSensible: (one: ModelDataset) => boolean = () => true,
): string {
  const there = [...pool.datasets.values()].filter((one) => one.name !== pool.name && isSensible(one));
  return random.sensible(
    there.map(({ name }) => name.slice(pool.name.length + 1)),
    FILE_SYSTEMS,
  );
}

export function snapshotOf(pool: ModelPool, name: string, random: Chance): string {
  const there = pool.datasets.get(`${pool.name}/${name}`)?.snapshots ?? [];
  return random.sensible(
    there.map((one) => one.name),
    SNAPSHOTS,
  );
}

export const hasSnapshots = ({ snapshots }: ModelDataset): boolean => snapshots.length > 0;
