/**
 * Before a stream is taken: what this node has written last, while it held, may be in the intent log alone, and `zfs receive` would throw it
 * away unseen (intent-log.ts). Once it is replayed ZFS sees that the copy has been written to, and takes nothing.
 *
 * 1. Whether there is a log nothing tells: a snapshot that was taken of a file system that nobody had mounted lacks it, and `written` is 0 then.
 *    So it is replayed wherever this node has held since everything was in common, and wherever `written` says something.
 * 2. What cannot be replayed counts as written to, and is set aside, with its log: but what has been cloned for that in this tenure has
 *    none, and nothing has where this node's last tenure has ended in order (resources/empty-logs.ts).
 */
import { type HasDevice, whyNotReplayed } from '../intent-log.ts';
import { oneLine } from './failure.ts';
import { refused } from './perform.ts';
import type { DatasetNow, Zfs } from './zfs.ts';

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
  const command = (words: readonly string[]): Promise<unknown> => zfs.command(words, signal);
  const why = await whyNotReplayed({ name: dataset, kind: now.kind }, { hasDevice, command }, signal);
  if (why === null || now.isClosed || (await isHeir())) return;
  // The sender takes it for ZFS's own words (engine/changed.ts).
  throw refused(`destination ${dataset} has been modified, perhaps: ${oneLine(why)}`);
}
