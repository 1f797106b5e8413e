/** The few questions and changes that the receiver has for `zfs`, each with a deadline. What is not understood is an error. */
import type { Clock } from '../../clock.ts';
import { instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { type CommandRunner, commandError, exitError } from '../../resources/index.ts';
import type { PropertiesNow } from './not-taken.ts';
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

export class Zfs {
  readonly #parts: ZfsParts;

  constructor(parts: ZfsParts) {
    this.#parts = parts;
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
    const columns = 'name,guid,createtxg,userrefs';
    const text = await this.#ask(
      ['list', '-H', '-p', '-d', '1', '-t', 'snapshot', '-o', columns, dataset],
      signal,
    );
    if (text === null) return null;
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [name = '', id = '', createtxg = '', holds = ''] = line.split('\t');
        if (!name.startsWith(`${dataset}@`) || ![id, createtxg, holds].every((cell) => /^\d+$/.test(cell)))
          throw notUnderstood(`snapshots of ${dataset}`, line);
        return {
          name: name.slice(dataset.length + 1),
          guid: id,
          createtxg: Number(createtxg),
          holds: Number(holds),
        };
      });
  }

  /** Null: there is no such dataset. */
  async propertiesOf(
    dataset: string,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<PropertiesNow | null> {
    const columns = 'property,source,value';
    const text = await this.#ask(['get', '-H', '-p', '-o', columns, names.join(','), dataset], signal);
    if (text === null) return null;
    const lines = text.split('\n').filter((line) => line !== '');
    return new Map(
      lines.map((line) => {
        const [, name = '', source = '', value = ''] = /^([^\t]+)\t([^\t]+)\t(.*)$/.exec(line) ?? [];
        if (!names.includes(name)) throw notUnderstood(`properties of ${dataset}`, line);
        return [name, { source, value }] as const;
      }),
    );
  }

  /** Throws `command-failed` where it is refused, with what ZFS said. */
  async change(words: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#parts.mayChange?.();
    await this.#run(words, ZFS_LIMITS.changeMs, signal, { [RECEIVE_MARK]: this.#parts.dataDir });
  }

  async #ask(words: readonly string[], signal: AbortSignal): Promise<string | null> {
    try {
      return await this.#run(words, ZFS_LIMITS.questionMs, signal);
    } catch (error) {
      if (error instanceof QuorateError && /dataset does not exist/.test(error.message)) return null;
      throw error;
    }
  }

  async #run(
    words: readonly string[],
    limitMs: number,
    signal: AbortSignal,
    mark: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const command = ['zfs', ...words];
    const { commands, clock } = this.#parts;
    const result = await commands.run(command, {
      deadline: instant(clock.now() + limitMs),
      signal,
      environment: { LC_ALL: 'C', ...mark },
      maxOutputBytes: ZFS_LIMITS.outputBytes,
    });
    if (result.kind !== 'exited') throw commandError(command, result);
    if (result.code !== 0) throw exitError(command, result.code, result.stderr);
    return result.stdout;
  }
}

const notUnderstood = (what: string, text: string): QuorateError =>
  new QuorateError(
    'command-failed',
    `zfs said of the ${what} what is not understood: ${JSON.stringify(text.slice(0, 100))}`,
  );
