/** `quorate bootstrap`: the operator says whose data is good, and the cluster begins (H7). */
import type { Command } from 'commander';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { parseNodeOption } from './node-option.ts';
import { printJson } from './output.ts';

interface BootstrapOptions extends ConnectionOptions {
  readonly inSync: readonly string[];
  readonly json?: boolean;
}

export function registerBootstrap(program: Command): void {
  withConnection(program.command('bootstrap').description('start a new cluster; run once, on one node'))
    .requiredOption('--in-sync <node...>', 'the data nodes whose data is good; they may hold')
    .option('--json', 'print one JSON document')
    .action(async (options: BootstrapOptions) => {
      const nodes = options.inSync.flatMap((value) => value.split(','));
      const inSync = [...new Set(nodes.map((value) => parseNodeOption('--in-sync', value)))];
      await withClient(options, (client) => client.bootstrap(inSync));
      if (options.json === true) printJson({ bootstrapped: true, inSync });
      else process.stdout.write(`the cluster begins, in sync: ${inSync.join(' ')}\n`);
    });
}
