/**
 * What replication changes on its own side: snapshots, holds, cursors. Everything may be done twice, because whoever was
 * killed in the middle begins anew; and nothing is destroyed with what hangs on it (`-r`, `-R`, `-d`).
 */
import type { Clock } from '../../clock.ts';
import { type Instant, instant } from '../../core/index.ts';
import { type CommandRunner, commandError, exitError, type KernelFiles } from '../../resources/index.ts';
import type { Guid } from '../pool.ts';
import { type PoolsReading, readPools } from '../reading.ts';
import { cursorName, HOLD_TAG } from './names.ts';

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
/** Of one `zfs destroy` or `zfs holds`. */
const BATCH = 100;
/** Names of a dataset's snapshots: 100,000 of them. */
const OUTPUT_BYTES = 16 * 1024 * 1024;
const GONE = /could not find any snapshots/;
const HAS_CLONE = /dependent clones/;

export class LocalPool {
  readonly #options: LocalPoolOptions;

  constructor(options: LocalPoolOptions) {
    this.#options = options;
  }

  read(): Promise<PoolsReading> {
    const { pools, commands, kernel, clock, signal } = this.#options;
    return readPools(pools, { commands, kernel, clock, signal });
  }

  /** All of one moment, or none. */
  async snapshot(datasets: readonly string[], name: string): Promise<void> {
    await this.#change(['zfs', 'snapshot', ...datasets.map((dataset) => `${dataset}@${name}`)]);
  }

  async hold(dataset: string, name: string): Promise<void> {
    await this.#change(['zfs', 'hold', HOLD_TAG, `${dataset}@${name}`], /tag already exists/);
  }

  /** Only our own holds of them; somebody else's stay. */
  async letGo(dataset: string, names: readonly string[]): Promise<void> {
    const [only] = names;
    // The rule, once per stream: asking first would be a process more.
    if (names.length === 1 && only !== undefined) return this.#release(`${dataset}@${only}`);
    for (const batch of batches(names)) {
      const held = await this.#said(['zfs', 'holds', '-H', ...batch.map((name) => `${dataset}@${name}`)]);
      for (const line of held.split('\n')) {
        const [snapshot = '', tag = ''] = line.split('\t');
        if (tag !== HOLD_TAG || !snapshot.startsWith(`${dataset}@`)) continue;
        await this.#release(snapshot);
      }
    }
  }

  async #release(snapshot: string): Promise<void> {
    await this.#change(['zfs', 'release', HOLD_TAG, snapshot], /no such tag|does not exist/);
  }

  /** Named by its GUID: one of that name is of that moment. */
  async markCursor(dataset: string, snapshot: string, guid: Guid): Promise<void> {
    const bookmark = `${dataset}#${cursorName(guid)}`;
    await this.#change(['zfs', 'bookmark', `${dataset}@${snapshot}`, bookmark], /bookmark exists/);
  }

  async dropCursor(dataset: string, name: string): Promise<void> {
    await this.#change(['zfs', 'destroy', `${dataset}#${name}`], /does not exist/);
  }

  /** Fails for what is held, and destroys none of them then. What has a clone stays: a tail that is kept is one. */
  async prune(
    dataset: string,
    snapshots: readonly { readonly name: string; readonly guid: Guid }[],
  ): Promise<void> {
    // The plan may be of a reading of ten minutes ago: what has another GUID by now is another one of that name.
    const columns = ['-d', '1', '-t', 'snapshot', '-o', 'name,guid'];
    const now = new Set((await this.#said(['zfs', 'list', '-H', '-p', ...columns, dataset])).split('\n'));
    const same = snapshots.filter(({ name, guid }) => now.has(`${dataset}@${name}\t${guid}`));
    for (const batch of batches(same.map(({ name }) => name))) {
      const command = ['zfs', 'destroy', `${dataset}@${batch.join(',')}`];
      const { code, stderr } = await this.#run(command);
      if (code === 0 || GONE.test(stderr)) continue;
      if (!HAS_CLONE.test(stderr)) throw exitError(shown(command), code, stderr);
      // For one of them ZFS has refused all.
      for (const name of batch)
        await this.#change(
          ['zfs', 'destroy', `${dataset}@${name}`],
          new RegExp(`${GONE.source}|${HAS_CLONE.source}`),
        );
    }
  }

  async #change(command: readonly string[], isDoneBy?: RegExp): Promise<void> {
    const { code, stderr } = await this.#run(command);
    if (code !== 0 && isDoneBy?.test(stderr) !== true) throw exitError(shown(command), code, stderr);
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

/** Of a line with thousands of names only the beginning. */
const shown = (command: readonly string[]): readonly string[] =>
  command.length <= 6 ? command : [...command.slice(0, 5), `… ${command.length - 5} more`];

function* batches(names: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < names.length; at += BATCH) yield names.slice(at, at + BATCH);
}
