/**
 * Takes the file systems of a pool out of the tree, in a planned release and in an abrupt one (R1).
 *
 * Abruptly whole trees go by one command each, side by side: one for each of many file systems would cost a slow host more than all
 * the rest of its release. What that leaves goes one by one, the last one first: it may lie on top of the others.
 */
import { QuorateError } from '../errors.ts';
import { commandError, exitError } from './command-error.ts';
import type { LinuxTools } from './linux-tools.ts';
import type { MountUsers } from './mount-users.ts';
import { isWithin, type MountEntry } from './mountinfo.ts';
import { type Found, placesOf } from './pool-mounts.ts';
import type { ReleaseContext } from './types.ts';
import { reachable } from './zfs-datasets.ts';

const TREES_AT_ONCE = 8;

export interface PoolUnmountOptions {
  readonly pool: string;
  readonly tools: LinuxTools;
  readonly users: MountUsers;
  /** What is mounted now; throws where that cannot be read. */
  readonly read: () => Pick<Found, 'entries' | 'mounts'>;
}

export class PoolUnmount {
  readonly #options: PoolUnmountOptions;

  constructor(options: PoolUnmountOptions) {
    this.#options = options;
  }

  /** Null when nothing of the pool is mounted any more. `theirs`: places that are left alone. */
  async orderly(context: ReleaseContext, theirs: ReadonlySet<string>): Promise<QuorateError | null> {
    return (await this.#oneByOne(context, ['umount'], theirs)) ?? this.#whatIsMounted();
  }

  /** With everything that lies below or on top of it, whosever that is. */
  async abruptly(context: ReleaseContext): Promise<QuorateError | null> {
    const { users } = this.#options;
    if (users.mayKill(context)) await users.kill(this.#places(), context);
    const queue = topsOf(this.#places()).values();
    const unmountTrees = async (): Promise<void> => {
      for (const place of queue) await this.#unmount(['umount', '-R'], place, context);
    };
    await Promise.all(Array.from({ length: TREES_AT_ONCE }, unmountTrees));
    return (await this.#oneByOne(context, ['umount', '-R'])) ?? this.#whatIsMounted();
  }

  async #oneByOne(
    context: ReleaseContext,
    words: readonly string[],
    except: ReadonlySet<string> = new Set(),
  ): Promise<QuorateError | null> {
    let failure: QuorateError | null = null;
    for (const place of this.#places().toReversed())
      if (!except.has(place)) {
        const failed = await this.#unmount(words, place, context);
        failure ??= failed;
      }
    return failure;
  }

  async #unmount(
    words: readonly string[],
    place: string,
    context: ReleaseContext,
  ): Promise<QuorateError | null> {
    const command = [...words, '--', place];
    const result = await this.#options.tools.run(command, context);
    if (result.kind !== 'exited') return commandError(command, result);
    const isDone = result.code === 0 || /not mounted/.test(result.stderr);
    return isDone ? null : exitError(command, result.code, result.stderr);
  }

  #places(): readonly string[] {
    const { entries, mounts } = this.#options.read();
    return reachable(entries, mounts).map(({ mountPoint }: MountEntry) => mountPoint);
  }

  #whatIsMounted(): QuorateError | null {
    const { mounts } = this.#options.read();
    if (mounts.length === 0) return null;
    const where = placesOf(mounts);
    return new QuorateError('release-unverified', `${this.#options.pool} is busy: mounted on ${where}`);
  }
}

/** Those below which all the others lie. */
const topsOf = (places: readonly string[]): readonly string[] =>
  places.filter((place) => !places.some((other) => other !== place && isWithin(place, other)));
