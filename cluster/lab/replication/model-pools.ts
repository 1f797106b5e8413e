/** Two small pools of real ZFS in one guest, on files in its memory, for what is compared with the model. The replicated pool is left alone. */
import { ShellSubject } from '../../zfs-compare/index.ts';
import type { DataNode } from '../hosts.ts';
import type { Lab } from '../lab.ts';

const FOLDER = '/run/lab/model';
const POOLS = { a: 'model-a', b: 'model-b' } as const;
/** Of each file, which is sparse; a pool takes none below 64. */
const MIB = 96;
/** A script has six commands of ZFS at most, but for the renewal; each takes up to a second, and more beside other work. */
const SCRIPT_LIMIT_MS = 180_000;
/** A record of a stream; behind a run stands one more, of the package that it is in (libzfs, `send_conclusion_record`). */
const RECORD_BYTES = 312;
const SOME_OF_IT = 8;

/** Nothing is mounted but while it is written to, or read. */
const PROLOGUE = `
zfs_a() { zfs "$@"; }
zfs_b() { zfs "$@"; }
zpool_a() { zpool "$@"; }
zpool_b() { zpool "$@"; }
write_into() {
  # Without saying so it is mounted to be written to, whatever its property says.
  local how=rw
  [ "$(zfs get -H -o value readonly "$2")" = off ] || how=ro
  mount -t zfs -o $how "$2" ${FOLDER}/mnt || return
  printf %s "$3" >>${FOLDER}/mnt/data
  local written=$?
  umount ${FOLDER}/mnt && return $written
}
read_of() {
  mount -t zfs -o ro "$2" ${FOLDER}/mnt || return
  [ ! -e ${FOLDER}/mnt/data ] || cat ${FOLDER}/mnt/data
  umount ${FOLDER}/mnt
}
remove() {
  for pool in ${POOLS.a} ${POOLS.b}; do
    zpool list -H -o name "$pool" >/dev/null 2>&1 && { zpool destroy -f "$pool" || return; }
    rm -f "${FOLDER}/$pool"
  done
}
renew() {
  mkdir -p ${FOLDER}/mnt && remove || return
  for pool in ${POOLS.a} ${POOLS.b}; do
    truncate -s ${MIB}M "${FOLDER}/$pool" || return
    zpool create -o cachefile=none -o autotrim=on -O mountpoint=legacy -O atime=off "$pool" "${FOLDER}/$pool" || return
  done
}`;

export interface ModelPools {
  readonly subject: ShellSubject;
  remove(): Promise<void>;
}

export function modelPools(lab: Lab, node: DataNode): ModelPools {
  const run = (script: string): Promise<string> => lab.must(node, script, SCRIPT_LIMIT_MS);
  return {
    subject: new ShellSubject({
      pools: POOLS,
      run,
      prologue: PROLOGUE,
      renew: 'renew',
      folder: FOLDER,
      endBytes: { one: SOME_OF_IT, run: RECORD_BYTES + SOME_OF_IT },
    }),
    remove: async () => {
      await run(`${PROLOGUE}\numount -q ${FOLDER}/mnt; remove && rm -rf ${FOLDER}`);
    },
  };
}
