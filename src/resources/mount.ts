/**
 * A file system on a device that moves.
 *
 * 1. Held: what is seen at the mount point is our device, and not covered by another mount. Released: our device is
 *    mounted nowhere; a bind mount that somebody made of it can be written through as well, and goes with it.
 * 2. Another device at the mount point is not ours: it is neither hidden nor unmounted, also where it covers ours.
 * 3. Our device is known by its number, because it has many names, and what `mount` wrote down may be any of them; and by
 *    its path, because some file systems show a number of their own.
 * 4. Never `umount -l`: a lazily unmounted file system goes on writing where nobody sees it. Nor `-f`, which is for NFS.
 *
 * Mounts of other namespaces (containers) are not seen here; the block device refuses to give up its role while one is
 * left, and that is what counts in the end.
 */
import type { Clock } from '../clock.ts';
import { instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError } from './command-error.ts';
import { held, LinuxTools, notHeld, partly, unknown } from './linux-tools.ts';
import { BUSY_POLL_MS, busyEnd, type FrozenIo, MountUsers } from './mount-users.ts';
import { type MountEntry, mountSeenAt, readMountTable } from './mountinfo.ts';
import type { AcquireContext, CommandRunner, ProbeResult, ReleaseContext, Resource } from './types.ts';

/** One `umount` of an abrupt release: one that hangs in the kernel must leave time to kill its users. */
const ABRUPT_SHARE = 0.4;

export interface MountOptions {
  readonly name: string;
  readonly device: string;
  readonly mountPoint: string;
  /** Null: `mount` finds out. */
  readonly fstype: string | null;
  readonly options: string | null;
  /** R1: kills of foreign processes are off outside real hosts. */
  readonly mayKill: boolean;
  /** The replicated devices below; null: there are none whose I/O can freeze. */
  readonly frozenIo: FrozenIo | null;
  /** The text of /proc/self/mountinfo. */
  readonly readMounts: () => string;
  /** What a path leads to; throws where it leads nowhere. */
  readonly readDevice: (path: string) => DeviceIdentity;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

export interface DeviceIdentity {
  /** Without symbolic links. */
  readonly path: string;
  /** MAJOR:MINOR of a block device; null: it is none. */
  readonly number: string | null;
}

interface Mounts {
  /** What is mounted at the mount point and seen there. */
  readonly top: MountEntry | null;
  /** Every mount of our device, in the order in which they were made. */
  readonly ours: readonly MountEntry[];
  /** Those that no other mount covers: only they can be unmounted. */
  readonly reachable: readonly MountEntry[];
  /** `top` is our device. */
  readonly isHeld: boolean;
  /** Why our device cannot be told from another; null: it can. */
  readonly why: string | null;
}

interface UnmountFailure {
  readonly error: QuorateError;
  /** Trying again makes sense. */
  readonly mayPass: boolean;
  /** It has not ended by itself. */
  readonly isStuck: boolean;
}

export class MountResource implements Resource {
  readonly kind = 'mount';
  readonly scope = 'local';
  readonly name: string;
  readonly #options: MountOptions;
  readonly #tools: LinuxTools;
  readonly #users: MountUsers;

  constructor(options: MountOptions) {
    this.name = options.name;
    this.#options = options;
    this.#tools = new LinuxTools(options.runner);
    this.#users = new MountUsers({ ...options, tools: this.#tools });
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { device, mountPoint, fstype, options } = this.#options;
    const { top, isHeld, ours, why } = this.#mustRead();
    if (isHeld) return `${device} is mounted on ${mountPoint} already`;
    if (top !== null) {
      const doubt = why === null ? '' : `, and ${why}`;
      throw new QuorateError(
        'mount-occupied',
        `${top.source} (${top.fstype}) is mounted on ${mountPoint}${doubt}`,
      );
    }
    if (ours.some((entry) => entry.mountPoint === mountPoint))
      throw new QuorateError('mount-occupied', `${device} on ${mountPoint} is covered by another mount`);
    const type = fstype === null ? [] : ['-t', fstype];
    const flags = options === null ? [] : ['-o', options];
    await this.#tools.must(['mount', ...type, ...flags, '--', device, mountPoint], context);
    const after = this.#mustRead();
    if (after.isHeld) return `mounted ${device} on ${mountPoint}`;
    const found = after.top === null ? 'nothing' : after.top.source;
    throw new QuorateError('not-as-wanted', `mounted ${device}, but ${mountPoint} shows ${found}`);
  }

  async release(context: ReleaseContext): Promise<string> {
    const { device } = this.#options;
    const end = busyEnd(context, this.#options.clock);
    let killed = '';
    let stuck: QuorateError | null = null;
    for (;;) {
      const { ours, reachable } = this.#mustKnow();
      // An `umount` that has not ended may be writing still, when the table does not have its mount any more.
      if (ours.length === 0 && stuck !== null) throw stuck;
      if (ours.length === 0) return `${device} is not mounted${killed}`;
      // The last one first: it may lie on top of the others.
      const target = reachable.at(-1)?.mountPoint;
      if (target === undefined) throw covered(device, ours);
      // Before the first attempt, too: an `umount` that waits for a frozen write can never be killed.
      const frozen = await this.#users.endFrozenIo([target], context);
      if (frozen.kind === 'ended') killed = frozen.said;
      if (frozen.kind === 'stays') {
        if (context.signal.aborted || this.#options.clock.now() + BUSY_POLL_MS >= end) throw frozen.error;
        await this.#options.clock.sleep(BUSY_POLL_MS, context.signal);
        continue;
      }
      const failure = await this.#unmount(target, context);
      if (failure?.isStuck === true) stuck = failure.error;
      const isOver = context.signal.aborted || this.#options.clock.now() + BUSY_POLL_MS >= end;
      if (failure === null) {
        const left = this.#mustRead().ours.length;
        if (isOver && left > 0) throw unverified(target);
        if (left < ours.length) continue;
      } else {
        if (isOver || !failure.mayPass) throw failure.error;
        if (this.#users.mayKill(context)) {
          killed = `, after its users were killed`;
          await this.#users.kill([target], context);
        }
      }
      await this.#options.clock.sleep(BUSY_POLL_MS, context.signal);
    }
  }

  async probe(): Promise<ProbeResult> {
    const { device, mountPoint } = this.#options;
    const mounts = this.#read();
    if (typeof mounts === 'string') return unknown(mounts);
    const { top, ours, isHeld, why } = mounts;
    if (isHeld) return held(`${device} is mounted on ${mountPoint}`);
    const other = top === null ? '' : `; ${top.source} is mounted on ${mountPoint}`;
    if (top !== null && why !== null) return unknown(`${why}${other}`);
    if (ours.length === 0) return notHeld(`${device} is not mounted${other}`);
    return partly(`${device} is mounted on ${ours.map((entry) => entry.mountPoint).join(', ')}${other}`);
  }

  /** Null when it went. */
  async #unmount(mountPoint: string, context: ReleaseContext): Promise<UnmountFailure | null> {
    // Abruptly also what others have mounted below.
    const command = ['umount', ...(context.mode === 'abrupt' ? ['-R'] : []), '--', mountPoint];
    const { now } = this.#options.clock;
    const share = context.mode === 'abrupt' ? ABRUPT_SHARE : 1;
    const deadline = instant(now() + (context.deadline - now()) * share);
    const result = await this.#tools.run(command, { ...context, deadline });
    if (result.kind === 'timed-out')
      return { error: commandError(command, result), mayPass: share < 1, isStuck: true };
    if (result.kind !== 'exited')
      return { error: commandError(command, result), mayPass: false, isStuck: true };
    if (result.code === 0 || /not mounted/.test(result.stderr)) return null;
    const error = exitError(command, result.code, result.stderr);
    return { error, mayPass: /busy/.test(result.stderr) || context.mode === 'abrupt', isStuck: false };
  }

  #mustRead(): Mounts {
    const mounts = this.#read();
    if (typeof mounts !== 'string') return mounts;
    throw new QuorateError('command-failed', mounts);
  }

  /** For a release: whether what is seen at the mount point is ours must be known too (H4). */
  #mustKnow(): Mounts {
    const mounts = this.#mustRead();
    const { top, ours, why } = mounts;
    if (top === null || why === null || ours.length > 0) return mounts;
    throw new QuorateError('release-unverified', `${why}, and ${top.source} is mounted there`);
  }

  /** A sentence when it cannot be read. */
  #read(): Mounts | string {
    const entries = readMountTable(this.#options.readMounts);
    if (typeof entries === 'string') return entries;
    const { device, mountPoint } = this.#options;
    const own = this.#identity(device);
    const seen = mountSeenAt(entries, mountPoint);
    const top = seen?.mountPoint === mountPoint ? seen : null;
    const ours = entries.filter((entry) => this.#isOurs(entry, own));
    const isHeld = top !== null && isSame(top, own) && ours.includes(top);
    return {
      top,
      ours,
      reachable: ours.filter((entry) => mountSeenAt(entries, entry.mountPoint) === entry),
      isHeld,
      why: isHeld ? null : doubtOf(device, own, top, ours),
    };
  }

  #isOurs({ device: number, source }: MountEntry, own: DeviceIdentity | null): boolean {
    if (own?.number === number) return true;
    if (source === this.#options.device) return true;
    // Nothing but a device's path: `tmpfs` or `host:/export` may be the source of many mounts.
    return (
      own !== null && source.startsWith('/dev/') && (this.#identity(source)?.path ?? source) === own.path
    );
  }

  /** Null where it leads nowhere. */
  #identity(path: string): DeviceIdentity | null {
    try {
      return this.#options.readDevice(path);
    } catch {
      return null;
    }
  }
}

/** What has a number of its own shows no device's; everything else must show ours. */
function isSame({ device: number }: MountEntry, own: DeviceIdentity | null): boolean {
  return own !== null && own.number !== null && (number === own.number || number.startsWith('0:'));
}

function doubtOf(
  device: string,
  own: DeviceIdentity | null,
  top: MountEntry | null,
  ours: readonly MountEntry[],
): string | null {
  if (own === null) return `what ${device} is cannot be found out`;
  if (own.number === null) return `${device} is not a block device`;
  const isOther = top !== null && ours.includes(top);
  return isOther ? `${device} is ${own.number} now, and ${top.device} is mounted under its name` : null;
}

function covered(device: string, ours: readonly MountEntry[]): QuorateError {
  const places = ours.map((entry) => entry.mountPoint).join(', ');
  return new QuorateError(
    'release-unverified',
    `${device} is mounted on ${places}, under another mount, which is not ours to unmount`,
  );
}

function unverified(mountPoint: string): QuorateError {
  return new QuorateError('release-unverified', `${mountPoint} was unmounted and is still there`);
}
