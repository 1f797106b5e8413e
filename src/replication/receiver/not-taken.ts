/**
 * What a stream may bring with it although ours bring no properties (`zfs send` without -p and -R): where a file system is mounted, to
 * whom it is shown, and what runs from it by whose rights are this node's own.
 *
 * 1. `-x` makes a property inherited, also one that had been received earlier, by whatever seeded this copy (`zfs send -R`, zrepl,
 *    syncoid), and also where the stream brings nothing (zfs_setup_cmdline_props of libzfs). So what is of that source is not named:
 *    else the first stream would take a copy its mount point, and the next takeover mount it elsewhere.
 * 2. Of what a copy inherits already `-x` does nothing, and a stream's value is taken (OpenZFS issue 17240); nor does anything keep a
 *    received one from being replaced (1). So it is looked at afterwards, and what a stream has brought, or has taken away, is mounted by no
 *    takeover. Not by `-o` with the value that was there: under an altroot `zfs get` says another one than can be set.
 */
import { LEFT_OUT, SHUT_PROPERTIES } from '../../resources/index.ts';

export type DatasetKind = 'filesystem' | 'volume';

export interface PropertyNow {
  readonly value: string;
  /** As ZFS says it: "local", "received", "inherited from …", "default", "-". */
  readonly source: string;
}
export type PropertiesNow = ReadonlyMap<string, PropertyNow>;

/** Only what is inheritable stands here: of others `-x` means something else. */
const OF_BOTH = ['snapdev', 'volmode', 'quorate:set-aside', 'quorate:replicate', LEFT_OUT] as const;
/** libzfs of before refuses a stream of a volume for `-x` of a property that volumes do not have, newer ones warn. */
const OF_FILE_SYSTEMS = [
  ...['mountpoint', 'overlay', 'sharenfs', 'sharesmb', 'setuid', 'devices', 'exec'],
] as const;

export const NOT_TAKEN: Readonly<Record<DatasetKind, readonly string[]>> = {
  filesystem: [...OF_FILE_SYSTEMS, ...OF_BOTH],
  volume: OF_BOTH,
};

/**
 * -s: what breaks off can go on. -u: it is not mounted now. `canmount` stays what it is: a takeover mounts what has "on", as the
 * person wants it who has set it; what a boot mounts is read-only, and the agent's first act is to unmount it (L4).
 * What shuts it also says of the process that it is the replication's: a change of roles reads both.
 * `now`: of what is here, as it really is; empty where nothing is.
 */
export function receiveArguments(dataset: string, of: DatasetKind, now: PropertiesNow): string[] {
  const set = SHUT_PROPERTIES.flatMap((property) => ['-o', property]);
  const reset = NOT_TAKEN[of].filter((name) => now.get(name)?.source !== 'received');
  return ['receive', '-s', '-u', ...set, ...reset.flatMap((name) => ['-x', name]), dataset];
}

/**
 * (2) Those that came with the stream, and those that it has taken away: one that brings properties clears what was received before and is
 * not among them (clear_received_props of zfs_ioctl.c). What a person sets meanwhile is "local".
 */
export function changedBy(
  before: PropertiesNow,
  after: PropertiesNow,
): { readonly brought: readonly string[]; readonly gone: readonly string[] } {
  const wasReceived = (name: string): boolean => before.get(name)?.source === 'received';
  const isSame = (name: string, value: string): boolean =>
    wasReceived(name) && before.get(name)?.value === value;
  const all = [...after];
  return {
    brought: all.flatMap(([name, { source, value }]) =>
      source === 'received' && !isSame(name, value) ? [name] : [],
    ),
    gone: all.flatMap(([name, { source }]) =>
      wasReceived(name) && source !== 'received' && source !== 'local' ? [name] : [],
    ),
  };
}
