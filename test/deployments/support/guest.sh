#!/bin/bash
# Boots this machine's systemd in namespaces of its own, on an overlay of this machine's root: a host to install on, of which
# nothing stays. guest.sh DIRECTORY NAME; ends when it is killed, and everything in it with it.
set -euo pipefail
directory=$1 name=$2

if [[ ${3-} != inside ]]; then
  # Its own cgroup, which the guest's systemd takes for the root of all.
  for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [[ -w $hierarchy/cgroup.procs ]] || continue
    mkdir -p "$hierarchy/$name"
    echo $$ > "$hierarchy/$name/cgroup.procs"
  done
  exec unshare --mount --pid --fork --kill-child --cgroup --net --uts --ipc bash "$0" "$directory" "$name" inside
fi

mount --make-rprivate /
mount -t tmpfs tmpfs "$directory"
root=$directory/root
mkdir "$directory"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$directory/upper,workdir=$directory/work" "$root"
mount -t proc proc "$root/proc"
# The units let an executor that cannot release reboot its host: here that would be this machine.
for switch in sysrq-trigger sys/kernel/sysrq; do
  [[ ! -e $root/proc/$switch ]] || mount --bind /dev/null "$root/proc/$switch"
done
mount -t sysfs -o ro sysfs "$root/sys"
if [[ -d /sys/fs/cgroup/systemd ]]; then
  mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
  mkdir "$root"/sys/fs/cgroup/{systemd,unified}
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
else
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
for place in run tmp dev; do mount -t tmpfs tmpfs "$root/$place"; done
for device in null zero full random urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
touch "$root/dev/console"
mount --bind /dev/null "$root/dev/console"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up

# Only what a service needs: no journal, no devices, nothing of this machine's own.
units=$root/etc/systemd/system
rm -rf "$units"/*.wants
mkdir -p "$units"
for unit in systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket \
  systemd-journal-flush.service systemd-udevd.service systemd-udev-trigger.service systemd-logind.service \
  systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-sysctl.service systemd-modules-load.service \
  systemd-remount-fs.service systemd-random-seed.service systemd-update-utmp.service systemd-timesyncd.service \
  systemd-binfmt.service systemd-sysusers.service systemd-machine-id-commit.service dev-hugepages.mount dev-mqueue.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  proc-sys-fs-binfmt_misc.automount; do
  ln -sf /dev/null "$units/$unit"
done
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' > "$units/guest.target"

cd "$root"
exec env -i container=quorate PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  chroot "$root" /lib/systemd/systemd --unit=guest.target --log-target=null --show-status=false
