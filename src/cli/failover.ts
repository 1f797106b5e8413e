/** `quorate failover`: an operator lets a node hold that is not in sync, and accepts what is lost by that (O3). */
import type { Command } from 'commander';
import type { AdminClient, FailoverOutcome } from '../admin/index.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { checksAndSteps, doneBefore, idNotKept } from './checks-text.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { withEpochWhereNeeded } from './epoch-needed.ts';
import { parseNodeOption } from './node-option.ts';
import { type OrderWords, withOrder } from './order-options.ts';
import { humanMs, paintFor, printJson } from './output.ts';
import { DEFAULT_TIMEOUT_S, failOnChecks, parseSeconds } from './switchover.ts';

interface FailoverOptions extends ConnectionOptions, OrderWords {
  readonly to: string;
  readonly acceptDataLoss?: boolean;
  readonly why?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly timeout: number;
}

export function registerFailover(program: Command): void {
  withOrder(
    withConnection(
      program
        .command('failover')
        .description('let a data node hold whose data is old, when the nodes in sync are gone for good'),
    ),
    true,
  )
    .requiredOption('--to <node>', 'the node that shall hold')
    .option('--accept-data-loss', 'what the node does not have is lost: without this, nothing is done')
    .option('--why <text>', 'the reason, for the log')
    .option('--dry-run', 'only say what would be done, what may be lost, and whether it could be')
    .option('--timeout <seconds>', 'how long to wait for the end', parseSeconds, DEFAULT_TIMEOUT_S)
    .option('--json', 'print one JSON document')
    .action(runFailover);
}

async function runFailover(options: FailoverOptions): Promise<void> {
  const to = parseNodeOption('--to', options.to);
  const dryRun = options.dryRun === true;
  const acceptDataLoss = options.acceptDataLoss === true;
  const request = { to, dryRun, acceptDataLoss, why: options.why ?? '', timeoutMs: options.timeout * 1000 };
  const outcome = await withClient(options, async (client) => {
    if (!dryRun && !acceptDataLoss) throw await refusal(client, to);
    return withEpochWhereNeeded(client, options, (order) => client.failover({ ...request, ...order }));
  });
  if (options.json === true) printJson(outcome);
  else process.stdout.write(`${render(outcome).join('\n')}\n`);
  failOnChecks(outcome.checks);
}

/** Names what may be lost, where the agent can say it; a usage error in any case, before anything is asked for. */
async function refusal(client: AdminClient, to: NodeId): Promise<QuorateError> {
  const question = { to, dryRun: true, acceptDataLoss: false, why: '', timeoutMs: 5000 };
  const mayLose = await client.failover(question).then(
    (outcome) => outcome.mayLose,
    () => `every write that others acknowledged and ${to} does not have (--dry-run says since when)`,
  );
  return new QuorateError(
    'usage',
    `a failover to ${to} needs --accept-data-loss: what may be lost is ${mayLose}`,
  );
}

function render(outcome: FailoverOutcome): string[] {
  const { dryRun, to, mayLose, forcedAt, epoch, totalMs } = outcome;
  const paint = paintFor(process.stdout);
  const head = dryRun
    ? `would force ${to} to hold`
    : `forced ${to} to hold (entry ${forcedAt ?? '?'}), epoch ${epoch ?? '?'}${totalMs === null ? '' : `, ${humanMs(totalMs)}`}`;
  return [
    ...doneBefore(outcome),
    head,
    `${dryRun ? 'may be lost' : 'given up'}: ${mayLose}`,
    ...idNotKept(outcome),
    // Somebody is about to give data up: no sentence is cut short.
    ...checksAndSteps(outcome, paint, Number.POSITIVE_INFINITY),
  ];
}
