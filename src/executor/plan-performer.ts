/**
 * Runs plans of one tenure: local steps by the guard, steps in the cloud here. Keeps account of what runs, so that a
 * release can wait until everything that it called off has ended.
 */

import type { Clock, Timer } from '../clock.ts';
import { type Epoch, instant } from '../core/index.ts';
import type { Proof, Resource } from '../resources/index.ts';
import { type Plan, type PlanReport, runPlan, type Step } from '../takeover/index.ts';
import type { Guard } from './guard-proxy.ts';
import type { SharedLease } from './shared-lease.ts';

/** How long one step of a plan may take; the lease cuts all of them shorter. */
const STEP_LIMIT_MS = { acquire: 60_000, release: 60_000 } as const;

export interface PlanPerformerOptions {
  readonly guard: Guard;
  readonly cloud: ReadonlyMap<string, Resource>;
  readonly lease: SharedLease;
  readonly clock: Clock;
}

export interface PlanOrder {
  readonly epoch: Epoch;
  readonly signal: AbortSignal;
  readonly previousReleased: boolean;
  readonly proof: Proof;
  /** O3: an operator's override began this tenure. */
  readonly isForced: boolean;
}

export class PlanPerformer {
  readonly #options: PlanPerformerOptions;
  readonly #running = new Set<Promise<PlanReport>>();

  constructor(options: PlanPerformerOptions) {
    this.#options = options;
  }

  run(plan: Plan, order: PlanOrder): Promise<PlanReport> {
    const leaseEnd = this.#leaseEnd(order.epoch);
    const signal = AbortSignal.any([order.signal, leaseEnd.signal]);
    const running = runPlan(plan, {
      signal,
      now: () => this.#options.clock.now(),
      perform: (step) => this.#perform(step, { ...order, signal }),
    }).finally(() => {
      leaseEnd.stop();
      this.#running.delete(running);
    });
    this.#running.add(running);
    return running;
  }

  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** Resolves when nothing runs that was running when it was asked. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  #perform(step: Step, { epoch, signal, previousReleased, proof, isForced }: PlanOrder): Promise<string> {
    const { name, action } = step;
    const { guard, cloud, clock } = this.#options;
    const limitMs = STEP_LIMIT_MS[action];
    const resource = cloud.get(name);
    if (resource === undefined) {
      return action === 'acquire'
        ? guard.ask({ op: 'acquire', name, epoch, previousReleased, proof, isForced, limitMs }, signal)
        : guard.ask({ op: 'release', name, epoch, limitMs }, signal);
    }
    const context = { deadline: instant(clock.now() + limitMs), signal };
    return action === 'acquire'
      ? resource.acquire({ ...context, previousReleased })
      : resource.release({ ...context, mode: 'planned' });
  }

  /** O2: a call to the cloud ends with the lease, even if no message of the guard gets through in time. */
  #leaseEnd(epoch: Epoch): { signal: AbortSignal; stop: () => void } {
    const { lease, clock } = this.#options;
    const controller = new AbortController();
    let timer: Timer | null = null;
    const look = (): void => {
      if (!lease.isValid(epoch, clock.now())) return controller.abort();
      timer = clock.after(Math.max(1, Math.ceil(lease.until - clock.now())), look);
    };
    look();
    return {
      signal: controller.signal,
      stop: () => {
        timer?.cancel();
      },
    };
  }
}
