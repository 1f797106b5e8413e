/**
 * What ZFS 2.1.11 on Linux 6.1 printed, byte for byte, on a DRBD device of two hosts; those marked follow `do_import` of
 * openzfs's zpool_main.c, or what is documented.
 */
export const CAPTURES = {
  /** After a power cut of the host that had it. */
  lastUsedByPeer: `cannot import 'tank': pool was previously in use from another system.
Last accessed by node-a (hostid=a) at Mon Nov 23 06:30:23 2026
The pool can be imported, use 'zpool import -f' to import the pool.
`,
  /** The device is a Secondary: it cannot be opened. */
  noSuchPool: `cannot import 'tank': no such pool available
`,
  notOpen: `cannot open 'tank': no such pool
`,
  /** From the source. */
  active: `cannot import 'tank': pool is imported on node-a (hostid: 0xa)
Export the pool on the other system, then run 'zpool import'.
`,
  /** From the source. */
  noHostId: `Cannot import 'tank': pool has the multihost property on and the
system's hostid is not set. Set a unique hostid with the zgenhostid(8) command.
`,
  /** Made from `zfs list` and `zfs get all` of the capture: `zfs list -H -p -r -t filesystem -S name -o …`. */
  datasets: `tank/vol1\ton\t/mnt/vol1\t-
tank\ton\tnone\t-
`,
  mountinfo: `22 27 0:21 / /proc rw,nosuid,relatime shared:5 - proc proc rw
27 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw,discard,errors=remount-ro
61 27 0:46 / /mnt/vol1 rw,relatime shared:30 - zfs tank/vol1 rw,xattr,noacl
`,
} as const;
