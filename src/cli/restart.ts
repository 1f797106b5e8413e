/**
 * `quorate restart`: the agent ends, and is started again at once by what has started it. Where its node holds, the executor
 * keeps everything meanwhile, and the next process goes on under the same epoch (L7).
 */
import { type Command, InvalidArgumentError } from 'commander';
import type { AdminClient, RestartOutcome } from '../admin/index.ts';
import { parseDuration } from '../config/index.ts';
import { MAX_RESTART_MS, MIN_RESTART_MS } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { type OrderWords, orderOf, withOrder } from './order-options.ts';
import { printJson } from './output.ts';

interface RestartOptions extends ConnectionOptions, OrderWords {
  readonly within?: number;
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly json?: boolean;
}

/** What there is to know once the next process answers. */
interface Restarted extends RestartOutcome {
  /** Until the next process answered; null where nothing was waited for. */
  readonly awayMs: number | null;
}

/** Longer than any hand-over, and a start on a slow machine. */
const BACK_LIMIT_MS = 60_000;
const ASK_EVERY_MS = 100;

export function registerRestart(program: Command): void {
  const command = program
    .command('restart')
    .description('restart the agent, as after an upgrade: a node that holds goes on holding');
  withOrder(withConnection(command), false)
    .option('--within <duration>', 'how long it may be away, 1s to 10s (5s)', within)
    .option('--dry-run', 'say whether it could be done now, and do nothing')
    .option('--no-wait', 'end when the agent has agreed, not when the next one is there')
    .option('--json', 'print one JSON document')
    .action(async (options: RestartOptions) => {
      const outcome = await withClient(options, (client) => restart(client, options));
      if (options.json === true) printJson(outcome);
      else process.stdout.write(`${render(outcome).join('\n')}\n`);
    });
}

async function restart(client: AdminClient, options: RestartOptions): Promise<Restarted> {
  const dryRun = options.dryRun === true;
  const asked = await client.restart({ withinMs: options.within ?? null, dryRun, ...orderOf(options) });
  if (dryRun || asked.alreadyDone || !options.wait) return { ...asked, awayMs: null };
  const began = performance.now();
  await until(began, 'the next process answers', async () => {
    const { instance } = await client.restart({ withinMs: null, dryRun: true });
    return instance !== asked.instance;
  });
  const awayMs = performance.now() - began;
  if (asked.epoch === null) return { ...asked, awayMs };
  await until(began, 'somebody holds', async () => {
    const { epoch, holder, leader } = await client.status();
    if (holder === asked.node && epoch === asked.epoch && leader === asked.node) return true;
    if (holder === null || epoch === asked.epoch) return false;
    const now = `${holder} holds under epoch ${epoch ?? '?'}`;
    throw new QuorateError(
      'restart-failed',
      `the agent of ${asked.node} is back, and its tenure is over: ${now}`,
    );
  });
  return { ...asked, awayMs };
}

function within(value: string): number {
  const parsed = parseDuration(value, { minMs: MIN_RESTART_MS, maxMs: MAX_RESTART_MS });
  if (!parsed.ok) throw new InvalidArgumentError(parsed.why);
  return parsed.value;
}

/** An agent that is being restarted does not answer; a refusal of ours is an answer. */
async function until(began: number, what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (;;) {
    let last = '';
    try {
      if (await isSo()) return;
    } catch (error) {
      if (error instanceof QuorateError && error.code === 'restart-failed') throw error;
      last = error instanceof Error ? `: ${error.message}` : '';
    }
    if (performance.now() - began > BACK_LIMIT_MS)
      throw new QuorateError('timed-out-unknown', `not within ${BACK_LIMIT_MS / 1000} s: ${what}${last}`);
    await new Promise((next) => setTimeout(next, ASK_EVERY_MS));
  }
}

function render({ dryRun, node, epoch, checks, alreadyDone, awayMs, withinMs, index }: Restarted): string[] {
  const kept = epoch === null ? 'it holds nothing' : `epoch ${epoch} goes on`;
  if (alreadyDone) return [`restarted before, by this request (entry ${index ?? '?'}): ${kept}`];
  if (!dryRun && awayMs === null) return [`the agent of ${node} ends, to be started again at once: ${kept}`];
  if (!dryRun) return [`the agent of ${node} is back after ${((awayMs ?? 0) / 1000).toFixed(1)} s: ${kept}`];
  const ok = checks.every((check) => check.ok);
  return [
    ...checks.map((check) => `${check.ok ? 'ok    ' : 'FAILED'} ${check.name}: ${check.detail}`),
    ok
      ? `it would be restarted now: ${kept}${epoch === null ? '' : `, if the agent is back within ${withinMs / 1000} s`}`
      : 'it would be refused now',
  ];
}
