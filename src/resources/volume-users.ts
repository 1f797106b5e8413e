/**
 * Who has the device of a ZFS volume open. The kernel itself does, as for iSCSI, and then no process is seen; so it is asked for
 * the device exclusively. `fuser` finds who has opened it otherwise.
 */
import { firstWords } from './command-error.ts';
import type { LinuxTools, Reading } from './linux-tools.ts';
import { type Copy, isKept } from './replicated-datasets.ts';
import type { ActionContext, CommandResult } from './types.ts';
import { linkName, volumeNames } from './volume-names.ts';

/** `absent`: it has no device now. */
export type DeviceUse = 'free' | 'taken' | 'absent' | 'unknown';

/** None of them hangs, though an open waits in the kernel where the pool does. */
export interface VolumeDevices {
  /** As the kernel answers who wants it alone. Never rejects. */
  use(path: string, context: ActionContext): Promise<DeviceUse>;
  /** Whether it can be opened beside others, which nobody notices. Never rejects. */
  reach(path: string, context: ActionContext): Promise<'there' | 'absent' | 'unknown'>;
  /** Meanwhile nobody here opens one of these: it would be found, and killed. Without those that we are still about to open. */
  leaveAlone<Value>(
    paths: readonly string[],
    context: ActionContext,
    action: (paths: readonly string[]) => Promise<Value>,
  ): Promise<Value>;
  /** Paths of the devices that volumes have, of whatever pool; throws where that cannot be read. */
  all(): readonly string[];
  /** What a link leads to; the path itself where it leads nowhere. */
  real(path: string): string;
}

interface Found {
  readonly name: string;
  readonly path: string;
  readonly use: DeviceUse;
  /** For `unknown`, with what can be done about it. */
  readonly why: string;
}

/** What udev makes; nobody else does. */
const LINKS = '/dev/zvol';
const REMEDY = 'does udev run? ("udevadm trigger" makes it)';

export class VolumeUsers {
  readonly #pool: string;
  readonly #tools: LinuxTools;
  readonly #devices: VolumeDevices;

  constructor(pool: string, tools: LinuxTools, devices: VolumeDevices) {
    this.#pool = pool;
    this.#tools = tools;
    this.#devices = devices;
  }

  /** Names of the volumes that somebody has open. */
  async open(copies: readonly Copy[], context: ActionContext): Promise<Reading<readonly string[]>> {
    const known = readDevices(await this.#find(copies, context));
    if (known.kind === 'unknown') return known;
    const { taken, free } = known.value;
    if (taken.length > 0 || free.length === 0) return { kind: 'read', value: taken };
    return this.#devices.leaveAlone(pathsOf(free), context, (paths) => this.#opened(free, paths, context));
  }

  /** `paths`: those of them that can be looked at. */
  async #opened(
    free: readonly Found[],
    paths: readonly string[],
    context: ActionContext,
  ): Promise<Reading<readonly string[]>> {
    const left = free.find(({ path }) => !paths.includes(path));
    if (left !== undefined)
      return { kind: 'unknown', why: `whether ${left.path} is open cannot be found out` };
    const command = ['fuser', ...paths];
    const result = await this.#tools.run(command, context);
    return this.#tools.judge(
      command,
      result,
      () => free.map(({ name }) => name),
      () => (foundNobody(result) ? [] : null),
    );
  }

  /** SIGKILL to every process that has one open; what the kernel has open stays. Names of those that are open then. */
  async close(copies: readonly Copy[], context: ActionContext): Promise<Reading<readonly string[]>> {
    const devices = await this.#find(copies, context);
    const there = pathsOf(devices.filter(({ use }) => use !== 'absent'));
    const known = readDevices(devices);
    if (there.length === 0) return { kind: 'read', value: [] };
    const isAlone = await this.#devices.leaveAlone(there, context, async (paths) => {
      if (paths.length === 0) return false;
      const result = await this.#tools.run(['fuser', '-k', ...paths], context);
      return paths.length === there.length && foundNobody(result);
    });
    if (known.kind === 'unknown') return known;
    return isAlone ? { kind: 'read', value: known.value.taken } : this.open(copies, context);
  }

  async #find(copies: readonly Copy[], context: ActionContext): Promise<readonly Found[]> {
    const volumes = copies.filter(({ kind }) => kind === 'volume');
    const linked = await Promise.all(
      volumes.map(async ({ name, isLocked }) => {
        const path = `${LINKS}/${linkName(name)}`;
        // Without its key a volume has no device.
        return { name, path, use: await this.#devices.use(path, context), isLocked, why: '' };
      }),
    );
    if (!linked.some((one) => isLacking(one))) return linked;
    const names = await this.#names(linked, context);
    return Promise.all(linked.map((one) => (isLacking(one) ? this.#unlinked(one, names, context) : one)));
  }

  async #unlinked(
    { name, path }: Found,
    { paths, lacks }: Awaited<ReturnType<typeof volumeNames>>,
    context: ActionContext,
  ): Promise<Found> {
    const device = paths.get(linkName(name));
    const lost = (why: string): Found => ({
      ...{ name, path, use: 'unknown' },
      why: `: it is not there, and ${why}; ${REMEDY}`,
    });
    // R2: only where the kernel knows of none.
    if (device === undefined) return lacks === null ? { name, path, use: 'absent', why: '' } : lost(lacks);
    const use = await this.#devices.use(device, context);
    return use === 'absent' ? lost(`${device} has just gone`) : { name, path: device, use, why: '' };
  }

  /** A device that a link leads to is looked at for the one that the link names; which of the pool's volumes it is of says nothing more. */
  async #names(linked: readonly Found[], context: ActionContext) {
    const known = linked.flatMap(({ path, use }) => (use === 'absent' ? [] : [this.#devices.real(path)]));
    let candidates: readonly string[];
    try {
      candidates = this.#devices.all().filter((path) => !known.includes(path));
    } catch (error) {
      return { paths: new Map<string, string>(), lacks: firstWords(String(error)) };
    }
    const { paths, lacks } = await volumeNames(candidates, this.#devices, this.#tools, context);
    const volumes = new Set(linked.map(({ name }) => linkName(name)));
    // A rename reaches the device later: under the name of one that is not there it may be any of them.
    const stray = [...paths.keys()].find((name) => this.#isOurs(name) && !volumes.has(wholeName(name)));
    return { paths, lacks: lacks ?? (stray === undefined ? null : `${paths.get(stray)} is of ${stray}`) };
  }

  #isOurs = (name: string): boolean =>
    name.startsWith(`${linkName(this.#pool)}/`) && !isKept(linkName(this.#pool), name);
}

/** What the kernel has said; unknown where it has not of one of them. */
function readDevices(
  devices: readonly Found[],
): Reading<{ readonly taken: readonly string[]; readonly free: readonly Found[] }> {
  const blurred = devices.find(({ use }) => use === 'unknown');
  if (blurred !== undefined)
    return { kind: 'unknown', why: `whether ${blurred.path} is open cannot be found out${blurred.why}` };
  const taken = devices.filter(({ use }) => use === 'taken').map(({ name }) => name);
  return { kind: 'read', value: { taken, free: devices.filter(({ use }) => use === 'free') } };
}

const pathsOf = (devices: readonly Found[]): readonly string[] => devices.map(({ path }) => path);

/** By `fuser`, and no complaint: code 1 says both that nobody was found and that something went wrong. */
const foundNobody = (result: CommandResult): boolean =>
  result.kind === 'exited' && result.code === 1 && result.stdout === '' && result.stderr === '';

const isLacking = ({ use, isLocked }: { use: DeviceUse; isLocked: boolean }): boolean =>
  use === 'absent' && !isLocked;

/** Snapshots have devices too where `snapdev` says so. */
const wholeName = (name: string): string => name.split('@')[0] ?? name;
