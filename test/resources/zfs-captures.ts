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
  datasets: `tank/vol1\ton\t/mnt/vol1\t-\t7
tank\ton\tnone\t-\t1
`,
  /** From the source (`print_list_stats`): `zpool list -v -H -P`; the headings of classes have spaces also in this mode. */
  vdevs: `tank\t240M\t6.94M\t233M\t-\t-\t3%\t2%\t1.00x\tONLINE\t-
\t/dev/drbd0\t240M\t6.94M\t233M\t-\t-\t3%\t2.89%\t-\tONLINE
`,
  /** From the source. */
  vdevsOfAllKinds: `tank\t480M\t6.94M\t473M\t-\t-\t3%\t2%\t1.00x\tDEGRADED\t-
\tmirror-0\t240M\t6.94M\t233M\t-\t-\t3%\t2.89%\t-\tDEGRADED
\t/dev/drbd0\t-\t-\t-\t-\t-\t-\t-\t-\tONLINE
\t8413021735217862145\t-\t-\t-\t-\t-\t-\t-\t-\tUNAVAIL
logs               -      -      -        -         -      -      -      -         -
\t/dev/vdc1\t1.88G\t0\t1.88G\t-\t-\t0%\t0.00%\t-\tONLINE
cache              -      -      -        -         -      -      -      -         -
\t/dev/vdd1\t10G\t0\t10G\t-\t-\t0%\t0.00%\t-\tONLINE
spare              -      -      -        -         -      -      -      -         -
\t/dev/vde1\t-\t-\t-\t-\t-\t-\t-\t-\tAVAIL
`,
  mountinfo: `22 27 0:21 / /proc rw,nosuid,relatime shared:5 - proc proc rw
27 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw,discard,errors=remount-ro
61 27 0:46 / /mnt/vol1 rw,relatime shared:30 - zfs tank/vol1 rw,xattr,noacl
`,
} as const;
