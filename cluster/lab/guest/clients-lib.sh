# For clients.sh and nfs-clients.sh: what every client on the witness's host does. Of each way there are two files in
# /run/lab/clients: NAME.acknowledged ("NUMBER UPTIME" lines), NAME.errors (of reads and writes).
address=$CLIENTS_ADDRESS gateway=$CLIENTS_GATEWAY
top=${CLIENTS_TOP:-/run/lab/clients}
record=512

uptime_now() { read -r uptime _ </proc/uptime; }

acknowledge() {
  uptime_now
  echo "$2 $uptime" >>"$top/$1.acknowledged"
}

# note_error NAME WHAT: one line, with what the command said first.
note_error() {
  said=
  read -r said <"$top/$1.last"
  echo "$2 $said" >>"$top/$1.errors"
}

# write_to NAME FILE: numbered records without end; what a hard mount cannot write yet, it writes later.
write_to() {
  name=$1 file=$2
  for ((number = 1; ; number++)); do
    [ ! -e "$top/stop" ] || return 0
    printf "%-$((record - 1))s\n" "$name record $number" |
      dd of="$file" bs=$record seek=$number conv=notrunc oflag=direct,dsync 2>"$top/$name.last" || {
      note_error "$name" "write $number:"
      sleep 1
      continue
    }
    acknowledge "$name" $number
    # Past the page cache: what the server has.
    dd if="$file" bs=$record skip=$number count=1 iflag=direct 2>"$top/$name.last" |
      { read -r one two three rest; [ "$one $two $three" = "$name record $number" ]; } ||
      note_error "$name" "read $number:"
    sleep 1
  done
}

# mount_nfs FOLDER: the server's whose root of version 4 it is.
mount_nfs() {
  ip route replace "$address" via "$gateway" dev eth1
  mkdir -p "$top" /mnt/nfs4 /mnt/nfs3
  modprobe -a nfsv4 nfsv3
  mountpoint -q /mnt/nfs4 || mount -t nfs -o vers=4.2,hard,noac "$address:/" /mnt/nfs4 || return
  # Without locks: their daemon wants more of a host than there is here.
  mountpoint -q /mnt/nfs3 || mount -t nfs -o vers=3,hard,nolock,noac "$address:$1" /mnt/nfs3
}

forget_clients() { rm -f "$top"/stop "$top"/*.acknowledged "$top"/*.errors "$top"/*.pid; }

# in_background NAME COMMAND: until stop_clients.
in_background() {
  "${@:2}" </dev/null >/dev/null 2>&1 &
  echo $! >"$top/$1.pid"
}

stop_clients() {
  touch "$top/stop"
  for pid in $(cat "$top"/*.pid); do
    while [ -e "/proc/$pid" ]; do
      sleep 0.5
    done
  done
}
