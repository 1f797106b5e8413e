/**
 * What replication changes on its own side: snapshots, holds, cursors. Everything may be done twice, because whoever was
 * killed in the middle begins anew; and nothing is destroyed with what hangs on it (`-r`, `-R`, `-d`).
 */
import type { Clock } from '../../clock.ts';
import { type Instant, instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { type CommandRunner, commandError, exitError, type KernelFiles } from '../../resources/index.ts';
import { batchesOf, HOLD_TAG, HOLDS, heldIn } from '../holds.ts';
import type { Guid, Snapshot } from '../pool.ts';
import { type PoolsReading, readPools } from '../reading.ts';
import { saysOnly } from '../says-only.ts';
import { cursorName } from './names.ts';

export interface LocalPoolOptions {
  readonly pools: readonly string[];
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly kernel: KernelFiles;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** One command: a pool that is busy with something else answers late. */
const COMMAND_LIMIT_MS = 60_000;
/** Of one command line, which may have 2 MiB. More than this in one pool cannot be of one moment. */
export const MAX_ATOMIC = 4096;
/** Of one command: names of 255 characters are a quarter of what an argument may have. */
const BATCH = 100;
/** Names of a dataset's snapshots: 100,000 of them. */
const OUTPUT_BYTES = 16 * 1024 * 1024;
const GONE = /could not find any snapshots/;
const HAS_CLONE = /dependent clones/;
const HELD = /tag already exists/;
const NOT_HELD = /no such tag|does not exist/;

export interface ToPrune {
  readonly dataset: string;
  readonly snapshots: readonly { readonly name: string; readonly guid: Guid }[];
}

export class LocalPool {
  readonly #options: LocalPoolOptions;

  constructor(options: LocalPoolOptions) {
    this.#options = options;
  }

  /** `known`: as it was before a snapshot of this round. */
  read(known?: PoolsReading): Promise<PoolsReading> {
    const { pools, commands, kernel, clock, signal } = this.#options;
    const parts = { commands, kernel, clock, signal, withLeftOut: true };
    return readPools(pools, known === undefined ? parts : { ...parts, known });
  }

  /** All of one moment, or none. */
  async snapshot(datasets: readonly string[], name: string): Promise<void> {
    await this.#change(['zfs', 'snapshot', ...datasets.map((dataset) => `${dataset}@${name}`)]);
  }

  /**
   * Resolves with how many of them, from the first one on, are held: all, or as many as there was time for (holds.ts), one at least.
   * `holds`: as they were read. What had none then is not asked for; one that is held by now is held.
   */
  async hold(dataset: string, snapshots: readonly Pick<Snapshot, 'name' | 'holds'>[]): Promise<number> {
    const { clock } = this.#options;
    const until = clock.now() + HOLDS.allMs;
    const held = await this.#held(fullNames(dataset, namesOf(snapshots.filter(({ holds }) => holds > 0))));
    const names = fullNames(dataset, namesOf(snapshots));
    const lacking = names.filter((name) => !held.has(name));
    for (const batch of batchesOf(lacking, HOLDS.atOnce)) {
      const before = names.indexOf(batch[0] ?? '');
      if (before > 0 && clock.now() > until) return before;
      try {
        await this.#change(['zfs', 'hold', HOLD_TAG, ...batch], saysOnly(HELD));
      } catch (error) {
        if (before > 0 && codeOf(error) === 'command-timed-out') return before;
        throw error;
      }
    }
    return names.length;
  }

  async #held(names: readonly string[]): Promise<ReadonlySet<string>> {
    const held = new Set<string>();
    for (const batch of batchesOf(names, HOLDS.asked))
      for (const name of heldIn(await this.#said(['zfs', 'holds', '-H', ...batch]), HOLD_TAG)) held.add(name);
    return held;
  }

  /** Only our own holds of them, by their tag; somebody else's stay. Rejects with the first that did not work, when the others are tried. */
  async letGo(dataset: string, names: readonly string[]): Promise<void> {
    let failure: unknown = null;
    for (const batch of batchesOf(fullNames(dataset, names), HOLDS.atOnce))
      try {
        await this.#change(['zfs', 'release', HOLD_TAG, ...batch], saysOnly(NOT_HELD));
      } catch (error) {
        // One that hangs, or was called off, is not asked for again and again.
        if (codeOf(error) !== 'command-failed') throw error;
        failure ??= error;
      }
    if (failure !== null) throw failure;
  }

  /** Named by its GUID: one of that name is of that moment. */
  async markCursor(dataset: string, snapshot: string, guid: Guid): Promise<void> {
    const bookmark = `${dataset}#${cursorName(guid)}`;
    await this.#change(['zfs', 'bookmark', `${dataset}@${snapshot}`, bookmark], saysOnly(/bookmark exists/));
  }

  async dropCursor(dataset: string, name: string): Promise<void> {
    await this.#change(['zfs', 'destroy', `${dataset}#${name}`], saysOnly(/does not exist/));
  }

  /**
   * Of a dataset of which one is held none is destroyed, and what has a clone stays: a tail that is kept is one. Resolves with what did not
   * work, one error for a dataset.
   */
  async prune(all: readonly ToPrune[]): Promise<ReadonlyMap<string, unknown>> {
    const failed = new Map<string, unknown>();
    for (const some of batchesOf(all, BATCH)) {
      const now = await this.#present(some.map(({ dataset }) => dataset));
      for (const { dataset, snapshots } of some) {
        const here = now.get(dataset) ?? new Error('what it has now is not known');
        try {
          if (here instanceof Error) throw here;
          const same = snapshots.filter(({ name, guid }) => here.has(`${name}\t${guid}`));
          await this.#destroy(
            dataset,
            same.map(({ name }) => name),
          );
        } catch (error) {
          failed.set(dataset, error);
        }
      }
    }
    return failed;
  }

  /**
   * The plan may be of a reading of ten minutes ago: what has another GUID by now is another one of that name. Read by one command; where
   * that fails for one of them, each is asked for itself.
   */
  async #present(datasets: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string> | Error>> {
    const columns = ['-d', '1', '-t', 'snapshot', '-o', 'name,guid'];
    const command = ['zfs', 'list', '-H', '-p', ...columns, ...datasets];
    try {
      return pointsIn(await this.#said(command), datasets);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      // One that hangs, or was called off, is not asked for a hundred times.
      if (datasets.length === 1 || error.code !== 'command-failed')
        return new Map(datasets.map((dataset) => [dataset, error]));
    }
    const found = new Map<string, ReadonlySet<string> | Error>();
    for (const dataset of datasets)
      for (const [name, one] of await this.#present([dataset])) found.set(name, one);
    return found;
  }

  async #destroy(dataset: string, names: readonly string[]): Promise<void> {
    for (const batch of batchesOf(names, BATCH)) {
      const command = ['zfs', 'destroy', `${dataset}@${batch.join(',')}`];
      const { code, stderr } = await this.#run(command);
      if (code === 0 || GONE.test(stderr)) continue;
      if (!HAS_CLONE.test(stderr)) throw exitError(shown(command), code, stderr);
      // For one of them ZFS has refused all.
      for (const name of batch)
        await this.#change(
          ['zfs', 'destroy', `${dataset}@${name}`],
          (said) => GONE.test(said) || HAS_CLONE.test(said),
        );
    }
  }

  async #change(
    command: readonly string[],
    isBorne: (stderr: string) => boolean = () => false,
  ): Promise<void> {
    const { code, stderr } = await this.#run(command);
    if (code !== 0 && !isBorne(stderr)) throw exitError(shown(command), code, stderr);
  }

  async #said(command: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#run(command);
    if (code !== 0) throw exitError(shown(command), code, stderr);
    return stdout;
  }

  async #run(command: readonly string[]) {
    const { commands, clock, signal } = this.#options;
    const deadline: Instant = instant(clock.now() + COMMAND_LIMIT_MS);
    const limits = { deadline, signal, maxOutputBytes: OUTPUT_BYTES };
    const result = await commands.run(command, { ...limits, environment: { LC_ALL: 'C' } });
    if (result.kind !== 'exited') throw commandError(shown(command), result);
    return result;
  }
}

/** "NAME\tGUID" of each, also of what has none. */
function pointsIn(text: string, datasets: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map(datasets.map((dataset): [string, Set<string>] => [dataset, new Set()]));
  for (const line of text.split('\n')) {
    const [dataset = '', point = ''] = line.split('@');
    found.get(dataset)?.add(point);
  }
  return found;
}

/** Of a line with thousands of names only the beginning. */
const shown = (command: readonly string[]): readonly string[] =>
  command.length <= 6 ? command : [...command.slice(0, 5), `… ${command.length - 5} more`];

const fullNames = (dataset: string, names: readonly string[]): readonly string[] =>
  names.map((name) => `${dataset}@${name}`);

const namesOf = (all: readonly Pick<Snapshot, 'name'>[]): readonly string[] => all.map(({ name }) => name);

const codeOf = (error: unknown): string | null => (error instanceof QuorateError ? error.code : null);
