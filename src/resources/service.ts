/**
 * A service: a systemd unit, or three commands. Exit codes of a probe command: 0 runs; 1, 3 and 7 does not (LSB's and
 * OCF's "not running", `curl`'s refused connection); everything else is unknown.
 *
 * Abrupt release kills first and tidies up afterwards: a service that hangs must not keep the block device open past D
 * (R1). Its processes are found by the marker that they inherited, because a daemon leaves its process group.
 */

import type { Clock } from '../clock.ts';
import { abruptShare } from './abrupt-share.ts';
import { commandError, exitError, firstWords } from './command-error.ts';
import { endStray } from './stray.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';

const NOT_RUNNING_CODES: ReadonlySet<number> = new Set([1, 3, 7]);

export type ServiceCommands =
  | { readonly kind: 'unit'; readonly unit: string }
  | {
      readonly kind: 'commands';
      readonly start: readonly string[];
      readonly stop: readonly string[];
      readonly probe: readonly string[];
    };

export interface ServiceOptions {
  readonly name: string;
  readonly service: ServiceCommands;
  /** Finds the service's processes again, over a restart of ours. */
  readonly marker: string;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

export class ServiceResource implements Resource {
  readonly kind = 'service';
  readonly scope = 'local';
  readonly name: string;
  readonly #service: ServiceCommands;
  readonly #marker: string;
  readonly #runner: CommandRunner;
  readonly #clock: Clock;

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.#service = options.service;
    this.#marker = options.marker;
    this.#runner = options.runner;
    this.#clock = options.clock;
  }

  async acquire(context: AcquireContext): Promise<string> {
    await endStray(this, context, this.#clock);
    const command =
      this.#service.kind === 'unit' ? systemctl(this.#service.unit, 'start') : this.#service.start;
    await this.#mustExitWell(command, context);
    return 'started';
  }

  async release(context: ReleaseContext): Promise<string> {
    const stop = this.#service.kind === 'unit' ? systemctl(this.#service.unit, 'stop') : this.#service.stop;
    if (context.mode === 'planned') {
      // Whether it is really gone is the verification's business, once for the whole plan (R2).
      await this.#mustExitWell(stop, context);
      return 'stopped';
    }
    const killed = await this.#kill(context);
    const deadline = abruptShare(context, this.#clock);
    const result = await this.#runner.run(stop, { deadline, signal: context.signal, marker: this.#marker });
    // A second time: the stop command may have hung, or something restarted the service in between.
    const isStopped = result.kind === 'exited' && result.code === 0;
    const left = isStopped ? 0 : await this.#killMarked(context);
    const how = result.kind === 'exited' ? `stop ended with code ${result.code}` : `stop ${result.kind}`;
    return `killed ${killed + left} processes, ${how}`;
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const service = this.#service;
    const command = service.kind === 'unit' ? systemctl(service.unit, 'is-active') : service.probe;
    const result = await this.#runner.run(command, context);
    if (result.kind !== 'exited') return { probe: 'unknown', detail: commandError(command, result).message };
    if (service.kind === 'unit') return unitProbe(result);
    if (result.code === 0) return { probe: 'held', detail: firstWords(result.stdout) || 'runs' };
    if (NOT_RUNNING_CODES.has(result.code)) {
      return { probe: 'not-held', detail: firstWords(result.stdout) || `does not run (code ${result.code})` };
    }
    return { probe: 'unknown', detail: exitError(command, result.code, result.stderr).message };
  }

  async #kill(context: ActionContext): Promise<number> {
    if (this.#service.kind === 'commands') return this.#killMarked(context);
    const deadline = abruptShare(context, this.#clock);
    await this.#runner.run(systemctl(this.#service.unit, 'kill', '--signal=SIGKILL'), {
      deadline,
      signal: context.signal,
    });
    return 0;
  }

  #killMarked(context: ActionContext): Promise<number> {
    return this.#runner.killMarked(this.#marker, abruptShare(context, this.#clock, 'kill'));
  }

  async #mustExitWell(command: readonly string[], context: ActionContext): Promise<void> {
    const { deadline, signal } = context;
    const result = await this.#runner.run(command, { deadline, signal, marker: this.#marker });
    if (result.kind !== 'exited') throw commandError(command, result);
    if (result.code !== 0) throw exitError(command, result.code, result.stderr || result.stdout);
  }
}

/** No name of a unit is an option: it may begin with "-". */
const systemctl = (unit: string, ...verb: readonly string[]): string[] => ['systemctl', ...verb, '--', unit];

/**
 * `systemctl is-active` prints the state and ends with code 0 where it is active; a state in between is neither, and a
 * word that does not fit the code is damaged.
 */
function unitProbe({
  code,
  stdout,
  stderr,
}: {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}): ProbeResult {
  const state = stdout.trim();
  switch (state) {
    case 'active':
    case 'reloading':
      if (code === 0) return { probe: 'held', detail: state };
      break;
    case 'inactive':
    case 'failed':
      if (code !== 0) return { probe: 'not-held', detail: state };
      break;
  }
  const said = state || firstWords(stderr) || 'systemctl said nothing';
  return { probe: 'unknown', detail: `${said} (code ${code})` };
}
