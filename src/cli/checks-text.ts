/** What every command that moves something says of its outcome: conditions, steps, and whether it was done before. */
import type { SwitchoverOutcome } from '../admin/index.ts';
import { humanMs, type Paint, table } from './output.ts';

export const doneBefore = ({ alreadyDone }: { readonly alreadyDone: boolean }): string[] =>
  alreadyDone ? ['nothing done: this request was done before'] : [];

/** An operator who repeats it must know that the next leader does not know it. */
export const idNotKept = ({ idNotInLog }: { readonly idNotInLog: boolean }): string[] =>
  idNotInLog
    ? [
        'the log has no id of this request, a voter is of an older version: look at "quorate status" before you repeat it, and give --expect-epoch',
      ]
    : [];

export function checksAndSteps(
  outcome: Pick<SwitchoverOutcome, 'checks' | 'steps' | 'dryRun'>,
  paint: Paint,
  checksWidth?: number,
): string[] {
  const checks = outcome.checks.map((check) => [
    { text: `  ${check.name}` },
    check.ok ? { text: 'ok', colour: 'green' as const } : { text: 'no', colour: 'red' as const },
    { text: check.detail },
  ]);
  const steps = outcome.steps.map((step) => [
    { text: `  ${step.name}` },
    { text: outcome.dryRun ? '' : humanMs(step.ms) },
    { text: step.result },
  ]);
  return [...table(checks, paint, checksWidth), ...table(steps, paint)];
}
