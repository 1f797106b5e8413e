/** NFS and iSCSI as resources of the config, as docs/services.md has them, with scripts in the place of units. Pure. */

/** In QEMU's guests, which alone have what these need. */
const SERVE_FOLDER = '/opt/quorate/guest/serve';
/** nfsd, rpcbind, rpc.mountd. */
const NFS_PORTS = ['2049/tcp', '111/tcp', '20048/tcp', '20048/udp'] as const;
const ISCSI_PORT = '3260/tcp';

export interface Export {
  /** The mount point of a file system. */
  readonly folder: string;
  /** The resource that mounts it. */
  readonly after: string;
  /** A volume beside it, for an iSCSI target. */
  readonly hasDisk: boolean;
}

type ResourceSection = Readonly<Record<string, unknown>>;

export function fileServices({ folder, after, hasDisk }: Export): readonly ResourceSection[] {
  const served = ['nfs', ...(hasDisk ? ['target'] : [])];
  return [
    service('nfs', after, 'nfs.sh', folder),
    ...(hasDisk ? [service('target', after, 'iscsi.sh')] : []),
    // The last one, so that a release shuts it first.
    {
      name: 'door',
      kind: 'port-block',
      addresses: [],
      ports: [...NFS_PORTS, ...(hasDisk ? [ISCSI_PORT] : [])],
      after: [...served, 'store', 'eip'],
    },
  ];
}

function service(name: string, after: string, script: string, ...words: readonly string[]): ResourceSection {
  const command = (verb: string): readonly string[] => [`${SERVE_FOLDER}/${script}`, verb, ...words];
  return {
    ...{ name, kind: 'service', after: [after, 'port2'] },
    start: command('start'),
    stop: command('stop'),
    probe: command('probe'),
  };
}
