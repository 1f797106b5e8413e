/**
 * What waits for one viewer. Bounded in number and in memory: what does not fit is dropped, counted, and told in its place.
 */
import { type Filter, matches } from './filter.ts';
import type { Observation } from './observation.ts';

export const VIEWER_LIMITS = {
  /** Observations that wait; more are dropped. */
  observations: 1000,
  /** Memory of those, roughly; more are dropped. */
  weightBytes: 1024 * 1024,
} as const;

/** Observations in their order; a number stands for so many that were dropped there. */
export type Waiting = Observation | number;

export class Viewer {
  readonly #filter: Filter;
  readonly #waiting: Waiting[] = [];
  #weight = 0;
  #onWaiting: (() => void) | null = null;
  #onEnd: ((why: string) => void) | null = null;
  droppedInAll = 0;

  constructor(filter: Filter) {
    this.#filter = filter;
  }

  /** Told once, when something waits. */
  whenWaiting(act: () => void): void {
    if (this.#waiting.length > 0) act();
    else this.#onWaiting = act;
  }

  /** Told when there will be nothing more to see. */
  whenEnded(act: (why: string) => void): void {
    this.#onEnd = act;
  }

  end(why: string): void {
    this.#onEnd?.(why);
    this.#onEnd = null;
  }

  offer(seen: Observation): void {
    if (!matches(this.#filter, seen)) return;
    const isFull =
      this.#waiting.length >= VIEWER_LIMITS.observations ||
      this.#weight + seen.weight > VIEWER_LIMITS.weightBytes;
    if (isFull) return this.#drop(1);
    this.#insert(seen);
    this.#weight += seen.weight;
    this.#wake();
  }

  /** So many calls to the cloud are missing here; a filter for nodes asks for none. */
  missCalls(count: number): void {
    if (this.#filter.peers.size === 0) this.#drop(count);
  }

  #drop(count: number): void {
    this.droppedInAll += count;
    const last = this.#waiting.at(-1);
    if (typeof last === 'number') this.#waiting[this.#waiting.length - 1] = last + count;
    else this.#waiting.push(count);
    this.#wake();
  }

  /** The oldest, at most so many; they wait no longer. */
  take(most: number): Waiting[] {
    const taken = this.#waiting.splice(0, most);
    for (const one of taken) if (typeof one !== 'number') this.#weight -= one.weight;
    return taken;
  }

  /** By time: what the executor tells of its calls comes late. What is missing stays where it was missed. */
  #insert(seen: Observation): void {
    let place = this.#waiting.length;
    for (; place > 0; place--) {
      const before = this.#waiting[place - 1];
      if (before === undefined || typeof before === 'number' || before.at <= seen.at) break;
    }
    this.#waiting.splice(place, 0, seen);
  }

  #wake(): void {
    const act = this.#onWaiting;
    this.#onWaiting = null;
    act?.();
  }
}
