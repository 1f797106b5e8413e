/**
 * A file system on a device that moves.
 *
 * 1. Held: what is seen at the mount point is our device. Released: our device is mounted nowhere; a bind mount that
 *    somebody made of it can be written through as well, and goes with it.
 * 2. Another device at the mount point is not ours: it is neither hidden nor unmounted.
 * 3. Never `umount -l`: a lazily unmounted file system goes on writing where nobody sees it. Nor `-f`, which is for NFS.
 *
 * Mounts of other namespaces (containers) are not seen here; the block device refuses to give up its role while one is
 * left, and that is what counts in the end.
 */
import { realpathSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { type Instant, instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError, firstWords } from './command-error.ts';
import { held, LinuxTools, notHeld, partly, unknown } from './linux-tools.ts';
import { type MountEntry, parseMountinfo } from './mountinfo.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';

/** After its users have been stopped the kernel needs a moment to see the last one go. */
const BUSY_LIMIT_MS = 5000;
const BUSY_POLL_MS = 20;
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
  /** The text of /proc/self/mountinfo. */
  readonly readMounts: () => string;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

interface Mounts {
  /** What is seen at the mount point. */
  readonly top: MountEntry | null;
  /** Every mount of our device, in the order in which they were made. */
  readonly ours: readonly MountEntry[];
}

export class MountResource implements Resource {
  readonly kind = 'mount';
  readonly scope = 'local';
  readonly name: string;
  readonly #options: MountOptions;
  readonly #tools: LinuxTools;

  constructor(options: MountOptions) {
    this.name = options.name;
    this.#options = options;
    this.#tools = new LinuxTools(options.runner);
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { device, mountPoint, fstype, options } = this.#options;
    const { top } = this.#mustRead();
    if (top !== null && this.#isOurs(top)) return `${device} is mounted on ${mountPoint} already`;
    if (top !== null) {
      throw new QuorateError('mount-occupied', `${top.source} (${top.fstype}) is mounted on ${mountPoint}`);
    }
    const type = fstype === null ? [] : ['-t', fstype];
    const flags = options === null ? [] : ['-o', options];
    await this.#tools.must(['mount', ...type, ...flags, '--', device, mountPoint], context);
    const after = this.#mustRead().top;
    if (after !== null && this.#isOurs(after)) return `mounted ${device} on ${mountPoint}`;
    const found = after === null ? 'nothing' : after.source;
    throw new QuorateError('not-as-wanted', `mounted ${device}, but ${mountPoint} shows ${found}`);
  }

  async release(context: ReleaseContext): Promise<string> {
    const { device } = this.#options;
    const end = this.#end(context);
    let killed = '';
    for (;;) {
      // The last one first: it may lie on top of the others.
      const target = this.#mustRead().ours.at(-1)?.mountPoint;
      if (target === undefined) return `${device} is not mounted${killed}`;
      const failure = await this.#unmount(target, context);
      const isOver = context.signal.aborted || this.#options.clock.now() + BUSY_POLL_MS >= end;
      if (failure === null) {
        if (isOver && this.#mustRead().ours.length > 0) throw unverified(target);
        continue;
      }
      if (isOver || !failure.mayPass) throw failure.error;
      if (context.mode === 'abrupt' && this.#options.mayKill) {
        killed = `, after its users were killed`;
        await this.#kill(target, context);
      }
      await this.#options.clock.sleep(BUSY_POLL_MS, context.signal);
    }
  }

  async probe(): Promise<ProbeResult> {
    const { device, mountPoint } = this.#options;
    const mounts = this.#read();
    if (typeof mounts === 'string') return unknown(mounts);
    const { top, ours } = mounts;
    if (top !== null && this.#isOurs(top)) return held(`${device} is mounted on ${mountPoint}`);
    const other = top === null ? '' : `; ${top.source} is mounted on ${mountPoint}`;
    if (ours.length === 0) return notHeld(`${device} is not mounted${other}`);
    return partly(`${device} is mounted on ${ours.map((entry) => entry.mountPoint).join(', ')}${other}`);
  }

  /** Null when it went; `mayPass` when trying again makes sense. */
  async #unmount(
    mountPoint: string,
    context: ReleaseContext,
  ): Promise<{ readonly error: QuorateError; readonly mayPass: boolean } | null> {
    // Abruptly also what others have mounted below.
    const command = ['umount', ...(context.mode === 'abrupt' ? ['-R'] : []), '--', mountPoint];
    const { now } = this.#options.clock;
    const share = context.mode === 'abrupt' ? ABRUPT_SHARE : 1;
    const deadline = instant(now() + (context.deadline - now()) * share);
    const result = await this.#tools.run(command, { ...context, deadline });
    if (result.kind === 'timed-out') return { error: commandError(command, result), mayPass: share < 1 };
    if (result.kind !== 'exited') return { error: commandError(command, result), mayPass: false };
    if (result.code === 0 || /not mounted/.test(result.stderr)) return null;
    const error = exitError(command, result.code, result.stderr);
    return { error, mayPass: /busy/.test(result.stderr) || context.mode === 'abrupt' };
  }

  /** SIGKILL to whoever has something open there. `-M`: never if it is not a mount point, or it would be the root's. */
  async #kill(mountPoint: string, context: ActionContext): Promise<void> {
    await this.#tools.run(['fuser', '-k', '-M', '-m', mountPoint], context);
  }

  #end(context: ReleaseContext): Instant {
    if (context.mode === 'abrupt') return context.deadline;
    return instant(Math.min(context.deadline, this.#options.clock.now() + BUSY_LIMIT_MS));
  }

  #mustRead(): Mounts {
    const mounts = this.#read();
    if (typeof mounts !== 'string') return mounts;
    throw new QuorateError('command-failed', mounts);
  }

  /** A sentence when it cannot be read. */
  #read(): Mounts | string {
    let text: string;
    try {
      text = this.#options.readMounts();
    } catch (error) {
      return `the table of mounts cannot be read: ${firstWords(String(error))}`;
    }
    const entries = parseMountinfo(text);
    if (entries === null) return 'the table of mounts cannot be read: a line is not as documented';
    const here = entries.filter((entry) => entry.mountPoint === this.#options.mountPoint);
    return { top: here.at(-1) ?? null, ours: entries.filter((entry) => this.#isOurs(entry, here)) };
  }

  /**
   * Elsewhere only by a device's path: `tmpfs` or `host:/export` may be the source of many mounts. A device may have
   * several names (/dev/drbd/by-res/r0/0 is /dev/drbd0), and mountinfo has the one that `mount` resolved.
   */
  #isOurs(entry: MountEntry, here: readonly MountEntry[] = [entry]): boolean {
    const { device } = this.#options;
    if (!here.includes(entry) && !device.startsWith('/')) return false;
    return entry.source === device || (device.startsWith('/') && entry.source === realPath(device));
  }
}

function unverified(mountPoint: string): QuorateError {
  return new QuorateError('release-unverified', `${mountPoint} was unmounted and is still there`);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
