#!/bin/bash
# On the witness: NFS clients of a file system that snapshots keep alike on both data nodes. RUN makes the names of the files.
#   nfs-clients.sh mount FOLDER | make RUN | start RUN | late RUN | seen NAME RUN | stop
# Of version 4.2 and 3 each: NAME writes records (clients-lib.sh); NAME-reads reads a file of numbered blocks that is made once,
# all the time on one open file; NAME-late likewise a file that is made by "late", until its first error.
. "${0%/*}/clients-lib.sh"
mounts=${CLIENTS_MOUNTS:-/mnt}
names='nfs4 nfs3'

# make_blocks NAME FILE COUNT: on the server's disk when it returns.
make_blocks() {
  for ((block = 0; block < $3; block++)); do
    printf "%-$((record - 1))s\n" "$1 block $block"
  done | dd of="$2" bs=64k iflag=fullblock conv=fsync 2>"$top/$1.last" || {
    note_error "$1" make:
    return 1
  }
}

# read_blocks NAME FILE COUNT [once]: past the page cache, one block after the other on an open file, and from its end on the
# file is opened anew; `once`: until the first error.
read_blocks() {
  name=$1 file=$2 count=$3 block=$3
  for ((number = 1; ; number++)); do
    [ ! -e "$top/stop" ] || return 0
    if ((block == count)); then
      exec 3<"$file" && block=0
    fi 2>"$top/$name.last"
    if ((block < count)) && text=$(dd bs=$record count=1 iflag=direct <&3 2>"$top/$name.last") && [[ $text == "$name block $block "* ]]; then
      acknowledge "$name" $number
      block=$((block + 1))
    else
      note_error "$name" "read $number: ${text:0:40}"
      [ "$4" != once ] || return 0
      # Where it is in the open file is not known any more.
      block=$count
    fi
    text=
    sleep 1
  done
}

case $1 in
  mount) mount_nfs "$2" ;;
  make)
    forget_clients
    for name in $names; do
      make_blocks $name-reads "$mounts/$name/blocks-$name-$2" 2048 || exit 1
    done
    ;;
  start)
    for name in $names; do
      in_background $name write_to $name "$mounts/$name/records-$name-$2"
      in_background $name-reads read_blocks $name-reads "$mounts/$name/blocks-$name-$2" 2048
    done
    ;;
  late)
    for name in $names; do
      make_blocks $name-late "$mounts/$name/late-$name-$2" 128 || exit 1
      in_background $name-late read_blocks $name-late "$mounts/$name/late-$name-$2" 128 once
    done
    ;;
  # As this client sees it: size and checksum of the records.
  seen) echo "$(stat -c %s "$mounts/$2/records-$2-$3") $(md5sum <"$mounts/$2/records-$2-$3" | cut -d' ' -f1)" ;;
  stop) stop_clients ;;
esac
