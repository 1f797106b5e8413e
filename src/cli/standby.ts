/** `quorate standby NODE` and `quorate activate NODE`: a data node that holds nothing until somebody says so. */
import type { Command } from 'commander';
import type { StandbyOutcome } from '../admin/index.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { parseNodeOption } from './node-option.ts';
import { type OrderWords, orderOf, withOrder } from './order-options.ts';
import { paintFor, printJson } from './output.ts';
import { DEFAULT_TIMEOUT_S, parseSeconds, renderSwitchover } from './switchover.ts';

interface StandbyOptions extends ConnectionOptions, OrderWords {
  readonly why?: string;
  readonly json?: boolean;
  readonly timeout: number;
}

export function registerStandby(program: Command): void {
  register(program, true, 'let a data node hold nothing; if it holds, it hands over first');
}

export function registerActivate(program: Command): void {
  register(program, false, 'let a data node hold again');
}

function register(program: Command, standby: boolean, description: string): void {
  withOrder(
    withConnection(
      program
        .command(standby ? 'standby' : 'activate')
        .argument('<node>', 'a data node')
        .description(description),
    ),
    true,
  )
    .option('--why <text>', 'the reason, for the log')
    .option('--timeout <seconds>', 'how long to wait for the end', parseSeconds, DEFAULT_TIMEOUT_S)
    .option('--json', 'print one JSON document')
    .action(async (word: string, options: StandbyOptions) => {
      const node = parseNodeOption('NODE', word);
      const timeoutMs = options.timeout * 1000;
      const request = { node, standby, why: options.why ?? '', timeoutMs, ...orderOf(options) };
      const outcome = await withClient(options, (client) => client.standby(request));
      if (options.json === true) printJson(outcome);
      else process.stdout.write(`${render(outcome).join('\n')}\n`);
    });
}

function render({ node, standby, changed, index, moved, alreadyDone }: StandbyOutcome): string[] {
  const is = standby ? 'on standby' : 'active';
  if (!changed) return [`${node} was ${is} already: nothing done`];
  if (alreadyDone)
    return [
      `${node} was made ${standby ? 'standby' : 'active'} before, by this request (entry ${index ?? '?'}): nothing done`,
    ];
  const until = standby ? `: it holds nothing until "quorate activate ${node}"` : '';
  const head = `${node} is ${is} (entry ${index ?? '?'})${until}`;
  return moved === null ? [head] : [head, ...renderSwitchover(moved, paintFor(process.stdout))];
}
