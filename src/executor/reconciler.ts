/**
 * H4: probe, compare, repair, for the whole tenure. `unknown` never acts by itself. Repairs of different resources run
 * beside each other, each with a back-off of its own, so that a service that hangs does not keep the address away.
 * H6: what is lost again and again although it is repaired is reported, and repaired on.
 */
import type { Clock } from '../clock.ts';
import { type Plan, type PlanReport, type PlanResource, planRepair } from '../takeover/index.ts';
import type { LogLevel } from './guard-protocol.ts';
import type { Observer } from './observer.ts';

/** A probe that takes longer is told with the next report. */
const PATIENCE_MS = 250;
const BACK_OFF_MS = { first: 500, most: 10_000 } as const;
/** H6: so many repairs of one resource within so long are in vain. */
const STUCK = { repairs: 3, withinMs: 60_000 } as const;

export interface ReconcilerOptions {
  readonly graph: readonly PlanResource[];
  readonly observer: Observer;
  readonly clock: Clock;
  /** Null while nothing may be repaired; otherwise runs the plan under the present tenure. */
  readonly repairer: () => ((plan: Plan) => Promise<PlanReport>) | null;
  readonly onProbes: () => void;
  /** H6: `count` repairs have not lasted; `why` is what the last one said. */
  readonly onStuck: (name: string, count: number, why: string) => void;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #busy = new Set<string>();
  readonly #failures = new Map<string, { count: number; notBefore: number }>();
  readonly #repairs = new Map<string, { at: number; why: string }[]>();
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
      this.#repairs.clear();
      return;
    }
    const { graph, observer } = this.#options;
    const plan = planRepair(graph, observer.observed, this.#leftAlone());
    for (const part of separate(plan)) {
      const names = [...new Set(part.steps.map((step) => step.name))];
      // mark: repair
      for (const name of names) {
        this.#busy.add(name);
        this.#reportStuck(name);
      }
      this.#options.log('warn', { event: 'repair', resources: names });
      void repair(part).then((report) => this.#onRepaired(names, report));
    }
  }

  /** What is being repaired, or failed a moment ago. */
  #leftAlone(): Set<string> {
    const now = this.#options.clock.now();
    const leftAlone = new Set(this.#busy);
    for (const [name, probe] of this.#options.observer.observed) {
      if (probe === 'held') this.#failures.delete(name);
      if (now < (this.#failures.get(name)?.notBefore ?? 0)) leftAlone.add(name);
    }
    return leftAlone;
  }

  /** Before a repair: did those before it last? */
  #reportStuck(name: string): void {
    // The cloud shows late what it has done, or does not answer: that is no reason to move (H4).
    if (this.#options.graph.some((one) => one.name === name && one.scope === 'cloud')) return;
    const since = this.#options.clock.now() - STUCK.withinMs;
    const recent = (this.#repairs.get(name) ?? []).filter(({ at }) => at >= since);
    this.#repairs.set(name, recent);
    if (recent.length < STUCK.repairs) return;
    // mark: repairs-in-vain
    this.#options.onStuck(name, recent.length, recent.at(-1)?.why ?? '');
  }

  #onRepaired(names: readonly string[], report: PlanReport): void {
    const isDone = report.outcome === 'done';
    for (const name of names) {
      this.#busy.delete(name);
      const count = (this.#failures.get(name)?.count ?? 0) + 1;
      // A repair that "worked" but did not last backs off too.
      const waitMs = Math.min(BACK_OFF_MS.first * 2 ** (count - 1), BACK_OFF_MS.most);
      const now = this.#options.clock.now();
      this.#failures.set(name, { count, notBefore: now + waitMs });
      const result =
        report.steps.find((step) => step.name === name)?.result ?? 'not tried: what it needs failed';
      this.#repairs.get(name)?.push({ at: now, why: result });
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
    const linked = groups.filter((group) => group.some((member) => step.after.includes(member.id)));
    const merged = [...linked.flat(), step];
    for (const group of linked) groups.splice(groups.indexOf(group), 1);
    groups.push(merged);
  }
  return groups.map((steps) => ({ ...plan, steps }));
}
