/**
 * ZFS's intent log of a dataset that is not open: what was written last with a sync, and is in no transaction group yet. It is replayed by
 * the next mount of a file system, and when the device of a volume is made, both also where it is read-only (OpenZFS 2.1, seen on real
 * hosts: docs/replication-roles.md). Until then
 *
 * 1. a snapshot does not have it;
 * 2. `zfs receive` takes the copy for unchanged, and throws it away.
 *
 * So it is replayed before either, on a node that has lost its power while it held. A dataset that has been written to at all may have
 * one, and neither `written` nor anything else tells: replaying an empty one changes nothing.
 */

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type CommandRunner, linkName, ZVOL_ID } from '../resources/index.ts';

/** Whether the device of a volume is there: with it the kernel has replayed the log. */
export type HasDevice = (volume: string, signal: AbortSignal) => Promise<boolean>;

export interface IntentLogs {
  readonly hasDevice: HasDevice;
  /** Rejects `command-failed` with what the command has said. */
  readonly command: (command: readonly string[], signal: AbortSignal) => Promise<unknown>;
}

/** Null: it is replayed, or was empty. Otherwise why it cannot be. */
export async function whyNotReplayed(
  { name, kind }: { readonly name: string; readonly kind: 'filesystem' | 'volume' },
  { hasDevice, command }: IntentLogs,
  signal: AbortSignal,
): Promise<string | null> {
  if (kind === 'volume')
    return (await hasDevice(name, signal))
      ? null
      : 'its intent log is replayed when its device is made, and it has none (is its key loaded, and is its volmode another than "none"?)';
  try {
    await command(replayCommand(name), signal);
    return null;
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== 'command-failed') throw error;
    return `its intent log cannot be replayed (is its key loaded?): ${error.message}`;
  }
}

/** `zfsutil` is for those with a mount point of ZFS's, and refused for `mountpoint=legacy`. */
const MOUNT = 'mount -t zfs -o zfsutil,ro "$0" /tmp || exec mount -t zfs -o ro "$0" /tmp';

/** A mount that this command alone sees, and that is gone with it: no takeover finds the file system mounted elsewhere. */
const replayCommand = (fileSystem: string): readonly string[] => [
  ...['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c', MOUNT],
  fileSystem,
];

/** All devices together. */
const LOOK_MS = 10_000;

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
