/** `quorate switchover`: moves the resources to another data node, in order. */
import { type Command, InvalidArgumentError } from 'commander';
import type { SwitchoverCheck, SwitchoverOutcome } from '../admin/index.ts';
import { QuorateError } from '../errors.ts';
import { checksAndSteps, doneBefore, idNotKept } from './checks-text.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { withEpochWhereNeeded } from './epoch-needed.ts';
import { parseNodeOption } from './node-option.ts';
import { type OrderWords, withOrder } from './order-options.ts';
import { humanMs, type Paint, paintFor, printJson } from './output.ts';
import { laterOf, runLater } from './switchover-later.ts';

export interface SwitchoverOptions extends ConnectionOptions, OrderWords {
  readonly to?: string;
  readonly at?: string;
  readonly in?: string;
  readonly cancel?: boolean;
  readonly why: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly timeout: number;
}

/** A little longer than the agent itself waits, so that its answer arrives. */
export const DEFAULT_TIMEOUT_S = 65;
const MAX_TIMEOUT_S = 3600;

export function registerSwitchover(program: Command): void {
  withOrder(
    withConnection(program.command('switchover').description('hand the resources over to another data node')),
    true,
  )
    .option('--to <node>', 'the node to take over; without it, the best one')
    .option(
      '--at <time>',
      'at that time, by whoever leads then: 2026-01-02T03:04:05Z (UTC where no zone is given)',
    )
    .option('--in <duration>', 'the same, that long from now: 90min (s, min, h, d)')
    .option('--cancel', 'call off the one that is scheduled, unless it has begun')
    .option('--why <reason>', 'of one that is scheduled or called off, for the log', '')
    .option('--dry-run', 'only say what would be done, and whether it could be')
    .option('--timeout <seconds>', 'how long to wait for the end', parseSeconds, DEFAULT_TIMEOUT_S)
    .option('--json', 'print one JSON document')
    .action(async (options: SwitchoverOptions) => {
      const later = laterOf(options);
      if (later !== null) return runLater(later, options);
      const to = options.to === undefined ? null : parseNodeOption('--to', options.to);
      const dryRun = options.dryRun === true;
      const timeoutMs = options.timeout * 1000;
      const outcome = await withClient(options, (client) =>
        withEpochWhereNeeded(client, options, (order) =>
          client.switchover({ to, dryRun, timeoutMs, ...order }),
        ),
      );
      if (options.json === true) printJson(outcome);
      else process.stdout.write(`${renderSwitchover(outcome, paintFor(process.stdout)).join('\n')}\n`);
      failOnChecks(outcome.checks);
    });
}

/** @throws QuorateError `refused-unsafe` that names every check that failed */
export function failOnChecks(checks: readonly SwitchoverCheck[]): void {
  const failed = checks.filter((check) => !check.ok);
  if (failed.length > 0)
    throw new QuorateError(
      'refused-unsafe',
      failed.map(({ name, detail }) => `${name}: ${detail}`).join('; '),
    );
}

export function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!(seconds >= 1 && seconds <= MAX_TIMEOUT_S))
    throw new InvalidArgumentError(`1 to ${MAX_TIMEOUT_S} seconds`);
  return seconds;
}

export function renderSwitchover(outcome: SwitchoverOutcome, paint: Paint): string[] {
  const { from, to, epoch, totalMs } = outcome;
  const head = outcome.dryRun
    ? `would move from ${from ?? 'nobody'} to ${to}`
    : `moved from ${from ?? 'nobody'} to ${to}, epoch ${epoch ?? '?'}${totalMs === null ? '' : `, ${humanMs(totalMs)}`}`;
  return [...doneBefore(outcome), head, ...idNotKept(outcome), ...checksAndSteps(outcome, paint)];
}
