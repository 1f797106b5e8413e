#!/bin/bash
# On the witness, as a client host of its own: mounts what the data nodes serve through the elastic IP, and writes and reads
# numbered records without end. clients.sh mount | write | stop
# Of each way there are two files in /run/lab/clients: NAME.acknowledged ("NUMBER UPTIME" lines), NAME.errors (of reads and writes).
address=$CLIENTS_ADDRESS gateway=$CLIENTS_GATEWAY
target=iqn.2026-01.com.example:lab
top=/run/lab/clients
disk=/dev/sda
record=512

uptime_now() { read -r uptime _ </proc/uptime; }

# Without end: what a hard mount cannot write yet, it writes later.
write_to() {
  name=$1 file=$2
  for ((number = 1; ; number++)); do
    [ ! -e $top/stop ] || return 0
    printf "%-$((record - 1))s\n" "$name record $number" |
      dd of="$file" bs=$record seek=$number conv=notrunc oflag=direct,dsync 2>$top/$name.last || {
      echo "write $number: $(<$top/$name.last)" >>$top/$name.errors
      continue
    }
    uptime_now
    echo "$number $uptime" >>$top/$name.acknowledged
    # Past the page cache: what the server has.
    dd if="$file" bs=$record skip=$number count=1 iflag=direct 2>$top/$name.last |
      { read -r one two three rest; [ "$one $two $three" = "$name record $number" ]; } ||
      echo "read $number: $(<$top/$name.last)" >>$top/$name.errors
    sleep 1
  done
}

case $1 in
  mount)
    ip route replace $address via "$gateway" dev eth1
    mkdir -p $top /mnt/nfs4 /mnt/nfs3 /etc/iscsi
    modprobe -a nfsv4 nfsv3 iscsi_tcp sd_mod
    mountpoint -q /mnt/nfs4 || mount -t nfs -o vers=4.2,hard,noac $address:/ /mnt/nfs4 || exit 1
    # Without locks: their daemon wants more of a host than there is here.
    mountpoint -q /mnt/nfs3 || mount -t nfs -o vers=3,hard,nolock,noac $address:/srv/data /mnt/nfs3 || exit 1
    echo InitiatorName=iqn.2026-01.com.example:client >/etc/iscsi/initiatorname.iscsi
    pidof iscsid >/dev/null || iscsid || exit 1
    node="iscsiadm -m node -T $target -p $address:3260"
    if [ ! -b $disk ]; then
      $node --op new && $node --op update -n node.session.timeo.replacement_timeout -v 600 && $node --login || exit 1
      for ((try = 0; try < 100; try++)); do
        [ ! -b $disk ] || break
        sleep 0.1
      done
    fi
    [ -b $disk ]
    ;;
  write)
    rm -f $top/stop $top/*.acknowledged $top/*.errors $top/*.pid
    for way in "nfs4 /mnt/nfs4/records-nfs4" "nfs3 /mnt/nfs3/records-nfs3" "iscsi $disk"; do
      write_to $way </dev/null >/dev/null 2>&1 &
      echo $! >"$top/${way%% *}.pid"
    done
    ;;
  stop)
    touch $top/stop
    for pid in $(cat $top/*.pid); do
      while [ -e "/proc/$pid" ]; do
        sleep 0.5
      done
    done
    ;;
esac
