/**
 * Before a stream is taken: what this node has written last, while it held, may be in the intent log alone, and `zfs receive` would throw it
 * away unseen (intent-log.ts). Once it is replayed ZFS sees that the copy has been written to, and takes nothing.
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

const QUESTION_MS = 10_000;

/** Whether the device of a volume is there: with it the kernel has replayed the log. */
export type HasDevice = (volume: string, signal: AbortSignal) => Promise<boolean>;

/** Rejects `replication-refused` where it cannot be replayed; nothing has been changed then. */
export async function replayLog(
  dataset: string,
  { kind, written, isMounted, properties }: DatasetNow,
  { zfs, hasDevice }: { readonly zfs: Zfs; readonly hasDevice: HasDevice },
  signal: AbortSignal,
): Promise<void> {
  if (written === 0 || isMounted) return;
  // Of a first copy that has not come whole there is nothing yet that could have been written to.
  if (((await zfs.snapshotsOf(dataset, signal)) ?? []).length === 0) return;
  const what = `${dataset} has been written to since its newest snapshot, and what was written last may be in ZFS's intent log alone`;
  if (kind === 'volume') {
    if (await hasDevice(dataset, signal)) return;
    const volmode = properties.get('volmode')?.value;
    const remedy = volmode === 'none' ? `: "zfs set volmode=default ${dataset}"` : '';
    throw refused(`${what}, which is replayed when its device is made, and it has none${remedy}`);
  }
  try {
    await zfs.command(replayCommand(dataset), signal);
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== 'command-failed') throw error;
    throw refused(
      `${what}, which cannot be replayed (is its key loaded? "zfs load-key -r"): ${oneLine(error.message)}`,
    );
  }
}

/** By its link, or by the kernel's own list where nobody makes links. */
export const deviceFinder =
  (commands: Pick<CommandRunner, 'run'>, clock: Clock): HasDevice =>
  async (volume, signal) => {
    const name = linkName(volume);
    if (existsSync(`/dev/zvol/${name}`)) return true;
    for (const block of (await readdir('/sys/block')).filter((one) => /^zd\d+$/.test(one))) {
      const deadline = instant(clock.now() + QUESTION_MS);
      const said = await commands.run([ZVOL_ID, `/dev/${block}`], { deadline, signal });
      if (said.kind === 'exited' && said.code === 0 && said.stdout.trim() === name) return true;
    }
    return false;
  };
