/** `quorate pause` and `quorate resume`: nothing is taken over and nothing moves by itself, until somebody says so (H7). */
import type { Command } from 'commander';
import type { PauseOutcome } from '../admin/index.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { type OrderWords, orderOf, withOrder } from './order-options.ts';
import { printJson } from './output.ts';

interface PauseOptions extends ConnectionOptions, OrderWords {
  readonly why?: string;
  readonly json?: boolean;
}

export function registerPause(program: Command): void {
  register(program, true, 'take nothing over and move nothing by itself; the holder goes on');
}

export function registerResume(program: Command): void {
  register(program, false, 'take over by itself again');
}

function register(program: Command, paused: boolean, description: string): void {
  withOrder(withConnection(program.command(paused ? 'pause' : 'resume').description(description)), false)
    .option('--why <text>', 'the reason, for the log')
    .option('--json', 'print one JSON document')
    .action(async (options: PauseOptions) => {
      const why = options.why ?? '';
      const outcome = await withClient(options, (client) =>
        client.pause({ paused, why, ...orderOf(options) }),
      );
      if (options.json === true) printJson(outcome);
      else process.stdout.write(`${render(outcome).join('\n')}\n`);
    });
}

function render({ paused, changed, index, since, alreadyDone }: PauseOutcome): string[] {
  if (alreadyDone)
    return [`${paused ? 'paused' : 'resumed'} before, by this request (entry ${index ?? '?'}): nothing done`];
  if (!paused)
    return [
      changed ? `resumed (entry ${index ?? '?'}): takeovers as ever` : 'it was not paused: nothing done',
    ];
  const who = since === null ? '' : ` by ${since.who}${since.at === null ? '' : `, ${since.at}`}`;
  return [
    changed ? `paused (entry ${index ?? '?'})` : `it was paused already${who}: nothing done`,
    'The holder goes on, and releases when its lease is lost; then nobody holds until "quorate resume".',
  ];
}
