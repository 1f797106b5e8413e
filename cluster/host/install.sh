#!/bin/sh
# Puts an unpacked archive (cluster/package.sh) to work on a host: units, command, clock, watchdog. Starts nothing.
# May be run again: after an upgrade, or to change the watchdog.
#
#   /opt/quorate/cluster/host/install.sh [--watchdog softdog|none] [--root DIR]
#
# --watchdog softdog   load the kernel's own watchdog at boot, with a timeout of 1 s; `none` (the default): a device is there
# --root DIR           write below DIR instead of / (to make an image, and for tests); /opt/quorate must be below it too
set -eu

watchdog=none
root=
while [ $# -gt 0 ]; do
  case $1 in
    --watchdog | --root) [ $# -gt 1 ] || { echo "install.sh: $1 needs a value" >&2; exit 2; } ;;
    *) echo "install.sh: unknown option $1 (--watchdog softdog|none, --root DIR)" >&2; exit 2 ;;
  esac
  if [ "$1" = --root ]; then root=$2; else watchdog=$2; fi
  shift 2
done
case $watchdog in
  softdog | none) ;;
  *) echo "install.sh: --watchdog $watchdog: softdog or none" >&2; exit 2 ;;
esac

cluster=$(cd "$(dirname "$0")/.." && pwd)
# The units name this place.
if [ "$(readlink -f "$cluster/..")" != "$(readlink -f "$root/opt/quorate" || true)" ]; then
  echo "install.sh: the archive must be unpacked at $root/opt/quorate, this is $(readlink -f "$cluster/..")" >&2
  exit 1
fi
if [ -z "$root" ] && ! node -e 'const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null; then
  echo "install.sh: /usr/bin/node 20.19, 22.12 or newer is needed (Debian 13: apt-get install nodejs)" >&2
  exit 1
fi

put() { mkdir -p "$root$(dirname "$3")"; install -m "$1" "$2" "$root$3"; }

units=/etc/systemd/system
for unit in quorate.target quorate-executor.service quorate-agent.service drbd@.service.d/quorate.conf; do
  put 644 "$cluster/systemd/$unit" "$units/$unit"
done
put 644 "$cluster/host/chrony-quorate.conf" /etc/chrony/conf.d/quorate.conf
put 755 "$cluster/host/quorate" /usr/local/bin/quorate
mkdir -p "$root/etc/quorate"
chmod 750 "$root/etc/quorate"

[ "$watchdog" = none ] || "$cluster/host/softdog.sh" ${root:+--root "$root"}

if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  # Its rate is what the lease rests on: not from the next boot only.
  systemctl try-restart chrony.service 2>/dev/null || true
fi
