/**
 * The commands that the `service` resource runs to start, stop and probe the store. Bash, because starting it costs
 * 2 ms. Exit codes of the probe: 0 runs, 3 does not run, 2 unknown.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface StoreScripts {
  readonly start: string;
  readonly stop: string;
  readonly probe: string;
}

const ask = (command: string, seconds: string): string => `printf '${command}\\n' >&3
  read -r -t ${seconds} answer <&3`;

const start = ({ host, port }: Address): string => `#!/bin/bash
# Returns when the store listens on port 2. Right after boot its process may still be starting.
for ((try = 0; try < 100; try++)); do
  { exec 3<>/dev/tcp/${host}/${port}; } 2>/dev/null || { sleep 0.02; continue; }
  ${ask('start', '10')}
  [ "$answer" = ok ] && exit 0
  echo "store: \${answer:-no answer}" >&2
  exit 1
done
echo 'store: its process does not run' >&2
exit 1
`;

const stop = ({ host, port }: Address, pidFile: string): string => `#!/bin/bash
# Returns when no client is served and the device is released. What does not answer is killed.
{ exec 3<>/dev/tcp/${host}/${port}; } 2>/dev/null || exit 0
${ask('stop', '0.1')}
[ "$answer" = ok ] && exit 0
pid=$(<${pidFile}) && kill -9 "$pid" 2>/dev/null
for ((try = 0; try < 200; try++)); do
  kill -0 "$pid" 2>/dev/null || exit 0
  read -r state <"/proc/$pid/stat" 2>/dev/null || exit 0
  [[ $state == *') Z '* ]] && exit 0
  sleep 0.005
done
exit 1
`;

const probe = ({ host, port }: Address): string => `#!/bin/bash
{ exec 3<>/dev/tcp/${host}/${port}; } 2>/dev/null || { echo 'does not run'; exit 3; }
${ask('probe', '0.5')}
case $answer in
  running) echo runs; exit 0 ;;
  idle) echo 'does not run'; exit 3 ;;
  *) echo 'no answer'; exit 2 ;;
esac
`;

export function writeStoreScripts(directory: string, control: Address, pidFile: string): StoreScripts {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o755 });
    return path;
  };
  return {
    start: write('store-start', start(control)),
    stop: write('store-stop', stop(control, pidFile)),
    probe: write('store-probe', probe(control)),
  };
}
