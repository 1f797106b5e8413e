#!/bin/sh
# The first program of a guest in user-mode Linux: makes its root, loads its modules. Kernel command line:
#   lab=NODE  lab_watchdog=SECONDS  lab_kit=DIR (unpacked packages)  lab_modules=DIR  lab_preload=FILE
#   lab_guest=DIR (this folder)  lab_dist=DIR (bundles)  lab_node=FILE
# The root is the host's own /, read-only, with the packages over it and a tmpfs on top: nothing that is not on one of the
# guest's disks survives a power cut.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
  case $word in lab=* | lab_*=*) export "$word" ;; esac
done
export lab_data="ubdb ubdc" lab_state=ubda lab_log=tty1
# The kernel's own watchdog device is watchdog0.
export lab_watchdog_device=watchdog1

mount -t tmpfs tmpfs /run
mkdir -p /run/lab/host /run/lab/kit /run/lab/upper /run/lab/work /run/lab/root
# Two mounts of their own: the layers of an overlay may not lie in one another.
mount --bind / /run/lab/host
mount -t hostfs none /run/lab/kit -o "$lab_kit"
load() {
  module=$1
  shift
  /run/lab/kit/usr/bin/busybox insmod "$lab_modules/kernel/$module.ko" "$@"
}
load fs/overlayfs/overlay
load lib/lru_cache
load drivers/block/drbd/drbd
# It ends this kernel, which is then started again from outside: a restart out of an interrupt makes user-mode Linux crash
# half-way.
load drivers/watchdog/softdog soft_margin="$lab_watchdog" soft_panic=1
root=/run/lab/root
mount -t overlay overlay -o lowerdir=/run/lab/kit:/run/lab/host,upperdir=/run/lab/upper,workdir=/run/lab/work "$root"
# Starting a program from the host's file system asks the host for every part of every path, which doubles what the agent's
# commands cost; so those that it uses are brought into this guest's memory (a touched file is copied up).
chroot "$root" xargs touch -c <"$lab_preload"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t devtmpfs dev "$root/dev"
exec chroot "$root" /bin/sh "$lab_guest/init.sh"
