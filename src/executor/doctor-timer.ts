/**
 * Looks every ten minutes at what a takeover will need, in the executor, which may hang without costing a heartbeat (the
 * agent never runs a check). Says only what has changed: something newly failed, or healed.
 */
import type { Clock } from '../clock.ts';
import type { DoctorReport, ReportedFinding } from '../doctor/index.ts';
import type { LogLevel } from './guard-protocol.ts';

/** Not beside the start, when a takeover is likely. */
const FIRST_MS = 30_000;
const EVERY_MS = 600_000;
/** While something has failed: a holder that looks for a better place asks for it (H6). */
const AGAIN_MS = 60_000;
/** About other nodes: what counts of them is seen live, by their messages. */
const ABOUT_OTHERS: ReadonlySet<string> = new Set(['network', 'peers']);
/** Of a long list only the beginning is said; all of it is in `quorate doctor`. */
const MAX_SAID = 20;

export interface DoctorSummary {
  /** ISO 8601. */
  readonly at: string;
  readonly ok: boolean;
  /** What counts as failed: also what had failed and cannot be seen now. */
  readonly failed: readonly DoctorProblem[];
}

export interface DoctorProblem {
  readonly check: string;
  readonly subject: string;
  readonly detail: string;
  readonly remedy: string | null;
}

export interface DoctorTimerOptions {
  readonly clock: Pick<Clock, 'after'>;
  /** The harmless checks; never rejects but for a bug. */
  readonly examine: () => Promise<DoctorReport>;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
  readonly onSummary?: (summary: DoctorSummary) => void;
}

/** H6: what stands in the way of a takeover by this node, as sentences. */
export function ownFailures({ failed }: DoctorSummary): string[] {
  return failed
    .filter(({ check }) => !ABOUT_OTHERS.has(check))
    .slice(0, MAX_SAID)
    .map(({ check, subject, detail }) => `${check}: ${subject}: ${detail}`);
}

export class DoctorTimer {
  readonly #options: DoctorTimerOptions;
  #timer: { cancel(): void } | null = null;
  #standing: readonly ReportedFinding[] = [];
  #isStopped = false;

  constructor(options: DoctorTimerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#wait(FIRST_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** From the end of one to the beginning of the next: they never overlap. */
  #wait(ms: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.after(
      ms,
      () => void this.#look().then(() => this.#wait(this.#standing.length === 0 ? EVERY_MS : AGAIN_MS)),
    );
  }

  async #look(): Promise<void> {
    const { examine, log, onSummary } = this.#options;
    try {
      const report = await examine();
      if (this.#isStopped) return;
      const { changesSince } = await import('../doctor/index.ts');
      const { failed, healed, standing } = changesSince(this.#standing, report);
      this.#standing = standing;
      if (failed.length > 0) log('warn', { event: 'doctor', failed: problems(failed) });
      if (healed.length > 0) log('info', { event: 'doctor', healed: healed.map(nameOf).slice(0, MAX_SAID) });
      onSummary?.({ at: report.at, ok: standing.length === 0, failed: standing.map(problemOf) });
    } catch (error) {
      // A doctor that breaks must not take the executor with it: it would release everything.
      log('warn', { event: 'doctor-broke', why: error instanceof Error ? error.message : String(error) });
    }
  }
}

const nameOf = ({ name, subject }: ReportedFinding): string => `${name}: ${subject}`;

function problems(findings: readonly ReportedFinding[]): DoctorProblem[] {
  return findings.slice(0, MAX_SAID).map(problemOf);
}

function problemOf({ name, subject, detail, remedy }: ReportedFinding): DoctorProblem {
  return { check: name, subject, detail, remedy };
}
