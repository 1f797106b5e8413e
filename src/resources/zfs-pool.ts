/**
 * A ZFS pool that moves, on DRBD or on disks of its own, with its file systems.
 *
 * 1. Held: the kernel has the pool, can use it, and every file system that this tenure has mounted is seen at its place. One that
 *    came later (a replica, a clone) or whose place is an older one's is said to be missed, and moves nothing (H6).
 *    Released: the kernel's file of it is gone, and none of its mounts is left; a bind mount that somebody made of one can be
 *    written through as well, and goes with it.
 * 2. No blind `-f` (zfs-import.ts): without the proof that its last user can write no more, a pool stays where it is.
 * 3. It is imported from the devices that are named and nothing else: the disk under a DRBD device has the same labels, and who
 *    writes to it goes past the replication. Never into a cache file: the next boot would import it without a lease.
 * 4. A suspended pool cannot be exported, and a command about it hangs in the kernel: its state is read first (zfs-state.ts).
 * 5. On DRBD it stands on nothing else (zfs-vdevs.ts): what is written to another disk alone does not survive this host (O3).
 * 6. One that this program itself runs from is not touched at all: its release would end everything that runs here.
 * 7. Nothing is shared by ZFS: exports are services, which come later in the plan and go earlier.
 */
import type { Clock } from '../clock.ts';
import { DEGRADED } from '../degraded.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError, firstWords } from './command-error.ts';
import { held, LinuxTools, notHeld, partly, unknown } from './linux-tools.ts';
import { BUSY_POLL_MS, busyEnd, type FrozenIo, MountUsers } from './mount-users.ts';
import { type Found, findPool, placesOf } from './pool-mounts.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';
import { reachable } from './zfs-datasets.ts';
import { importPool, type Members } from './zfs-import.ts';
import { type KernelFiles, usability } from './zfs-state.ts';
import { namesOf, PoolTree, type TreeOptions } from './zfs-tree.ts';
import { readBeside, type VdevOptions } from './zfs-vdevs.ts';

/** Without it each import waits 3 s for a udev that may not run (measured: 3.7 s instead of 0.75 s). */
const ENVIRONMENT = { ZFS_VDEV_DEVID_OPT_OUT: 'YES' };

export interface ZfsPoolOptions extends Members, VdevOptions, TreeOptions {
  readonly name: string;
  /** Devices, or directories of devices, to look for the pool on; null: the replicated devices that it stands on. */
  readonly devices: readonly string[] | null;
  /** R1: kills of foreign processes are off outside real hosts. */
  readonly mayKill: boolean;
  readonly frozenIo: FrozenIo | null;
  readonly kernel: KernelFiles;
  /** The text of /proc/self/mountinfo. */
  readonly readMounts: () => string;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

const UNREPLICATED =
  'which is not DRBD: what is written there alone is lost with this host (zpool detach, or remove)';

export class ZfsPoolResource implements Resource {
  readonly kind = 'zfs-pool';
  readonly scope = 'local';
  readonly name: string;
  readonly #options: ZfsPoolOptions;
  readonly #pool: string;
  readonly #tools: LinuxTools;
  readonly #users: MountUsers;
  readonly #tree: PoolTree;

  constructor(options: ZfsPoolOptions) {
    this.name = options.name;
    this.#options = options;
    this.#pool = options.pool;
    this.#tools = new LinuxTools(options.runner, options.clock, ENVIRONMENT);
    this.#users = new MountUsers({ ...options, tools: this.#tools });
    this.#tree = new PoolTree({
      ...options,
      tools: this.#tools,
      readEntries: () => this.#mustRead().entries,
    });
  }

  // ---- acquire

  async acquire(context: AcquireContext): Promise<string> {
    const { state } = this.#mustRead();
    if (state.kind === 'unknown') throw new QuorateError('command-failed', `${this.#pool}: ${state.why}`);
    if (state.kind === 'absent') this.#options.memory.mounted = null;
    const said = state.kind === 'absent' ? await this.#import(context) : 'is imported already';
    this.#mustBeUsable();
    // What this tenure has had is repaired all the same: to give it up would lose what only the other disk has.
    if (state.kind === 'absent' || context.isFirst !== false) await this.#mustBeReplicated(context);
    return `${this.#pool} ${said}, ${await this.#tree.mountAll(context)}`;
  }

  async #import(context: AcquireContext): Promise<string> {
    const below = await this.#options.devicesBelow(context);
    const devices = this.#options.devices ?? below;
    return importPool({ ...this.#options, devices, below, tools: this.#tools }, context);
  }

  async #mustBeReplicated(context: AcquireContext): Promise<void> {
    const others = await this.#tools.mustRead(readBeside(this.#options, this.#tools, context));
    if (others.length > 0)
      throw new QuorateError(
        'not-as-wanted',
        `${this.#pool} stands on ${others.join(', ')} too, ${UNREPLICATED}`,
      );
  }

  #mustBeUsable(): void {
    const { state } = this.#mustRead();
    if (state.kind !== 'imported')
      throw new QuorateError('not-as-wanted', `${this.#pool} was imported, and ${state.why}`);
    if (usability(state.word) !== 'usable')
      throw new QuorateError('pool-unusable', `${this.#pool} is ${state.word}`);
  }

  // ---- release

  async release(context: ReleaseContext): Promise<string> {
    const { clock } = this.#options;
    const end = busyEnd(context, clock);
    let killed = '';
    while (!isGone(this.#mustRead())) {
      // Before anything else: an export that waits for a frozen write can never be killed.
      const frozen = await this.#users.endFrozenIo(this.#mountPoints(), context);
      if (frozen.kind === 'ended') killed = frozen.said;
      const failure = frozen.kind === 'stays' ? frozen.error : await this.#export(context);
      if (failure === null && isGone(this.#mustRead())) break;
      const isOver = context.signal.aborted || clock.now() + BUSY_POLL_MS >= end;
      if (isOver && failure === null)
        throw new QuorateError('release-unverified', `${this.#pool} was exported and is still there`);
      if (failure !== null && (isOver || !mayPass(failure, context)))
        throw await this.#withUsers(failure, context);
      if (frozen.kind !== 'stays') {
        if (this.#users.mayKill(context)) {
          killed = ', after its users were killed';
          await this.#users.kill(this.#mountPoints(), context);
        }
        if (context.mode === 'abrupt') await this.#unmountRest(context);
      }
      await clock.sleep(BUSY_POLL_MS, context.signal);
    }
    return `${this.#pool} is not imported${killed}`;
  }

  /** Unmounts everything, children first, and exports. Null when it went; throws where it never will. */
  async #export(context: ReleaseContext): Promise<QuorateError | null> {
    this.#mustNotBeSuspended();
    const command = ['zpool', 'export', ...(context.mode === 'abrupt' ? ['-f'] : []), this.#pool];
    const result = await this.#tools.run(command, context);
    if (result.kind !== 'exited') return commandError(command, result);
    if (result.code === 0 || /no such pool/.test(result.stderr)) return null;
    return exitError(command, result.code, result.stderr);
  }

  /**
   * What an export does not know of, such as a bind mount of a file system, keeps the pool busy. Not in a planned release: what
   * others have mounted would be missing when it is taken back (R1).
   */
  async #unmountRest(context: ReleaseContext): Promise<void> {
    // Also what others have mounted below. The last one first: it may lie on top of the others.
    for (const mountPoint of this.#mountPoints().toReversed())
      await this.#tools.run(['umount', '-R', '--', mountPoint], context);
  }

  async #withUsers(failure: QuorateError, context: ReleaseContext): Promise<QuorateError> {
    if (context.mode === 'abrupt' || !isBusy(failure)) return failure;
    const users = await this.#users.named(this.#mountPoints(), context);
    const { mounts } = this.#mustRead();
    const places = mounts.length === 0 ? '' : `; still mounted on ${placesOf(mounts)}`;
    return new QuorateError(failure.code, `${failure.message}; ${users}${places}`, { cause: failure });
  }

  #mustNotBeSuspended(): void {
    const { state } = this.#mustRead();
    if (state.kind === 'imported' && state.word === 'SUSPENDED')
      throw new QuorateError(
        'pool-unusable',
        `${this.#pool} is SUSPENDED: it cannot be exported, only a reset of this host (its watchdog) ends that`,
      );
  }

  // ---- probe

  async probe(context: ActionContext): Promise<ProbeResult> {
    const found = this.#read();
    if (typeof found === 'string') return unknown(found);
    const { state, mounts } = found;
    switch (state.kind) {
      case 'unknown':
        return unknown(`${this.#pool}: ${state.why}`);
      case 'absent':
        return mounts.length === 0
          ? notHeld(`${this.#pool} ${state.why}`)
          : partly(`${this.#pool} ${state.why}, and mounted on ${placesOf(mounts)}`);
      case 'imported':
        break;
    }
    const says = `${this.#pool} is ${state.word}`;
    if (usability(state.word) === 'passing') return unknown(says);
    if (usability(state.word) === 'broken') return partly(says);
    // Whoever reads from a device whose I/O is frozen hangs, and may suspend the pool when it is let go.
    if (this.#users.isFrozen) return unknown(`${says}, and the I/O below is frozen`);
    const [listed, others] = await Promise.all([
      this.#tree.list(context),
      readBeside(this.#options, this.#tools, context),
    ]);
    if (listed.kind === 'unknown') return unknown(`${says}: ${listed.why}`);
    if (others.kind === 'unknown') return unknown(`${says}: ${others.why}`);
    const { missing, left, said } = this.#tree.look(listed.value, found.entries);
    if (missing.length > 0) return partly(`${says}, not mounted: ${namesOf(missing)}`);
    const foreign =
      others.value.length === 0
        ? ''
        : `; stands on ${firstWords(others.value.join(', '))} too, ${UNREPLICATED}`;
    const isDegraded = state.word === 'DEGRADED' || left.length > 0 || foreign !== '';
    return held(`${isDegraded ? DEGRADED : ''}${says}, ${said}${foreign}`);
  }

  // ---- what the kernel says

  /** Where the pool is mounted and can be reached, in the order in which that was done. */
  #mountPoints(): readonly string[] {
    const { entries, mounts } = this.#mustRead();
    return reachable(entries, mounts).map(({ mountPoint }) => mountPoint);
  }

  #mustRead(): Found {
    const found = this.#read();
    if (typeof found !== 'string') return found;
    throw new QuorateError('command-failed', found);
  }

  /** A sentence when it cannot be read. */
  #read(): Found | string {
    return findPool(this.#options, 'move');
  }
}

const isGone = ({ state, mounts }: Found): boolean => state.kind === 'absent' && mounts.length === 0;

const isBusy = ({ message }: QuorateError): boolean => /busy/.test(message);

const mayPass = (failure: QuorateError, { mode }: ReleaseContext): boolean =>
  mode === 'abrupt' || isBusy(failure);
