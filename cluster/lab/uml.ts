/**
 * User-mode Linux: a Linux kernel that is a process. Its root is the host's own, read-only (hostfs), so there is no image
 * to build; DRBD, ext4 and the watchdog are the same sources as in any kernel.
 *
 * - A power cut is SIGKILL to its process group: the kernel with its page cache, and the stubs that run its programs.
 * - It is frozen by SIGSTOP to the kernel's own process only: stopping the stubs too makes it crash.
 * - Sysrq's reset makes it execute itself again, under the same process id. Its watchdog ends it with a panic; whoever made
 *   the machine starts it again, as firmware would.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine, Machine, MachinePlan, Power } from './engine.ts';
import { LINKS, macOf, tapOf } from './hosts.ts';
import type { Unpacked } from './packages.ts';

const MEMORY = '384M';
const END_LIMIT_MS = 5_000;
/**
 * Every system call of a guest's program goes to and fro between two processes of the host, and each of these steps waits for
 * whatever else is runnable there. Beside a few busy programs a guest becomes a hundred times slower, loses its lease, and is
 * reset by its watchdog. So guests go first (nice -10) and ask for the shortest slice, which lets them run soon and not for
 * long (Linux 6.12; older kernels ignore it). The real-time classes do not help: guests wait there for one another.
 */
const SYS_SCHED_SETATTR = 314;
const NICENESS = -10;
const SLICE_NS = 100_000;
/** struct sched_attr: size, policy (SCHED_OTHER), flags, nice, priority, runtime, deadline, period. Then it becomes the guest. */
const SCHEDULING: readonly string[] = [
  'perl',
  '-e',
  `my $attr = pack("LLQlLQQQ", 48, 0, 0, ${NICENESS}, 0, ${SLICE_NS}, 0, 0); syscall(${SYS_SCHED_SETATTR}, 0, $attr, 0); exec @ARGV`,
  '--',
];

/** Pure. */
export function umlArguments(plan: MachinePlan, packages: Unpacked): readonly string[] {
  const { node, stateDisk, dataDisk, folder, dist, guest, watchdogS } = plan;
  return [
    `umid=${node}`,
    `uml_dir=${join(folder, 'uml')}`,
    `mem=${MEMORY}`,
    'root=/dev/root',
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    'quiet',
    // The second disk exists in every guest, so that the state has one name.
    ...(dataDisk === null ? [] : [`ubd0=${dataDisk}`]),
    `ubd1=${stateDisk}`,
    // Not the vector driver: bulk TCP went at 165 KiB/s through it.
    ...LINKS.map((link, index) => `eth${index}=tuntap,${tapOf(link, node)},${macOf(link, node)}`),
    'con0=null,fd:1',
    'con1=null,fd:3',
    'con=null',
    'ssl=null',
    'panic=1',
    `lab=${node}`,
    `lab_kit=${packages.kit}`,
    `lab_modules=${packages.modules}`,
    `lab_guest=${guest}`,
    `lab_dist=${dist}`,
    `lab_node=${process.execPath}`,
    `lab_watchdog=${watchdogS}`,
    `init=${join(guest, 'init.sh')}`,
  ];
}

export class UmlEngine implements Engine {
  readonly name = 'uml';
  readonly #packages: Unpacked;

  constructor(packages: Unpacked) {
    this.#packages = packages;
  }

  machine(plan: MachinePlan): Machine {
    mkdirSync(join(plan.folder, 'uml'), { recursive: true });
    return new UmlMachine(plan, this.#packages);
  }
}

class UmlMachine implements Machine {
  readonly #plan: MachinePlan;
  readonly #packages: Unpacked;
  #child: ChildProcess | null = null;
  #isFrozen = false;
  #isPoweredOff = false;

  constructor(plan: MachinePlan, packages: Unpacked) {
    this.#plan = plan;
    this.#packages = packages;
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
    const words = [...SCHEDULING, this.#packages.kernel, ...umlArguments(this.#plan, this.#packages)];
    this.#child = spawn(words[0] ?? '', words.slice(1), {
      // A group of its own: what a power cut takes.
      detached: true,
      stdio: ['ignore', console, console, agent],
      // Its memory is a file there.
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TMPDIR: '/dev/shm' },
    });
    const child = this.#child;
    child.on('error', () => undefined);
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
    // Its programs' stubs may be left; they run nothing, and would keep its taps.
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

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}
