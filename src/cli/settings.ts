/** `quorate settings`: the timing of the running cluster (L8). */
import type { Command } from 'commander';
import type { SettingsDocument, SettingsOutcome } from '../admin/index.ts';
import { parseDuration } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { type OrderWords, orderOf, withOrder } from './order-options.ts';
import { printJson } from './output.ts';
import { parseSeconds } from './switchover.ts';

const DEFAULT_WAIT_S = 30;
const MAX_WAIT_S = 600;

/** What stands before the "=", and its field on the wire. */
const KEYS = {
  'timing.heartbeat': 'heartbeatMs',
  'timing.lease': 'leaseMs',
  'timing.release': 'releaseMs',
  'timing.promise': 'promiseMs',
  'watchdog.timeout': 'watchdogMs',
} as const;
type Key = keyof typeof KEYS;
type Values = Partial<Record<(typeof KEYS)[Key], number>>;

interface SettingsOptions extends ConnectionOptions, OrderWords {
  readonly why?: string;
  readonly json?: boolean;
  readonly timeout: number;
}

export function registerSettings(program: Command): void {
  const group = program.command('settings').description('the timing of the running cluster');
  withConnection(group.command('show').description('what the cluster runs with, and what the file says'))
    .option('--json', 'print one JSON document')
    .action(async (options: SettingsOptions) => {
      const document = await withClient(options, (client) => client.settings());
      if (options.json === true) printJson(document);
      else print(render(document));
    });
  withOrder(
    withConnection(
      group
        .command('set')
        .argument('<key=value...>', `${Object.keys(KEYS).join(', ')}; values as 600ms or 2s`)
        .description('change it, in the steps that keep one holder (L8)'),
    ),
    false,
  )
    .option('--why <text>', 'the reason, for the log')
    .option('--timeout <seconds>', 'how long to wait for the end', parseSeconds, DEFAULT_WAIT_S)
    .option('--json', 'print one JSON document')
    .action(set);
}

async function set(words: readonly string[], options: SettingsOptions): Promise<void> {
  const values = parseValues(words);
  if (options.timeout > MAX_WAIT_S) throw new QuorateError('usage', `--timeout: at most ${MAX_WAIT_S}`);
  const request = { values, why: options.why ?? '', waitMs: options.timeout * 1000, ...orderOf(options) };
  const outcome = await withClient(options, (client) => client.setSettings(request));
  if (options.json === true) printJson(outcome);
  else print([head(outcome), ...render(outcome)]);
}

export function parseValues(words: readonly string[]): Values {
  const values: Values = {};
  for (const word of words) {
    const [key = '', value] = word.split('=', 2);
    if (!isKey(key) || value === undefined)
      throw new QuorateError(
        'usage',
        `"${word}": one of ${Object.keys(KEYS).join(', ')}, then "=" and a time`,
      );
    const duration = parseDuration(value, { minMs: 1, maxMs: 3_600_000 });
    if (!duration.ok) throw new QuorateError('usage', `${key}: ${duration.why}`);
    values[KEYS[key]] = duration.value;
  }
  return values;
}

const isKey = (value: string): value is Key => Object.hasOwn(KEYS, value);

function head({ changed, alreadyDone, goal, index }: SettingsOutcome): string {
  if (alreadyDone) return `done before, by this request (entry ${index ?? '?'}): nothing done`;
  if (!changed) return 'it was so already: nothing done';
  if (goal === null) return `set (from entry ${index ?? '?'})`;
  return `on its way (entry ${index ?? '?'}); the cluster goes on with it by itself, whoever leads`;
}

function render({ timing, goal, file, waitingFor, differs }: SettingsDocument): string[] {
  const row = (name: string, key: keyof typeof timing): string => {
    const cells = [timing[key], goal === null ? null : goal[key], file[key]].map((value) =>
      value === null ? '-' : `${Math.ceil(value)} ms`,
    );
    return [name.padEnd(18), ...cells.map((cell) => cell.padStart(10))].join(' ');
  };
  return [
    ['', 'cluster', 'goal', 'this file']
      .map((cell, at) => (at === 0 ? ' '.repeat(18) : cell.padStart(10)))
      .join(' '),
    row('timing.heartbeat', 'heartbeatMs'),
    row('timing.lease', 'leaseMs'),
    row('timing.release', 'releaseMs'),
    row('watchdog.timeout', 'watchdogMs'),
    row('timing.promise', 'promiseMs'),
    ...waitingFor.map((what) => `waiting: ${what}`),
    ...(differs
      ? ['The file differs: the cluster goes by its log, the file counts at the next bootstrap only.']
      : []),
  ];
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
