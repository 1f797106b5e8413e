/**
 * H4: probe, compare, repair, for the whole tenure. `unknown` never acts by itself. Repairs of different resources run
 * beside each other, each with a back-off of its own, so that a service that hangs does not keep the address away.
 * H6: what is lost again and again although it is repaired is reported, and repaired on.
 */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import {
  foundationsOf,
  type Plan,
  type PlanReport,
  type PlanResource,
  planRepair,
} from '../takeover/index.ts';
import type { LogLevel } from './guard-protocol.ts';
import type { Observer } from './observer.ts';
import { RepairHistory } from './repair-history.ts';

/** A probe that takes longer is told with the next report. */
const PATIENCE_MS = 250;
const BACK_OFF_MS = { first: 500, most: 10_000 } as const;
/** The cause is outside of this host, where no repair reaches. */
const BEYOND_REPAIR: ReadonlySet<string> = new Set(['port-dead']);

/** Runs a plan under the present tenure; the signal calls it off. */
export type Repair = (plan: Plan, signal: AbortSignal) => Promise<PlanReport>;

export interface ReconcilerOptions {
  readonly graph: readonly PlanResource[];
  readonly observer: Observer;
  readonly clock: Clock;
  /** Null while nothing may be repaired; otherwise runs the plan under the present tenure. */
  readonly repairer: () => Repair | null;
  readonly onProbes: () => void;
  /** H6: `count` repairs have not lasted; `why` is what the last one said. */
  readonly onStuck: (name: string, count: number, why: string) => void;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #busy = new Set<string>();
  readonly #failures = new Map<string, { count: number; notBefore: number }>();
  readonly #history = new RepairHistory();
  readonly #running = new Set<{ readonly names: ReadonlySet<string>; readonly abort: AbortController }>();
  #isLooking = false;
  /** Asked for while a look was under way, which may have read before what is to be seen. */
  #mustLookAgain = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  async look(): Promise<void> {
    if (this.#isLooking) {
      this.#mustLookAgain = true;
      return;
    }
    this.#isLooking = true;
    this.#mustLookAgain = false;
    try {
      const looking = this.#options.observer.look();
      await Promise.race([looking, this.#options.clock.sleep(PATIENCE_MS)]);
    } finally {
      this.#isLooking = false;
    }
    this.#options.onProbes();
    this.#repair();
    if (this.#mustLookAgain) void this.look();
  }

  #repair(): void {
    const repair = this.#options.repairer();
    if (repair === null) {
      this.#failures.clear();
      this.#history.clear();
      return;
    }
    const { graph, observer, clock } = this.#options;
    this.#history.observe(observer.observed, clock.now());
    this.#callOffWhatStandsOnNothing();
    for (const part of separate(planRepair(graph, observer.observed, this.#leftAlone())))
      void this.#run(repair, part);
  }

  async #run(repair: Repair, plan: Plan): Promise<void> {
    const running = { names: new Set(plan.steps.map(({ name }) => name)), abort: new AbortController() };
    // mark: repair
    this.#running.add(running);
    for (const name of running.names) {
      this.#busy.add(name);
      this.#reportStuck(name);
    }
    this.#options.log('warn', { event: 'repair', resources: [...running.names] });
    const report = await repair(plan, running.abort.signal);
    this.#running.delete(running);
    this.#onRepaired(running.names, report);
  }

  /** What a repair rests on may be lost while it runs: no door is opened then. */
  #callOffWhatStandsOnNothing(): void {
    const { graph, observer } = this.#options;
    const { observed } = observer;
    for (const { names, abort } of this.#running) {
      const foundations = [...names].flatMap((name) => [...foundationsOf(graph, name)]);
      if (foundations.some((one) => !names.has(one) && observed.get(one) === 'not-held')) abort.abort();
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
    const stuck = this.#history.inVain(name);
    if (stuck === null) return;
    // mark: repairs-in-vain
    this.#options.onStuck(name, stuck.count, stuck.why);
  }

  #onRepaired(names: ReadonlySet<string>, report: PlanReport): void {
    const isDone = report.outcome === 'done';
    for (const name of names) {
      this.#busy.delete(name);
      const count = (this.#failures.get(name)?.count ?? 0) + 1;
      // A repair that "worked" but did not last backs off too.
      const waitMs = Math.min(BACK_OFF_MS.first * 2 ** (count - 1), BACK_OFF_MS.most);
      this.#failures.set(name, { count, notBefore: this.#options.clock.now() + waitMs });
      // What was not tried, because something under it failed, or was called off, has not failed itself.
      const step = report.steps.find((one) => one.name === name);
      if (step === undefined || report.outcome === 'aborted' || this.#hangsOnTheCloud(name)) continue;
      const isBeyondRepair = report.failure?.step === name && isBeyond(report.failure.error);
      this.#history.add(name, step.result, isBeyondRepair);
      // Each second of another try is one that clients wait for the other node.
      if (isBeyondRepair) this.#reportStuck(name);
    }
    const { outcome, failure, steps, totalMs } = report;
    const why = failure?.why ?? null;
    this.#options.log(isDone ? 'info' : 'warn', { event: 'repair-ended', outcome, why, steps, totalMs });
    this.#options.observer.probeSoon();
  }

  /** H4, complaint 1: what the cloud shows late, or does not answer, is no failure of this node, nor of what waits for it. */
  #hangsOnTheCloud(name: string): boolean {
    const { graph, observer } = this.#options;
    const { observed } = observer;
    return [name, ...foundationsOf(graph, name)].some((one) => {
      const isCloud = graph.some((resource) => resource.name === one && resource.scope === 'cloud');
      return isCloud && (one === name || observed.get(one) !== 'held');
    });
  }
}

function isBeyond(error: unknown): boolean {
  return error instanceof QuorateError && BEYOND_REPAIR.has(error.code);
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
