#!/bin/bash
# On the witness, as a client host of its own: mounts what the data nodes serve through the elastic IP, and writes and reads
# numbered records without end. clients.sh mount | write | stop
. "${0%/*}/clients-lib.sh"
target=iqn.2026-01.com.example:lab
disk=/dev/sda

case $1 in
  mount)
    mount_nfs /srv/data || exit 1
    mkdir -p /etc/iscsi
    modprobe -a iscsi_tcp sd_mod
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
    forget_clients
    in_background nfs4 write_to nfs4 /mnt/nfs4/records-nfs4
    in_background nfs3 write_to nfs3 /mnt/nfs3/records-nfs3
    in_background iscsi write_to iscsi $disk
    ;;
  stop) stop_clients ;;
esac
