/**
 * Before a stream is taken: what this node has written last, while it held, may be in the intent log alone, and `zfs receive` would throw it
 * away unseen (intent-log.ts). Once it is replayed ZFS sees that the copy has been written to, and takes nothing.
 *
 * 1. Whether there is a log nothing tells: a snapshot that was taken of a file system that nobody had mounted lacks it, and `written` is 0 then.
 *    So it is replayed wherever this node has held since everything was in common, and wherever `written` says something.
 * 2. What cannot be replayed counts as written to, and is set aside, with its log: but what has just been cloned for that has none.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { Clock } from '../../clock.ts';
import { instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { type CommandRunner, linkName, ZVOL_ID } from '../../resources/index.ts';
import { replayCommand } from '../intent-log.ts';
import { oneLine } from './failure.ts';
import { refused } from './perform.ts';
import type { DatasetNow, Zfs } from './zfs.ts';

/** Whether the device of a volume is there: with it the kernel has replayed the log. */
export type HasDevice = (volume: string, signal: AbortSignal) => Promise<boolean>;

/** All devices together. */
const LOOK_MS = 10_000;

export interface ReplayParts {
  readonly zfs: Zfs;
  readonly hasDevice: HasDevice;
  /** It was cloned for a set-aside of this tenure, and nobody has held since (2). */
  readonly isHeir: () => Promise<boolean>;
}

/** Rejects `replication-refused` where it cannot be replayed; nothing has been changed then. */
export async function replayLog(
  dataset: string,
  now: DatasetNow,
  { zfs, hasDevice, isHeir }: ReplayParts,
  signal: AbortSignal,
): Promise<void> {
  if (now.isMounted || (now.written === 0 && !now.hasHeld)) return;
  // Of a first copy that has not come whole there is nothing yet that could have been written to.
  if (((await zfs.snapshotsOf(dataset, signal)) ?? []).length === 0) return;
  const why = now.kind === 'volume' ? await whyNoDevice() : await whyNotReplayed();
  if (why === null || (await isHeir())) return;
  // The sender takes it for ZFS's own words (engine/changed.ts).
  throw refused(`destination ${dataset} has been modified, perhaps: ${why}`);

  async function whyNoDevice(): Promise<string | null> {
    if (await hasDevice(dataset, signal)) return null;
    const isHidden = now.properties.get('volmode')?.value === 'none';
    const remedy = isHidden ? `: "zfs set volmode=default ${dataset}"` : ' (is its key loaded?)';
    return `its intent log is replayed when its device is made, and it has none${remedy}`;
  }

  async function whyNotReplayed(): Promise<string | null> {
    try {
      await zfs.command(replayCommand(dataset), signal);
      return null;
    } catch (error) {
      if (!(error instanceof QuorateError) || error.code !== 'command-failed') throw error;
      return `its intent log cannot be replayed (is its key loaded?): ${oneLine(error.message)}`;
    }
  }
}

/** By its link, or by the kernel's own list where nobody makes links. */
export const deviceFinder =
  (commands: Pick<CommandRunner, 'run'>, clock: Clock): HasDevice =>
  async (volume, signal) => {
    const name = linkName(volume);
    if (existsSync(`/dev/zvol/${name}`)) return true;
    const deadline = instant(clock.now() + LOOK_MS);
    for (const block of (await readdir('/sys/block')).filter((one) => /^zd\d+$/.test(one))) {
      if (clock.now() >= deadline) return false;
      const said = await commands.run([ZVOL_ID, `/dev/${block}`], { deadline, signal });
      if (said.kind === 'exited' && said.code === 0 && said.stdout.trim() === name) return true;
    }
    return false;
  };
