/** What every command that moves something says of its outcome: conditions, steps, and whether it was done before. */
import type { SwitchoverOutcome } from '../admin/index.ts';
import { humanMs, type Paint, table } from './output.ts';

export const doneBefore = ({ alreadyDone }: { readonly alreadyDone: boolean }): string[] =>
  alreadyDone ? ['nothing done: this request was done before'] : [];

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
