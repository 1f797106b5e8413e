/**
 * User-mode Linux: a Linux kernel that is a process. Its root is the host's own, read-only (hostfs), so there is no image
 * to build; DRBD, ext4 and the watchdog are the same sources as in any kernel.
 *
 * - A power cut takes its process group: the kernel with its page cache, and the stubs that run its programs.
 * - Sysrq's reset makes it execute itself again, under the same process id. Its watchdog ends it with a panic; whoever made
 *   the machine starts it again, as firmware would.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine, LabPlan, Machine, MachinePlan } from './engine.ts';
import { LINKS, macOf, tapOf } from './hosts.ts';
import type { Unpacked } from './packages.ts';
import { preloadList } from './preload.ts';
import { ProcessMachine } from './process-machine.ts';

const MEMORY = '384M';
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
  const { node, stateDisk, dataDisks, folder, dist, watchdogS } = plan;
  const guest = guestOf(plan);
  return [
    `umid=${node}`,
    `uml_dir=${join(folder, 'uml')}`,
    `mem=${MEMORY}`,
    'root=/dev/root',
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    'quiet',
    // The first disk exists in every guest, so that the state has one name.
    `ubd0=${stateDisk}`,
    ...dataDisks.map((disk, index) => `ubd${index + 1}=${disk}`),
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
    `lab_preload=${preloadOf(plan)}`,
    `lab_guest=${guest}`,
    `lab_dist=${dist}`,
    `lab_node=${process.execPath}`,
    `lab_watchdog=${watchdogS}`,
    `init=${join(guest, 'uml.sh')}`,
  ];
}

const guestOf = ({ checkout }: LabPlan): string => join(checkout, 'cluster/lab/guest');
const preloadOf = ({ folder }: LabPlan): string => join(folder, 'preload');

export class UmlEngine implements Engine {
  readonly name = 'uml';
  readonly #packages: Unpacked;

  constructor(packages: Unpacked) {
    this.#packages = packages;
  }

  async prepare(lab: LabPlan): Promise<void> {
    mkdirSync(join(lab.folder, 'uml'), { recursive: true });
    writeFileSync(preloadOf(lab), `${(await preloadList(this.#packages.kit)).join('\n')}\n`);
  }

  machine(plan: MachinePlan): Machine {
    const words = [...SCHEDULING, this.#packages.kernel, ...umlArguments(plan, this.#packages)];
    return new ProcessMachine(plan, words);
  }
}
