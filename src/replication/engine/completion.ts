/**
 * Tells the other side when everything of a pool has arrived as it was at one moment: a takeover there is decided by that word.
 *
 * 1. Only of a snapshot that every replicated dataset of the pool has, by one name of this tenure, so of one command.
 * 2. Not while one of them is in conflict: then the copy has something else, whatever has arrived of it.
 * 3. The other side looks for each of them before it writes the word down; what is known here only says when to ask.
 */
import type { Epoch } from '../../core/index.ts';
import type { NamedSnapshot, ReceiverOrder } from '../channel.ts';
import type { PoolPlan } from '../plan.ts';
import { type Dataset, type Guid, isFirstPart } from '../pool.ts';
import { readOwnName } from './names.ts';

export interface CompletionOptions {
  readonly epoch: Epoch;
  readonly order: (order: ReceiverOrder) => Promise<void>;
  readonly onFailure: (pool: string, error: unknown) => void;
}

/** Of one pool, with both sides read. */
export interface CompletionInput {
  readonly plan: PoolPlan;
  readonly source: ReadonlyMap<string, Dataset>;
  readonly target: ReadonlyMap<string, Dataset>;
  readonly isIncluded: (dataset: string) => boolean;
}

const MAX_ARRIVED = 5000;

interface Wanted {
  readonly name: string;
  readonly snapshots: readonly NamedSnapshot[];
  readonly missing: Set<Guid>;
}

export class Completion {
  readonly #options: CompletionOptions;
  readonly #wanted = new Map<string, Wanted>();
  /** The last one that the other side has written down. */
  readonly #done = new Map<string, string>();
  readonly #conflicts = new Map<string, string>();
  /** In a planned release: the one that everything is about. */
  #lastName: string | null = null;
  /** Since what a round has read may be older. */
  #arrived: readonly Guid[] = [];
  #ordering: Promise<void> = Promise.resolve();

  constructor(options: CompletionOptions) {
    this.#options = options;
  }

  /** From here on only this one counts, and after it nothing is written. */
  onlyLast(name: string): void {
    this.#lastName = name;
  }

  isDone(pool: string, name: string): boolean {
    return this.#done.get(pool) === name;
  }

  /** Why the pool cannot become complete by sending; null: not known to be so. */
  conflictOf(pool: string): string | null {
    return this.#conflicts.get(pool) ?? null;
  }

  /** As a round has found it. */
  plan(input: CompletionInput): void {
    const { pool } = input.plan;
    this.#wanted.delete(pool);
    this.#conflicts.delete(pool);
    if (input.plan.state !== 'planned') return;
    const conflict = input.plan.tasks.find(
      ({ dataset, decision }) => decision.kind === 'conflict' && isSent(input, dataset),
    );
    if (conflict !== undefined) {
      this.#conflicts.set(pool, `${conflict.dataset}: ${conflict.decision.why}`);
      return;
    }
    const wanted = this.#newestOfAll(input);
    if (wanted !== null && this.#done.get(pool) !== wanted.name) this.#wanted.set(pool, wanted);
  }

  /** The word that it is about waits for it. */
  isAwaited(guid: Guid): boolean {
    return [...this.#wanted.values()].some(({ missing }) => missing.has(guid));
  }

  /** It is there. */
  arrived(guid: Guid): void {
    this.#arrived = [...this.#arrived, guid].slice(-MAX_ARRIVED);
    for (const { missing } of this.#wanted.values()) missing.delete(guid);
    this.check();
  }

  /** Orders what is due; resolves with `settled`. */
  check(): void {
    for (const [pool, wanted] of this.#wanted) {
      if (wanted.missing.size > 0) continue;
      this.#wanted.delete(pool);
      this.#ordering = this.#ordering.then(() => this.#order(pool, wanted));
    }
  }

  settled(): Promise<void> {
    return this.#ordering;
  }

  async #order(pool: string, { name, snapshots }: Wanted): Promise<void> {
    const { order, onFailure } = this.#options;
    try {
      await order({ kind: 'complete', pool, snapshots, isFinal: name === this.#lastName });
      this.#done.set(pool, name);
    } catch (error) {
      // The next round plans it again.
      onFailure(pool, error);
    }
  }

  #newestOfAll(input: CompletionInput): Wanted | null {
    const { source, target } = input;
    const all = [...source.values()].filter(({ name }) => isSent(input, name));
    const [first, ...rest] = all;
    const isOfAll = (name: string): boolean =>
      rest.every(({ snapshots }) => snapshots.some((one) => one.name === name));
    const newest = first?.snapshots.findLast(({ name }) => this.#isOurs(name) && isOfAll(name));
    if (newest === undefined) return null;
    const { name } = newest;
    const snapshots = all.flatMap(({ name: dataset, snapshots: own }): NamedSnapshot[] =>
      own.flatMap((one) => (one.name === name ? [{ dataset, name, guid: one.guid }] : [])),
    );
    const isThere = ({ dataset, guid }: NamedSnapshot): boolean =>
      target.get(dataset)?.snapshots.some((one) => one.guid === guid) === true;
    const missing = new Set(snapshots.filter((one) => !isThere(one)).map(({ guid }) => guid));
    for (const guid of this.#arrived) missing.delete(guid);
    return { name, snapshots, missing };
  }

  #isOurs(name: string): boolean {
    if (this.#lastName !== null) return name === this.#lastName;
    return readOwnName(name)?.epoch === this.#options.epoch;
  }
}

/** Of a first copy that has not arrived whole nobody here has ever had anything to write to. */
function isSent({ source, isIncluded }: CompletionInput, dataset: string): boolean {
  const found = source.get(dataset);
  return found !== undefined && isIncluded(dataset) && !isFirstPart(found);
}
