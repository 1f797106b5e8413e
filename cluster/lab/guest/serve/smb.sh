#!/bin/bash
# Samba (docs/services.md) on the pool's file system: smb.sh start|stop|probe.
# Exit codes of the probe: 0 runs, 3 does not run, 2 half of it.
state=/srv/data/.samba
config=/run/lab/smb.conf

# Where it listens, as the kernel writes it: port 445.
is_listening() { grep -q ':01BD 00000000:0000 0A' /proc/net/tcp; }

case $1 in
  start)
    mkdir -p $state/private $state/state $state/lock $state/cache /run/samba /var/log/samba
    # Clients here have no passwords: whoever comes is root on the share, as with NFS's no_root_squash.
    cat >$config <<END
[global]
netbios name = LAB
disable netbios = yes
smb ports = 445
private dir = $state/private
state directory = $state/state
lock directory = $state/lock
cache directory = $state/cache
map to guest = Bad User
sync always = yes
load printers = no
[export]
path = /srv/data
read only = no
guest ok = yes
force user = root
END
    pidof smbd >/dev/null || smbd -D -s $config || exit 1
    for ((try = 0; try < 300; try++)); do
      is_listening && exit 0
      sleep 0.1
    done
    exit 1
    ;;
  stop)
    pids=$(pidof smbd) || exit 0
    # One for each client: an orderly end would wait for what they have open.
    kill -9 $pids
    for ((try = 0; try < 200; try++)); do
      pidof smbd >/dev/null || exit 0
      sleep 0.05
    done
    exit 1
    ;;
  probe)
    pidof smbd >/dev/null || { echo 'does not run'; exit 3; }
    is_listening && echo runs && exit 0
    echo 'smbd runs and does not listen'
    exit 2
    ;;
esac
