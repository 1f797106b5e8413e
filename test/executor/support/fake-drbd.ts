/**
 * `drbdadm` and `drbdsetup` as two shell scripts that speak as the captures of real DRBD 8.4 do. Their state is files:
 * `role`, `disk`, `peer`, `replication`, `progress` (what `status` says of the peer's volume beyond that), and switches: `refuse` (an exit code and a sentence for `primary`), `obeys-force` (but not for
 * `primary --force`), `held-open`, `hang`.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const DRBDADM = `#!/bin/sh
cd "$(dirname "$0")"
echo "drbdadm $*" >> calls
if [ -e hang ]; then while :; do sleep 60; done; fi
case "$1" in
  primary)
    if [ -e slow ]; then sleep "$(cat slow)"; fi
    if [ "$2" = --force ] && [ -e obeys-force ]; then
      echo UpToDate > disk
    elif [ -e refuse ]; then
      sed 1d refuse >&2
      exit "$(head -1 refuse)"
    fi
    echo Primary > role ;;
  secondary)
    if [ -e held-open ] || { [ -e service-pid ] && kill -0 "$(cat service-pid)" 2> /dev/null; }; then
      echo "0: State change failed: (-12) Device is held open by someone" >&2
      echo "Command 'drbdsetup-84 secondary 0' terminated with exit code 11" >&2
      exit 11
    fi
    echo Secondary > role ;;
  resume-io)
    cat disk > disk-when-resumed
    echo no > suspended ;;
  detach)
    echo Failed > disk
    if [ ! -e disk-hangs ]; then (sleep 0.2; echo Diskless > disk) > /dev/null 2>&1 & fi ;;
  attach) echo Consistent > disk ;;
  *) exit 1 ;;
esac
echo change > ticks
`;

const DRBDSETUP = `#!/bin/sh
cd "$(dirname "$0")"
dump() {
  role=$(cat role)
  echo "$1 resource name:r0 role:$role suspended:$(cat suspended)"
  echo "$1 connection name:r0 peer-node-id:0 conn-name:peer connection:$(cat connection) role:Secondary"
  echo "$1 device name:r0 volume:0 minor:0 disk:$(cat disk)"
  echo "$1 peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:$(cat replication) peer-disk:$(cat peer) resync-suspended:no"
}
echo "drbdsetup $*" >> calls
if [ -e hang ]; then while :; do sleep 60; done; fi
if [ -e unreadable ]; then exit 20; fi
case "$*" in
  "events2 --now r0")
    if [ -e down ]; then echo "exists -"; exit 0; fi
    dump exists
    echo "exists -" ;;
  "events2 r0")
    if [ -e no-follow ]; then exit 20; fi
    dump exists
    echo "exists -"
    seen=$(dump change)
    while :; do
      sleep 0.05
      now=$(dump change)
      if [ "$now" != "$seen" ]; then echo "$now"; seen=$now; fi
    done ;;
  "status r0 --verbose --statistics")
    if [ ! -e progress ]; then exit 20; fi
    echo "r0 role:$(cat role) suspended:$(cat suspended)"
    echo "  volume:0 minor:0 disk:$(cat disk)"
    echo "  peer connection:$(cat connection) role:Secondary congested:no"
    echo "    volume:0 replication:$(cat replication) peer-disk:$(cat peer) $(cat progress)" ;;
  *) exit 20 ;;
esac
`;

export class FakeDrbd {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
    for (const [name, text] of [
      ['drbdadm', DRBDADM],
      ['drbdsetup', DRBDSETUP],
    ] as const) {
      writeFileSync(join(directory, name), text);
      chmodSync(join(directory, name), 0o755);
    }
    this.set('role', 'Secondary');
    this.set('disk', 'UpToDate');
    this.set('peer', 'UpToDate');
    this.set('connection', 'Connected');
    this.set('suspended', 'no');
    this.set('replication', 'Established');
  }

  /** PATH that finds these tools first. */
  get path(): string {
    return `${this.directory}:${process.env.PATH ?? ''}`;
  }

  get role(): string {
    return this.get('role');
  }

  get(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8').trim();
  }

  set(name: string, value = ''): void {
    writeFileSync(join(this.directory, name), `${value}\n`);
  }

  clear(name: string): void {
    rmSync(join(this.directory, name), { force: true });
  }

  get calls(): string[] {
    const path = join(this.directory, 'calls');
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  }

  exists(name: string): boolean {
    return existsSync(join(this.directory, name));
  }

  /** As a crash: nothing is tidied up but what holds the device open. */
  killService(): void {
    process.kill(Number(this.get('service-pid')), 'SIGKILL');
    this.clear('service-pid');
  }
}
