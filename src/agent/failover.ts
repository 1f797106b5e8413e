/**
 * O3: an operator decides that a node which is not in sync shall hold, because the nodes that are will not come back.
 *
 * What this agent may see is checked here and again by the core when it writes the entry; nothing is granted by it. The node
 * then holds by an election of its own and through the whole gate (H2): the old holder's promise has run out before this
 * leader was elected, and where no watchdog stands behind that, its release or its fencing must be proven, because a forced
 * promotion does not ask DRBD.
 */
import type { FailoverOrder, FailoverOutcome, SwitchoverCheck } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { type Config, graphOf } from '../config/index.ts';
import { forceChecks, inSyncLoss, logIndex, type NodeId, unprovenClaims } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { isoTime } from '../state/index.ts';
import { planTakeover } from '../takeover/index.ts';
import { acceptLoss } from './accept-loss.ts';
import type { DataLoss } from './data-loss.ts';
import type { Driver } from './driver.ts';
import type { OrderEntries } from './order-entries.ts';
import { reasonOf } from './reason.ts';
import { refusedFor, requireOpenEpoch } from './refusals.ts';
import { plannedSteps, type TakeoverWatch } from './takeover-watch.ts';
import { whyNotUnwatched } from './unwatched.ts';

export interface FailoverOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly takeovers: TakeoverWatch;
  readonly entries: OrderEntries;
  readonly hasWholeData: () => Promise<boolean | null>;
  readonly limitMs: number;
  /** Null, or not there: no pool is replicated by snapshots. */
  readonly dataLoss?: DataLoss | null;
}

export class Failover {
  readonly #options: FailoverOptions;

  constructor(options: FailoverOptions) {
    this.#options = options;
  }

  /** Of whoever leads: `not-leader` is the caller's to say. */
  async run(order: FailoverOrder): Promise<FailoverOutcome> {
    const { clock, driver, takeovers, entries, limitMs } = this.#options;
    const { to, who, dryRun, requestId } = order;
    const { dataLoss = null } = this.#options;
    const { self, state } = driver.view;
    if (dataLoss !== null && to === self && state.inSync.includes(to))
      return acceptLoss(order, { driver, clock, takeovers, dataLoss, entries, limitMs });
    const mayLose = this.#mayLose(to);
    if (!dryRun && !order.acceptDataLoss)
      throw new QuorateError(
        'usage',
        `a failover to ${to} needs --accept-data-loss: what may be lost is ${mayLose}`,
      );
    const why = reasonOf(order.why) || 'no reason given';
    // Nothing is awaited between the checks and the entry.
    const data = await this.#dataCheck(to);
    requireOpenEpoch(driver.view, order.expectedEpoch);
    const checks = [...forceChecks(driver.view, to), data, this.#oldHolderCheck()];
    if (dryRun) {
      const steps = plannedSteps(planTakeover(graphOf(this.#options.config.resources), new Map()), to);
      return {
        dryRun,
        to,
        mayLose,
        forcedAt: null,
        epoch: null,
        totalMs: null,
        steps,
        checks,
        alreadyDone: false,
        idNotInLog: false,
      };
    }
    const failed = checks.filter(({ ok }) => !ok);
    if (failed.length > 0) {
      const code = driver.view.isPaused ? 'cluster-paused' : 'refused-unsafe';
      throw refusedFor(`failover to ${to}`, failed, to, code);
    }
    const began = clock.now();
    const taken = takeovers.next(to, 'failover-failed');
    // It may fail before the commit is known, while nobody waits for it yet.
    taken.promise.catch(() => undefined);
    try {
      const at = clock.wallMs();
      const { index: forcedAt, idNotInLog } = await entries.write(
        { kind: 'forced', who, why, mayLose, node: to, at },
        { requestId, isNamed: true, to, expectedEpoch: order.expectedEpoch },
        limitMs,
      );
      if (driver.view.state.inSync.join() !== to)
        throw new QuorateError('refused-unsafe', `failover to ${to}: the entry was void (O3)`);
      const { epoch, steps } = await taken.promise;
      const totalMs = clock.now() - began;
      const done = { dryRun, to, mayLose, forcedAt, epoch, totalMs, alreadyDone: false, idNotInLog };
      return { ...done, steps, checks };
    } catch (error) {
      taken.cancel();
      throw error;
    }
  }

  /** A node that cannot be promoted must not become the only one that may be: the others, coming back, could not hold either. */
  async #dataCheck(to: NodeId): Promise<SwitchoverCheck> {
    const { config, driver, hasWholeData } = this.#options;
    const name = 'data';
    if (!config.resources.some(({ kind }) => kind === 'drbd'))
      return { name, ok: true, detail: 'nothing is replicated by DRBD' };
    const { self } = driver.view;
    if (to !== self)
      return {
        name,
        ok: false,
        detail: `${self} cannot see whether the disk of ${to} is whole: stop the agent of ${self}, and ask ${to} when it leads`,
      };
    switch (await hasWholeData()) {
      case true:
        return { name, ok: true, detail: `what ${to} has, however old, is of one moment` };
      case false:
        return {
          name,
          ok: false,
          detail: `a disk of ${to} is gone, or of no single moment: a resync broke off`,
        };
      case null:
        return { name, ok: false, detail: `the disk of ${to} cannot be read` };
    }
  }

  /** H2: that nobody can still write must not rest on DRBD here. */
  #oldHolderCheck(): SwitchoverCheck {
    const { config, driver } = this.#options;
    const { state, timing } = driver.view;
    const { tenure } = state;
    const name = 'old holder';
    if (tenure === null) return { name, ok: true, detail: 'nobody has held yet' };
    const { node, epoch } = tenure;
    const claims = unprovenClaims(state);
    if (claims.length === 0)
      return tenure.released
        ? { name, ok: true, detail: `${node} has released epoch ${epoch}` }
        : { name, ok: true, detail: `the machine of ${node} was stopped` };
    if (timing.watchdog !== null)
      return { name, ok: true, detail: `the promise to ${node} is over, and with it its watchdog's time` };
    const why = whyNotUnwatched(config, state, true);
    if (why === null) {
      const detail = `nothing proves that ${node} has stopped: watchdog.mode is off, you answer for it`;
      return { name, ok: true, detail };
    }
    const isFenced = config.fencing.ec2Stop === 'before' && config.watchdog.mode === 'automatic';
    // Only the last one is stopped.
    const isLast = claims.every((claim) => claim.node === node);
    if (isFenced && isLast && config.fencing.instances[node] !== undefined)
      return { name, ok: true, detail: `the machine of ${node} is stopped through the cloud first (R5)` };
    const advice = `let the cloud stop it (fencing.ec2_stop: before), or answer for it by name (watchdog.mode: off)`;
    return { name, ok: false, detail: `${why}: ${advice}` };
  }

  /** For people, and for the log: exact about when, because nobody can be exact about how much. */
  #mayLose(to: NodeId): string {
    const { log, commitIndex } = this.#options.driver.view;
    const { leftAt, after, holders } = inSyncLoss(log.slice(logIndex(1), commitIndex), to);
    const whose = holders.length === 0 ? 'anybody' : holders.join(' and ');
    if (leftAt === null) return `everything that ${whose} wrote: ${to} has never been in the in-sync set`;
    const time = isoTime(after);
    const since = time === null ? '' : `, some time after ${time}`;
    return `every write that ${whose} acknowledged since ${to} left the in-sync set (entry ${leftAt}${since})`;
  }
}
