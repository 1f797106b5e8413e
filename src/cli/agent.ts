/** `quorate agent`: runs a node in the foreground until SIGTERM. */
import { type Command, Option } from 'commander';
import { loadConfig } from '../config/index.ts';

interface AgentOptions {
  readonly config: string;
  readonly node?: string;
  readonly selfFence: 'off' | 'sysrq';
}

export function registerAgent(program: Command): void {
  program
    .command('agent')
    .description('run a node (foreground; SIGTERM hands over, releases and ends)')
    .requiredOption('--config <file>', 'config file')
    .option('--node <id>', 'which member this node is, where the file does not say it')
    .addOption(
      new Option(
        '--self-fence <how>',
        'what happens to a host whose release outlives its time, and to who keeps a mount busy: nothing; or sysrq: a reboot at once, and a kill (R1)',
      )
        .choices(['off', 'sysrq'])
        .default('off'),
    )
    .action(async ({ config, node, selfFence }: AgentOptions) => {
      const loaded = loadConfig(config, { node });
      const { runAgent } = await import('../agent/index.ts');
      // The agent has ended: what still keeps the event loop busy must not keep the process.
      process.exit(await runAgent(loaded, selfFence));
    });
}
