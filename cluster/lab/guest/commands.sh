#!/bin/bash
# The lab's way in, one process for each connection. Requests are lines:
#   look         what the kernel says, in one line, without starting a process: it is asked many times a second
#   run LENGTH   then LENGTH characters of a shell command; its output, then a line "rc N"
while IFS= read -r request; do
  case $request in
    look)
      drbd='' writes=''
      [[ -r /proc/drbd ]] && IFS= read -r -d '' drbd </proc/drbd
      for volume in 0 1; do
        [[ -r /sys/block/drbd$volume/stat ]] || continue
        read -r -a stat </sys/block/drbd$volume/stat
        writes=$((writes + stat[4]))
      done
      read -r uptime _ </proc/uptime
      printf '%s|%s|%s\n' "$uptime" "$writes" "${drbd//$'\n'/ }"
      ;;
    run\ *)
      IFS= read -r -N "${request#run }" command
      (exec 2>&1 </dev/null; eval "$command")
      printf '\nrc %s\n' $?
      ;;
    *) exit 1 ;;
  esac
done
