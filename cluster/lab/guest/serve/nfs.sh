#!/bin/bash
# What systemd's nfs-server.service and its helpers do (docs/services.md), for hosts without systemd: nfs.sh start|stop|probe FOLDER.
# FOLDER is a mount point, and what is exported. Exit codes of the probe: 0 runs, 3 does not run.
folder=$2
state=$folder/.nfs
threads=/proc/fs/nfsd/threads

ended() {
  for ((try = 0; try < 200; try++)); do
    pidof "$1" >/dev/null || return 0
    sleep 0.05
  done
  return 1
}

case $1 in
  start)
    # Else an empty folder of the host's own root would be served, and written to.
    mountpoint -q "$folder" || { echo "nothing is mounted on $folder" >&2; exit 1; }
    modprobe nfsd
    grep -q ' /proc/fs/nfsd ' /proc/mounts || mount -t nfsd nfsd /proc/fs/nfsd
    mkdir -p /var/lib/nfs/rpc_pipefs /var/lib/nfs/v4recovery
    grep -q ' /var/lib/nfs/rpc_pipefs ' /proc/mounts || mount -t rpc_pipefs rpc /var/lib/nfs/rpc_pipefs
    # Version 3 and its helpers are registered there. Its user is what the package's script would have made.
    grep -q ^_rpc: /etc/passwd || echo '_rpc:x:104:65534::/run/rpcbind:/usr/sbin/nologin' >>/etc/passwd
    mkdir -p /run/rpcbind
    pidof rpcbind >/dev/null || rpcbind
    # Which v4 clients had state, is on the device that moves.
    mkdir -p "$state"
    pidof nfsdcld >/dev/null || nfsdcld --storagedir="$state"
    # The root of version 4 is the export itself: a guest's own root is an overlay, which cannot be exported. The number makes
    # the handles of files the same on both nodes.
    echo "$folder 198.51.100.0/24(rw,sync,no_subtree_check,no_root_squash,fsid=0)" >/etc/exports
    exportfs -ra || exit 1
    pidof rpc.mountd >/dev/null || rpc.mountd --port 20048
    rpc.nfsd --lease-time 10 --grace-time 10 2
    ;;
  stop)
    [ ! -e $threads ] || rpc.nfsd 0
    for name in rpc.mountd nfsdcld; do
      pids=$(pidof $name) || continue
      kill -9 $pids
      ended $name || exit 1
    done
    # The kernel forgets whom it has answered, and the file system with it.
    exportfs -au
    exportfs -f
    ;;
  probe)
    read -r count 2>/dev/null <$threads && [ "$count" -gt 0 ] && pidof nfsdcld rpc.mountd >/dev/null && echo "$count threads" && exit 0
    [ "${count:-0}" -gt 0 ] && echo 'nfsd runs without its helpers' && exit 2
    pidof nfsdcld rpc.mountd >/dev/null && echo 'helpers run without nfsd' && exit 2
    echo 'does not run'
    exit 3
    ;;
esac
