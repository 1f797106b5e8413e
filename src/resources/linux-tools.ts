/**
 * How the Linux kinds call `ip`, `nft` and their like: in the C locale, because some of their sentences are read, and
 * with every answer that is not clear kept apart from "no" (H4).
 */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { abruptShare } from './abrupt-share.ts';
import { commandError, exitError } from './command-error.ts';
import type {
  ActionContext,
  CommandOptions,
  CommandResult,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
} from './types.ts';

/** What a command said, or why that cannot be known. */
export type Reading<Value> =
  | { readonly kind: 'read'; readonly value: Value }
  | { readonly kind: 'unknown'; readonly why: string };

type Exited = Extract<CommandResult, { kind: 'exited' }>;

/** Nothing that `ip` takes apart: a quote, a comment, a line's end. */
const BATCH_WORD = /^[\w.:/@%+-]+$/;
const DUMP_INTERRUPTED = 'Dump was interrupted';
const ENVIRONMENT = { LC_ALL: 'C' };

/** Of a pool with more than ten thousand datasets, as the replication has it for the same one: what is too much is unknown, and ends nothing. */
const ZFS_OUTPUT_BYTES = 4 * 1024 * 1024;

export class LinuxTools {
  readonly #runner: CommandRunner;
  readonly #clock: Clock | null;
  readonly #environment: Readonly<Record<string, string>>;

  /** With a clock, a command of an abrupt release gets only its share of the time that is left. */
  constructor(
    runner: CommandRunner,
    clock: Clock | null = null,
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.#runner = runner;
    this.#clock = clock;
    this.#environment = { ...ENVIRONMENT, ...environment };
  }

  run(
    command: readonly string[],
    context: ActionContext | ReleaseContext,
    more: Pick<CommandOptions, 'input' | 'isReading'> = {},
  ): Promise<CommandResult> {
    const { signal } = context;
    const isAbrupt = 'mode' in context && context.mode === 'abrupt';
    const deadline = isAbrupt && this.#clock !== null ? abruptShare(context, this.#clock) : context.deadline;
    const limit = command[0] === 'zfs' ? { maxOutputBytes: ZFS_OUTPUT_BYTES } : {};
    return this.#runner.run(command, { deadline, signal, environment: this.#environment, ...limit, ...more });
  }

  /** Throws unless it ended with code 0, or with what counts as fine: mostly that nothing was to be done. */
  async must(
    command: readonly string[],
    context: ActionContext,
    isFine: (result: Exited) => boolean = () => false,
  ): Promise<string> {
    const result = await this.run(command, context);
    if (result.kind !== 'exited') throw commandError(command, result);
    if (result.code !== 0 && !isFine(result)) {
      throw exitError(command, result.code, result.stderr || result.stdout);
    }
    return result.stdout;
  }

  /**
   * Changes by one process of `ip`, in order, up to the first that fails: each process costs more than what it does. False where
   * one failed, or cannot be said so: the caller does them one by one, and learns which, so each must bear being repeated.
   */
  async batch(
    option: '-4' | '-6' | null,
    changes: readonly (readonly string[])[],
    context: ActionContext,
  ): Promise<boolean> {
    if (changes.length < 2 || changes.flat().some((word) => !BATCH_WORD.test(word))) return false;
    const command = ['ip', ...(option === null ? [] : [option]), '-batch', '-'];
    const input = changes.map((words) => `${words.join(' ')}\n`).join('');
    const result = await this.run(command, context, { input });
    if (result.kind !== 'exited') throw commandError(command, result);
    return result.code === 0;
  }

  /** `parse` returns null for what it cannot read; `otherwise` reads an exit with another code than 0. */
  async read<Value>(
    command: readonly string[],
    context: ActionContext,
    parse: (stdout: string) => Value | null,
    otherwise: (result: Exited) => Value | null = () => null,
  ): Promise<Reading<Value>> {
    return this.judge(command, await this.run(command, context, { isReading: true }), parse, otherwise);
  }

  /** As `read`, of what a command has said already. */
  judge<Value>(
    command: readonly string[],
    result: CommandResult,
    parse: (stdout: string) => Value | null,
    otherwise: (result: Exited) => Value | null = () => null,
  ): Reading<Value> {
    if (result.kind !== 'exited') return { kind: 'unknown', why: commandError(command, result).message };
    // `ip` met a change while it read, says so, and ends with code 0 (iproute2 6.1): something may be missing.
    if (result.stderr.includes(DUMP_INTERRUPTED))
      return { kind: 'unknown', why: `"${command.join(' ')}" was interrupted by a change` };
    const value = result.code === 0 ? parse(result.stdout) : otherwise(result);
    if (value !== null) return { kind: 'read', value };
    const why =
      result.code === 0
        ? `"${command.join(' ')}" said nothing that can be read`
        : exitError(command, result.code, result.stderr || result.stdout).message;
    return { kind: 'unknown', why };
  }

  /** What an action rests on must be known. */
  async mustRead<Value>(reading: Promise<Reading<Value>>): Promise<Value> {
    const result = await reading;
    if (result.kind === 'read') return result.value;
    throw new QuorateError('command-failed', result.why);
  }
}

export const held = (detail: string): ProbeResult => ({ probe: 'held', detail });
export const notHeld = (detail: string): ProbeResult => ({ probe: 'not-held', detail });
/** To be repaired, but not released (R2). */
export const partly = (detail: string): ProbeResult => ({ probe: 'not-held', detail, isPartial: true });
export const unknown = (detail: string): ProbeResult => ({ probe: 'unknown', detail });
