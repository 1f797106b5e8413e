/**
 * A ZFS pool that moves, on DRBD or on disks of its own, with its file systems.
 *
 * 1. Held: the kernel has the pool, can use it, and every file system that belongs into the tree is seen at its place.
 *    Released: the kernel's file of it is gone, and none of its mounts is left; a bind mount that somebody made of one can be
 *    written through as well, and goes with it.
 * 2. No blind `-f` (zfs-import.ts): without the proof that its last user can write no more, a pool stays where it is.
 * 3. It is imported from the devices that are named and nothing else: the disk under a DRBD device has the same labels, and who
 *    writes to it goes past the replication. Never into a cache file: the next boot would import it without a lease.
 * 4. A suspended pool cannot be exported, and a command about it hangs in the kernel: its state is read first (zfs-state.ts).
 * 5. Nothing is shared by ZFS: exports are services, which come later in the plan and go earlier.
 */
import type { Clock } from '../clock.ts';
import { DEGRADED } from '../degraded.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError, firstWords } from './command-error.ts';
import { held, LinuxTools, notHeld, partly, type Reading, unknown } from './linux-tools.ts';
import type { DeviceIdentity } from './mount.ts';
import { BUSY_POLL_MS, busyEnd, type FrozenIo, MountUsers } from './mount-users.ts';
import { type MountEntry, readMountTable } from './mountinfo.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';
import {
  byDepth,
  type Dataset,
  isInPlace,
  listCommand,
  mountsOf,
  obstacleTo,
  parseDatasets,
  reachable,
  type Wanted,
  wantedOf,
} from './zfs-datasets.ts';
import { importPool, type Members } from './zfs-import.ts';
import { type KernelFiles, type PoolState, readPoolState, usability } from './zfs-state.ts';

/** File systems that are mounted side by side. */
const MOUNTS_AT_ONCE = 8;
/** Without it each import waits 3 s for a udev that may not run (measured: 3.7 s instead of 0.75 s). */
const ENVIRONMENT = { ZFS_VDEV_DEVID_OPT_OUT: 'YES' };

export interface ZfsPoolOptions extends Members {
  readonly name: string;
  readonly pool: string;
  /** Devices, or directories of devices, to look for the pool on; null: the replicated devices that it stands on. */
  readonly devices: readonly string[] | null;
  /** Of encrypted file systems, before they are mounted. */
  readonly loadKeys: boolean;
  /** R1: kills of foreign processes are off outside real hosts. */
  readonly mayKill: boolean;
  readonly frozenIo: FrozenIo | null;
  /** The paths of the DRBD devices below; rejects where they are not known. */
  readonly devicesBelow: (context: ActionContext) => Promise<readonly string[]>;
  readonly kernel: KernelFiles;
  /** The text of /proc/self/mountinfo. */
  readonly readMounts: () => string;
  /** What a path leads to; throws where it leads nowhere. */
  readonly readDevice: (path: string) => DeviceIdentity;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

interface Found {
  readonly state: PoolState;
  /** The whole table. */
  readonly entries: readonly MountEntry[];
  /** Every mount of the pool. */
  readonly mounts: readonly MountEntry[];
}

export class ZfsPoolResource implements Resource {
  readonly kind = 'zfs-pool';
  readonly scope = 'local';
  readonly name: string;
  readonly #options: ZfsPoolOptions;
  readonly #pool: string;
  readonly #tools: LinuxTools;
  readonly #users: MountUsers;

  constructor(options: ZfsPoolOptions) {
    this.name = options.name;
    this.#options = options;
    this.#pool = options.pool;
    this.#tools = new LinuxTools(options.runner, options.clock, ENVIRONMENT);
    this.#users = new MountUsers({ ...options, tools: this.#tools });
  }

  // ---- acquire

  async acquire(context: AcquireContext): Promise<string> {
    const { state } = this.#mustRead();
    if (state.kind === 'unknown') throw new QuorateError('command-failed', `${this.#pool}: ${state.why}`);
    const said = state.kind === 'absent' ? await this.#import(context) : 'is imported already';
    this.#mustBeUsable();
    return `${this.#pool} ${said}, ${await this.#mountAll(context)}`;
  }

  async #import(context: AcquireContext): Promise<string> {
    const devices = this.#options.devices ?? (await this.#options.devicesBelow(context));
    return importPool({ ...this.#options, devices, tools: this.#tools }, context);
  }

  #mustBeUsable(): void {
    const { state } = this.#mustRead();
    if (state.kind !== 'imported')
      throw new QuorateError('not-as-wanted', `${this.#pool} was imported, and ${state.why}`);
    if (usability(state.word) !== 'usable')
      throw new QuorateError('pool-unusable', `${this.#pool} is ${state.word}`);
  }

  /** What is missing, parents first. What is at its place already is not touched. */
  async #mountAll(context: AcquireContext): Promise<string> {
    const datasets = await this.#unlocked(context);
    const wanted = wantedOf(datasets);
    const missing = this.#missing(wanted);
    for (const group of byDepth(missing))
      for (let first = 0; first < group.length; first += MOUNTS_AT_ONCE)
        await allOf(group.slice(first, first + MOUNTS_AT_ONCE).map((one) => this.#mount(one, context)));
    const [left] = this.#missing(wanted);
    if (left !== undefined)
      throw new QuorateError(
        'not-as-wanted',
        `${left.name} was mounted, and is not seen on ${left.mountPoint}`,
      );
    const locked = datasets.filter(({ isLocked }) => isLocked).length;
    return `${count(wanted.length)} mounted${locked === 0 ? '' : `, ${locked} left locked`}`;
  }

  /** All file systems, after their keys have been loaded where that is asked for. */
  async #unlocked(context: AcquireContext): Promise<readonly Dataset[]> {
    const datasets = await this.#tools.mustRead(this.#list(context));
    if (!this.#options.loadKeys || !datasets.some(({ isLocked }) => isLocked)) return datasets;
    await this.#tools.must(['zfs', 'load-key', '-r', this.#pool], context);
    return this.#tools.mustRead(this.#list(context));
  }

  async #mount(one: Wanted, context: AcquireContext): Promise<void> {
    const obstacle = obstacleTo(this.#mustRead().entries, one);
    if (obstacle !== null) throw new QuorateError('mount-occupied', obstacle);
    await this.#tools.must(['zfs', 'mount', one.name], context);
  }

  #missing(wanted: readonly Wanted[]): readonly Wanted[] {
    const { entries } = this.#mustRead();
    return wanted.filter((one) => !isInPlace(entries, one));
  }

  #list(context: ActionContext): Promise<Reading<readonly Dataset[]>> {
    return this.#tools.read(listCommand(this.#pool), context, (text) => parseDatasets(text, this.#pool));
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
        await this.#unmountRest(context);
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

  /** What an export does not know of, such as a bind mount of a file system, keeps the pool busy. */
  async #unmountRest(context: ReleaseContext): Promise<void> {
    // Abruptly also what others have mounted below. The last one first: it may lie on top of the others.
    const options = context.mode === 'abrupt' ? ['-R'] : [];
    for (const mountPoint of this.#mountPoints().toReversed())
      await this.#tools.run(['umount', ...options, '--', mountPoint], context);
  }

  async #withUsers(failure: QuorateError, context: ReleaseContext): Promise<QuorateError> {
    if (context.mode === 'abrupt' || !isBusy(failure)) return failure;
    const users = await this.#users.named(this.#mountPoints(), context);
    return new QuorateError(failure.code, `${failure.message}; ${users}`, { cause: failure });
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
    const listed = await this.#list(context);
    if (listed.kind === 'unknown') return unknown(`${says}: ${listed.why}`);
    const wanted = wantedOf(listed.value);
    const missing = wanted.filter((one) => !isInPlace(found.entries, one));
    if (missing.length > 0)
      return partly(`${says}, not mounted: ${firstWords(missing.map(({ name }) => name).join(', '))}`);
    return held(`${state.word === 'DEGRADED' ? DEGRADED : ''}${says}, ${count(wanted.length)} mounted`);
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

  /** A sentence when it cannot be read. The state first: what is mounted is seen only of a pool that is there. */
  #read(): Found | string {
    const state = readPoolState(this.#pool, this.#options.kernel);
    const entries = readMountTable(this.#options.readMounts);
    return typeof entries === 'string' ? entries : { state, entries, mounts: mountsOf(entries, this.#pool) };
  }
}

const isGone = ({ state, mounts }: Found): boolean => state.kind === 'absent' && mounts.length === 0;

const isBusy = ({ message }: QuorateError): boolean => /busy/.test(message);

const mayPass = (failure: QuorateError, { mode }: ReleaseContext): boolean =>
  mode === 'abrupt' || isBusy(failure);

const count = (fileSystems: number): string => `${fileSystems} file system${fileSystems === 1 ? '' : 's'}`;

const placesOf = (mounts: readonly MountEntry[]): string =>
  firstWords(mounts.map(({ mountPoint }) => mountPoint).join(', '));

/** Waits for all of them, whatever becomes of one. */
async function allOf(actions: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(actions))
    if (result.status === 'rejected') throw result.reason;
}
