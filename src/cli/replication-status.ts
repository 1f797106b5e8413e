/** `quorate replication status` and `run`: what the node that sends says of it, live where somebody looks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { AdminClient, ReplicationDocument } from '../admin/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { ExitWith } from './exit-with.ts';
import { paintFor, printJson } from './output.ts';
import { renderReplication } from './replication-status-text.ts';

interface StatusOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

interface RunOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly wait?: boolean;
  readonly timeout: number;
}

const WATCH_PERIOD_MS = 1000;
const POLL_MS = 500;
const DEFAULT_TIMEOUT_S = 3600;

export function registerReplicationStatus(group: Command): void {
  withConnection(
    group
      .command('status')
      .description(
        'show how far the copy of each dataset is; exit code 1 where one is in conflict or has failed',
      ),
  )
    .option('--json', 'print one JSON document')
    .option('--watch', 'show it again every second until interrupted')
    .action(async (options: StatusOptions) => {
      if (options.json === true && options.watch === true)
        throw new QuorateError('usage', '--json prints one document: it does not go with --watch');
      await withClient(options, (client) =>
        options.watch === true ? watch(client) : show(client, options.json === true),
      );
    });
  withConnection(
    group
      .command('run')
      .argument('[dataset]', 'only this one')
      .description('take snapshots and send them now, and show how that goes'),
  )
    .option('--json', 'print one JSON document, when it has ended')
    .option('--no-wait', 'do not wait for its end')
    .option('--timeout <seconds>', 'how long to wait for its end', parseSeconds, DEFAULT_TIMEOUT_S)
    .action(async (dataset: string | undefined, options: RunOptions) => {
      await withClient(options, (client) => run(client, dataset ?? null, options));
    });
}

async function show(client: AdminClient, isJson: boolean): Promise<void> {
  const document = await client.replication();
  print(document, isJson);
  if (isInTrouble(document, null)) throw new ExitWith(EXIT.failed);
}

function print(document: ReplicationDocument, isJson: boolean): void {
  if (isJson) return printJson(document);
  const lines = renderReplication(document, Date.now(), paintFor(process.stdout));
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function watch(client: AdminClient): Promise<never> {
  const paint = paintFor(process.stdout);
  for (;;) {
    const lines = await client.replication().then(
      (document) => renderReplication(document, Date.now(), paint),
      (error: unknown) => {
        if (!(error instanceof QuorateError)) throw error;
        // The agent may be back in a moment: that is what one watches for.
        return [paint('red', error.oneLine)];
      },
    );
    process.stdout.write(`${clear()}${lines.join('\n')}\n${clear() === '' ? '\n' : ''}`);
    await sleep(WATCH_PERIOD_MS);
  }
}

/** Only on a terminal; elsewhere one sees the documents one after another. */
const clear = (): string => (process.stdout.isTTY === true ? '\u001b[H\u001b[J' : '');

async function run(client: AdminClient, dataset: string | null, options: RunOptions): Promise<void> {
  const round = await client.runReplication(dataset);
  const isJson = options.json === true;
  if (options.wait === false) {
    if (isJson) printJson({ round });
    else
      process.stdout.write(`round ${round} will have it: "quorate replication status" shows how far it is\n`);
    return;
  }
  const until = Date.now() + options.timeout * 1000;
  for (;;) {
    const document = await client.replication();
    if (!document.isSending)
      throw new QuorateError('replication-not-sending', `${document.observer} does not send any more`);
    if (isOver(document, dataset, round)) {
      if (process.stdout.isTTY === true && !isJson) process.stdout.write(clear());
      print(document, isJson);
      if (isInTrouble(document, dataset)) throw new ExitWith(EXIT.failed);
      return;
    }
    if (Date.now() >= until)
      throw new QuorateError(
        'timed-out-unknown',
        `round ${round} has not ended in ${options.timeout} s: it goes on`,
      );
    if (process.stdout.isTTY === true && !isJson) {
      process.stdout.write(clear());
      print(document, false);
    }
    await sleep(POLL_MS);
  }
}

const concerned = ({ datasets }: ReplicationDocument, dataset: string | null) =>
  datasets.filter((one) => dataset === null || one.dataset === dataset);

/** The round after it has begun, or everything of it has come to its end. */
function isOver(document: ReplicationDocument, dataset: string | null, round: number): boolean {
  if (document.round.number > round) return true;
  if (document.round.number < round) return false;
  return concerned(document, dataset).every(({ state }) => state !== 'sending' && state !== 'waiting');
}

function isInTrouble(document: ReplicationDocument, dataset: string | null): boolean {
  const states = concerned(document, dataset).map(({ state }) => state);
  return (
    document.round.problem !== null || states.some((state) => state === 'failed' || state === 'conflict')
  );
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!/^\d{1,6}$/.test(value) || seconds === 0) throw new InvalidArgumentError('seconds, as 3600');
  return seconds;
}
