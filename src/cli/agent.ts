/** `quorate agent`: runs a node in the foreground until SIGTERM. */
import type { Command } from 'commander';
import { loadConfig } from '../config/index.ts';

interface AgentOptions {
  readonly config: string;
  readonly node?: string;
}

export function registerAgent(program: Command): void {
  program
    .command('agent')
    .description('run a node (foreground; SIGTERM hands over, releases and ends)')
    .requiredOption('--config <file>', 'config file')
    .option('--node <id>', 'which member this node is, where the file does not say it')
    .action(async ({ config, node }: AgentOptions) => {
      const loaded = loadConfig(config, { node });
      const { runAgent } = await import('../agent/index.ts');
      // The agent has ended: what still keeps the event loop busy must not keep the process.
      process.exit(await runAgent(loaded));
    });
}
