/** What the commands of `quorate replication diverged` have in common: they look at the pools of this host themselves. */
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { type Config, loadConfig } from '../config/index.ts';
import type { AsideParts } from '../replication/index.ts';

export interface KeptOptions {
  readonly config: string;
  readonly node?: string;
  readonly json?: boolean;
}

export type KeptParts = Omit<AsideParts, 'mayChange'>;

const END_LIMIT_MS = 100;

export function withKeptConfig(command: Command): Command {
  return command
    .requiredOption('--config <file>', 'config file of the data node of this host')
    .option('--node <id>', 'the node, where the config file does not say it')
    .option('--json', 'print one JSON document');
}

export async function withPools(
  options: KeptOptions,
  act: (config: Config, parts: KeptParts) => Promise<void>,
): Promise<void> {
  const config = loadConfig(options.config, { node: options.node });
  const { ChildRunner } = await import('../executor/index.ts');
  const commands = new ChildRunner(`diverged of ${config.dataDir}`, systemClock);
  const ending = new AbortController();
  try {
    await act(config, { commands, clock: systemClock, signal: ending.signal });
  } finally {
    ending.abort();
    await commands.killInFlight(END_LIMIT_MS);
  }
}
