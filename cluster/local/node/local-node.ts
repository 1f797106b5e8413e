/**
 * One node of the local cluster: its processes, its power. Everything that runs on it inherits `QUORATE_LOCAL_NODE`.
 *
 * 1. `off` means that nothing of the node runs. Whoever cuts the power (here, the watchdog, the controller), this
 *    object is told with `powerOff`, which makes sure and is idempotent.
 * 2. What was begun in an earlier life of the node (a boot, a respawn) never touches a later one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../../src/errors.ts';
import { continueProcesses, isGone, killProcesses, NODE_VARIABLE, stopProcesses } from './processes.ts';

const RESPAWN_MS = 20;
const READY_TIMEOUT_MS = 10_000;

export interface NodeProgram {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
  /** It prints a line when it is ready; what is started after it waits for that. */
  readonly saysReady: boolean;
  /** As a service manager would: started again when it ends while the node is on. */
  readonly isRespawned: boolean;
}

export interface LocalNodeOptions {
  readonly id: string;
  /** `<cluster>/<node>`, unique on this host. */
  readonly tag: string;
  readonly directory: string;
  /** Started in this order at boot. */
  readonly programs: readonly NodeProgram[];
  readonly environment: Readonly<Record<string, string>>;
  /** What becomes the program in the end, by exec: `ip netns exec NAME`. */
  readonly launcher?: readonly string[];
}

export type PowerState = 'off' | 'on' | 'frozen';

export class LocalNode {
  readonly id: string;
  readonly tag: string;
  readonly #options: LocalNodeOptions;
  readonly #children = new Map<string, ChildProcess>();
  #programs: readonly NodeProgram[];
  #power: PowerState = 'off';
  #life = 0;
  /** What ends to be restarted is not: nobody is there to do it. */
  isHeldBack = false;

  constructor(options: LocalNodeOptions) {
    this.id = options.id;
    this.tag = options.tag;
    this.#options = options;
    this.#programs = options.programs;
    mkdirSync(join(options.directory, 'logs'), { recursive: true });
  }

  get power(): PowerState {
    return this.#power;
  }

  /** Counts boots and power cuts: two equal readings mean the same life. */
  get life(): number {
    return this.#life;
  }

  logFile(program: string): string {
    return join(this.#options.directory, 'logs', `${program}.log`);
  }

  pidFile(program: string): string {
    return join(this.#options.directory, `${program}.pid`);
  }

  pid(program: string): number | null {
    const pid = this.#children.get(program)?.pid;
    return pid === undefined || isGone(pid) ? null : pid;
  }

  /** Resolves when every program has been started; false when the power went before that. */
  async boot(): Promise<boolean> {
    if (this.#power !== 'off') throw new Error(`node ${this.id} is ${this.#power}`);
    this.#power = 'on';
    this.#life += 1;
    const life = this.#life;
    for (const program of this.#programs) {
      await this.#start(program);
      if (this.#life !== life) {
        // The power went while this was being started: it belongs to nobody.
        if (this.power === 'off') killProcesses(this.tag);
        return false;
      }
    }
    return true;
  }

  /** Nothing of the node runs when it returns. Synchronous, so that it also serves as an exit handler. */
  powerOff(): void {
    this.#life += 1;
    this.#power = 'off';
    killProcesses(this.tag);
    this.#children.clear();
  }

  /** Every process stops, as in a machine that hangs; its watchdog ticks on. */
  freeze(): void {
    if (this.#power !== 'on') throw new Error(`node ${this.id} is ${this.#power}`);
    this.#power = 'frozen';
    stopProcesses(this.tag);
  }

  /** Without effect when the watchdog has already cut the power. */
  thaw(): void {
    if (this.#power !== 'frozen') return;
    this.#power = 'on';
    continueProcesses(this.tag);
  }

  /** kill -9 of this program alone; what it started lives on. */
  kill(name: string): void {
    this.#children.get(name)?.kill('SIGKILL');
  }

  /** From its next start on. */
  replace(program: NodeProgram): void {
    this.#programs = this.#programs.map((one) => (one.name === program.name ? program : one));
  }

  async start(name: string): Promise<void> {
    const program = this.#programs.find((one) => one.name === name);
    if (program === undefined) throw new Error(`node ${this.id} has no ${name}`);
    if (this.#power !== 'on') throw new Error(`node ${this.id} is ${this.#power}`);
    if (this.pid(name) !== null) throw new Error(`${name} runs already on ${this.id}`);
    await this.#start(program);
  }

  /** SIGTERM, then its exit code; null when it did not end in time or by itself. */
  async stop(name: string, timeoutMs: number): Promise<number | null> {
    const child = this.#children.get(name);
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = new Promise<null>((resolve) => setTimeout(resolve, timeoutMs, null).unref());
    const result: unknown[] | null = await Promise.race([ended, timer]);
    return typeof result?.[0] === 'number' ? result[0] : null;
  }

  async #start(program: NodeProgram): Promise<void> {
    const life = this.#life;
    const { tag, environment, launcher = [] } = this.#options;
    const log = openSync(this.logFile(program.name), 'a');
    // A session of its own: the terminal's Ctrl-C must reach the cluster's host process only.
    // As on a host, without --enable-source-maps: the first stack that is read would stop the node for 50 ms or more, in grpc-js
    // for every call that ends badly, so when a peer dies. NODE_OPTIONS can switch them on for a search.
    const words = [...launcher, process.execPath, program.script, ...program.args];
    const child = spawn(words[0] ?? '', words.slice(1), {
      env: { ...environment, [NODE_VARIABLE]: tag },
      stdio: ['ignore', program.saysReady ? 'pipe' : log, log],
      detached: true,
    });
    closeSync(log);
    this.#children.set(program.name, child);
    if (child.pid !== undefined) writeFileSync(this.pidFile(program.name), `${child.pid}\n`);
    const ended = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
    void ended.then(() => this.#respawn(program, life, child));
    if (child.stdout === null) return;
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, READY_TIMEOUT_MS).unref());
    await Promise.race([once(child.stdout, 'data'), ended, timeout]);
  }

  #respawn(program: NodeProgram, life: number, child: ChildProcess): void {
    // As the units do after `quorate restart`.
    const isAsked = child.exitCode === EXIT.restart && !this.isHeldBack;
    if (!(program.isRespawned || isAsked) || this.#life !== life) return;
    setTimeout(() => {
      const isCurrent = this.#life === life && this.#children.get(program.name) === child;
      const next = this.#programs.find(({ name }) => name === program.name) ?? program;
      if (isCurrent && this.#power === 'on') void this.#start(next);
    }, RESPAWN_MS);
  }
}
