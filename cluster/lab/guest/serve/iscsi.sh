#!/bin/bash
# A disk for iSCSI initiators with tgt, on a volume of the pool (docs/services.md): iscsi.sh start|stop|probe.
# Exit codes of the probe: 0 runs, 3 does not run, 2 half of it.
target=iqn.2026-01.com.example:lab
volume=/dev/zd0

case $1 in
  start)
    pidof tgtd >/dev/null || tgtd || exit 1
    for ((try = 0; try < 100; try++)); do
      tgtadm --op show --mode sys >/dev/null 2>&1 && break
      sleep 0.1
    done
    tgtadm --op show --mode target 2>/dev/null | grep -q "$target" && exit 0
    tgtadm --lld iscsi --op new --mode target --tid 1 --targetname $target || exit 1
    # What is acknowledged must be on DRBD, not in the page cache of a node that dies. Its names are the same on both nodes.
    tgtadm --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 --backing-store $volume --bsoflags sync || exit 1
    tgtadm --lld iscsi --op update --mode logicalunit --tid 1 --lun 1 --params scsi_id=lab-1,scsi_sn=lab-1 || exit 1
    tgtadm --lld iscsi --op bind --mode target --tid 1 --initiator-address 198.51.100.0/24
    ;;
  stop)
    pids=$(pidof tgtd) || exit 0
    # An orderly end waits for its initiators; they are kept away by the door, and come back by themselves.
    kill -9 $pids
    for ((try = 0; try < 200; try++)); do
      pidof tgtd >/dev/null || exit 0
      sleep 0.05
    done
    exit 1
    ;;
  probe)
    pidof tgtd >/dev/null || { echo 'does not run'; exit 3; }
    tgtadm --op show --mode target | grep -q "Backing store path: $volume" && echo runs && exit 0
    echo 'tgtd runs without its disk'
    exit 2
    ;;
esac
