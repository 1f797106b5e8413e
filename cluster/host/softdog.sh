#!/bin/sh
# Loads the kernel's own watchdog at boot, with a timeout of 1 s, and now: for hosts without a watchdog of hardware.
#
#   softdog.sh [--root DIR]        below DIR instead of /, where nothing is loaded now
set -eu

root=
if [ $# -gt 0 ]; then
  [ "$1" = --root ] && [ $# -eq 2 ] || { echo "softdog.sh: only --root DIR is known" >&2; exit 2; }
  root=$2
fi
mkdir -p "$root/etc/modules-load.d" "$root/etc/modprobe.d"
echo softdog > "$root/etc/modules-load.d/quorate-watchdog.conf"
# Whole seconds; W of the promise (L5). Not nowayout: an orderly stop of Quorate closes it.
echo 'options softdog soft_margin=1 nowayout=0' > "$root/etc/modprobe.d/quorate-watchdog.conf"
[ -n "$root" ] || [ ! -d /run/systemd/system ] || modprobe softdog
