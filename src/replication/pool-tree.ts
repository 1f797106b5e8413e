/**
 * The names of a pool's datasets and its free space, as they will be when the steps planned so far are done.
 *
 * What goes into a dataset is missing in everything that it lies in, and nowhere else: not below the quota of another.
 */
import { type Dataset, isFirstPart, parentsOf } from './pool.ts';

export class PoolTree {
  /** By the name that was read: the name by then. */
  readonly #names: Map<string, string>;
  /** By the name by then; only of those that something may lie in. Null: it is new, and has no quota of its own. */
  readonly #available: Map<string, number | null>;
  /** Bytes of the steps planned so far, by the name by then: in it, and in all that lies in it. */
  readonly #spent = new Map<string, number>();

  constructor(datasets: readonly Dataset[]) {
    this.#names = new Map(datasets.map(({ name }) => [name, name]));
    // Nothing may be put below one of those: then it could not be given up.
    const whole = datasets.filter((dataset) => !isFirstPart(dataset));
    this.#available = new Map(whole.map(({ name, available }) => [name, available]));
  }

  nameOf(read: string): string {
    return this.#names.get(read) ?? read;
  }

  has(name: string): boolean {
    return this.#available.has(name) || [...this.#names.values()].includes(name);
  }

  /** Something lies below it. */
  isParent(name: string): boolean {
    return [...this.#names.values()].some((other) => other.startsWith(`${name}/`));
  }

  hasParentOf(name: string): boolean {
    return this.#available.has(parentOf(name));
  }

  /**
   * Bytes that it may take, by its quota and those of what it lies in. More than that one has available it has by a reservation of its own,
   * or because that one's `refquota` is none for it: so that much was there for it, less what goes into that one meanwhile.
   */
  freeFor(name: string): number {
    let free: number | null = null;
    let most = 0;
    for (const at of [name, ...parentsOf(name)]) {
      const available = this.#available.get(at) ?? null;
      if (available === null) continue;
      most = Math.max(most, available);
      free = Math.min(free ?? most, most - (this.#spent.get(at) ?? 0));
    }
    return Math.max(0, free ?? 0);
  }

  spend(name: string, bytes: number): void {
    for (const at of [name, ...parentsOf(name)]) this.#spent.set(at, (this.#spent.get(at) ?? 0) + bytes);
  }

  add(name: string): void {
    this.#available.set(name, null);
  }

  /** With everything below it, as `zfs rename` does. */
  rename(from: string, to: string): void {
    const after = (name: string): string =>
      name === from || name.startsWith(`${from}/`) ? to + name.slice(from.length) : name;
    for (const [read, name] of this.#names) this.#names.set(read, after(name));
    const spent = this.#spent.get(from) ?? 0;
    this.spend(parentOf(from), -spent);
    renameKeys(this.#available, after);
    renameKeys(this.#spent, after);
    this.spend(parentOf(to), spent);
  }
}

function renameKeys<Value>(all: Map<string, Value>, after: (name: string) => string): void {
  const entries = [...all];
  all.clear();
  for (const [name, value] of entries) all.set(after(name), value);
}

export const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')));
