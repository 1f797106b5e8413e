/**
 * A machine that is a process of this one, as leader of its own group. A power cut is SIGKILL to the group; it is frozen by
 * SIGSTOP to the process itself only (user-mode Linux crashes when its stubs are stopped too).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import type { Machine, MachinePlan, Power } from './engine.ts';

const END_LIMIT_MS = 5_000;
/** As inside.ts has it for those who watch the guests. */
const NICENESS = -10;

export class ProcessMachine implements Machine {
  readonly #plan: MachinePlan;
  readonly #words: readonly string[];
  #child: ChildProcess | null = null;
  #isFrozen = false;
  #isPoweredOff = false;

  /** Standard output is the console; file 3 is the agent's log. */
  constructor(plan: MachinePlan, words: readonly string[]) {
    this.#plan = plan;
    this.#words = words;
  }

  get power(): Power {
    if (this.pid === null) return 'off';
    return this.#isFrozen ? 'frozen' : 'on';
  }

  get pid(): number | null {
    const child = this.#child;
    return child === null || child.exitCode !== null || child.signalCode !== null
      ? null
      : (child.pid ?? null);
  }

  start(): void {
    if (this.power !== 'off') throw new Error(`${this.#plan.node} is ${this.power}`);
    this.#isFrozen = false;
    this.#isPoweredOff = false;
    const console = openSync(this.#plan.consoleLog, 'a');
    const agent = openSync(this.#plan.agentLog, 'a');
    const child = spawn(this.#words[0] ?? '', this.#words.slice(1), {
      // A group of its own: what a power cut takes.
      detached: true,
      stdio: ['ignore', console, console, agent],
      // User-mode Linux keeps its memory in a file there.
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TMPDIR: '/dev/shm' },
    });
    this.#child = child;
    child.on('error', () => undefined);
    if (child.pid !== undefined) goFirst(child.pid);
    child.once('exit', () => this.#onExit(child));
    closeSync(console);
    closeSync(agent);
  }

  async powerOff(): Promise<void> {
    const { pid } = this;
    const child = this.#child;
    if (pid === null || child === null) return;
    this.#isPoweredOff = true;
    const ended = once(child, 'exit', { signal: AbortSignal.timeout(END_LIMIT_MS) });
    killGroup(pid);
    await ended;
    this.#isFrozen = false;
  }

  #onExit(child: ChildProcess): void {
    // Stubs of user-mode Linux may be left; they run nothing, and would keep its taps.
    if (child.pid !== undefined) killGroup(child.pid);
    if (!this.#isPoweredOff) this.#plan.onReset();
  }

  freeze(): void {
    this.#signal('on', 'SIGSTOP');
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#signal('frozen', 'SIGCONT');
    this.#isFrozen = false;
  }

  #signal(from: Power, signal: NodeJS.Signals): void {
    const { pid, power } = this;
    if (pid === null || power !== from) throw new Error(`${this.#plan.node} is ${power}, not ${from}`);
    process.kill(pid, signal);
  }
}

/**
 * A process's niceness counts only inside its session where the kernel shares its time among sessions (sched_autogroup), and a
 * guest is one of its own: then it is the session that must go first.
 */
function goFirst(leader: number): void {
  const group = `/proc/${leader}/autogroup`;
  if (existsSync(group)) writeFileSync(group, String(NICENESS));
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}
