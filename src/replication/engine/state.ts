/**
 * How far replication is, dataset by dataset: what the replicator tells the executor, the executor the agent, and the agent
 * whoever asks. Told as changes, because a line of those channels has a limit.
 */
import { z } from 'zod';

export const MAX_DATASETS = 10_000;
/** A line has 64 KiB, and one dataset takes 2.5 KiB at most. */
export const MAX_CHANGES = 20;
const MAX_GONE = 100;
const MAX_TEXT = 500;

export const DATASET_STATES = ['current', 'sending', 'waiting', 'failed', 'conflict', 'unknown'] as const;

const bytes = z.number().nonnegative();
const wallMs = z.number();
/** ZFS allows 255. */
export const MAX_DATASET_NAME = 256;
const name = z.string().max(MAX_DATASET_NAME);
const text = z.string().max(MAX_TEXT);

export const datasetStateSchema = z.strictObject({
  dataset: name,
  /**
   * `current`: the copy has everything; `waiting`: for its turn, or its time of the day; `failed`: it is tried again in the next
   * round; `conflict`: it needs somebody; `unknown`: what one side has could not be read.
   */
  state: z.enum(DATASET_STATES),
  why: text,
  /** The newest snapshot that both sides have. `takenAt` is null where replication has not taken it itself. */
  common: z.strictObject({ name, takenAt: wallMs.nullable() }).nullable(),
  periodMs: z.number().positive(),
  progress: z
    .strictObject({
      snapshot: name,
      bytes,
      /** Null until ZFS has said it. */
      totalBytes: bytes.nullable(),
      bytesPerSecond: bytes.nullable(),
      startedAt: wallMs,
    })
    .nullable(),
  /** The last thing that did not work, also after it has worked again. */
  lastError: z.strictObject({ at: wallMs, why: text }).nullable(),
  /** Since the replicator began. */
  sentBytes: bytes,
  failures: z.number().int().nonnegative(),
});

export const roundSchema = z.strictObject({
  /** Counts from 1 since the replicator began. */
  number: z.number().int().nonnegative(),
  startedAt: wallMs.nullable(),
  /** What concerns all datasets: a side that cannot be read, a channel that does not open. */
  problem: text.nullable(),
});

/** Of one pool: what only the other node had, kept there since a change of roles that this tenure has begun with. */
export const keptSchema = z.strictObject({
  pool: z.string().max(MAX_DATASET_NAME),
  datasets: z.number().int().positive(),
  bytes,
  largest: name,
  /** A replicator of before does not say. */
  upTo: z.number().int().nonnegative().optional(),
});
const MAX_KEPT = 16;

export const reportSchema = z.strictObject({
  /** Everything that was told before is void. */
  isReset: z.boolean(),
  round: roundSchema,
  datasets: z.array(datasetStateSchema).max(MAX_CHANGES),
  gone: z.array(name).max(MAX_GONE),
  /** A replicator of before does not say. */
  kept: z.array(keptSchema).max(MAX_KEPT).optional(),
});

/** How a last snapshot has ended; nothing follows. */
export const lastEndSchema = z.discriminatedUnion('last', [
  z.strictObject({ last: z.literal('sent'), snapshot: name }),
  z.strictObject({ last: z.literal('failed'), why: text }),
]);

export type LastEnd = z.output<typeof lastEndSchema>;
export type DatasetState = z.output<typeof datasetStateSchema>;
export type Round = z.output<typeof roundSchema>;
export type Report = z.output<typeof reportSchema>;

export const NO_ROUND: Round = { number: 0, startedAt: null, problem: null };

export const said = (why: string): string => why.replaceAll(/\s+/g, ' ').trim().slice(0, MAX_TEXT);

/** Where the engine writes, and what is left to tell of it. */
export class Board {
  readonly #datasets = new Map<string, DatasetState>();
  readonly #changed = new Set<string>();
  readonly #gone = new Set<string>();
  #round: Round = NO_ROUND;
  #kept: readonly z.output<typeof keptSchema>[] = [];
  #isRoundTold = false;
  #isReset = true;

  get round(): Round {
    return this.#round;
  }

  /** Everything of this tenure, once nothing is left to be set aside. */
  setKept(kept: readonly z.output<typeof keptSchema>[]): void {
    this.#kept = kept.slice(0, MAX_KEPT);
    this.#isRoundTold = false;
  }

  setRound(change: Partial<Round>): void {
    const problem = change.problem ?? null;
    this.#round = { ...this.#round, ...change, ...(problem === null ? {} : { problem: said(problem) }) };
    this.#isRoundTold = false;
  }

  get(dataset: string): DatasetState | null {
    return this.#datasets.get(dataset) ?? null;
  }

  set(dataset: string, change: Partial<Omit<DatasetState, 'dataset'>>): void {
    const before = this.#datasets.get(dataset);
    if (before === undefined && this.#datasets.size >= MAX_DATASETS) return;
    const next = { ...(before ?? blank(dataset)), ...change };
    this.#datasets.set(dataset, { ...next, why: said(next.why) });
    this.#changed.add(dataset);
    this.#gone.delete(dataset);
  }

  fail(dataset: string, at: number, why: string): void {
    const failures = (this.#datasets.get(dataset)?.failures ?? 0) + 1;
    this.set(dataset, { state: 'failed', why, progress: null, failures, lastError: { at, why: said(why) } });
  }

  /** Forgets what is not there any more. */
  retain(isThere: (dataset: string) => boolean): void {
    for (const dataset of [...this.#datasets.keys()]) {
      if (isThere(dataset)) continue;
      this.#datasets.delete(dataset);
      this.#changed.delete(dataset);
      this.#gone.add(dataset);
    }
  }

  /** What has not been told yet, in pieces. */
  *take(): Generator<Report> {
    while (this.#isReset || !this.#isRoundTold || this.#changed.size > 0 || this.#gone.size > 0) {
      const changed = [...this.#changed].slice(0, MAX_CHANGES);
      const gone = [...this.#gone].slice(0, MAX_GONE);
      for (const dataset of changed) this.#changed.delete(dataset);
      for (const dataset of gone) this.#gone.delete(dataset);
      const isReset = this.#isReset;
      this.#isReset = false;
      this.#isRoundTold = true;
      const datasets = changed.flatMap((dataset) => this.#datasets.get(dataset) ?? []);
      const kept = this.#kept.length === 0 ? {} : { kept: [...this.#kept] };
      yield { isReset, round: this.#round, datasets, gone, ...kept };
    }
  }
}

const blank = (dataset: string): DatasetState => ({
  dataset,
  state: 'unknown',
  why: '',
  common: null,
  periodMs: 1,
  progress: null,
  lastError: null,
  sentBytes: 0,
  failures: 0,
});

/** The other end: puts the changes together. */
export class BoardView {
  readonly #datasets = new Map<string, DatasetState>();
  /** Made when it is asked for: there can be 10,000, and a page asks every second. */
  #sorted: readonly DatasetState[] | null = null;
  #round: Round = NO_ROUND;

  get round(): Round {
    return this.#round;
  }

  /** By name. */
  get datasets(): readonly DatasetState[] {
    this.#sorted ??= [...this.#datasets.values()].sort((left, right) =>
      left.dataset < right.dataset ? -1 : 1,
    );
    return this.#sorted;
  }

  apply({ isReset, round, datasets, gone }: Report): void {
    this.#sorted = null;
    if (isReset) this.#datasets.clear();
    for (const dataset of gone) this.#datasets.delete(dataset);
    for (const state of datasets)
      if (this.#datasets.size < MAX_DATASETS || this.#datasets.has(state.dataset))
        this.#datasets.set(state.dataset, state);
    this.#round = round;
  }
}
