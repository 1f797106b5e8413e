/**
 * A user's own script, with a contract like OCF's: it is called with `start`, `stop` or `monitor` as its last argument.
 *
 * - `start`: 0 when it runs, also when it ran already. `stop`: 0 or 7 when it does not run, also when it never did.
 * - `monitor`: 0 runs, 7 does not run; everything else is unknown, and never acts by itself (H4).
 * - QUORATE_RESOURCE is the resource's name, QUORATE_TIME_LEFT_MS what is left before the script is killed, and for `stop`
 *   QUORATE_MODE is `planned` or `abrupt`.
 *
 * Abrupt release kills what the script has started and tidies up afterwards, as a service's does (R1).
 */
import type { Clock } from '../clock.ts';
import { abruptShare } from './abrupt-share.ts';
import { commandError, exitError, firstWords } from './command-error.ts';
import { held, notHeld, unknown } from './linux-tools.ts';
import { endStray } from './stray.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandResult,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';

/** OCF_NOT_RUNNING */
const NOT_RUNNING = 7;

export interface HookOptions {
  readonly name: string;
  /** Program and arguments. */
  readonly script: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Finds the script's processes again, over a restart of ours. */
  readonly marker: string;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

type Action = 'start' | 'stop' | 'monitor';

export class HookResource implements Resource {
  readonly kind = 'hook';
  readonly scope = 'local';
  readonly name: string;
  readonly #options: HookOptions;

  constructor(options: HookOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async acquire(context: AcquireContext): Promise<string> {
    await endStray(this, context, this.#options.clock);
    return this.#mustExitWell('start', context, [0], {});
  }

  async release(context: ReleaseContext): Promise<string> {
    const { runner, marker, clock } = this.#options;
    const mode = { QUORATE_MODE: context.mode };
    // Whether it is really gone is the verification's business, once for the whole plan (R2).
    if (context.mode === 'planned') return this.#mustExitWell('stop', context, [0, NOT_RUNNING], mode);
    const killed = await runner.killMarked(marker, abruptShare(context, clock, 'kill'));
    const result = await this.#call('stop', { ...context, deadline: abruptShare(context, clock) }, mode);
    const isStopped = result.kind === 'exited' && [0, NOT_RUNNING].includes(result.code);
    // A second time: `stop` may hang, or something started the rest again in between.
    const left = isStopped ? 0 : await runner.killMarked(marker, abruptShare(context, clock, 'kill'));
    const how = result.kind === 'exited' ? `stop ended with code ${result.code}` : `stop ${result.kind}`;
    return `killed ${killed + left} processes, ${how}`;
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const command = this.#command('monitor');
    const result = await this.#call('monitor', context, {});
    if (result.kind !== 'exited') return unknown(commandError(command, result).message);
    const said = firstWords(result.stdout);
    if (result.code === 0) return held(said || 'runs');
    if (result.code === NOT_RUNNING) return notHeld(said || 'does not run');
    return unknown(exitError(command, result.code, result.stderr || result.stdout).message);
  }

  async #mustExitWell(
    action: Action,
    context: ActionContext,
    good: readonly number[],
    environment: Readonly<Record<string, string>>,
  ): Promise<string> {
    const result = await this.#call(action, context, environment);
    const command = this.#command(action);
    if (result.kind !== 'exited') throw commandError(command, result);
    if (!good.includes(result.code)) throw exitError(command, result.code, result.stderr || result.stdout);
    return firstWords(result.stdout) || (action === 'start' ? 'started' : 'stopped');
  }

  #call(
    action: Action,
    { deadline, signal }: ActionContext,
    environment: Readonly<Record<string, string>>,
  ): Promise<CommandResult> {
    const { runner, marker, clock } = this.#options;
    const leftMs = Math.max(0, Math.floor(deadline - clock.now()));
    return runner.run(this.#command(action), {
      deadline,
      signal,
      marker,
      environment: {
        ...this.#options.environment,
        QUORATE_RESOURCE: this.name,
        QUORATE_TIME_LEFT_MS: `${leftMs}`,
        ...environment,
      },
    });
  }

  #command(action: Action): string[] {
    return [...this.#options.script, action];
  }
}
