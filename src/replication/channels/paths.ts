/** What the SSH channel keeps, all of it in the data directory and of its owner only. */
import { join } from 'node:path';

export interface SshPaths {
  readonly directory: string;
  readonly key: string;
  readonly publicKey: string;
  readonly knownHosts: string;
}

export function sshPaths(dataDir: string): SshPaths {
  const directory = join(dataDir, 'replication');
  return {
    directory,
    key: join(directory, 'ssh_key'),
    publicKey: join(directory, 'ssh_key.pub'),
    knownHosts: join(directory, 'known_hosts'),
  };
}

/** The name that a node's host keys are pinned by: of the node, whatever address it is reached by. */
export const hostKeyAlias = (cluster: string, node: string): string =>
  `quorate-${cluster}-${node}`.toLowerCase();
