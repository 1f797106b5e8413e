/**
 * Tells the other side when everything of a pool has arrived as it was at one moment: a takeover there is decided by that word.
 *
 * 1. Only of a snapshot that every replicated dataset of the pool has, by one name of this tenure, so of one command.
 * 2. Not while one of them is in conflict: then the copy has something else, whatever has arrived of it.
 * 3. The other side looks for each of them before it writes the word down; what is known here only says when to ask.
 * 4. Of the newest that has arrived, not only of the newest that there is: where a round takes longer than a period, that one never
 *    arrives before there is a newer one, and no takeover would ever be allowed (seen in the lab). The word never goes back.
 * 5. What there is beside that on the other side is named with the word, so that no takeover there takes it for part of it (left-out.ts).
 */
import type { Epoch } from '../../core/index.ts';
import type { LeftOutThere, NamedSnapshot, ReceiverOrder } from '../channel.ts';
import type { PoolPlan } from '../plan.ts';
import { type Dataset, type Guid, isFirstPart } from '../pool.ts';
import { leftOutThere } from './left-out.ts';
import { readOwnName } from './names.ts';

export interface CompletionOptions {
  readonly epoch: Epoch;
  readonly order: (order: ReceiverOrder) => Promise<void>;
  /** The other side may be of a version before. */
  readonly takesLeftOut: () => boolean;
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
/** Of a pool, the newest ones, and the newest that has arrived already, however long ago it was taken. */
const MAX_WANTED = 16;

interface Wanted {
  readonly name: string;
  readonly snapshots: readonly NamedSnapshot[];
  readonly leftOut: readonly LeftOutThere[];
  readonly missing: Set<Guid>;
  /** It, and what was taken before it, as ZFS orders them: clocks go back. */
  readonly past: ReadonlySet<string>;
}

export class Completion {
  readonly #options: CompletionOptions;
  /** Of each pool, the oldest first. */
  readonly #wanted = new Map<string, readonly Wanted[]>();
  /** The last one that the other side has written down. */
  readonly #done = new Map<string, Pick<Wanted, 'name' | 'past'>>();
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
    return this.#done.get(pool)?.name === name;
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
    this.#wanted.set(pool, this.#wantedOf(input));
  }

  /** The newest word waits for it. An older one comes by the way, or not at all. */
  isAwaited(guid: Guid): boolean {
    return [...this.#wanted.values()].some((wanted) => wanted.at(-1)?.missing.has(guid) === true);
  }

  /** It is there. */
  arrived(guid: Guid): void {
    this.#arrived = [...this.#arrived, guid].slice(-MAX_ARRIVED);
    for (const { missing } of [...this.#wanted.values()].flat()) missing.delete(guid);
    this.check();
  }

  /** Orders what is due; resolves with `settled`. */
  check(): void {
    for (const [pool, wanted] of this.#wanted) {
      const at = wanted.findLastIndex(({ missing }) => missing.size === 0);
      const whole = wanted[at];
      if (whole === undefined) continue;
      this.#wanted.set(pool, wanted.slice(at + 1));
      this.#ordering = this.#ordering.then(() => this.#order(pool, whole));
    }
  }

  settled(): Promise<void> {
    return this.#ordering;
  }

  async #order(pool: string, { name, snapshots, leftOut, past }: Wanted): Promise<void> {
    const { order, onFailure, takesLeftOut } = this.#options;
    const more = takesLeftOut() && leftOut.length > 0 ? { leftOut } : {};
    try {
      await order({ kind: 'complete', pool, snapshots, isFinal: name === this.#lastName, ...more });
      this.#done.set(pool, { name, past });
    } catch (error) {
      // The next round plans it again.
      onFailure(pool, error);
    }
  }

  #wantedOf(input: CompletionInput): readonly Wanted[] {
    const { source, target } = input;
    const all = [...source.values()].filter(({ name }) => isSent(input, name));
    const [first] = all;
    const byName = all.map(({ snapshots }) => new Map(snapshots.map((one) => [one.name, one.guid])));
    const arrived = new Set(this.#arrived);
    for (const { name } of all) for (const { guid } of target.get(name)?.snapshots ?? []) arrived.add(guid);
    const names = (first?.snapshots ?? []).map(({ name }) => name);
    const past = this.#done.get(input.plan.pool)?.past ?? new Set();
    const isWanted = (name: string): boolean => this.#isOurs(name) && !past.has(name);
    const ofAll = names.filter((name) => isWanted(name) && byName.every((has) => has.has(name)));
    const isWhole = (name: string): boolean =>
      byName.every((has) => {
        const guid = has.get(name);
        return guid !== undefined && arrived.has(guid);
      });
    const whole = ofAll.findLast(isWhole);
    const leftOut = leftOutThere({ ...input, pool: input.plan.pool }, (one) => isSent(input, one));
    const chosen = ofAll.filter((name, at) => name === whole || at >= ofAll.length - MAX_WANTED);
    return chosen.map((name) => {
      const snapshots = all.flatMap(({ name: dataset }, index): NamedSnapshot[] => {
        const guid = byName[index]?.get(name);
        return guid === undefined ? [] : [{ dataset, name, guid }];
      });
      const missing = new Set(snapshots.map(({ guid }) => guid).filter((guid) => !arrived.has(guid)));
      return { name, snapshots, leftOut, missing, past: new Set(names.slice(0, names.indexOf(name) + 1)) };
    });
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
