/**
 * What an operator says of the whole cluster, or of a node, until somebody says otherwise (H7): pause and resume, standby and
 * activate. Each is an entry of the log; what follows from it, the core does wherever it leads.
 */
import type { PauseOrder, PauseOutcome, StandbyOrder, StandbyOutcome } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { logIndex, type NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { isoTime } from '../state/index.ts';
import type { Driver } from './driver.ts';
import { reasonOf } from './reason.ts';
import { requireHeldEpoch } from './refusals.ts';
import { requireAll, type Switchover } from './switchover.ts';

export interface OrdersOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly switchover: Switchover;
  readonly limitMs: number;
}

export class Orders {
  readonly #options: OrdersOptions;

  /** Each of whoever leads: `not-leader` is the caller's to say. */
  constructor(options: OrdersOptions) {
    this.#options = options;
  }

  /** What is so already is not written again. */
  async setPaused(paused: boolean, order: PauseOrder): Promise<PauseOutcome> {
    const { driver, clock, limitMs } = this.#options;
    const why = reasonOf(order.why);
    const before = driver.view.state.pause;
    if ((before !== null) === paused && !this.#isChanging('pause'))
      return { paused, changed: false, index: null, since: sinceOf(before), alreadyDone: false };
    const index = await driver.commit(
      { kind: 'pause', paused, who: order.who, why, request: order.requestId || null, at: clock.wallMs() },
      limitMs,
    );
    const since = sinceOf(driver.view.state.pause);
    return { paused, changed: true, index, since, alreadyDone: false };
  }

  /** The holder hands over first, or nothing is done. Where that fails while it still holds, it is active again. */
  async standby(order: StandbyOrder): Promise<StandbyOutcome> {
    const { driver, switchover } = this.#options;
    const { node } = order;
    this.#requireDataNode(node);
    requireHeldEpoch(driver.view, order.expectedEpoch);
    if (driver.view.state.standby.includes(node) && !this.#isChanging('standby'))
      return { node, standby: true, changed: false, index: null, moved: null, alreadyDone: false };
    const isHolder = node === driver.view.self && driver.view.hold.kind === 'held';
    const to = isHolder ? switchover.target() : null;
    const checks = to === null ? [] : switchover.checks(to);
    if (to !== null) requireAll(`${node} holds, and a switchover to ${to} first was`, to, checks);
    const index = await this.#say(order, true);
    if (to === null) return { node, standby: true, changed: true, index, moved: null, alreadyDone: false };
    try {
      const moved = await switchover.move(to, checks);
      return { node, standby: true, changed: true, index, moved, alreadyDone: false };
    } catch (error) {
      await this.#takeBack(order);
      throw error;
    }
  }

  async activate(order: StandbyOrder): Promise<StandbyOutcome> {
    const { node } = order;
    this.#requireDataNode(node);
    requireHeldEpoch(this.#options.driver.view, order.expectedEpoch);
    if (!this.#options.driver.view.state.standby.includes(node) && !this.#isChanging('standby'))
      return { node, standby: false, changed: false, index: null, moved: null, alreadyDone: false };
    const index = await this.#say(order, false);
    return { node, standby: false, changed: true, index, moved: null, alreadyDone: false };
  }

  /** Somebody else has just said something about it, which is not committed yet: then the last word counts. */
  #isChanging(kind: 'pause' | 'standby'): boolean {
    const { log, commitIndex } = this.#options.driver.view;
    return log
      .slice(logIndex(commitIndex + 1), Number.POSITIVE_INFINITY)
      .some(({ body }) => body.kind === kind);
  }

  /** A holder that could not hand over is no worse than before: it must not find itself barred when its lease ends. */
  async #takeBack(order: StandbyOrder): Promise<void> {
    const { view } = this.#options.driver;
    if (view.role.kind !== 'leader' || view.hold.kind !== 'held') return;
    // mark: standby-taken-back
    await this.#say({ ...order, why: 'it could not hand over', requestId: '' }, false).catch(() => undefined);
  }

  #say(order: StandbyOrder, standby: boolean): Promise<number> {
    const { driver, clock, limitMs } = this.#options;
    const { node, who, requestId } = order;
    const why = reasonOf(order.why);
    return driver.commit(
      { kind: 'standby', node, standby, who, why, request: requestId || null, at: clock.wallMs() },
      limitMs,
    );
  }

  #requireDataNode(node: NodeId): void {
    const { members } = this.#options.driver.view.state;
    const known = members.filter(({ witness }) => !witness).map(({ id }) => id);
    if (!known.includes(node))
      throw new QuorateError('usage', `${node} is not a data node; data nodes are ${known.join(', ')}`);
  }
}

function sinceOf(pause: { who: string; why: string; at: number | null } | null): PauseOutcome['since'] {
  return pause === null ? null : { who: pause.who, why: pause.why, at: isoTime(pause.at) };
}
