/**
 * DRBD stand-in: `drbdadm` and `drbdsetup` for a node's PATH. Bash, because starting it costs 2 ms where node costs 45:
 * the agent calls them in the takeover path.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoint } from './peer-channel.ts';

const script = (program: string, { host, port }: Endpoint): string => `#!/bin/bash
# Stand-in for ${program} (drbd-utils): asks the node's DRBD stand-in. Not DRBD.
exec 3<>/dev/tcp/${host}/${port} || { echo "Could not connect to the DRBD stand-in" >&2; exit 20; }
line=${program}
for word in "$@"; do line+=$'\\t'$word; done
printf '%s\\n' "$line" >&3
while IFS= read -r line <&3; do
  case $line in
    1*) printf '%s\\n' "\${line:1}" ;;
    2*) printf '%s\\n' "\${line:1}" >&2 ;;
    =*) exit "\${line:1}" ;;
  esac
done
exit 20
`;

export function writeShims(directory: string, control: Endpoint): void {
  mkdirSync(directory, { recursive: true });
  for (const program of ['drbdadm', 'drbdsetup']) {
    writeFileSync(join(directory, program), script(program, control), { mode: 0o755 });
  }
}
