/** Outlives the process that made a test network just long enough to leave nothing behind, however that one ended. */
import { killProcesses, serveParent } from '../local/node/index.ts';
import { removeNamespacesOf } from './namespaces.ts';

export interface KeeperCommand {
  readonly kind: 'keep';
  /** Of the processes on its hosts. */
  readonly tags: readonly string[];
}

export function runKeeper(): void {
  const maker = process.ppid;
  const tags = new Set<string>();
  serveParent<KeeperCommand>(
    async (command) => {
      for (const tag of command.tags) tags.add(tag);
    },
    () => {
      for (const tag of tags) killProcesses(tag);
      removeNamespacesOf(maker);
    },
  );
}
