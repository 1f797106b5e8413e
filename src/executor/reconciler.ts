/**
 * H4: probe, compare, repair, for the whole tenure. `unknown` never acts by itself. Repairs of different resources run
 * beside each other, each with a back-off of its own, so that a service that hangs does not keep the address away.
 */
import type { Clock } from '../clock.ts';
import type { Probe } from '../resources/index.ts';
import { type Plan, type PlanReport, type PlanResource, planRepair } from '../takeover/index.ts';
import type { LogLevel } from './guard-protocol.ts';
import type { Observer } from './observer.ts';

/** A probe that takes longer is told with the next report. */
const PATIENCE_MS = 250;
const BACK_OFF_MS = { first: 500, most: 10_000 } as const;

export interface ReconcilerOptions {
  readonly graph: readonly PlanResource[];
  readonly observer: Observer;
  readonly clock: Clock;
  /** Null while nothing may be repaired; otherwise runs the plan under the present tenure. */
  readonly repairer: () => ((plan: Plan) => Promise<PlanReport>) | null;
  readonly onProbes: () => void;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #busy = new Set<string>();
  readonly #failures = new Map<string, { count: number; notBefore: number }>();
  #isLooking = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const looking = this.#options.observer.look();
      await Promise.race([looking, this.#options.clock.sleep(PATIENCE_MS)]);
    } finally {
      this.#isLooking = false;
    }
    this.#options.onProbes();
    this.#repair();
  }

  #repair(): void {
    const repair = this.#options.repairer();
    if (repair === null) {
      this.#failures.clear();
      return;
    }
    const plan = planRepair(this.#options.graph, this.#mayBeRepaired());
    for (const part of separate(plan)) {
      const names = part.steps.map((step) => step.name);
      // mark: repair
      for (const name of names) this.#busy.add(name);
      this.#options.log('warn', { event: 'repair', resources: names });
      void repair(part).then((report) => this.#onRepaired(names, report));
    }
  }

  /** What is being repaired, or failed a moment ago, counts as unknown: it is left alone. */
  #mayBeRepaired(): Map<string, Probe> {
    const now = this.#options.clock.now();
    return new Map(
      [...this.#options.observer.observed].map(([name, probe]) => {
        if (probe === 'held') this.#failures.delete(name);
        const isLeftAlone = this.#busy.has(name) || now < (this.#failures.get(name)?.notBefore ?? 0);
        return [name, isLeftAlone ? 'unknown' : probe];
      }),
    );
  }

  #onRepaired(names: readonly string[], report: PlanReport): void {
    const isDone = report.outcome === 'done';
    for (const name of names) {
      this.#busy.delete(name);
      const count = (this.#failures.get(name)?.count ?? 0) + 1;
      // A repair that "worked" but did not last backs off too.
      const waitMs = Math.min(BACK_OFF_MS.first * 2 ** (count - 1), BACK_OFF_MS.most);
      this.#failures.set(name, { count, notBefore: this.#options.clock.now() + waitMs });
    }
    const { outcome, failure, steps, totalMs } = report;
    const why = failure?.why ?? null;
    this.#options.log(isDone ? 'info' : 'warn', { event: 'repair-ended', outcome, why, steps, totalMs });
    this.#options.observer.probeSoon();
  }
}

/** Steps that do not wait for each other are plans of their own. */
function separate(plan: Plan): Plan[] {
  const groups: Plan['steps'][number][][] = [];
  for (const step of plan.steps) {
    const linked = groups.filter((group) => group.some((member) => step.after.includes(member.name)));
    const merged = [...linked.flat(), step];
    for (const group of linked) groups.splice(groups.indexOf(group), 1);
    groups.push(merged);
  }
  return groups.map((steps) => ({ ...plan, steps }));
}
