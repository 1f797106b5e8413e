#!/bin/sh
# The first program of a guest in QEMU on its real root, which the initramfs has made (cluster/lab/qemu/image.ts): loads its
# modules. Kernel command line: lab=NODE  lab_watchdog=SECONDS
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
for word in $(cat /proc/cmdline); do
  case $word in lab=* | lab_*=*) export "$word" ;; esac
done
export lab_data="vdd vde" lab_state=vdc lab_log=ttyS1 lab_watchdog_device=watchdog0
top=/opt/quorate
export lab_guest=$top/guest lab_dist=$top/dist lab_node=$top/bin/node
# In an emulated processor compiled code is thrown away all the time, and everything else waits for it.
export NODE_OPTIONS=--jitless

modprobe -a virtio_net drbd
modprobe softdog soft_margin="$lab_watchdog"
# Each host has an id of its own, by which a pool knows who had it last; the module reads it when it is loaded.
case $lab in a) id=1 ;; b) id=2 ;; *) id=3 ;; esac
printf "\\00$id\\000\\000\\000" >/etc/hostid
if [ "$lab" != w ] && [ -e "$top/zfs/order" ]; then
  while read -r module; do
    insmod "$top/zfs/$module.ko"
  done <"$top/zfs/order"
fi
# Nobody runs udev here, and each import would wait 3 s for it.
export ZFS_VDEV_DEVID_OPT_OUT=YES
exec /bin/sh "$lab_guest/init.sh"
