/** What an operator does once on new hosts (docs/install.md), by the same commands. */
import { SHUT_PROPERTIES } from '../../src/resources/index.ts';
import { DATA_NODES, isDataNode, type NodeName } from './hosts.ts';
import {
  drbdDevice,
  MOUNT_POINT,
  POOL,
  REPLICATED_MOUNT,
  type ServiceName,
  SHARE,
  STORAGES,
  type StorageName,
} from './plan.ts';

const CONNECT_LIMIT_MS = 60_000;

export interface Guests {
  must(node: NodeName, command: string): Promise<string>;
  waitFor(what: string, condition: () => Promise<boolean>, limitMs: number): Promise<void>;
}

/** On the Primary; the file system is not mounted afterwards. A new disk of the lab is zero, as the store wants it. */
const MAKE_STORAGE: Readonly<Record<StorageName, string>> = {
  raw: ':',
  ext4: `mkfs.ext4 -q ${drbdDevice(0)}`,
  zfs: [
    `zpool create -o cachefile=none -o ashift=12 -O mountpoint=none ${POOL} ${drbdDevice(0)} ${drbdDevice(1)}`,
    `zfs create -o mountpoint=${MOUNT_POINT} ${POOL}/data`,
    `zfs create -V 16M ${POOL}/disk`,
    `zpool export ${POOL}`,
  ].join(' && '),
  replicated: `mkfs.ext4 -q ${drbdDevice(0)}`,
};

/** Of each node's own: what is in it comes from the holder. */
const MAKE_REPLICATED = [
  'mkdir -p -m 700 /var/lib/quorate/ssh && ssh-keygen -q -t ed25519 -N "" -f /var/lib/quorate/ssh/host_key',
  `zpool create -o cachefile=none -o ashift=12 -O mountpoint=${REPLICATED_MOUNT} -O canmount=off ${POOL} /dev/lab/part1`,
].join(' && ');

/** Both disks are new, so they are declared equal instead of being copied. */
export async function installData(
  guests: Guests,
  storage: StorageName,
  services: ServiceName,
): Promise<void> {
  await Promise.all(
    DATA_NODES.map((node) => guests.must(node, 'drbdadm create-md --force r0 && drbdadm up r0')),
  );
  const isConnected = async (): Promise<boolean> =>
    // A line for each volume.
    /^(Connected\s*)+$/.test(await guests.must('a', 'drbdadm cstate r0'));
  await guests.waitFor('DRBD is connected', isConnected, CONNECT_LIMIT_MS);
  for (let volume = 0; volume < STORAGES[storage].volumes; volume += 1)
    await guests.must('a', `drbdadm new-current-uuid --clear-bitmap r0/${volume}`);
  await guests.must('a', 'drbdadm primary r0');
  await guests.must('a', MAKE_STORAGE[storage]);
  await guests.must('a', 'drbdadm secondary r0');
  if (storage === 'replicated')
    await Promise.all(DATA_NODES.map((node) => guests.must(node, MAKE_REPLICATED)));
  if (storage === 'replicated' && services === 'files') await installShare(guests);
}

/**
 * What NFS serves must be on whoever holds first: the config has the service from the beginning. So its first copy is taken there by
 * hand, from where the replication goes on. Unmounted before its snapshot: afterwards nothing is written to it on either side.
 */
async function installShare(guests: Guests): Promise<void> {
  const seed = `${SHARE}@seed`;
  await guests.must('a', `zfs create ${SHARE} && zfs unmount ${SHARE} && zfs snapshot ${seed}`);
  // What a command says on stderr comes with its output here.
  const packed = await guests.must(
    'a',
    `set -o pipefail; zfs send ${seed} 2>/dev/null | busybox gzip -c | base64 -w0`,
  );
  const shut = SHUT_PROPERTIES.map((property) => `-o ${property}`).join(' ');
  await guests.must(
    'b',
    `set -o pipefail; echo ${packed.trim()} | base64 -d | busybox gunzip -c | zfs receive -u ${shut} ${SHARE}`,
  );
}

/** From here on init does what units would: DRBD, the store, the agent. */
export async function startServices(guests: Guests, node: NodeName): Promise<void> {
  if (isDataNode(node)) await guests.must(node, 'drbdadm down r0');
  await guests.must(node, 'touch /var/lib/quorate/is-installed && sync');
}
