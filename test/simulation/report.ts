/** What a person gets to read of a run. */
import { describeFault } from './faults.ts';
import type { RunResult } from './run.ts';
import type { Summary } from './summary.ts';

const STORY_LINES = 60;

/** The document of `--json`. */
export interface Report {
  readonly seeds: number;
  readonly simulatedSeconds: number;
  readonly wallSeconds: number;
  /** `at` in virtual ms. */
  readonly violations: readonly {
    readonly seed: number;
    readonly rule: string;
    readonly at: number;
    readonly what: string;
    readonly profile: string;
  }[];
  readonly marks: { readonly reached: number; readonly missed: readonly string[] };
  readonly hash: string;
}

export function tellReport(report: Report, summaries: readonly Summary[]): string {
  const { seeds, simulatedSeconds, wallSeconds, violations, marks, hash } = report;
  const sum = (of: (summary: Summary) => number): number =>
    summaries.reduce((total, summary) => total + of(summary), 0);
  const healed = summaries
    .flatMap(({ healedMs }) => (healedMs === null ? [] : [healedMs]))
    .sort((left, right) => left - right);
  const at = (share: number): string =>
    `${((healed[Math.floor((healed.length - 1) * share)] ?? 0) / 1000).toFixed(1)} s`;
  const missed = marks.missed.length === 0 ? '' : `, missed: ${marks.missed.join(' ')}`;
  return [
    `${seeds} seeds, ${simulatedSeconds} simulated seconds in ${wallSeconds} s: ${(simulatedSeconds / wallSeconds).toFixed(0)} a second`,
    `${sum(({ acknowledged }) => acknowledged)} writes acknowledged, ${sum(({ tenures }) => tenures)} tenures`,
    `all well after the last fault: median ${at(0.5)}, 99 % ${at(0.99)}, longest ${at(1)}`,
    `marks: ${marks.reached} reached${missed}`,
    violations.length === 0
      ? 'no violation'
      : `${violations.length} violations: ${violations.map(({ seed, rule }) => `${seed} ${rule}`).join(', ')}`,
    `hash ${hash}`,
  ].join('\n');
}

export function tellFailure(failed: RunResult, shrunk: RunResult, isReproducible: boolean): string {
  const { violation } = shrunk;
  const faults = shrunk.faults.map(
    (fault) => `  ${(fault.at / 1000).toFixed(3).padStart(7)} s  ${describeFault(fault)}`,
  );
  return [
    `seed ${failed.seed} (${failed.profile}): ${failed.violation?.rule}: ${failed.violation?.what}`,
    isReproducible ? '' : 'A second run of the same seed was another one: something in it is left to chance.',
    `${failed.faults.length} faults, ${shrunk.faults.length} of them are enough:`,
    ...faults,
    '',
    ...shrunk.story.slice(-STORY_LINES),
    '',
    `${violation?.rule}: ${violation?.what}`,
    `again: npm run sim -- --seed ${failed.seed} --profile ${failed.profile}`,
  ]
    .filter((line, position) => line !== '' || position !== 1)
    .join('\n');
}

export class ProgressBar {
  readonly #isShown = process.stderr.isTTY === true;
  readonly #began = performance.now();
  #shownAt = 0;

  show(done: number, total: number, simulatedSeconds: number, violations: number): void {
    const now = performance.now();
    if (!this.#isShown || (now - this.#shownAt < 100 && done < total)) return;
    this.#shownAt = now;
    const seconds = (now - this.#began) / 1000;
    const share = total === 0 ? 1 : Math.min(1, done / total);
    const bar = '█'.repeat(Math.round(share * 24)).padEnd(24, '░');
    const rate = `${(done / seconds).toFixed(1)} seeds/s, ${(simulatedSeconds / seconds).toFixed(0)} simulated s/s`;
    process.stderr.write(`\r${bar} ${done} seeds, ${rate}, ${violations} violations `);
  }
  end(): void {
    if (this.#isShown) process.stderr.write('\n');
  }
}
