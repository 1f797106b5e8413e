/**
 * Random histories, each step done on the model and on the subject, and compared: the answer, then what there is. Where they differ, a new
 * history is begun with new pools: what comes after a difference says nothing.
 */
import { seededRandom } from '../../src/core/index.ts';
import { ListTextError } from '../../src/replication/index.ts';
import { Guids, ModelPool } from '../zfs-model/index.ts';
import { Chance } from './chance.ts';
import { BEGINNING, drawStep } from './draw.ts';
import { differences, type Listing, listingOf, SameGuids, tokenIn, viewOf } from './listing.ts';
import { type ModelPools, performOnModel } from './on-model.ts';
import { DONE, type Outcome, refusedBy } from './refusals.ts';
import { inWords, type PoolNames, type Side, type Step, workOf } from './step.ts';
import type { Answer, Subject } from './subject.ts';

export interface CompareOptions {
  readonly seed: number;
  /** Of all histories together, and of one. */
  readonly steps: number;
  readonly stepsOfOne: number;
  /** Then no more is looked for. */
  readonly maxDifferences: number;
  /** After each step, for whoever waits. */
  readonly onStep?: (done: number, words: string) => void;
  /** Checked before each step. */
  readonly isOver?: () => boolean;
}

export interface Difference {
  readonly history: number;
  readonly step: number;
  /** What was done last. */
  readonly words: string;
  readonly found: readonly string[];
  /** What the subject said. */
  readonly said: string;
  /** What was done before in this history, oldest first. */
  readonly before: readonly string[];
}

export interface Comparison {
  readonly steps: number;
  readonly histories: number;
  /** By the kinds of steps: how many were done, and refused, by both. */
  readonly counts: Readonly<Record<string, number>>;
  readonly differences: readonly Difference[];
  /** Snapshots whose content was read. */
  readonly contents: number;
}

/** So much of a history is told with a difference. */
const TOLD = 40;
/** Whose content is read at the end of a history. */
const MAX_CONTENTS = 12;

export async function compare(subject: Subject, options: CompareOptions): Promise<Comparison> {
  const random = new Chance(seededRandom(options.seed, 'zfs-compare'));
  const counts: Record<string, number> = {};
  const found: Difference[] = [];
  let [steps, histories, contents] = [0, 0, 0];
  const isOver = (): boolean =>
    steps >= options.steps || found.length >= options.maxDifferences || options.isOver?.() === true;
  while (!isOver()) {
    histories += 1;
    const history = new History(subject);
    await history.begin();
    let difference: Omit<Difference, 'history' | 'step'> | null = null;
    for (let at = 0; at < options.stepsOfOne && difference === null && !isOver(); at += 1) {
      const step = BEGINNING[at] ?? drawStep(history.pools, random, at);
      const { outcome, ...result } = await history.take(step);
      steps += 1;
      const word = outcome.kind === 'done' ? 'done' : 'refused';
      counts[`${step.kind} ${word}`] = (counts[`${step.kind} ${word}`] ?? 0) + 1;
      difference = result.difference;
      options.onStep?.(steps, `${inWords(step, subject.pools)}: ${word}`);
    }
    if (difference === null) {
      const end = await history.end();
      contents += end.contents;
      difference = end.difference;
    }
    if (difference !== null) found.push({ history: histories, step: steps, ...difference });
  }
  return { steps, histories, counts, differences: found, contents };
}

type Found = Omit<Difference, 'history' | 'step'>;

class History {
  readonly pools: ModelPools;
  readonly #subject: Subject;
  readonly #names: PoolNames;
  readonly #guids = new SameGuids();
  readonly #told: string[] = [];
  readonly #listings = new Map<string, Listing>();

  constructor(subject: Subject) {
    this.#subject = subject;
    this.#names = subject.pools;
    const guids = new Guids();
    this.pools = { a: new ModelPool(this.#names.a, guids), b: new ModelPool(this.#names.b, guids) };
  }

  begin(): Promise<void> {
    return this.#subject.begin();
  }

  async take(step: Step): Promise<{ readonly outcome: Outcome; readonly difference: Found | null }> {
    const words = inWords(step, this.#names);
    const token = (dataset: string): string | null => {
      const listing = this.#listings.get(step.side);
      return listing === undefined ? null : tokenIn(listing, dataset);
    };
    const work = workOf(step, this.#names, token);
    const outcome = performOnModel(this.pools, step);
    const { answer, listing } = await this.#subject.perform(step.side, work);
    this.#listings.set(step.side, listing);
    const real = outcomeOf(step, answer);
    const found = [
      ...(isSame(outcome, real) ? [] : [`${inShort(outcome)} by the model, ${inShort(real)} in fact`]),
      ...this.#look(step.side, listing),
    ];
    const difference = found.length === 0 ? null : this.#difference(words, found, saidOf(answer));
    this.#told.push(`${words}: ${inShort(outcome)}`);
    return { outcome, difference };
  }

  /** Both pools as they are, and what is in their snapshots. */
  async end(): Promise<{ readonly contents: number; readonly difference: Found | null }> {
    const found: string[] = [];
    for (const side of ['a', 'b'] as const) found.push(...this.#look(side, await this.#subject.look(side)));
    const wanted = (['b', 'a'] as const).flatMap((side) => this.#contentsOf(side)).slice(0, MAX_CONTENTS);
    for (const side of ['a', 'b'] as const) {
      const own = wanted.filter((one) => one.side === side);
      const real = await this.#subject.contents(
        side,
        own.map(({ name }) => name),
      );
      for (const { name, content } of own)
        if (real.get(name) !== content)
          found.push(
            `${name}: its file has ${real.get(name) ?? 'not been read'}, and in the model ${content}`,
          );
    }
    const difference = found.length === 0 ? null : this.#difference('the end of a history', found, '');
    return { contents: wanted.length, difference };
  }

  #contentsOf(
    side: Side,
  ): readonly { readonly side: Side; readonly name: string; readonly content: string }[] {
    return [...this.pools[side].datasets.values()]
      .filter(({ kind }) => kind === 'filesystem')
      .flatMap(({ name, snapshots }) =>
        snapshots.map((one) => ({ side, name: `${name}@${one.name}`, content: one.content })),
      );
  }

  #look(side: Side, listing: Listing): readonly string[] {
    const pool = this.pools[side];
    try {
      return differences(viewOf(pool.name, listingOf(pool)), viewOf(pool.name, listing), this.#guids);
    } catch (error) {
      if (!(error instanceof ListTextError)) throw error;
      return [`the product does not understand what was printed: ${error.message}`];
    }
  }

  #difference(words: string, found: readonly string[], said: string): Found {
    return { words, found, said, before: this.#told.slice(-TOLD) };
  }
}

function outcomeOf(step: Step, { ran, sent, received }: Answer): Outcome {
  if (ran !== null) return ran.code === 0 ? DONE : refusedBy(step, 'zfs', ran.said);
  if (sent !== null && sent.code !== 0) return refusedBy(step, 'sender', sent.said);
  if (received !== null && received.code !== 0) return refusedBy(step, 'receiver', received.said);
  return DONE;
}

const isSame = (left: Outcome, right: Outcome): boolean => inShort(left) === inShort(right);

const inShort = (outcome: Outcome): string =>
  outcome.kind === 'done'
    ? 'done'
    : `refused by the ${outcome.by === 'zfs' ? 'command' : outcome.by} (${outcome.reading})`;

const saidOf = ({ ran, sent, received }: Answer): string =>
  [ran, sent, received]
    .flatMap((one) => (one === null || one.said === '' ? [] : [one.said.trim()]))
    .join('\n');
