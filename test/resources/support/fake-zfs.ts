/** One host with ZFS in memory: the kernel's files, the table of mounts, and `zpool`, `zfs`, `umount`, `fuser` with their words. */
import type { CommandResult, CommandRunner, KernelFiles } from '../../../src/resources/index.ts';
import { CAPTURES } from '../zfs-captures.ts';

const ROOT = '27 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw';

interface FileSystem {
  readonly mountPoint: string;
  readonly canmount?: 'on' | 'off' | 'noauto';
  isLocked?: boolean;
}

export class FakeZfs {
  /** Of the pool `tank`. */
  readonly fileSystems = new Map<string, FileSystem>([
    ['tank', { mountPoint: '/srv' }],
    ['tank/vol1', { mountPoint: '/srv/vol1' }],
    ['tank/vol1/deep', { mountPoint: '/srv/vol1/deep' }],
    ['tank/legacy', { mountPoint: 'legacy' }],
    ['tank/off', { mountPoint: '/srv/off', canmount: 'off' }],
  ]);
  /** Null: the kernel has no such pool. */
  state: string | null = null;
  isModuleLoaded = true;
  mounts: { source: string; mountPoint: string; fstype?: string; on?: string }[] = [];
  readonly calls: string[] = [];
  readonly environments: Readonly<Record<string, string>>[] = [];
  /** What an import without `-f` says instead of importing. */
  refusal: string | null = null;
  /** Mount points that processes use. */
  busy = new Set<string>();
  /** Their processes cannot be killed. */
  stuck = false;
  /** Something without a mount point uses the pool, as a volume that is exported. */
  isVolumeOpen = false;
  /** Beginnings of commands that do not end. */
  hangs: string[] = [];
  /** Beginnings of commands that fail, with what they say. */
  readonly failures = new Map<string, string>();
  /** What the pool stands on. */
  leaves = ['/dev/drbd0'];
  /** The kernel has files of the pool, and none that says its state. */
  isStateless = false;
  /** DRBD's, and a disk of the host's own. */
  readonly devices = new Map([
    ['/dev/drbd0', '147:0'],
    ['/dev/drbd5', '147:5'],
    ['/dev/vdb', '254:16'],
  ]);

  readonly runner: CommandRunner = {
    run: async (command, { deadline, environment }) => {
      this.environments.push(environment ?? {});
      return this.#run(command, deadline);
    },
    killMarked: async () => 0,
    follow: () => () => undefined,
  };

  readonly kernel: KernelFiles = {
    read: (path) => {
      if (path === '/proc/spl/kstat/zfs/tank/state' && this.state !== null) return `${this.state}\n`;
      throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    },
    has: (path) => {
      if (path === '/proc/spl/kstat/zfs/tank') return this.state !== null || this.isStateless;
      return path === '/sys/module' || this.isModuleLoaded;
    },
  };

  readonly readMounts = (): string => {
    const lines = this.mounts.map(({ source, mountPoint, fstype, on }, index) => {
      const below = this.mounts.findLastIndex(
        (one, place) => place < index && mountPoint.startsWith(`${one.mountPoint}/`),
      );
      const parent = on ?? (below < 0 ? '27' : `${40 + below}`);
      return `${40 + index} ${parent} 0:${50 + index} / ${mountPoint} rw - ${fstype ?? 'zfs'} ${source} rw`;
    });
    return `${[ROOT, ...lines].join('\n')}\n`;
  };

  readonly readDevice = (path: string): { path: string; number: string } => {
    const number = this.devices.get(path);
    if (number === undefined) throw new Error(`ENOENT: ${path}`);
    return { path, number };
  };

  /** Commands that change something. */
  get changes(): string[] {
    return this.calls.filter((call) => !/^zfs list|^zpool list|^fuser -v/.test(call));
  }

  #run(command: readonly string[], limitMs: number): CommandResult {
    const line = command.join(' ');
    this.calls.push(line);
    if (this.hangs.some((one) => line.startsWith(one))) return { kind: 'timed-out', limitMs };
    const failure = [...this.failures].find(([one]) => line.startsWith(one))?.[1];
    if (failure !== undefined) return exited(1, failure);
    const last = command.at(-1) ?? '';
    switch (command.slice(0, 2).join(' ')) {
      case 'zpool import':
        return this.#import(command.includes('-f'));
      case 'zpool export':
        return this.#export();
      case 'zpool list':
        return exited(0, '', this.#vdevs());
      case 'zfs list':
        return exited(0, '', this.#list());
      case 'zfs load-key':
        for (const one of this.fileSystems.values()) one.isLocked = false;
        return exited(0);
      case 'zfs mount':
        return this.#mount(last);
      case 'umount --':
      case 'umount -R':
        return this.#unmount(last);
      case 'fuser -k':
        if (!this.stuck) this.busy.clear();
        return exited(0);
      case 'fuser -v':
        return this.#users(command.slice(4));
      default:
        throw new Error(`nobody has taught the test "${line}"`);
    }
  }

  #import(isForced: boolean): CommandResult {
    if (this.refusal !== null && !isForced) return exited(1, this.refusal);
    this.state = 'ONLINE';
    return exited(0);
  }

  #export(): CommandResult {
    if (this.state === null) return exited(1, CAPTURES.notOpen);
    for (const { source, mountPoint } of this.mounts.toReversed()) {
      // What it finds by the name of the file system, once each.
      if (this.fileSystems.get(source)?.mountPoint !== mountPoint) continue;
      const result = this.#unmount(mountPoint);
      if (result.kind === 'exited' && result.code !== 0)
        return exited(1, `cannot unmount '${mountPoint}': pool or dataset is busy\n`);
    }
    if (this.isVolumeOpen || this.mounts.some(({ fstype }) => fstype === undefined))
      return exited(1, "cannot export 'tank': pool is busy\n");
    this.state = null;
    return exited(0);
  }

  #vdevs(): string {
    const lines = this.leaves.map((leaf) => `\t${leaf}${'\t-'.repeat(8)}\tONLINE\n`);
    return `tank${'\t-'.repeat(8)}\tONLINE\t-\n${lines.join('')}`;
  }

  #list(): string {
    const order = [...this.fileSystems.keys()];
    const names = order.toSorted().reverse();
    const lines = names.map((name) => {
      const { mountPoint, canmount = 'on', isLocked } = this.fileSystems.get(name) ?? { mountPoint: 'none' };
      const key = isLocked === undefined ? '-' : isLocked ? 'unavailable' : 'available';
      return `${name}\t${canmount}\t${mountPoint}\t${key}\t${10 + order.indexOf(name)}\n`;
    });
    return lines.join('');
  }

  #mount(name: string): CommandResult {
    const found = this.fileSystems.get(name);
    if (found === undefined) return exited(1, `cannot open '${name}': dataset does not exist\n`);
    if (found.isLocked === true) return exited(1, `cannot mount '${name}': encryption key not loaded\n`);
    if (this.mounts.some(({ source }) => source === name))
      return exited(1, `cannot mount '${name}': filesystem already mounted\n`);
    this.mounts.push({ source: name, mountPoint: found.mountPoint });
    return exited(0);
  }

  #unmount(mountPoint: string): CommandResult {
    const index = this.mounts.findLastIndex((one) => one.mountPoint === mountPoint);
    if (index < 0) return exited(32, `umount: ${mountPoint}: not mounted.\n`);
    const hasMore = this.mounts.some((one) => one.mountPoint.startsWith(`${mountPoint}/`));
    if (this.busy.has(mountPoint) || hasMore) return exited(32, `umount: ${mountPoint}: target is busy.\n`);
    this.mounts.splice(index, 1);
    return exited(0);
  }

  /** As psmisc 23.6: the numbers on one stream, the rest on the other. */
  #users(mountPoints: readonly string[]): CommandResult {
    const used = mountPoints.filter((one) => this.busy.has(one));
    const head = '                     USER        PID ACCESS COMMAND\n';
    const rows = used.map(
      (one) => `${`${one}:`.padEnd(21)}root      mount ${one}\n${' '.repeat(21)}root      ..c.. smbd\n`,
    );
    return {
      kind: 'exited',
      code: 0,
      stdout: used.map(() => ' kernel  4711').join(''),
      stderr: head + rows.join(''),
    };
  }
}

function exited(code: number, stderr = '', stdout = ''): CommandResult {
  return { kind: 'exited', code, stdout, stderr };
}
