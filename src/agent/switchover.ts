/** A planned move of the resources, by an operator's word: what it needs, what it would do, and doing it (R3). */
import type { SwitchoverCheck, SwitchoverOrder, SwitchoverOutcome } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { type Config, graphOf } from '../config/index.ts';
import type { CoreView, LogIndex, NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { planRelease, planTakeover } from '../takeover/index.ts';
import type { Driver } from './driver.ts';
import type { OrderEntries } from './order-entries.ts';
import { refusedByLeader, refusedFor, requireHeldEpoch } from './refusals.ts';
import { plannedSteps, type TakeoverWatch } from './takeover-watch.ts';
import { holdsAfterTransfer } from './transfer-end.ts';

/** Characters of the log's sentence about a failure; the whole one goes to the caller. */
const MAX_RESULT = 1000;

export interface SwitchoverOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly takeovers: TakeoverWatch;
  readonly entries: OrderEntries;
  /** By name, what the own executor has read last. */
  readonly probes: () => ReadonlyMap<string, 'held' | 'not-held' | 'unknown'>;
  readonly limitMs: number;
}

export class Switchover {
  readonly #options: SwitchoverOptions;

  constructor(options: SwitchoverOptions) {
    this.#options = options;
  }

  /** Of whoever leads: `not-leader` is the caller's to say. */
  async run(order: SwitchoverOrder): Promise<SwitchoverOutcome> {
    const { driver, clock, entries, limitMs } = this.#options;
    const from = driver.view.self;
    requireHeldEpoch(driver.view, order.expectedEpoch);
    const to = order.to ?? this.target();
    const checks = this.checks(to);
    if (order.dryRun) {
      const steps = this.#plannedSteps(from, to);
      const dry = { dryRun: true, epoch: null, totalMs: null, alreadyDone: false, idNotInLog: false };
      return { ...dry, from, to, steps, checks };
    }
    requireAll(`switchover to ${to}`, to, checks);
    const { index, idNotInLog } = await entries.write(
      { kind: 'operator', who: order.who, action: `switchover to ${to}`, at: clock.wallMs() },
      {
        requestId: order.requestId,
        isNamed: order.to !== null,
        to,
        expectedEpoch: order.expectedEpoch,
      },
      limitMs,
    );
    try {
      return { ...(await this.move(to, checks)), idNotInLog };
    } catch (error) {
      // Not waited for where the transfer still runs: it may for a long time.
      void this.#sayFailed(index, error);
      throw error;
    }
  }

  /** After the log says who wants it. Rejects `switchover-failed`, or `timed-out-unknown` at the limit. */
  async move(to: NodeId, checks: readonly SwitchoverCheck[]): Promise<SwitchoverOutcome> {
    const { driver, clock, takeovers } = this.#options;
    const from = driver.view.self;
    const began = clock.now();
    const taken = takeovers.next(to, 'switchover-failed');
    const refused = driver.transfer({ kind: 'transfer', to, reason: 'switchover' });
    if (refused !== null) {
      taken.cancel();
      throw refusedByLeader(from, `switchover to ${to} refused`, refused);
    }
    const { epoch, steps } = await taken.promise;
    const totalMs = clock.now() - began;
    const done = { dryRun: false, alreadyDone: false, idNotInLog: false };
    return { ...done, from, to, epoch, totalMs, steps, checks };
  }

  /** By whoever leads still. Another leader's log says by itself who holds there. */
  async #sayFailed(of: LogIndex, error: unknown): Promise<void> {
    const { driver, clock, entries } = this.#options;
    if (!(error instanceof QuorateError) || !(await holdsAfterTransfer(driver, clock))) return;
    entries.sayFailed(of, error.message.slice(0, MAX_RESULT), clock.wallMs());
  }

  /** The best other data node: one that answers, where there is one. */
  target(): NodeId {
    const { view } = this.#options.driver;
    const others = view.voters.filter((id) => id !== view.self && view.isEligible(id));
    const may = others.filter((id) => view.mayTakeOver(id));
    const best = may.find((id) => this.#answers(id)) ?? may[0] ?? others[0];
    if (best === undefined)
      throw refusedFor(
        'switchover',
        [{ name: 'in sync', ok: false, detail: 'no other data node is in the in-sync set (H1)' }],
        view.self,
        'refused-unsafe',
      );
    return best;
  }

  /** Everything that a switchover needs, in the order in which a person would ask. */
  checks(to: NodeId): readonly SwitchoverCheck[] {
    const { view } = this.#options.driver;
    const isReachable = this.#answers(to);
    const isOnStandby = view.isSetAside(to);
    return [
      holderCheck(view),
      {
        name: 'data node',
        ok: view.isDataVoter(to),
        detail: `${to} ${view.isDataVoter(to) ? 'is' : 'is not'} a data node with a vote`,
      },
      {
        name: 'other node',
        ok: to !== view.self,
        detail: to === view.self ? `${to} holds already` : `${to} is not the holder`,
      },
      {
        name: 'in sync',
        ok: view.isEligible(to),
        detail: `${to} ${view.isEligible(to) ? 'is' : 'is not'} in the in-sync set (H1)`,
      },
      { name: 'reachable', ok: isReachable, detail: `${to} ${isReachable ? 'answers' : 'does not answer'}` },
      {
        name: 'active',
        ok: !isOnStandby,
        detail: isOnStandby
          ? `${to} is on standby: "quorate activate ${to}" first`
          : `${to} is not on standby`,
      },
      pausedCheck(view.isPaused),
    ];
  }

  /** Of the best other node; where there is none, what that lacks. */
  checksOfBest(): readonly SwitchoverCheck[] {
    const { view } = this.#options.driver;
    try {
      return this.checks(this.target());
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      return [
        holderCheck(view),
        { name: 'in sync', ok: false, detail: error.message },
        pausedCheck(view.isPaused),
      ];
    }
  }

  #answers(id: NodeId): boolean {
    const { view } = this.#options.driver;
    return view.leadership?.lease.heardFrom(id, view.now - view.timing.leaseMs) ?? false;
  }

  /** By the same planner that the executors use: what is held here is given up, and over there everything is taken. */
  #plannedSteps(from: NodeId, to: NodeId): SwitchoverOutcome['steps'] {
    const graph = graphOf(this.#options.config.resources);
    return [
      ...plannedSteps(planRelease(graph, this.#options.probes(), 'planned'), from),
      { name: `${from}: hand leadership to ${to}`, ms: 0, result: 'when all of that is verified' },
      ...plannedSteps(planTakeover(graph, new Map()), to),
    ];
  }
}

/** A leader that was only just elected has nothing to move, and "the other node" is not whom the caller means. */
function holderCheck({ self, hold }: CoreView): SwitchoverCheck {
  const ok = hold.kind === 'held';
  return { name: 'leader', ok, detail: ok ? `${self} holds` : `${self} leads and does not hold, or not yet` };
}

/** The name of the check whose failure is called by a code of its own. */
const NOT_PAUSED = 'not paused';

function pausedCheck(isPaused: boolean): SwitchoverCheck {
  const detail = isPaused
    ? 'the cluster is paused, nothing moves: "quorate resume" first (H7)'
    : 'the cluster is not paused';
  return { name: NOT_PAUSED, ok: !isPaused, detail };
}

/** @throws QuorateError `cluster-paused` or `refused-unsafe` for the checks that failed */
export function requireAll(what: string, node: NodeId, checks: readonly SwitchoverCheck[]): void {
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  const isPaused = failed.some(({ name }) => name === NOT_PAUSED);
  throw refusedFor(what, failed, node, isPaused ? 'cluster-paused' : 'refused-unsafe');
}
