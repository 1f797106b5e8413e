/** Who uses a mount that must go: named, killed where that is allowed (R1), or freed from a write that will never end. */
import type { Clock } from '../clock.ts';
import { type Instant, instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { LinuxTools } from './linux-tools.ts';
import type { ActionContext, ReleaseContext } from './types.ts';

/** Writes that wait for a decision that will not come (DrbdResource.abandonIo). */
export interface FrozenIo {
  isFrozen(): boolean;
  /** Ends them. Rejects where an answer to a client could still leave this host. */
  abandon(context: ActionContext): Promise<string>;
}

export type FrozenEnd =
  /** Nothing is frozen, or nothing may be done about it. */
  | { readonly kind: 'none' }
  | { readonly kind: 'ended'; readonly said: string }
  | { readonly kind: 'stays'; readonly error: QuorateError };

export interface MountUsersOptions {
  readonly tools: LinuxTools;
  /** R1: kills of foreign processes are off outside real hosts. */
  readonly mayKill: boolean;
  /** The replicated devices below; null: there are none whose I/O can freeze. */
  readonly frozenIo: FrozenIo | null;
}

/** After its users have been stopped the kernel needs a moment to see the last one go. */
const BUSY_LIMIT_MS = 5000;
export const BUSY_POLL_MS = 20;
const MAX_NAMED = 5;
/**
 * `fuser -M` compares with /proc/mounts, where these are written as octal digits (psmisc 23.6): it takes such a place for no mount
 * point, and kills nobody.
 */
const HIDDEN_FROM_FUSER = /[\s\\#]/;

export const isHiddenFromFuser = (mountPoint: string): boolean => HIDDEN_FROM_FUSER.test(mountPoint);

/** How long what is busy is asked again. */
export function busyEnd({ mode, deadline }: ReleaseContext, clock: Clock): Instant {
  return mode === 'abrupt' ? deadline : instant(Math.min(deadline, clock.now() + BUSY_LIMIT_MS));
}

export class MountUsers {
  readonly #options: MountUsersOptions;

  constructor(options: MountUsersOptions) {
    this.#options = options;
  }

  get isFrozen(): boolean {
    return this.#options.frozenIo?.isFrozen() === true;
  }

  /** False where it is not allowed. */
  mayKill({ mode }: ReleaseContext): boolean {
    return mode === 'abrupt' && this.#options.mayKill;
  }

  /** SIGKILL to whoever has something open there. `-M`: never if it is not a mount point, or it would be the root's. */
  async kill(mountPoints: readonly string[], context: ActionContext): Promise<void> {
    if (mountPoints.length > 0)
      await this.#options.tools.run(['fuser', '-k', '-M', '-m', ...mountPoints], context);
  }

  /** Before the first attempt to unmount: one that waits for a frozen write can never be killed. */
  async endFrozenIo(mountPoints: readonly string[], context: ReleaseContext): Promise<FrozenEnd> {
    const { frozenIo } = this.#options;
    if (frozenIo === null || !this.isFrozen || !this.mayKill(context)) return { kind: 'none' };
    const hidden = mountPoints.find(isHiddenFromFuser);
    if (hidden !== undefined)
      return {
        kind: 'stays',
        error: new QuorateError(
          'release-unverified',
          `the I/O below is frozen, and who uses "${hidden}" cannot be killed: fuser does not see such a name`,
        ),
      };
    // Who is killed while it waits in the kernel never gets to see how its write ended.
    await this.kill(mountPoints, context);
    try {
      const said = `, after its users were killed: ${await frozenIo.abandon(context)}`;
      return { kind: 'ended', said };
    } catch (error) {
      if (error instanceof QuorateError) return { kind: 'stays', error };
      throw error;
    }
  }

  /** For people: as "used by smbd (1234), bash (99)"; what the kernel itself uses has no process. */
  async named(mountPoints: readonly string[], context: ActionContext): Promise<string> {
    const nobody = 'no process has it open: an export, a volume (zvol), or a container may';
    if (mountPoints.length === 0) return nobody;
    const result = await this.#options.tools.run(['fuser', '-v', '-M', '-m', ...mountPoints], context);
    if (result.kind !== 'exited') return 'who uses it cannot be found out';
    const users = usersIn(result.stdout, result.stderr);
    if (users.length === 0) return nobody;
    const more = users.length > MAX_NAMED ? ` and ${users.length - MAX_NAMED} more` : '';
    return `used by ${users.slice(0, MAX_NAMED).join(', ')}${more}`;
  }
}

/** `fuser -v` writes the numbers to stdout and, in the same order, what they are to stderr (psmisc 23.6). */
function usersIn(stdout: string, stderr: string): readonly string[] {
  const ids = stdout.match(/kernel|\d+/g) ?? [];
  const rows = [...stderr.matchAll(/^(?:\S.*:)? +\S+ +(?:mount|[A-Za-z.]{5,6}) +(\S.*)$/gm)];
  return ids.flatMap((id, index) => {
    const name = rows.length === ids.length ? rows[index]?.[1] : undefined;
    return id === 'kernel' ? [] : [name === undefined ? `process ${id}` : `${name} (${id})`];
  });
}
