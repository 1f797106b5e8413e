/**
 * Holds the true world and the older ones that delayed visibility may still show. One writer: the event loop.
 */
import type { World } from './world.ts';

/** Delayed visibility cannot reach further back than this; older worlds are forgotten. */
export const MAX_VISIBILITY_DELAY_MS = 60_000;
const MAX_VERSIONS = 10_000;

interface Version {
  readonly atMs: number;
  readonly world: World;
}

export class WorldStore {
  readonly #now: () => number;
  readonly #onChange: (world: World) => void;
  #versions: Version[];

  constructor(world: World, now: () => number, onChange: (world: World) => void) {
    this.#now = now;
    this.#onChange = onChange;
    // The first world has always been there.
    this.#versions = [{ atMs: Number.NEGATIVE_INFINITY, world }];
  }

  get current(): World {
    const last = this.#versions.at(-1);
    if (last === undefined) throw new Error('the store is never empty');
    return last.world;
  }

  commit(world: World): void {
    if (world === this.current) return;
    const nowMs = this.#now();
    this.#versions.push({ atMs: nowMs, world });
    this.#forget(nowMs);
    this.#onChange(world);
  }

  /** The world as it was at an instant. */
  at(ms: number): World {
    return (
      (this.#versions.findLast((version) => version.atMs <= ms) ?? this.#versions[0])?.world ?? this.current
    );
  }

  #forget(nowMs: number): void {
    const limit = nowMs - MAX_VISIBILITY_DELAY_MS;
    const newestOld = this.#versions.findLastIndex((version) => version.atMs <= limit);
    const surplus = Math.max(newestOld, this.#versions.length - MAX_VERSIONS);
    if (surplus > 0) this.#versions = this.#versions.slice(surplus);
  }
}
