/** `quorate status`: the cluster as one node sees it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { StatusDocument } from '../admin/index.ts';
import { QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { paintFor, printJson } from './output.ts';
import { renderStatus } from './status-text.ts';

interface StatusOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

const WATCH_PERIOD_MS = 1000;

export function registerStatus(program: Command): void {
  withConnection(program.command('status').description('show leader, holder, nodes and resources'))
    .option('--json', 'print one JSON document')
    .option('--watch', 'show it again every second until interrupted')
    .action(async (options: StatusOptions) => {
      if (options.json === true && options.watch === true)
        throw new QuorateError('usage', '--json prints one document: it does not go with --watch');
      if (options.watch === true) await watch(options);
      else await show(options);
    });
}

async function show(options: StatusOptions): Promise<void> {
  const status = await withClient(options, (client) => client.status());
  if (options.json === true) printJson(documentOf(status));
  else process.stdout.write(`${renderStatus(status, paintFor(process.stdout)).join('\n')}\n`);
}

/** The contract's fields; `warnings` only where there are some. */
function documentOf({ warnings, ...status }: StatusDocument): object {
  return warnings.length === 0 ? status : { ...status, warnings };
}

async function watch(options: StatusOptions): Promise<never> {
  const paint = paintFor(process.stdout);
  const clear = process.stdout.isTTY === true ? '\u001b[H\u001b[J' : '';
  return withClient(options, async (client) => {
    for (;;) {
      const lines = await client.status().then(
        (status) => renderStatus(status, paint),
        (error: unknown) => {
          if (!(error instanceof QuorateError)) throw error;
          // The agent may be back in a moment: that is what one watches for.
          return [paint('red', error.oneLine)];
        },
      );
      process.stdout.write(`${clear}${lines.join('\n')}\n${clear === '' ? '\n' : ''}`);
      await sleep(WATCH_PERIOD_MS);
    }
  });
}
