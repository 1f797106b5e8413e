/** `quorate status`: the cluster as one node sees it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AdminClient, StatusDocument } from '../admin/index.ts';
import { QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { paintFor, printJson, TERMINAL_COLUMNS, wrap } from './output.ts';
import { renderStatus } from './status-text.ts';

interface StatusOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

/** Until a lost agent is asked again, and between two questions to one that does not tell by itself. */
const WATCH_PERIOD_MS = 1000;

export function registerStatus(program: Command): void {
  withConnection(program.command('status').description('show leader, holder, nodes and resources'))
    .option('--json', 'print one JSON document')
    .option('--watch', 'show it again whenever it changes, until interrupted')
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
  else process.stdout.write(`${renderStatus(status, paintFor(process.stdout), Date.now()).join('\n')}\n`);
}

/** The contract's fields; `scheduled`, `resync`, `replication` and `warnings` only where there is something. */
function documentOf({ warnings, scheduled, resync, replication, ...status }: StatusDocument): object {
  return {
    ...status,
    ...(scheduled === null ? {} : { scheduled }),
    ...(resync.length === 0 ? {} : { resync }),
    ...(replication.length === 0 ? {} : { replication }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

async function watch(options: StatusOptions): Promise<void> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, end);
  try {
    await withClient(options, (client) => follow(client, new Screen(), ending.signal));
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}

/** The agent may be away and back in a moment: that is what one watches for. Other mistakes last, and end it. */
async function follow(client: AdminClient, screen: Screen, signal: AbortSignal): Promise<void> {
  let tellsByItself = true;
  while (!signal.aborted) {
    try {
      if (tellsByItself) for await (const status of client.watchStatus(signal)) screen.show(status);
      else screen.show(await client.status());
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      if (error.code === 'not-authorised') throw error;
      if (error.code === 'watch-unknown') {
        tellsByItself = false;
        screen.note = `${error.message}: it is asked every second`;
        continue;
      }
      screen.fail(error);
    }
    await sleep(WATCH_PERIOD_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** A terminal is drawn anew; a file or a pipe gets one block after the other, each of them once. */
class Screen {
  readonly #paint = paintFor(process.stdout);
  readonly #isTerminal = process.stdout.isTTY === true;
  #shown = '';
  /** Shown above the status. */
  note: string | null = null;

  show(status: StatusDocument): void {
    // What is left of the lease, and the age of a copy, were true for a moment.
    const lines = renderStatus({ ...status, lease: { remainingMs: null } }, this.#paint, null);
    const note = this.note === null ? [] : wrap(this.note, TERMINAL_COLUMNS);
    this.#draw([...note.map((line) => this.#paint('yellow', line)), ...lines]);
  }

  fail(error: QuorateError): void {
    this.#draw(wrap(error.oneLine, TERMINAL_COLUMNS).map((line) => this.#paint('red', line)));
  }

  #draw(lines: readonly string[]): void {
    const text = lines.join('\n');
    if (text === this.#shown) return;
    this.#shown = text;
    process.stdout.write(this.#isTerminal ? `\u001b[H\u001b[J${text}\n` : `${text}\n\n`);
  }
}
