/**
 * What the tools printed in a network namespace, byte for byte: iproute2 6.1.0 and nftables 1.0.6 on Linux 6.18. Twelve
 * lines of /proc/self/mountinfo are of a server; the file system that moves is in the last one.
 */
const link = (text: string) => `${text}\n`;

export const CAPTURES = {
  linkUp: link(
    '[{"ifindex":2,"link_index":2,"ifname":"eth1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"qdisc":"noqueue","operstate":"UP","group":"default","txqlen":1000,"link_type":"ether","address":"0a:00:00:00:00:01","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"addr_info":[{"family":"inet","local":"10.9.0.1","prefixlen":24,"scope":"global","label":"eth1","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"fd09::1","prefixlen":64,"scope":"global","nodad":true,"valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"fe80::800:ff:fe00:1","prefixlen":64,"scope":"link","valid_life_time":4294967295,"preferred_life_time":4294967295}]}]',
  ),
  linkDown: link(
    '[{"ifindex":2,"link_index":2,"ifname":"eth1","flags":["BROADCAST","MULTICAST"],"mtu":1500,"qdisc":"noop","operstate":"DOWN","group":"default","txqlen":1000,"link_type":"ether","address":"0a:00:00:00:00:01","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"addr_info":[]}]',
  ),
  linkDownWithAddress: link(
    '[{"ifindex":2,"link_index":2,"ifname":"eth1","flags":["BROADCAST","MULTICAST"],"mtu":1500,"qdisc":"noop","operstate":"DOWN","group":"default","txqlen":1000,"link_type":"ether","address":"0a:00:00:00:00:01","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"addr_info":[{"family":"inet","local":"10.9.0.1","prefixlen":24,"scope":"global","label":"eth1","valid_life_time":4294967295,"preferred_life_time":4294967295}]}]',
  ),
  linkWithoutCarrier: link(
    '[{"ifindex":2,"link_index":2,"ifname":"eth1","flags":["NO-CARRIER","BROADCAST","MULTICAST","UP"],"mtu":1500,"qdisc":"noqueue","operstate":"DOWN","group":"default","txqlen":1000,"link_type":"ether","address":"0a:00:00:00:00:01","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"addr_info":[{"family":"inet","local":"10.9.0.1","prefixlen":24,"scope":"global","label":"eth1","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"fd09::1","prefixlen":64,"scope":"global","nodad":true,"valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"fe80::800:ff:fe00:1","prefixlen":64,"scope":"link","valid_life_time":4294967295,"preferred_life_time":4294967295}]}]',
  ),
  /** `ip -j addr show to …`: only what has the address. */
  here: link(
    '[{"ifindex":2,"link_index":2,"ifname":"eth1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"qdisc":"noqueue","operstate":"UP","group":"default","txqlen":1000,"link_netnsid":0,"addr_info":[{"family":"inet","local":"10.9.0.1","prefixlen":24,"scope":"global","label":"eth1","valid_life_time":4294967295,"preferred_life_time":4294967295},{}]}]',
  ),
  here6: link(
    '[{"ifindex":2,"link_index":2,"ifname":"eth1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"qdisc":"noqueue","operstate":"UP","group":"default","txqlen":1000,"link_netnsid":0,"addr_info":[{"family":"inet6","local":"fd09::1","prefixlen":64,"scope":"global","nodad":true,"valid_life_time":4294967295,"preferred_life_time":4294967295},{}]}]',
  ),
  hereDown: link(
    '[{"ifindex":2,"link_index":2,"ifname":"eth1","flags":["BROADCAST","MULTICAST"],"mtu":1500,"qdisc":"noqueue","operstate":"DOWN","group":"default","txqlen":1000,"link_netnsid":0,"addr_info":[{"family":"inet","local":"10.9.0.1","prefixlen":24,"scope":"global","label":"eth1","valid_life_time":4294967295,"preferred_life_time":4294967295},{}]}]',
  ),
  nowhere: link('[]'),
  elsewhere: link(
    '[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue","operstate":"UNKNOWN","group":"default","txqlen":1000,"addr_info":[{},{"family":"inet","local":"10.9.0.1","prefixlen":32,"scope":"global","label":"lo","valid_life_time":4294967295,"preferred_life_time":4294967295}]}]',
  ),
  noLink: 'Device "eth1" does not exist.\n',
  rules: link(
    '[{"priority":0,"src":"all","table":"255"},{"priority":100,"src":"10.9.0.1","table":"200"},{"priority":100,"src":"10.9.0.128","srclen":25,"table":"200"},{"priority":32766,"src":"all","table":"254"},{"priority":32767,"src":"all","table":"253"}]',
  ),
  noRules: link(
    '[{"priority":0,"src":"all","table":"255"},{"priority":32766,"src":"all","table":"254"},{"priority":32767,"src":"all","table":"253"}]',
  ),
  routes: link(
    '[{"dst":"default","gateway":"10.9.0.2","dev":"eth1","flags":[]},{"dst":"10.9.0.0/24","dev":"eth1","scope":"link","flags":[]}]',
  ),
  routesOfDeadLink: link(
    '[{"dst":"default","gateway":"10.9.0.2","dev":"eth1","flags":["linkdown"]},{"dst":"10.9.0.0/24","dev":"eth1","scope":"link","flags":["linkdown"]}]',
  ),
  noRoutes: link('[]'),
  noTable: 'Error: ipv4: FIB table does not exist.\nDump terminated\n',
  blocked: link(
    '{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}, {"table": {"family": "inet", "name": "quorate_block_nfs", "handle": 1}}, {"chain": {"family": "inet", "table": "quorate_block_nfs", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": -10, "policy": "accept"}}, {"chain": {"family": "inet", "table": "quorate_block_nfs", "name": "output", "handle": 2, "type": "filter", "hook": "output", "prio": -10, "policy": "accept"}}, {"rule": {"family": "inet", "table": "quorate_block_nfs", "chain": "input", "handle": 4, "expr": [{"match": {"op": "!=", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "10.9.0.1"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [2049, 3260]}}}, {"drop": null}]}}, {"rule": {"family": "inet", "table": "quorate_block_nfs", "chain": "input", "handle": 6, "expr": [{"match": {"op": "!=", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "daddr"}}, "right": "fd09::1"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [2049, 3260]}}}, {"drop": null}]}}, {"rule": {"family": "inet", "table": "quorate_block_nfs", "chain": "output", "handle": 8, "expr": [{"match": {"op": "!=", "left": {"meta": {"key": "oifname"}}, "right": "lo"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.9.0.1"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "sport"}}, "right": {"set": [2049, 3260]}}}, {"drop": null}]}}, {"rule": {"family": "inet", "table": "quorate_block_nfs", "chain": "output", "handle": 10, "expr": [{"match": {"op": "!=", "left": {"meta": {"key": "oifname"}}, "right": "lo"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "saddr"}}, "right": "fd09::1"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "sport"}}, "right": {"set": [2049, 3260]}}}, {"drop": null}]}}]}',
  ),
  open: `Error: No such file or directory
list table inet quorate_block_nfs
                ^^^^^^^^^^^^^^^^^
`,
  mountinfo: `22 29 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
23 29 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
24 29 0:5 / /dev rw,nosuid,relatime shared:2 - devtmpfs udev rw,size=1003276k,nr_inodes=250819,mode=755,inode64
25 24 0:22 / /dev/pts rw,nosuid,noexec,relatime shared:3 - devpts devpts rw,gid=5,mode=620,ptmxmode=000
26 29 0:23 / /run rw,nosuid,nodev,noexec,relatime shared:5 - tmpfs tmpfs rw,size=203484k,mode=755,inode64
29 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw,discard,errors=remount-ro
30 22 0:6 / /sys/kernel/security rw,nosuid,nodev,noexec,relatime shared:8 - securityfs securityfs rw
31 24 0:24 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,inode64
33 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
36 23 0:29 / /proc/sys/fs/binfmt_misc rw,relatime shared:14 - autofs systemd-1 rw,fd=30,pgrp=1,timeout=0,minproto=5,maxproto=5,direct,pipe_ino=1293
39 29 259:15 / /boot/efi rw,relatime shared:30 - vfat /dev/nvme0n1p15 rw,fmask=0077,dmask=0077,codepage=437,iocharset=ascii,shortname=winnt,utf8
97 29 147:0 / /srv/data rw,noatime shared:61 - ext4 /dev/drbd0 rw
`,
} as const;

/** `ip -j addr show`: the loopback interface, and one of the captures of a link. */
export function hostWith(link: string | null): string {
  const more = link === null ? '' : `,${link.trim().slice(1, -1)}`;
  return `[${LOOPBACK}${more}]\n`;
}

const LOOPBACK =
  '{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue","operstate":"UNKNOWN","group":"default","txqlen":1000,"link_type":"loopback","address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"::1","prefixlen":128,"scope":"host","valid_life_time":4294967295,"preferred_life_time":4294967295}]}';
