/**
 * What an operator says of the whole cluster, or of a node, until somebody says otherwise (H7): pause and resume, standby and
 * activate. Each is an entry of the log; what follows from it, the core does wherever it leads.
 */
import type { PauseOrder, PauseOutcome, StandbyOrder, StandbyOutcome } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { type LogIndex, logIndex, type NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { isoTime } from '../state/index.ts';
import type { Driver } from './driver.ts';
import { reasonOf } from './reason.ts';
import { requireHeldEpoch } from './refusals.ts';
import { requireAll, type Switchover } from './switchover.ts';
import { holdsAfterTransfer } from './transfer-end.ts';

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

  /** What is so already is written again only for its id: a late repeat must not undo what somebody has said meanwhile. */
  async setPaused(paused: boolean, order: PauseOrder): Promise<PauseOutcome> {
    const { driver, clock, limitMs } = this.#options;
    const why = reasonOf(order.why);
    const before = driver.view.state.pause;
    const changed = (before !== null) !== paused || this.#isChanging('pause');
    if (!changed && order.requestId === '')
      return { paused, changed: false, index: null, since: sinceOf(before), alreadyDone: false };
    const index = await driver.commit(
      { kind: 'pause', paused, who: order.who, why, request: order.requestId || null, at: clock.wallMs() },
      limitMs,
    );
    const since = sinceOf(driver.view.state.pause);
    return { paused, changed, index, since, alreadyDone: false };
  }

  /** The holder hands over first, or nothing is done. Where that fails while it still holds, it is active again. */
  async standby(order: StandbyOrder): Promise<StandbyOutcome> {
    const { driver, switchover } = this.#options;
    const { node } = order;
    this.#requireDataNode(node);
    requireHeldEpoch(driver.view, order.expectedEpoch);
    // A holder that is on standby and holds all the same (its release hung, and was undone) has something to do yet.
    const mayHoldHere = node === driver.view.self && driver.view.hold.kind !== 'none';
    const changed = mayHoldHere || !driver.view.state.standby.includes(node) || this.#isChanging('standby');
    if (!changed && order.requestId === '')
      return { node, standby: true, changed, index: null, moved: null, alreadyDone: false };
    const isHolder = mayHoldHere && driver.view.hold.kind === 'held';
    const to = isHolder ? switchover.target() : null;
    const checks = to === null ? [] : switchover.checks(to);
    if (to !== null) requireAll(`${node} holds, and a switchover to ${to} first was`, to, checks);
    const index = await this.#say(order, true);
    if (to === null) return { node, standby: true, changed, index, moved: null, alreadyDone: false };
    try {
      const moved = await switchover.move(to, checks);
      return { node, standby: true, changed: true, index, moved, alreadyDone: false };
    } catch (error) {
      // Not waited for where the release still runs: it may for a long time.
      const isHeld = driver.view.hold.kind === 'held';
      const end = this.#takeBack(order, index).catch(() => undefined);
      if (isHeld) await end;
      throw error;
    }
  }

  async activate(order: StandbyOrder): Promise<StandbyOutcome> {
    const { node } = order;
    this.#requireDataNode(node);
    requireHeldEpoch(this.#options.driver.view, order.expectedEpoch);
    const changed = this.#options.driver.view.state.standby.includes(node) || this.#isChanging('standby');
    if (!changed && order.requestId === '')
      return { node, standby: false, changed, index: null, moved: null, alreadyDone: false };
    const index = await this.#say(order, false);
    return { node, standby: false, changed, index, moved: null, alreadyDone: false };
  }

  /** Somebody else has just said something about it, which is not committed yet: then the last word counts. */
  #isChanging(kind: 'pause' | 'standby'): boolean {
    const { log, commitIndex } = this.#options.driver.view;
    return log
      .slice(logIndex(commitIndex + 1), Number.POSITIVE_INFINITY)
      .some(({ body }) => body.kind === kind);
  }

  /**
   * A holder that could not hand over is no worse than before: it must not find itself barred when its lease ends. A release that
   * hangs may be undone much later (R1): until then nobody knows whether it hands over.
   * @param said the entry that is taken back, unless somebody has said something else since
   */
  async #takeBack(order: StandbyOrder, said: LogIndex): Promise<void> {
    const { driver, clock } = this.#options;
    if (!(await holdsAfterTransfer(driver, clock)) || !this.#isLastWord(order.node, said)) return;
    // mark: standby-taken-back
    await this.#say({ ...order, why: 'it could not hand over', requestId: '' }, false);
  }

  #isLastWord(node: NodeId, said: LogIndex): boolean {
    const later = this.#options.driver.view.log.slice(logIndex(said + 1), Number.POSITIVE_INFINITY);
    return !later.some(({ body }) => body.kind === 'standby' && body.node === node);
  }

  #say(order: StandbyOrder, standby: boolean): Promise<LogIndex> {
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
