/** The few questions and changes that the receiver has for `zfs`, each with a deadline. What is not understood is an error. */
import type { Clock } from '../../clock.ts';
import { type Instant, instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { CLOSED, type CommandRunner, commandError, exitError, WRITTEN } from '../../resources/index.ts';
import { type DatasetKind, NOT_TAKEN, type PropertiesNow, type PropertyNow } from './not-taken.ts';
import { RECEIVE_MARK } from './registry.ts';

export const ZFS_LIMITS = {
  questionMs: 10_000,
  /** A destroy frees space in the background, but waits for a transaction group. */
  changeMs: 60_000,
  outputBytes: 4 * 1024 * 1024,
} as const;

export interface ZfsParts {
  /** What a command that changes something is marked with (registry.ts): it may outlive its limit, and who has started it. */
  readonly dataDir: string;
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly clock: Clock;
  /** Asked before each change; rejects with why it is not made. */
  readonly mayChange?: () => Promise<void>;
}

/** As it is now; a name is re-read before it is used for a change. */
export interface SnapshotNow {
  readonly name: string;
  readonly guid: string;
  readonly createtxg: number;
  readonly holds: number;
}

export interface DatasetNow {
  readonly kind: DatasetKind;
  /** Its own; no other copy has it. */
  readonly guid: string;
  /** Bytes since its newest snapshot, what ZFS does to its own log among them. */
  readonly written: number | null;
  readonly isMounted: boolean;
  /** This node has held since everything of its pool was last in common (`quorate:written`). */
  readonly hasHeld: boolean;
  /** And has ended that in order, so that no intent log has anything (`quorate:closed`). */
  readonly isClosed: boolean;
  /** Those of `NOT_TAKEN` that its kind has. */
  readonly properties: PropertiesNow;
}

const SNAPSHOTS = [
  ...['list', '-H', '-p', '-d', '1', '-t', 'snapshot'],
  ...['-o', 'name,guid,createtxg,userrefs'],
] as const;

export class Zfs {
  readonly #parts: ZfsParts;

  constructor(parts: ZfsParts) {
    this.#parts = parts;
  }

  now(): Instant {
    return this.#parts.clock.now();
  }

  /** Null: there is no such dataset. */
  async kindOf(dataset: string, signal: AbortSignal): Promise<'filesystem' | 'volume' | null> {
    const text = await this.#ask(
      ['list', '-H', '-p', '-d', '0', '-t', 'filesystem,volume', '-o', 'type', dataset],
      signal,
    );
    if (text === null) return null;
    const kind = text.trim();
    if (kind === 'filesystem' || kind === 'volume') return kind;
    throw notUnderstood(`type of ${dataset}`, text);
  }

  /** Null: there is no such dataset. */
  async resumeTokenOf(dataset: string, signal: AbortSignal): Promise<string | null> {
    const text = await this.#ask(
      [...['list', '-H', '-p', '-d', '0', '-t', 'filesystem,volume'], '-o', 'receive_resume_token', dataset],
      signal,
    );
    const token = text?.trim() ?? '-';
    return token === '-' ? null : token;
  }

  /** Null: there is no such dataset. */
  async snapshotsOf(dataset: string, signal: AbortSignal): Promise<readonly SnapshotNow[] | null> {
    const text = await this.#ask([...SNAPSHOTS, dataset], signal);
    return text === null ? null : (snapshotsIn(text, [dataset]).get(dataset) ?? null);
  }

  /** Of several by one command; what is not there has none. Where that fails, for one of them or for its length, each is asked for itself. */
  async snapshotsOfEach(
    datasets: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly SnapshotNow[]>> {
    if (datasets.length > 1)
      try {
        const text = await this.#run([...SNAPSHOTS, ...datasets], ZFS_LIMITS.questionMs, signal);
        return snapshotsIn(text, datasets);
      } catch (error) {
        if (!(error instanceof QuorateError) || error.code !== 'command-failed') throw error;
      }
    const found = new Map<string, readonly SnapshotNow[]>();
    for (const dataset of datasets) found.set(dataset, (await this.snapshotsOf(dataset, signal)) ?? []);
    return found;
  }

  /** Null: there is no such dataset. Kind and properties by one command. Rejects with `PropertiesNotUnderstood`, or what `zfs` said. */
  async stateOf(dataset: string, signal: AbortSignal): Promise<DatasetNow | null> {
    const columns = 'property,source,value';
    const names = ['type', 'guid', 'written', 'mounted', WRITTEN, CLOSED, ...NOT_TAKEN.filesystem];
    const text = await this.#ask(['get', '-H', '-p', '-o', columns, names.join(','), dataset], signal);
    if (text === null) return null;
    const all = propertiesIn(text, names);
    if (all === null) throw new PropertiesNotUnderstood(dataset, text);
    const kind = all.get('type')?.value;
    const guid = all.get('guid')?.value ?? '';
    if ((kind !== 'filesystem' && kind !== 'volume') || !/^\d+$/.test(guid))
      throw new PropertiesNotUnderstood(dataset, text);
    // What a volume does not have is "-" there.
    const own = [...all].filter(([name]) => NOT_TAKEN[kind].includes(name));
    const isMounted = all.get('mounted')?.value === 'yes';
    const said = all.get('written')?.value ?? '';
    const written = /^\d+$/.test(said) ? Number(said) : null;
    // Set on the pool, and inherited: a word that came with a stream makes it true at worst.
    const hasHeld = (all.get(WRITTEN)?.source ?? '-') !== '-';
    const isClosed = isSaidClosed(dataset, all.get(WRITTEN), all.get(CLOSED));
    return { kind, guid, written, isMounted, hasHeld, isClosed, properties: new Map(own) };
  }

  /** Throws `command-failed` where it is refused, with what ZFS said; false where that is to be borne. */
  async change(
    words: readonly string[],
    signal: AbortSignal,
    isBorne: (stderr: string) => boolean = () => false,
  ): Promise<boolean> {
    return this.command(['zfs', ...words], signal, isBorne);
  }

  /** As `change`, by another program than `zfs`. */
  async command(
    command: readonly string[],
    signal: AbortSignal,
    isBorne: (stderr: string) => boolean = () => false,
  ): Promise<boolean> {
    await this.#parts.mayChange?.();
    const mark = { [RECEIVE_MARK]: this.#parts.dataDir };
    const { code, stderr } = await this.#result(command, ZFS_LIMITS.changeMs, signal, mark);
    if (code === 0) return true;
    if (isBorne(stderr)) return false;
    throw exitError(command, code, stderr);
  }

  async #ask(words: readonly string[], signal: AbortSignal): Promise<string | null> {
    try {
      return await this.#run(words, ZFS_LIMITS.questionMs, signal);
    } catch (error) {
      if (error instanceof QuorateError && /dataset does not exist/.test(error.message)) return null;
      throw error;
    }
  }

  async #run(words: readonly string[], limitMs: number, signal: AbortSignal): Promise<string> {
    const command = ['zfs', ...words];
    const { code, stdout, stderr } = await this.#result(command, limitMs, signal, {});
    if (code !== 0) throw exitError(command, code, stderr);
    return stdout;
  }

  async #result(
    command: readonly string[],
    limitMs: number,
    signal: AbortSignal,
    mark: Readonly<Record<string, string>>,
  ) {
    const { commands, clock } = this.#parts;
    const result = await commands.run(command, {
      deadline: instant(clock.now() + limitMs),
      signal,
      environment: { LC_ALL: 'C', ...mark },
      maxOutputBytes: ZFS_LIMITS.outputBytes,
    });
    if (result.kind !== 'exited') throw commandError(command, result);
    return result;
  }
}

/** With each of these datasets, also where it has none. */
function snapshotsIn(text: string, datasets: readonly string[]): Map<string, SnapshotNow[]> {
  const found = new Map(datasets.map((dataset): [string, SnapshotNow[]] => [dataset, []]));
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [full = '', id = '', createtxg = '', holds = ''] = line.split('\t');
    const [dataset = '', name = ''] = full.split('@');
    const own = found.get(dataset);
    if (own === undefined || name === '' || ![id, createtxg, holds].every((cell) => /^\d+$/.test(cell)))
      throw notUnderstood(`snapshots of ${datasets.slice(0, 3).join(', ')}`, line);
    own.push({ name, guid: id, createtxg: Number(createtxg), holds: Number(holds) });
  }
  return found;
}

/**
 * Null: not understood. A value may have line breaks in it, and then lines that look like those of other properties: so there is a line
 * for each that was asked for, in that order, and no other one.
 */
function propertiesIn(text: string, names: readonly string[]): PropertiesNow | null {
  const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : [];
  if (lines.length !== names.length) return null;
  const found = new Map<string, PropertyNow>();
  for (const [at, line] of lines.entries()) {
    const [, name = '', source = '', value = ''] = /^([^\t]+)\t([^\t]+)\t(.*)$/.exec(line) ?? [];
    if (name !== names[at]) return null;
    found.set(name, { source, value });
  }
  return found;
}

/** By the pool alone: a word that came with a stream is another node's about itself. */
function isSaidClosed(dataset: string, ...words: readonly (PropertyNow | undefined)[]): boolean {
  const [pool = ''] = dataset.split('/');
  const source = dataset === pool ? 'local' : `inherited from ${pool}`;
  const [written, closed] = words.map((word) => (word?.source === source ? word.value : null));
  return /^\d+$/.test(written ?? '') && written === closed;
}

/** Somebody has given a property a value that hides what the others are. */
export class PropertiesNotUnderstood extends QuorateError {
  constructor(dataset: string, text: string) {
    super(
      'command-failed',
      `zfs said of the properties of ${dataset} what is not understood (has a value a line break? see "zfs get -s local,received all ${dataset}"): ${JSON.stringify(text.slice(0, 100))}`,
    );
  }
}

const notUnderstood = (what: string, text: string): QuorateError =>
  new QuorateError(
    'command-failed',
    `zfs said of the ${what} what is not understood: ${JSON.stringify(text.slice(0, 100))}`,
  );
