/** Outlives the process that made a test network just long enough to leave nothing behind, however that one ended. */
import { rmSync } from 'node:fs';
import { killProcesses, serveParent } from '../local/node/index.ts';
import { removeNamespacesOf } from './namespaces.ts';

export interface KeeperCommand {
  readonly kind: 'keep';
  /** Of the processes on its hosts. */
  readonly tags: readonly string[];
  /** To be removed too; null: it is somebody else's. */
  readonly directory: string | null;
}

export function runKeeper(): void {
  const maker = process.ppid;
  const tags = new Set<string>();
  const directories = new Set<string>();
  serveParent<KeeperCommand>(
    async (command) => {
      for (const tag of command.tags) tags.add(tag);
      if (command.directory !== null) directories.add(command.directory);
    },
    () => {
      for (const tag of tags) killProcesses(tag);
      removeNamespacesOf(maker);
      for (const directory of directories) rmSync(directory, { recursive: true, force: true });
    },
  );
}
