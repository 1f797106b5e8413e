/**
 * The file systems of a pool in the tree of the host: mounted when it is taken, and looked after as long as it is held.
 *
 * What comes later in a tenure (a replica, a clone) and what has no place of its own is left out and said: to mount it would be
 * a repair, before which the doors are shut; and where it cannot be mounted, the role would move for it (H6).
 */
import type { Epoch } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { firstWords } from './command-error.ts';
import type { LinuxTools, Reading } from './linux-tools.ts';
import { isHiddenFromFuser } from './mount-users.ts';
import { isWithin, type MountEntry } from './mountinfo.ts';
import type { AcquireContext, ActionContext } from './types.ts';
import {
  arrange,
  byDepth,
  type Dataset,
  isInPlace,
  listCommand,
  obstacleTo,
  parseDatasets,
  type Wanted,
} from './zfs-datasets.ts';

/** File systems that are mounted side by side. */
const MOUNTS_AT_ONCE = 8;

/** Of a tenure, for all objects that are made for one pool. */
export class PoolMemory {
  /** What it has found to mount; null: it has not imported it. */
  mounted: ReadonlySet<string> | null = null;
  /** Which one began with empty intent logs (empty-logs.ts). */
  emptyLogsIn: Epoch | null = null;
}

export interface TreeOptions {
  readonly pool: string;
  /** Of encrypted file systems, before they are mounted. */
  readonly loadKeys: boolean;
  readonly memory: PoolMemory;
  /** What this program runs from and writes to. */
  readonly ownPaths: readonly string[];
}

interface TreeParts extends TreeOptions {
  readonly tools: LinuxTools;
  /** The whole table of mounts; throws where it is not known. */
  readonly readEntries: () => readonly MountEntry[];
}

interface Duties {
  readonly wanted: readonly Wanted[];
  readonly left: readonly Wanted[];
}

interface Look {
  /** To be mounted (again). */
  readonly missing: readonly Wanted[];
  /** Left out, and not mounted by somebody else either. */
  readonly left: readonly Wanted[];
  /** For people. */
  readonly said: string;
}

export class PoolTree {
  readonly #options: TreeParts;

  constructor(options: TreeParts) {
    this.#options = options;
  }

  /** What is missing, parents first. What is at its place already is not touched. `except`: what cannot be mounted. */
  async mountAll(context: AcquireContext, except: ReadonlySet<string> = new Set()): Promise<string> {
    const { memory } = this.#options;
    const datasets = (await this.#unlocked(context)).filter(({ name }) => !except.has(name));
    memory.mounted ??= new Set(arrange(datasets).wanted.map(({ name }) => name));
    const { wanted } = this.#duties(datasets);
    for (const one of wanted) this.#mustBePlaceable(one);
    const { missing } = this.look(datasets, this.#options.readEntries());
    for (const group of byDepth(missing))
      for (let first = 0; first < group.length; first += MOUNTS_AT_ONCE)
        await allOf(group.slice(first, first + MOUNTS_AT_ONCE).map((one) => this.#mount(one, context)));
    const { missing: left, said } = this.look(datasets, this.#options.readEntries());
    for (const { name, mountPoint } of left)
      throw new QuorateError('not-as-wanted', `${name} was mounted, and is not seen on ${mountPoint}`);
    const locked = datasets.filter(({ isLocked }) => isLocked).length;
    return `${said}${locked === 0 ? '' : `, ${locked} left locked`}`;
  }

  look(datasets: readonly Dataset[], entries: readonly MountEntry[]): Look {
    const isOut = (one: Wanted): boolean => !isInPlace(entries, one);
    const duties = this.#duties(datasets);
    const left = duties.left.filter(isOut);
    const said = `${count(duties.wanted.length)} mounted${left.length === 0 ? '' : `, left out: ${namesOf(left)}`}`;
    return { missing: duties.wanted.filter(isOut), left, said };
  }

  /** All file systems, after their keys have been loaded where that is asked for. */
  async #unlocked(context: AcquireContext): Promise<readonly Dataset[]> {
    const datasets = await this.#options.tools.mustRead(this.list(context));
    if (!this.#options.loadKeys || !datasets.some(({ isLocked }) => isLocked)) return datasets;
    await this.#options.tools.must(['zfs', 'load-key', '-r', this.#options.pool], context);
    return this.#options.tools.mustRead(this.list(context));
  }

  /** What this tenure answers for, and what it leaves out. */
  #duties(datasets: readonly Dataset[]): Duties {
    const { wanted, crowded } = arrange(datasets);
    const { mounted } = this.#options.memory;
    const isOurs = ({ name }: Wanted): boolean => mounted?.has(name) ?? true;
    return {
      wanted: wanted.filter(isOurs),
      left: [...wanted.filter((one) => !isOurs(one)), ...crowded],
    };
  }

  #mustBePlaceable({ name, mountPoint }: Wanted): void {
    const own = this.#options.ownPaths.find((path) => isWithin(path, mountPoint));
    if (own !== undefined)
      throw new QuorateError(
        'not-as-wanted',
        `${name} on ${mountPoint} would hide ${own}, which Quorate needs`,
      );
    if (isHiddenFromFuser(mountPoint))
      throw new QuorateError(
        'not-as-wanted',
        `${name} on "${mountPoint}": fuser does not see a name with a space, "#" or "\\", so its users could not be killed`,
      );
  }

  async #mount(one: Wanted, context: AcquireContext): Promise<void> {
    const obstacle = obstacleTo(this.#options.readEntries(), one);
    if (obstacle !== null) throw new QuorateError('mount-occupied', obstacle);
    await this.#options.tools.must(['zfs', 'mount', one.name], context);
  }

  list(context: ActionContext): Promise<Reading<readonly Dataset[]>> {
    return this.#options.tools.read(listCommand(this.#options.pool), context, (text) =>
      parseDatasets(text, this.#options.pool),
    );
  }
}

export const namesOf = (some: readonly Wanted[]): string =>
  firstWords(some.map(({ name }) => name).join(', '));

const count = (fileSystems: number): string => `${fileSystems} file system${fileSystems === 1 ? '' : 's'}`;

/** Waits for all of them, whatever becomes of one. */
async function allOf(actions: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(actions))
    if (result.status === 'rejected') throw result.reason;
}
