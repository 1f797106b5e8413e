#!/bin/sh
# A guest's root is there and its modules are loaded (uml.sh, qemu.sh): starts what a distribution's init would. It gets
#   lab=NODE  lab_guest=DIR (this folder)  lab_dist=DIR (bundles)  lab_node=FILE
#   lab_data="NAME ..."  lab_state=NAME  lab_watchdog_device=NAME  lab_log=NAME (devices, by the engine's names)
export HOME=/root TERM=dumb
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
[ -s /etc/machine-id ] || echo 0123456789abcdef0123456789abcde0 >/etc/machine-id
mkdir -p /run/lock /run/lab /var/lib/drbd /var/lock /srv/data
echo "$lab" >/proc/sys/kernel/hostname
# As udev would: names that say what a device is for.
mkdir -p /dev/lab
volume=0
for disk in $lab_data; do
  [ ! -b "/dev/$disk" ] || ln -s "../$disk" "/dev/lab/data$volume"
  [ ! -b "/dev/${disk}1" ] || ln -s "../${disk}1" "/dev/lab/part$volume"
  volume=$((volume + 1))
done
ln -s "../$lab_state" /dev/lab/state
ln -s "../$lab_watchdog_device" /dev/lab/watchdog
ln -s "../$lab_log" /dev/lab/log

# The disk with what a host keeps: config, keys, the agent's log.
mkdir -p /var/lib/quorate
mount -t ext4 -o noatime /dev/lab/state /var/lib/quorate
ln -sfn /var/lib/quorate/etc /etc/quorate
ip -batch /etc/quorate/network
[ ! -e /etc/quorate/r0.res ] || cp /etc/quorate/r0.res /etc/drbd.d/
echo 'global { usage-count no; } common { }' >/etc/drbd.d/global_common.conf
cat >/usr/local/bin/quorate <<EOF
#!/bin/sh
# What DRBD's handler says is worth keeping, and nobody else listens.
[ "\$1" != fence-peer ] || exec 2>/dev/lab/log
export NODE_OPTIONS=${NODE_OPTIONS-}
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
    "$@" </dev/null >/dev/lab/log 2>&1 &
    echo $! >"/run/lab/$name.pid"
    wait $!
    echo "LAB-ENDED $name $?" >/dev/lab/log
    sleep 2
  done
}

# Any key will do for the embedded controller.
export AWS_ACCESS_KEY_ID=LAB AWS_SECRET_ACCESS_KEY=lab AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
# As udev would, which is not here: the product looks for a volume's device by the pool's name for it.
volume_links() {
  while :; do
    for device in /sys/block/zd*; do
      [ -e "$device" ] || continue
      device=/dev/$(basename "$device")
      name=$(/lib/udev/zvol_id "$device") || continue
      mkdir -p "/dev/zvol/${name%/*}" && ln -sfn "$device" "/dev/zvol/$name"
    done
    sleep 5
  done
}
# A replicated pool is there on both nodes all the time; the folder of keys outlives a power cut.
replicated_pools() {
  mkdir -p -m 700 /var/lib/quorate/root-ssh /run/sshd
  ln -sfn /var/lib/quorate/root-ssh /root/.ssh
  grep -q ^sshd: /etc/passwd || echo 'sshd:x:105:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
  keep_running sshd /usr/sbin/sshd -D -e -f /dev/null -h /var/lib/quorate/ssh/host_key &
  while read -r pool; do
    zpool list "$pool" >/dev/null 2>&1 || zpool import -N -f -o cachefile=none -d /dev/lab "$pool"
  done </etc/quorate/pools
  volume_links &
}
services() {
  [ ! -e /etc/quorate/pools ] || replicated_pools
  if [ "$lab" != w ]; then
    drbdadm up r0
    keep_running store "$lab_node" "$lab_dist/local-store.mjs" /etc/quorate/store.json &
  fi
  # As the two units of an installation, which have ten times the weight of everything else (CPUWeight=1000): heartbeats must
  # not wait for DRBD's handler on this one processor. And as there, the agent comes when the executor's socket is there.
  keep_running executor nice -n -10 "$lab_node" "$lab_dist/executor.mjs" --config /etc/quorate/quorate.yaml --stay --self-fence sysrq &
  # Each look takes processor time from what it waits for.
  until grep -q ' /var/lib/quorate/data/executor.sock$' /proc/net/unix; do
    sleep 1
  done
  keep_running agent nice -n -10 "$lab_node" "$lab_dist/quorate.mjs" agent --config /etc/quorate/quorate.yaml &
}
# Made when the disks were set up: before that there is nothing to start.
while [ ! -e /var/lib/quorate/is-installed ]; do
  sleep 0.5
done
services
while :; do
  wait
  sleep 1
done
