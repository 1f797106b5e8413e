#!/bin/sh
# PID 1 of a guest of the lab: makes a root, then starts what a distribution's init would. Kernel command line:
#   lab=NODE  lab_kit=DIR (unpacked packages)  lab_modules=DIR  lab_guest=DIR (this folder)  lab_dist=DIR (bundles)  lab_node=FILE
#   lab_watchdog=SECONDS
# The root is the host's own /, read-only, with the packages over it and a tmpfs on top: nothing that is not on one of the
# guest's disks survives a power cut.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
  case $word in lab=* | lab_*=*) export "$word" ;; esac
done

if [ "${1-}" != inside ]; then
  mount -t tmpfs tmpfs /run
  mkdir -p /run/lab/host /run/lab/kit /run/lab/upper /run/lab/work /run/lab/root
  # Two mounts of their own: the layers of an overlay may not lie in one another.
  mount --bind / /run/lab/host
  mount -t hostfs none /run/lab/kit -o "$lab_kit"
  "/run/lab/kit/usr/bin/busybox" insmod "$lab_modules/kernel/fs/overlayfs/overlay.ko"
  mount -t overlay overlay -o lowerdir=/run/lab/kit:/run/lab/host,upperdir=/run/lab/upper,workdir=/run/lab/work /run/lab/root
  exec chroot /run/lab/root /bin/sh "$lab_guest/init.sh" inside
fi

mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
[ -s /etc/machine-id ] || echo 0123456789abcdef0123456789abcde0 >/etc/machine-id
mkdir -p /run/lock /run/lab /var/lib/drbd /var/lock /srv/data
echo "$lab" >/proc/sys/kernel/hostname
for module in lib/lru_cache drivers/block/drbd/drbd; do
  busybox insmod "$lab_modules/kernel/$module.ko"
done
# The kernel's own watchdog device is watchdog0; this one is watchdog1. It ends this kernel, which is then started again from
# outside: a restart out of an interrupt makes user-mode Linux crash half-way.
busybox insmod "$lab_modules/kernel/drivers/watchdog/softdog.ko" soft_margin="$lab_watchdog" soft_panic=1

# The disk with what a host keeps: config, keys, the agent's log.
mkdir -p /var/lib/quorate
mount -t ext4 -o noatime /dev/ubdb /var/lib/quorate
ln -sfn /var/lib/quorate/etc /etc/quorate
# Starting a program from the host's file system asks the host for every part of every path, which doubles what the agent's
# commands cost; so those that it uses are brought into this guest's memory (a touched file is copied up).
xargs touch -c </etc/quorate/preload
ip -batch /etc/quorate/network
[ ! -e /etc/quorate/r0.res ] || cp /etc/quorate/r0.res /etc/drbd.d/
echo 'global { usage-count no; } common { }' >/etc/drbd.d/global_common.conf
cat >/usr/local/bin/quorate <<EOF
#!/bin/sh
# What DRBD's handler says is worth keeping, and nobody else listens.
[ "\$1" != fence-peer ] || exec 2>/dev/tty1
exec $lab_node $lab_dist/quorate.mjs "\$@"
EOF
chmod 755 /usr/local/bin/quorate
# It ignores the deaths of its children, and they would ignore those of theirs: drbdadm then takes every command for failed.
busybox nc -ll -p 7 -e /usr/bin/env --default-signal=CHLD /bin/bash "$lab_guest/commands.sh" &
echo "LAB-UP $lab $(uname -r) $(cut -d' ' -f1 /proc/uptime)"

# As systemd's units would: started again when they end.
keep_running() {
  name=$1
  shift
  while :; do
    "$@" </dev/null >/dev/tty1 2>&1 &
    echo $! >"/run/lab/$name.pid"
    wait $!
    echo "LAB-ENDED $name $?" >/dev/tty1
    sleep 2
  done
}

# Any key will do for the embedded controller.
export AWS_ACCESS_KEY_ID=LAB AWS_SECRET_ACCESS_KEY=lab AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
services() {
  if [ "$lab" != w ]; then
    drbdadm up r0
    keep_running store "$lab_node" "$lab_dist/local-store.mjs" /etc/quorate/store.json &
  fi
  # As the two units of an installation, which have ten times the weight of everything else (CPUWeight=1000): heartbeats must
  # not wait for DRBD's handler on this one processor. And as there, the agent comes when the executor's socket is there.
  keep_running executor nice -n -10 "$lab_node" "$lab_dist/executor.mjs" --config /etc/quorate/quorate.yaml --stay --self-fence sysrq &
  until grep -q ' /var/lib/quorate/data/executor.sock$' /proc/net/unix; do
    sleep 0.1
  done
  keep_running agent nice -n -10 "$lab_node" "$lab_dist/quorate.mjs" agent --config /etc/quorate/quorate.yaml &
}
# Made when the disks were set up: before that there is nothing to start.
while [ ! -e /var/lib/quorate/is-installed ]; do
  sleep 0.1
done
services
while :; do
  wait
  sleep 1
done
