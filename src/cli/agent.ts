/** `quorate agent`: runs a node in the foreground until SIGTERM. */
import { spawn } from 'node:child_process';
import { type Command, Option } from 'commander';
import { loadConfig } from '../config/index.ts';
import { EXIT } from '../errors.ts';

interface AgentOptions {
  readonly config: string;
  readonly node?: string;
  readonly selfFence: 'off' | 'sysrq';
  readonly supervised: boolean;
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
    .option(
      '--supervised',
      'after "quorate restart" something else starts it again (true below systemd)',
      false,
    )
    .action(async ({ config, node, selfFence, supervised }: AgentOptions) => {
      const loaded = loadConfig(config, { node });
      const { runAgent } = await import('../agent/index.ts');
      // The agent has ended: what still keeps the event loop busy must not keep the process.
      const code = await runAgent(loaded, selfFence);
      process.exit(code === EXIT.restart && !isSupervised(supervised) ? startNext() : code);
    });
}

/** systemd sets it for every service, and starts the unit again. */
function isSupervised(isSaid: boolean): boolean {
  return isSaid || process.env.INVOCATION_ID !== undefined;
}

/** L7, from a shell: the same command line as a process of its own, of whatever version the program is by now. */
function startNext(): number {
  const next = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit' });
  next.unref();
  process.stderr.write(`quorate: the agent goes on as process ${next.pid ?? '?'}\n`);
  return next.pid === undefined ? EXIT.failed : EXIT.done;
}
