/**
 * QEMU without hardware help (TCG): a whole machine, and the distribution's own kernel, so all that a host has: ZFS, nfsd,
 * nftables. Its programs run 10 to 30 times slower than this machine's.
 *
 * - A power cut is SIGKILL. What the guest had sent to its disks is in the host's page cache, and stays.
 * - A reset (its watchdog, sysrq, a panic) ends the process (-no-reboot); whoever made the machine starts it again.
 */
import { join } from 'node:path';
import type { Engine, LabPlan, Machine, MachinePlan } from '../engine.ts';
import { LINKS, macOf, tapOf } from '../hosts.ts';
import { ProcessMachine } from '../process-machine.ts';
import type { GuestImage } from './image.ts';
import { makeProductDisk } from './product.ts';
import { zfsModules } from './zfs.ts';

const MEMORY = '640M';
/** For translated code, in MiB. With 128 a start of Node.js with the product takes a quarter longer; the default is a gigabyte. */
const TRANSLATIONS_MIB = 512;
/** The console, and what the agent says: /dev/ttyS0 and /dev/ttyS1. */
const QUICK_KERNEL = [
  ...['console=ttyS0', 'quiet', 'loglevel=4', 'panic=-1', '8250.nr_uarts=2'],
  // What costs time in an emulated processor and protects nobody here.
  ...[
    'mitigations=off',
    'nokaslr',
    'nopti',
    'audit=0',
    'apparmor=0',
    'selinux=0',
    'rcupdate.rcu_expedited=1',
  ],
  // The processor's counter is the host's clock: it runs on while the guest is frozen.
  ...['clocksource=tsc', 'tsc=reliable', 'no_timer_check', 'random.trust_cpu=on', 'ipv6.disable=1'],
];

const productDisk = (folder: string): string => join(folder, 'product.img');

/** Pure. */
export function qemuArguments(plan: MachinePlan, image: GuestImage): readonly string[] {
  const { node, folder, stateDisk, dataDisks, watchdogS } = plan;
  // In the order of their names in the guest: vda, vdb, vdc; vdd and on.
  const shared = [image.root, productDisk(folder)].map((file) => `file=${file},readonly=on,cache=unsafe`);
  const own = [stateDisk, ...dataDisks].map((file) => `file=${file},cache=writeback`);
  const kernel = [...QUICK_KERNEL, `lab=${node}`, `lab_watchdog=${watchdogS}`];
  return [
    ...['-name', `lab-${node}`, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-machine', 'q35,usb=off,vmport=off,hpet=off', '-cpu', 'max', '-smp', '1', '-m', MEMORY],
    ...['-accel', `tcg,thread=multi,tb-size=${TRANSLATIONS_MIB}`, '-rtc', 'base=utc,clock=host'],
    ...['-kernel', image.kernel, '-initrd', image.initramfs, '-append', kernel.join(' ')],
    ...[...shared, ...own].flatMap((drive, index) => [
      ...['-drive', `if=none,id=d${index},format=raw,${drive}`],
      ...['-device', `virtio-blk-pci,drive=d${index}`],
    ]),
    ...LINKS.flatMap((link, index) => [
      ...['-netdev', `tap,id=n${index},ifname=${tapOf(link, node)},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=n${index},mac=${macOf(link, node)},romfile=`],
    ]),
    ...['-device', 'virtio-rng-pci', '-monitor', 'none'],
    ...serial('console', plan.consoleLog),
    ...serial('agent', plan.agentLog),
  ];
}

const serial = (name: string, file: string): readonly string[] => [
  ...['-chardev', `file,id=${name},path=${file},append=on`],
  ...['-serial', `chardev:${name}`],
];

export class QemuEngine implements Engine {
  readonly name = 'qemu';
  readonly #image: GuestImage;

  constructor(image: GuestImage) {
    this.#image = image;
  }

  prepare(lab: LabPlan): Promise<void> {
    return makeProductDisk(lab, zfsModules(this.#image), productDisk(lab.folder));
  }

  machine(plan: MachinePlan): Machine {
    return new ProcessMachine(plan, ['qemu-system-x86_64', ...qemuArguments(plan, this.#image)]);
  }
}
