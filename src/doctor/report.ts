/**
 * What the doctor found, as plain data: the document of `quorate doctor --json`, what has changed since the last one, and
 * the small words with which checks say what they saw. Pure.
 */
import type { TimingAdvice } from './advice.ts';

export type Result =
  | 'ok'
  /** Works, and will cost something some day. */
  | 'warning'
  /** Would stand in the way of a takeover, or of one holder. */
  | 'failed'
  /** Could not be seen: neither good nor bad (H4). */
  | 'unknown'
  /** Does not concern this node. */
  | 'skipped';

/** What the advice on timing is made of. All in ms. */
export type Measurement =
  | { readonly kind: 'round-trips'; readonly over: 'tcp' | 'agent'; readonly ms: readonly number[] }
  | { readonly kind: 'syncs'; readonly ms: readonly number[] }
  | { readonly kind: 'releases'; readonly ms: readonly number[] }
  | { readonly kind: 'takeovers'; readonly ms: readonly number[] }
  /** W, as the device says it. */
  | { readonly kind: 'watchdog'; readonly timeoutMs: number };

export interface Finding {
  /** What it is about, stable from run to run: with the check's name the key of the finding. */
  readonly subject: string;
  readonly result: Result;
  readonly detail: string;
  /** What to do; null where there is nothing to do. */
  readonly remedy: string | null;
  readonly measured?: Measurement;
}

export interface ReportedFinding extends Omit<Finding, 'measured'> {
  /** Name of the check. */
  readonly name: string;
  /** How long the whole check took. */
  readonly ms: number;
}

export interface DoctorReport {
  readonly node: string;
  /** ISO 8601, wall clock. */
  readonly at: string;
  /** Nothing failed. What is unknown is not known to be good: look at the findings. */
  readonly ok: boolean;
  readonly checks: readonly ReportedFinding[];
  readonly advice: { readonly timing: TimingAdvice | null };
}

export const ok = (subject: string, detail: string): Finding => ({
  subject,
  result: 'ok',
  detail,
  remedy: null,
});
export const skipped = (subject: string, detail: string): Finding => ({
  subject,
  result: 'skipped',
  detail,
  remedy: null,
});
export const warning = (subject: string, detail: string, remedy: string): Finding => ({
  subject,
  result: 'warning',
  detail,
  remedy,
});
export const failed = (subject: string, detail: string, remedy: string): Finding => ({
  subject,
  result: 'failed',
  detail,
  remedy,
});
export const unknown = (subject: string, detail: string, remedy: string | null = null): Finding => ({
  subject,
  result: 'unknown',
  detail,
  remedy,
});

export function countOf(report: Pick<DoctorReport, 'checks'>, result: Result): number {
  return report.checks.filter((finding) => finding.result === result).length;
}

/** Subject of the one finding of a check that did not end, or broke. */
export const WHOLE_CHECK = 'the check itself';

export interface Changes {
  readonly failed: readonly ReportedFinding[];
  /** Failed before, and good, gone, or of no concern now. */
  readonly healed: readonly ReportedFinding[];
  /** What counts as failed from now on: also what had failed and cannot be seen now (H4). */
  readonly standing: readonly ReportedFinding[];
}

/** `standing`: what counted as failed before; empty at first. */
export function changesSince(standing: readonly ReportedFinding[], report: DoctorReport): Changes {
  const known = new Set(standing.map(keyOf));
  const now = new Map(report.checks.map((finding) => [keyOf(finding), finding]));
  const unfinished = new Set(
    report.checks.filter(({ subject }) => subject === WHOLE_CHECK).map(({ name }) => name),
  );
  const seen = new Set(report.checks.map(({ name }) => name));
  const hasHealed = (finding: ReportedFinding): boolean => {
    const current = now.get(keyOf(finding));
    if (current !== undefined) return current.result !== 'failed' && current.result !== 'unknown';
    return seen.has(finding.name) && !unfinished.has(finding.name);
  };
  const failedNow = report.checks.filter(({ result }) => result === 'failed');
  const stillUnseen = standing.filter(
    (finding) => now.get(keyOf(finding))?.result !== 'failed' && !hasHealed(finding),
  );
  return {
    failed: failedNow.filter((finding) => !known.has(keyOf(finding))),
    healed: standing.filter(hasHealed),
    standing: [...failedNow, ...stillUnseen],
  };
}

const keyOf = ({ name, subject }: ReportedFinding): string => `${name}\n${subject}`;
