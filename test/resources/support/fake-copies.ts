/** One node's copy of a replicated pool, in memory: properties with what inherits them, mounts, volumes, and who uses them. */
import type {
  CommandResult,
  CommandRunner,
  KernelFiles,
  VolumeDevices,
} from '../../../src/resources/index.ts';

const ROOT = '27 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw';

interface FakeDataset {
  readonly kind: 'filesystem' | 'volume';
  readonly own: Map<string, string>;
  readonly mountPoint: string;
  isPartial?: boolean;
  snapshots: string[];
}

export class FakeCopies {
  state: string | null = 'ONLINE';
  readonly datasets = new Map<string, FakeDataset>();
  mounts: { source: string; mountPoint: string }[] = [];
  readonly calls: string[] = [];
  /** Mount points, and volumes, that processes use. */
  readonly busy = new Set<string>();
  /** Volumes that the kernel has open, as for iSCSI. */
  readonly exported = new Set<string>();
  /** Paths of the devices, by what the kernel says they are of. */
  readonly zds = new Map<string, string>();
  /** Volumes without the link that udev makes. */
  readonly unlinked = new Set<string>();
  /** Paths that answer nobody. */
  readonly silent = new Set<string>();
  stuck = false;
  hangs: string[] = [];
  readonly failures = new Map<string, string>();
  /** What was written where, whoever has it open. */
  readonly written: string[] = [];

  constructor() {
    this.add('tank', '/tank');
    this.add('tank/home', '/srv/home');
    this.add('tank/home/deep', '/srv/home/deep');
    this.add('tank/disk', '-', 'volume');
  }

  add(name: string, mountPoint: string, kind: FakeDataset['kind'] = 'filesystem'): FakeDataset {
    const dataset: FakeDataset = { kind, own: new Map(), mountPoint, snapshots: [`${name}@s1`] };
    this.datasets.set(name, dataset);
    if (kind === 'volume') this.zds.set(name, `/dev/zd${16 * this.zds.size}`);
    return dataset;
  }

  /** As `zfs set` of a person. */
  set(name: string, ...properties: readonly string[]): void {
    for (const property of properties) {
      const [key = '', value = ''] = property.split('=');
      this.datasets.get(name)?.own.set(key, value);
    }
  }

  mountAll(): void {
    for (const [source, { mountPoint, kind }] of this.datasets)
      if (kind === 'filesystem') this.mounts.push({ source, mountPoint });
  }

  isReadonly(name: string): boolean {
    return this.#value(name, 'readonly')[0] === 'on';
  }

  /** What an application does that has it open. */
  mayWrite(name: string): boolean {
    const { kind, mountPoint } = this.datasets.get(name) ?? { kind: 'volume', mountPoint: '' };
    const isThere = kind === 'volume' || this.mounts.some((one) => one.mountPoint === mountPoint);
    return isThere && !this.isReadonly(name);
  }

  readonly runner: CommandRunner = {
    run: async (command, { deadline }) => this.#run(command, deadline),
    killMarked: async () => 0,
    follow: () => () => undefined,
  };

  readonly kernel: KernelFiles = {
    read: (path) => {
      if (path === '/proc/spl/kstat/zfs/tank/state' && this.state !== null) return `${this.state}\n`;
      throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    },
    has: (path) => path === '/proc/spl/kstat/zfs' || path === '/sys/module',
  };

  readonly readMounts = (): string => {
    const lines = this.mounts.map(({ source, mountPoint }, at) => {
      const below = this.mounts.findLastIndex(
        (one, place) => place < at && mountPoint.startsWith(`${one.mountPoint}/`),
      );
      const parent = below < 0 ? 27 : 40 + below;
      return `${40 + at} ${parent} 0:${50 + at} / ${mountPoint} rw - zfs ${source} rw,xattr,noacl`;
    });
    return `${[ROOT, ...lines].join('\n')}\n`;
  };

  readonly devices: VolumeDevices = {
    use: async (path) => {
      if (this.silent.has(path)) return 'unknown';
      const volume = this.#volumeAt(path);
      if (volume === null) return 'absent';
      return this.exported.has(volume) ? 'taken' : 'free';
    },
    reach: async (path) => {
      if (this.silent.has(path)) return 'unknown';
      return this.#volumeAt(path) === null ? 'absent' : 'there';
    },
    leaveAlone: (paths, _context, action) => action(paths),
    all: () => [...this.zds.values()],
    real: (path) => this.zds.get(this.#volumeAt(path) ?? '') ?? path,
  };

  #volumeAt(path: string): string | null {
    const volumes = [...this.zds].filter(([volume, device]) => {
      const link = `/dev/zvol/${volume.replaceAll(' ', '+')}`;
      return path === device || (path === link && !this.unlinked.has(volume));
    });
    return volumes[0]?.[0] ?? null;
  }

  get changes(): string[] {
    return this.calls.filter((call) => !/^zfs (list|get)|^fuser (-v|\/)|zvol_id/.test(call));
  }

  #run(command: readonly string[], limitMs: number): CommandResult {
    const line = command.join(' ');
    this.calls.push(line);
    if (this.hangs.some((one) => line.startsWith(one))) return { kind: 'timed-out', limitMs };
    const failure = [...this.failures].find(([one]) => line.startsWith(one))?.[1];
    if (failure !== undefined) return exited(1, failure);
    const last = command.at(-1) ?? '';
    switch (command.slice(0, 2).join(' ')) {
      case 'zfs get':
        return exited(
          0,
          '',
          command.includes('-r') ? this.#get(command[9]?.split(',') ?? []) : this.#own(command),
        );
      case 'zfs list':
        return exited(0, '', command.includes('snapshot') ? this.#snapshots(command) : this.#list());
      case 'zfs set':
        return this.#set(command.slice(2));
      case 'zfs mount':
        return this.#mount(last);
      case 'umount --':
        return this.#unmount(last);
      case 'umount -R':
        return this.#unmountTree(last);
      case 'fuser -k': {
        const users = command.filter((one) => this.busy.has(one));
        if (!this.stuck) for (const one of users) this.busy.delete(one);
        return exited(users.length > 0 ? 0 : 1);
      }
      case 'fuser -v':
        return exited(1);
      default:
        if (command[0] === '/lib/udev/zvol_id') return this.#zvolId(last);
        if (command[0] === 'fuser') return exited(command.some((one) => this.busy.has(one)) ? 0 : 1);
        throw new Error(`nobody has taught the test "${line}"`);
    }
  }

  /** As 2.1.11 of Debian 12: a blank in the name is a "+". */
  #zvolId(path: string): CommandResult {
    const volume = this.#volumeAt(path);
    if (volume === null) return exited(1, `Unable to access device file: ${path}\n`);
    return exited(0, '', `${volume.replaceAll(' ', '+')}\n`);
  }

  #get(properties: readonly string[]): string {
    return [...this.datasets.keys()]
      .flatMap((name) => properties.map((key) => `${name}\t${key}\t${this.#value(name, key).join('\t')}\n`))
      .join('');
  }

  #own(command: readonly string[]): string {
    const [properties = '', name = ''] = command.slice(-2);
    return properties
      .split(',')
      .map((key) => `${key}\t${this.#value(name, key).join('\t')}\n`)
      .join('');
  }

  #value(name: string, key: string): readonly [value: string, source: string] {
    const dataset = this.datasets.get(name);
    if (key === 'type') return [dataset?.kind ?? '-', '-'];
    if (key === 'keystatus') return ['-', '-'];
    if (key === 'receive_resume_token') return [dataset?.isPartial === true ? '1-abc' : '-', '-'];
    for (let at = name; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const value = this.datasets.get(at)?.own.get(key);
      if (value !== undefined) return [value, at === name ? 'local' : `inherited from ${at}`];
    }
    return key === 'readonly' ? ['off', 'default'] : ['-', '-'];
  }

  #list(): string {
    const names = [...this.datasets.keys()].toSorted().reverse();
    return names
      .filter((name) => this.datasets.get(name)?.kind === 'filesystem')
      .map(
        (name) =>
          `${name}\t${this.datasets.get(name)?.own.get('canmount') ?? 'on'}\t${this.datasets.get(name)?.mountPoint}\t-\t7\n`,
      )
      .join('');
  }

  #snapshots(command: readonly string[]): string {
    return command
      .slice(8)
      .flatMap((name) => this.datasets.get(name)?.snapshots ?? [])
      .map((name) => `${name}\n`)
      .join('');
  }

  #set(words: readonly string[]): CommandResult {
    const properties = words.filter((word) => word.includes('='));
    for (const name of words.filter((word) => !word.includes('='))) {
      if (!this.datasets.has(name)) return exited(1, `cannot open '${name}': dataset does not exist\n`);
      this.set(name, ...properties);
    }
    return exited(0);
  }

  #mount(name: string): CommandResult {
    const dataset = this.datasets.get(name);
    if (dataset?.isPartial === true && dataset.snapshots.length === 0)
      return exited(1, `cannot mount '${name}': dataset is busy\n`);
    this.mounts.push({ source: name, mountPoint: dataset?.mountPoint ?? '' });
    return exited(0);
  }

  /** What lies below first, up to one that is busy. */
  #unmountTree(mountPoint: string): CommandResult {
    const isBelow = (one: { mountPoint: string }) => one.mountPoint.startsWith(`${mountPoint}/`);
    for (const below of this.mounts.filter(isBelow).toReversed()) {
      const result = this.#unmount(below.mountPoint);
      if (result.kind !== 'exited' || result.code !== 0) return result;
    }
    return this.#unmount(mountPoint);
  }

  #unmount(mountPoint: string): CommandResult {
    const at = this.mounts.findLastIndex((one) => one.mountPoint === mountPoint);
    if (at < 0) return exited(32, `umount: ${mountPoint}: not mounted.\n`);
    const hasMore = this.mounts.some((one) => one.mountPoint.startsWith(`${mountPoint}/`));
    if (this.busy.has(mountPoint) || hasMore) return exited(32, `umount: ${mountPoint}: target is busy.\n`);
    this.mounts.splice(at, 1);
    return exited(0);
  }
}

function exited(code: number, stderr = '', stdout = ''): CommandResult {
  return { kind: 'exited', code, stdout, stderr };
}
