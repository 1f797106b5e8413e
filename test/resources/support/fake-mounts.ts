/** `mount`, `umount` and `fuser` of one host in memory, with util-linux' words and codes. */
import type { CommandResult, CommandRunner } from '../../../src/resources/index.ts';

const OTHERS = [
  '22 27 0:21 / /proc rw,nosuid,relatime shared:5 - proc proc rw',
  '27 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw,discard,errors=remount-ro',
  '31 27 0:27 / /srv/with\\040space rw master:3 propagate_from:2 - tmpfs none rw,size=10k',
];

export class FakeMounts {
  /** Device and mount point, in the order in which they were made. */
  readonly entries: { source: string; mountPoint: string; device?: string; on?: string }[] = [];
  /** What each path leads to, by its own name and number; another one leads nowhere. */
  readonly devices = new Map([['/dev/drbd0', { path: '/dev/drbd0', number: '147:0' }]]);
  readonly calls: string[] = [];
  /** Processes that have something open there. */
  users = 0;
  /** They wait in the kernel for a frozen write: no signal ends them. */
  stuckUsers = 0;
  /** What `umount` does instead of its work; `detached`: beside it, the mount is not in the table any more. */
  hang: boolean | 'detached' = false;
  /** Appended to the table. */
  extra = '';

  readonly runner: CommandRunner = {
    run: async (command, { deadline }) => this.#run(command, deadline),
    killMarked: async () => 0,
    follow: () => () => undefined,
  };

  readonly text = (): string => {
    const ours = this.entries.map(
      ({ source, mountPoint, device, on }, index) =>
        `${40 + index} ${on ?? 27} ${device ?? this.devices.get(source)?.number ?? '8:17'} / ${mountPoint} rw - ext4 ${source} rw`,
    );
    return `${[...OTHERS, ...ours].join('\n')}\n${this.extra}`;
  };

  readonly readDevice = (path: string): { path: string; number: string } => {
    const found = this.devices.get(path);
    if (found === undefined) throw new Error(`ENOENT: ${path}`);
    return found;
  };

  #run(command: readonly string[], deadline: number): CommandResult {
    this.calls.push(command.join(' '));
    const mountPoint = command.at(-1) ?? '';
    switch (command[0]) {
      case 'mount':
        this.entries.push({ source: command.at(-2) ?? '', mountPoint });
        return exited(0);
      case 'fuser':
        this.users = 0;
        return exited(0);
      default:
        if (this.hang === 'detached') this.#unmount(mountPoint);
        if (this.hang !== false) return { kind: 'timed-out', limitMs: deadline };
        if (this.users + this.stuckUsers > 0) return exited(32, `umount: ${mountPoint}: target is busy.\n`);
        return this.#unmount(mountPoint);
    }
  }

  #unmount(mountPoint: string): CommandResult {
    const index = this.entries.findLastIndex((entry) => entry.mountPoint === mountPoint);
    if (index < 0) return exited(32, `umount: ${mountPoint}: not mounted.\n`);
    this.entries.splice(index, 1);
    return exited(0);
  }
}

function exited(code: number, stderr = ''): CommandResult {
  return { kind: 'exited', code, stdout: '', stderr };
}
