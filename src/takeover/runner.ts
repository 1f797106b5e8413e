/**
 * Runs a plan: every step as soon as those that it comes after have ended, so in parallel where the graph allows.
 *
 * 1. No step starts after the signal has fired: the lease bounds a plan from outside.
 * 2. The result comes when every started step has ended: nothing of a plan runs on behind its back.
 * 3. Each step is measured: what dominates a takeover must be seen.
 */
import { assert, type Instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Plan, Step } from './planner.ts';

export interface StepReport {
  readonly name: string;
  readonly ms: number;
  /** What the step said, or its error. */
  readonly result: string;
}

export interface PlanReport {
  /** `aborted`: the signal fired before everything had ended. */
  readonly outcome: 'done' | 'failed' | 'aborted';
  readonly steps: readonly StepReport[];
  /** The first step that failed. */
  readonly failure: { readonly step: string; readonly why: string; readonly error: unknown } | null;
  readonly totalMs: number;
}

export interface RunOptions {
  readonly perform: (step: Step, signal: AbortSignal) => Promise<string>;
  readonly signal: AbortSignal;
  readonly now: () => Instant;
}

type StepState = 'waiting' | 'running' | 'done' | 'failed';

export function runPlan(plan: Plan, options: RunOptions): Promise<PlanReport> {
  return new PlanRun(plan, options).run();
}

class PlanRun {
  readonly #plan: Plan;
  readonly #options: RunOptions;
  readonly #states: Map<string, StepState>;
  readonly #reports: StepReport[] = [];
  readonly #startedAt: Instant;
  #failure: PlanReport['failure'] = null;
  #settle: (report: PlanReport) => void = () => undefined;

  constructor(plan: Plan, options: RunOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#startedAt = options.now();
    this.#states = new Map(plan.steps.map((step) => [step.id, 'waiting']));
    assert(this.#states.size === plan.steps.length, 'no two steps of a plan have the same id');
  }

  run(): Promise<PlanReport> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#advance();
    });
  }

  #advance(): void {
    for (const step of this.#plan.steps) if (this.#mayStart(step)) void this.#start(step);
    const states = [...this.#states.values()];
    if (states.includes('running')) return;
    const isComplete = !states.includes('waiting');
    const outcome =
      this.#options.signal.aborted && (!isComplete || this.#failure !== null)
        ? 'aborted'
        : this.#failure === null && isComplete
          ? 'done'
          : 'failed';
    this.#settle({
      outcome,
      steps: this.#reports,
      failure: this.#failure,
      totalMs: round(this.#options.now() - this.#startedAt),
    });
  }

  #mayStart(step: Step): boolean {
    if (this.#states.get(step.id) !== 'waiting' || this.#options.signal.aborted) return false;
    const mayGoOn = this.#plan.onFailure === 'go-on';
    if (this.#failure !== null && !mayGoOn) return false;
    return step.after.every((name) => {
      const state = this.#states.get(name);
      return state === 'done' || (mayGoOn && state === 'failed');
    });
  }

  async #start(step: Step): Promise<void> {
    const startedAt = this.#options.now();
    this.#states.set(step.id, 'running');
    let result: string;
    try {
      result = await this.#options.perform(step, this.#options.signal);
      this.#states.set(step.id, 'done');
    } catch (error) {
      result = words(error);
      this.#states.set(step.id, 'failed');
      this.#failure ??= { step: step.id, why: result, error };
    }
    this.#reports.push({ name: step.id, ms: round(this.#options.now() - startedAt), result });
    this.#advance();
  }
}

function words(error: unknown): string {
  if (error instanceof QuorateError) return `${error.message} [${error.code}]`;
  return error instanceof Error ? error.message : String(error);
}

/** Tenths of a millisecond are enough for people. */
function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
