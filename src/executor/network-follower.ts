/**
 * Follows what the kernel says of interfaces and addresses (`ip monitor`), so that a cable that is pulled or an address that
 * somebody deletes is looked at when it happens, and not at the next probe. A hint to look, never a finding.
 */
import type { Clock } from '../clock.ts';
import type { CommandRunner } from '../resources/index.ts';
import { Follower } from './follower.ts';

export class NetworkFollower {
  readonly #follower: Follower;

  /** `onChange` is told of every line about one of these interfaces; a host with containers says much about others. */
  constructor(
    interfaces: ReadonlySet<string>,
    runner: Pick<CommandRunner, 'follow'>,
    clock: Clock,
    onChange: () => void,
  ) {
    this.#follower = new Follower(['ip', '-o', 'monitor', 'link', 'address'], runner, clock, {
      onLine: (line) => {
        const name = interfaceOf(line);
        if (name !== null && interfaces.has(name)) onChange();
      },
    });
  }

  start(): void {
    this.#follower.start();
  }

  close(): void {
    this.#follower.close();
  }
}

/** As "3: eth1: <NO-CARRIER,…", "3: eth1@if2: <…", "Deleted 3: eth1    inet 10.0.0.5/24 …". */
export function interfaceOf(line: string): string | null {
  const [, name] = /^(?:Deleted )?\d+: ([^\s:@]+)(?:@[^\s:]+)?:?\s/.exec(line) ?? [];
  return name ?? null;
}
