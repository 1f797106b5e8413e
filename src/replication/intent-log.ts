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

/** `zfsutil` is for those with a mount point of ZFS's, and refused for `mountpoint=legacy`. */
const MOUNT = 'mount -t zfs -o zfsutil,ro "$0" /tmp || exec mount -t zfs -o ro "$0" /tmp';

/** A mount that this command alone sees, and that is gone with it: no takeover finds the file system mounted elsewhere. */
export const replayCommand = (fileSystem: string): readonly string[] => [
  ...['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c', MOUNT],
  fileSystem,
];
