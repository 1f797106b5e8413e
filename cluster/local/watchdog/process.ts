/** All watchdogs of a local cluster in one process; it cuts the power itself, so a busy parent delays nothing. */
import { assertNever } from '../../../src/core/index.ts';
import { serveParent } from '../node/parent.ts';
import { killProcesses } from '../node/processes.ts';
import { Watchdog } from './watchdog.ts';

export type WatchdogCommand =
  | {
      readonly kind: 'add';
      readonly node: string;
      readonly tag: string;
      readonly socket: string;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'disarm'; readonly node: string };

export interface WatchdogFired {
  readonly kind: 'fired';
  readonly node: string;
}

export function runWatchdogs(): void {
  const watchdogs = new Map<string, Watchdog>();
  const tags = new Set<string>();
  // The host process may have been killed outright: this one outlives it long enough to leave nothing behind.
  const cleanUp = (): void => {
    for (const tag of tags) killProcesses(tag);
  };
  serveParent<WatchdogCommand>(async (command) => {
    switch (command.kind) {
      case 'add': {
        const { node, tag, socket, timeoutMs } = command;
        const fire = (): void => {
          killProcesses(tag);
          process.send?.({ kind: 'fired', node } satisfies WatchdogFired);
        };
        const watchdog = new Watchdog({ socket, timeoutMs, fire });
        tags.add(tag);
        watchdogs.set(node, watchdog);
        return watchdog.listen();
      }
      case 'disarm':
        return watchdogs.get(command.node)?.disarm();
      default:
        return assertNever(command);
    }
  }, cleanUp);
}
