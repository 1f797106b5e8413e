/** The names of a pool's datasets and its free space, as they will be when the steps planned so far are done. */
import { type Dataset, isFirstPart } from './pool.ts';

export class PoolTree {
  /** By the name that was read: the name by then. */
  readonly #names: Map<string, string>;
  /** By the name by then; only of those that something may lie in. */
  readonly #available: Map<string, number>;
  #spentBytes = 0;

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

  /** Bytes that it may take, by the quotas of what it lies in. */
  freeFor(name: string): number {
    for (let at = name; at !== ''; at = parentOf(at)) {
      const available = this.#available.get(at);
      if (available !== undefined) return Math.max(0, available - this.#spentBytes);
    }
    return 0;
  }

  spend(bytes: number): void {
    this.#spentBytes += bytes;
  }

  add(name: string): void {
    this.#available.set(name, this.freeFor(name) + this.#spentBytes);
  }

  /** With everything below it, as `zfs rename` does. */
  rename(from: string, to: string): void {
    const after = (name: string): string =>
      name === from || name.startsWith(`${from}/`) ? to + name.slice(from.length) : name;
    for (const [read, name] of this.#names) this.#names.set(read, after(name));
    for (const [name, available] of [...this.#available]) {
      this.#available.delete(name);
      this.#available.set(after(name), available);
    }
  }
}

export const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')));
