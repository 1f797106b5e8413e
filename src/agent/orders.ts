/**
 * What an operator says of the whole cluster, or of a node, until somebody says otherwise (H7): pause and resume, standby and
 * activate. Each is an entry of the log; what follows from it, the core does wherever it leads.
 */
import type { AdminBackend, PauseOutcome, StandbyOutcome, SwitchoverCheck } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { isoTime } from '../state/index.ts';
import type { Driver } from './driver.ts';
import { reasonOf } from './reason.ts';
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
  async setPaused(paused: boolean, request: Parameters<AdminBackend['pause']>[0]): Promise<PauseOutcome> {
    const { driver, clock, limitMs } = this.#options;
    const why = reasonOf(request.why);
    const before = driver.view.state.pause;
    if ((before !== null) === paused) return { paused, changed: false, index: null, since: sinceOf(before) };
    const index = await driver.commit(
      { kind: 'pause', paused, who: request.who, why, request: null, at: clock.wallMs() },
      limitMs,
    );
    return { paused, changed: true, index, since: sinceOf(driver.view.state.pause) };
  }

  /** The holder hands over first, or nothing is done. Where that fails while it still holds, it is active again. */
  async standby(request: Parameters<AdminBackend['standby']>[0]): Promise<StandbyOutcome> {
    const { driver, switchover } = this.#options;
    const { node } = request;
    this.#requireDataNode(node);
    if (driver.view.state.standby.includes(node))
      return { node, standby: true, changed: false, index: null, moved: null };
    const isHolder = node === driver.view.self && driver.view.hold.kind === 'held';
    const to = isHolder ? switchover.target() : null;
    const checks = to === null ? [] : this.#holderChecks(node, to);
    const index = await this.#say(request, true);
    if (to === null) return { node, standby: true, changed: true, index, moved: null };
    try {
      return { node, standby: true, changed: true, index, moved: await switchover.move(to, checks) };
    } catch (error) {
      await this.#takeBack(request);
      throw error;
    }
  }

  async activate(request: Parameters<AdminBackend['activate']>[0]): Promise<StandbyOutcome> {
    const { node } = request;
    this.#requireDataNode(node);
    if (!this.#options.driver.view.state.standby.includes(node))
      return { node, standby: false, changed: false, index: null, moved: null };
    const index = await this.#say(request, false);
    return { node, standby: false, changed: true, index, moved: null };
  }

  #holderChecks(node: NodeId, to: NodeId): readonly SwitchoverCheck[] {
    const checks = this.#options.switchover.checks(to);
    requireAll(`${node} holds, and a switchover to ${to} first was`, checks);
    return checks;
  }

  /** A holder that could not hand over is no worse than before: it must not find itself barred when its lease ends. */
  async #takeBack(request: Parameters<AdminBackend['standby']>[0]): Promise<void> {
    const { view } = this.#options.driver;
    if (view.role.kind !== 'leader' || view.hold.kind !== 'held') return;
    // mark: standby-taken-back
    await this.#say({ ...request, why: 'it could not hand over' }, false).catch(() => undefined);
  }

  #say(request: Parameters<AdminBackend['standby']>[0], standby: boolean): Promise<number> {
    const { driver, clock, limitMs } = this.#options;
    const { node, who } = request;
    const why = reasonOf(request.why);
    return driver.commit(
      { kind: 'standby', node, standby, who, why, request: null, at: clock.wallMs() },
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
