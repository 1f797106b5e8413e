/**
 * A pool that each data node has for itself, imported on both all the time, and that snapshots keep alike.
 *
 * 1. Held: its datasets can be written to, and its file systems are in the tree. Released: everything of it is `readonly=on`, none
 *    of its file systems is mounted, and nobody has the device of a volume open (R2). Never imported or exported by either.
 * 2. Before anything is opened: the pool says which tenure may write to it (`quorate:written`), and no stream runs into it.
 * 3. What a person has made read-only stays so; what is no part of what the last holder had, and a copy whose first stream has not come to
 *    its end, is left out, and left as it is (left-out.ts).
 * 4. In an abrupt release everything is shut first: from then on ZFS refuses writes, whoever keeps a file open.
 * 5. A suspended pool cannot be shut, and a command about it hangs in the kernel: its state is read first (zfs-state.ts).
 * 6. One that this program itself runs from is not touched at all.
 */
import type { Clock } from '../clock.ts';
import { DEGRADED } from '../degraded.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError } from './command-error.ts';
import { EmptyLogs, NOT_CLOSED } from './empty-logs.ts';
import { type Left, nameSome, readLeft } from './left-out.ts';
import { held, LinuxTools, notHeld, partly, type Reading, unknown } from './linux-tools.ts';
import { BUSY_POLL_MS, busyEnd, MountUsers } from './mount-users.ts';
import type { MountEntry } from './mountinfo.ts';
import { type Found, findPool, placesOf } from './pool-mounts.ts';
import { PoolUnmount } from './pool-unmount.ts';
import {
  type Copy,
  copiesCommand,
  isKept,
  OPEN,
  parseCopies,
  SHUT,
  toKeepShut,
  toOpen,
  toShut,
  WRITTEN,
  writable,
} from './replicated-datasets.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';
import { type VolumeDevices, VolumeUsers } from './volume-users.ts';
import { reachable } from './zfs-datasets.ts';
import { type KernelFiles, usability } from './zfs-state.ts';
import { namesOf, PoolTree, type TreeOptions } from './zfs-tree.ts';

/** Each costs a transaction group; side by side they share it. */
const SETS_AT_ONCE = 8;
/** Of one command line. */
const MAX_NAMES = 200;

export interface ReplicatedPoolOptions extends TreeOptions {
  readonly name: string;
  /** R1: kills of foreign processes are off outside real hosts. */
  readonly mayKill: boolean;
  readonly kernel: KernelFiles;
  /** The text of /proc/self/mountinfo. */
  readonly readMounts: () => string;
  readonly runner: CommandRunner;
  readonly clock: Clock;
  /** Ends our own streams into the pool, and returns a sentence; rejects where there is one that is not ours, or that stays. */
  readonly endReceives: (pool: string, context: ActionContext) => Promise<string | null>;
  /** Ends a set-aside that was under way, so that every name has its dataset again; null where there was none. */
  readonly endAside: (pool: string, context: ActionContext) => Promise<string | null>;
  readonly devices: VolumeDevices;
}

export class ReplicatedPoolResource implements Resource {
  readonly kind = 'replicated-pool';
  readonly scope = 'local';
  readonly name: string;
  readonly #options: ReplicatedPoolOptions;
  readonly #pool: string;
  readonly #tools: LinuxTools;
  readonly #users: MountUsers;
  readonly #volumes: VolumeUsers;
  readonly #tree: PoolTree;
  readonly #unmount: PoolUnmount;
  readonly #logs: EmptyLogs;

  constructor(options: ReplicatedPoolOptions) {
    this.name = options.name;
    this.#options = options;
    this.#pool = options.pool;
    this.#tools = new LinuxTools(options.runner, options.clock);
    this.#users = new MountUsers({ mayKill: options.mayKill, frozenIo: null, tools: this.#tools });
    this.#volumes = new VolumeUsers(options.pool, this.#tools, options.devices);
    this.#tree = new PoolTree({
      ...options,
      tools: this.#tools,
      readEntries: () => this.#mustRead().entries,
    });
    this.#unmount = new PoolUnmount({
      ...{ pool: this.#pool, tools: this.#tools, users: this.#users },
      read: () => this.#mustRead(),
    });
    this.#logs = new EmptyLogs({ ...options, tools: this.#tools });
  }

  // ---- acquire

  async acquire(context: AcquireContext): Promise<string> {
    this.#mustBeUsable();
    if (context.isFirst !== false) this.#options.memory.mounted = null;
    const ended = await this.#options.endReceives(this.#pool, context);
    // Only by the takeover: later in the tenure nothing is set aside.
    const aside = context.isFirst === false ? null : await this.#options.endAside(this.#pool, context);
    const copies = await this.#copies(context);
    await this.#open(copies, context);
    const left = await this.#tools.mustRead(this.#readLeft(copies, context));
    const said = await this.#tree.mountAll(context, left.names);
    const shut = toOpen(await this.#copies(context));
    if (shut.length > 0)
      throw new QuorateError('not-as-wanted', `${nameSome(shut)} was opened, and is read-only`);
    const more = [ended, aside].flatMap((one) => (one === null ? [] : `; ${one}`)).join('');
    return `${this.#pool} can be written to, ${said}${left.said}${more}`;
  }

  #mustBeUsable(): void {
    const { state } = this.#mustRead();
    if (state.kind === 'unknown') throw new QuorateError('command-failed', `${this.#pool}: ${state.why}`);
    if (state.kind === 'absent')
      throw new QuorateError(
        'pool-unusable',
        `${this.#pool} ${state.why}: a replicated pool is imported all the time, and no takeover does it ("zpool import ${this.#pool}")`,
      );
    if (usability(state.word) !== 'usable')
      throw new QuorateError('pool-unusable', `${this.#pool} is ${state.word}`);
  }

  /** The word about who writes first: nothing is open without it, whatever ends in between. */
  async #open(copies: readonly Copy[], context: AcquireContext): Promise<void> {
    for (const error of await this.#set(SHUT, toKeepShut(copies), context)) throw error;
    const names = toOpen(copies);
    const written = context.epoch === undefined ? [] : [`${WRITTEN}=${context.epoch}`];
    const own = names.includes(this.#pool) ? OPEN : [];
    if (names.length > 0 || context.isFirst !== false) {
      await this.#logs.begin(context.epoch, context);
      await this.#tools.must(['zfs', 'set', ...written, NOT_CLOSED, ...own, this.#pool], context);
    }
    const rest = names.filter((name) => name !== this.#pool);
    for (const error of await this.#set(OPEN, rest, context)) throw error;
  }

  /** Everything is tried; what went wrong is returned. */
  async #set(
    properties: readonly string[],
    names: readonly string[],
    context: ActionContext,
  ): Promise<readonly QuorateError[]> {
    const lines = Math.max(SETS_AT_ONCE, Math.ceil(names.length / MAX_NAMES));
    const groups = Array.from({ length: lines }, (_, line) => names.filter((_, at) => at % lines === line));
    const errors: QuorateError[] = [];
    for (let first = 0; first < groups.length; first += SETS_AT_ONCE)
      await Promise.all(
        groups.slice(first, first + SETS_AT_ONCE).map(async (group) => {
          if (group.length === 0) return;
          const command = ['zfs', 'set', ...properties, ...group];
          const result = await this.#tools.run(command, context);
          if (result.kind !== 'exited') errors.push(commandError(command, result));
          else if (result.code !== 0) errors.push(exitError(command, result.code, result.stderr));
        }),
      );
    return errors;
  }

  // ---- release

  async release(context: ReleaseContext): Promise<string> {
    const { clock } = this.#options;
    const end = busyEnd(context, clock);
    if (context.mode === 'abrupt') this.#logs.forget();
    const pass =
      context.mode === 'abrupt'
        ? this.#abruptly(context)
        : this.#orderly(context, laterMounts(this.#mustRead().mounts));
    for (;;) {
      const failure = this.#isGone() ? null : await pass();
      if (failure === null) return `${this.#pool} is read-only and not mounted`;
      const isOver = context.signal.aborted || clock.now() + BUSY_POLL_MS >= end;
      const mayPass = context.mode === 'abrupt' || /busy/.test(failure.message);
      if (isOver || !mayPass) throw await this.#withUsers(failure, context);
      await clock.sleep(BUSY_POLL_MS, context.signal);
    }
  }

  #isGone(): boolean {
    const { state, mounts } = this.#mustRead();
    if (state.kind === 'imported' && usability(state.word) === 'broken')
      throw new QuorateError(
        'pool-unusable',
        `${this.#pool} is ${state.word}: it cannot be made read-only, only a reset of this host (its watchdog) ends that`,
      );
    return state.kind === 'absent' && mounts.length === 0;
  }

  /**
   * (4), then everything else beside it. D is short, and a reading of many datasets takes long on a slow host: they are read once, however
   * often what is busy is asked again; what the commands say that they did is read back by whoever needs it (R2).
   */
  #abruptly(context: ReleaseContext): () => Promise<QuorateError | null> {
    let copies: Reading<readonly Copy[]> = { kind: 'unknown', why: 'not read yet' };
    let shut: QuorateError | null = null;
    let isShut = false;
    return async () => {
      if (!isShut) {
        copies = await this.#readCopies(context);
        shut =
          copies.kind === 'read'
            ? await this.#shut(copies.value, context)
            : new QuorateError('command-failed', copies.why);
        isShut = shut === null;
      }
      const closing = copies.kind === 'read' ? this.#closeVolumes(copies.value, context) : null;
      let failure: QuorateError | null = null;
      // Nothing of it is left running, whatever becomes of one.
      for (const one of await Promise.allSettled([this.#unmount.abruptly(context), closing])) {
        if (one.status === 'rejected') throw one.reason;
        failure ??= one.value;
      }
      return failure ?? shut;
    };
  }

  /** What cannot be unmounted is taken back, so until then its users may write. */
  #orderly(context: ReleaseContext, theirs: ReadonlySet<string>): () => Promise<QuorateError | null> {
    return async () => {
      const unmounted = await this.#unmount.orderly(context, theirs);
      if (unmounted !== null) return unmounted;
      const copies = await this.#copies(context);
      const open = (await this.#closeVolumes(copies, context)) ?? (await this.#shut(copies, context));
      const failure = open ?? (await this.#whatIsLeft(context));
      if (failure === null) await this.#logs.close(context);
      return failure;
    };
  }

  async #shut(copies: readonly Copy[], context: ReleaseContext): Promise<QuorateError | null> {
    return (await this.#set(SHUT, toShut(copies, this.#pool), context))[0] ?? null;
  }

  async #closeVolumes(copies: readonly Copy[], context: ReleaseContext): Promise<QuorateError | null> {
    const open = this.#users.mayKill(context)
      ? await this.#volumes.close(copies, context)
      : await this.#volumes.open(copies, context);
    if (open.kind === 'unknown') return new QuorateError('release-unverified', open.why);
    if (open.value.length === 0) return null;
    return new QuorateError('release-unverified', `busy: the volume ${nameSome(open.value)} is open`);
  }

  async #whatIsLeft(context: ReleaseContext): Promise<QuorateError | null> {
    const left = writable(await this.#copies(context));
    if (left.length === 0) return null;
    return new QuorateError('release-unverified', `${nameSome(left)} was shut, and can be written to`);
  }

  async #withUsers(failure: QuorateError, context: ReleaseContext): Promise<QuorateError> {
    if (context.mode === 'abrupt' || !/busy/.test(failure.message)) return failure;
    const { entries, mounts } = this.#mustRead();
    const places = reachable(entries, mounts).map(({ mountPoint }) => mountPoint);
    const users = await this.#users.named(places, context);
    return new QuorateError(failure.code, `${failure.message}; ${users}`, { cause: failure });
  }

  // ---- probe

  async probe(context: ActionContext): Promise<ProbeResult> {
    const found = this.#read();
    if (typeof found === 'string') return unknown(found);
    const { state, mounts, entries } = found;
    if (state.kind === 'unknown') return unknown(`${this.#pool}: ${state.why}`);
    if (state.kind === 'absent')
      return mounts.length === 0
        ? notHeld(`${this.#pool} ${state.why}`)
        : partly(`${this.#pool} ${state.why}, and mounted on ${placesOf(mounts)}`);
    const says = `${this.#pool} is ${state.word}`;
    if (usability(state.word) === 'passing') return unknown(says);
    if (usability(state.word) === 'broken') return partly(says);
    const copies = await this.#readCopies(context);
    if (copies.kind === 'unknown') return unknown(`${says}: ${copies.why}`);
    const open = writable(copies.value);
    if (open.length === 0 && mounts.length === 0) return this.#probeShut(says, copies.value, context);
    const shut = toOpen(copies.value);
    if (shut.length > 0)
      return partly(
        `${says}, and ${nameSome(open.length > 0 ? open : shut)} ${open.length > 0 ? 'can be written to' : 'is read-only'}`,
      );
    return this.#probeOpen(says, state.word === 'DEGRADED', copies.value, entries, context);
  }

  /** Nothing is mounted or writable. */
  async #probeShut(says: string, copies: readonly Copy[], context: ActionContext): Promise<ProbeResult> {
    const used = await this.#volumes.open(copies, context);
    if (used.kind === 'unknown') return unknown(`${says}, read-only: ${used.why}`);
    return used.value.length === 0
      ? notHeld(`${says}, read-only and not mounted`)
      : partly(`${says}, read-only, and the volume ${nameSome(used.value)} is open`);
  }

  async #probeOpen(
    says: string,
    isDegraded: boolean,
    copies: readonly Copy[],
    entries: readonly MountEntry[],
    context: ActionContext,
  ): Promise<ProbeResult> {
    const listed = await this.#tree.list(context);
    if (listed.kind === 'unknown') return unknown(`${says}: ${listed.why}`);
    const out = await this.#readLeft(copies, context);
    if (out.kind === 'unknown') return unknown(`${says}: ${out.why}`);
    const mountable = listed.value.filter(({ name }) => !out.value.names.has(name));
    const { missing, left, said } = this.#tree.look(mountable, entries);
    if (missing.length > 0) return partly(`${says}, not mounted: ${namesOf(missing)}`);
    const isWhole = !isDegraded && left.length === 0 && out.value.names.size === 0;
    return held(`${isWhole ? '' : DEGRADED}${says}, ${said}${out.value.said}`);
  }

  // ---- what is there

  #readCopies(context: ActionContext): Promise<Reading<readonly Copy[]>> {
    return this.#tools.read(copiesCommand(this.#pool), context, (text) => parseCopies(text, this.#pool));
  }

  #copies(context: ActionContext): Promise<readonly Copy[]> {
    return this.#tools.mustRead(this.#readCopies(context));
  }

  #readLeft(copies: readonly Copy[], context: ActionContext): Promise<Reading<Left>> {
    return readLeft(copies, this.#tools, context);
  }

  #mustRead(): Found {
    const found = this.#read();
    if (typeof found !== 'string') return found;
    throw new QuorateError('command-failed', found);
  }

  /** A sentence when it cannot be read. What is kept aside is nobody's to mount or unmount. */
  #read(): Found | string {
    const found = findPool(this.#options, 'change its role');
    if (typeof found === 'string') return found;
    const mounts = found.mounts.filter(({ source }) => !isKept(this.#pool, datasetOf(source)));
    return { ...found, mounts };
  }
}

/**
 * Places of what is mounted elsewhere already: bind mounts that somebody made. In a planned release they are left alone, or they would
 * be missing when everything is taken back (R1).
 */
function laterMounts(mounts: readonly MountEntry[]): ReadonlySet<string> {
  const isFirst = (one: MountEntry): boolean => mounts.find(({ source }) => source === one.source) === one;
  return new Set(mounts.filter((one) => !isFirst(one)).map(({ mountPoint }) => mountPoint));
}

const datasetOf = (source: string): string => source.split('@')[0] ?? source;
