/** `quorate switchover` with `--at`, `--in` or `--cancel`: what is to be done at a later time, or not at all. */
import type { CancelOutcome, ScheduleOrder, ScheduleOutcome } from '../admin/index.ts';
import { QuorateError } from '../errors.ts';
import { scheduledSentence } from '../scheduled.ts';
import { readDuration, readInstant } from './audit-window.ts';
import { checksAndSteps, doneBefore } from './checks-text.ts';
import { withClient } from './connection.ts';
import { parseNodeOption } from './node-option.ts';
import { orderOf } from './order-options.ts';
import { type Paint, paintFor, printJson, TERMINAL_COLUMNS, wrap } from './output.ts';
import type { SwitchoverOptions } from './switchover.ts';

export type Later =
  | { readonly kind: 'cancel' }
  | { readonly kind: 'schedule'; readonly when: ScheduleOrder['when'] };

/** Null: now. @throws QuorateError `usage` */
export function laterOf(
  options: Pick<SwitchoverOptions, 'at' | 'in' | 'cancel' | 'to' | 'dryRun' | 'why'>,
): Later | null {
  const { at, cancel = false } = options;
  if (cancel) {
    if (at !== undefined || options.in !== undefined || options.to !== undefined || options.dryRun === true)
      throw new QuorateError('usage', '--cancel goes with none of --at, --in, --to and --dry-run');
    return { kind: 'cancel' };
  }
  if (at !== undefined && options.in !== undefined)
    throw new QuorateError('usage', 'either --at or --in, not both');
  if (at !== undefined) return { kind: 'schedule', when: { kind: 'at', ms: readInstant('--at', at) } };
  // By the clock of the leader: the one here may be off.
  if (options.in !== undefined)
    return { kind: 'schedule', when: { kind: 'in', ms: readDuration('--in', options.in) } };
  if (options.why !== '') throw new QuorateError('usage', '--why goes with --at, --in and --cancel');
  return null;
}

export async function runLater(later: Later, options: SwitchoverOptions): Promise<void> {
  const { why } = options;
  const paint = paintFor(process.stdout);
  if (later.kind === 'cancel') {
    const outcome = await withClient(options, (client) =>
      client.cancelSwitchover({ why, ...orderOf(options) }),
    );
    print(options, outcome, renderCancel(outcome));
    return;
  }
  const to = options.to === undefined ? null : parseNodeOption('--to', options.to);
  const order = { to, when: later.when, why, dryRun: options.dryRun === true, ...orderOf(options) };
  const outcome = await withClient(options, (client) => client.scheduleSwitchover(order));
  print(options, outcome, renderSchedule(outcome, paint));
}

function print({ json }: SwitchoverOptions, outcome: object, lines: readonly string[]): void {
  if (json === true) printJson(outcome);
  else process.stdout.write(`${lines.join('\n')}\n`);
}

export function renderSchedule(outcome: ScheduleOutcome, paint: Paint): string[] {
  const { schedule, dryRun, checks } = outcome;
  const said = schedule === null ? 'the log does not have the order any more' : scheduledSentence(schedule);
  const isWell = checks.every(({ ok }) => ok);
  const now =
    checks.length === 0
      ? []
      : [isWell ? 'now it could be done:' : 'now it would be refused, and may be then:'];
  return [
    ...doneBefore(outcome),
    ...wrap(dryRun ? `would be ${said}` : said, TERMINAL_COLUMNS),
    ...now,
    ...checksAndSteps({ dryRun, checks, steps: [] }, paint),
  ];
}

export function renderCancel(outcome: CancelOutcome): string[] {
  const { schedule } = outcome;
  const said = schedule === null ? 'the log does not have the order any more' : scheduledSentence(schedule);
  return [...doneBefore(outcome), ...wrap(said, TERMINAL_COLUMNS)];
}
