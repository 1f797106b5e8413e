/**
 * `quorate restart` (L7): this process ends, and its supervisor starts the next one at once. Where this node holds, the tenure
 * is announced, handed to the executor with a deadline, and adopted by the next process; elsewhere it is a plain restart.
 *
 * Nothing is handed over that the next process could not know: a fence request that is open, or a resume of I/O whose end is
 * not known, are in this process's memory alone (H3).
 */
import type { RestartOrder, RestartOutcome, SwitchoverCheck } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import {
  durationMs,
  type Epoch,
  MAX_RESTART_MS,
  MIN_RESTART_MS,
  type NodeId,
  whyNoRestart,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorClient } from '../executor/index.ts';
import type { Driver } from './driver.ts';
import { refusedFor } from './refusals.ts';

/** The answer leaves first. It may be lost: the log has the request. */
const LEAVE_AFTER_MS = 20;
/** A node with a long lease needs no more: the lease is confirmed every heartbeat. */
const HAND_OVER_LIMIT_MS = 5_000;
export const DEFAULT_RESTART_MS = 5_000;

export interface RestartOptions {
  readonly driver: Driver;
  readonly executor: Pick<ExecutorClient, 'canKeep' | 'connected'>;
  readonly clock: Clock;
  /** Another one in each process. */
  readonly instance: string;
  readonly isComplete: (epoch: Epoch) => boolean;
  /** H3: what this process alone knows of the I/O; null: nothing. */
  readonly openBusiness: () => string | null;
  /** Of the other voters, whether they answer now. */
  readonly isUp: (peer: NodeId) => boolean;
  /** Voters that answer and have not said that they know what this version does. */
  readonly lacking: () => readonly NodeId[];
  readonly until: (isDone: () => boolean, limitMs: number) => Promise<boolean>;
  /** `kept`: without a release. */
  readonly leave: (how: 'kept' | 'plain') => void;
  readonly limitMs: number;
}

export class Restart {
  readonly #options: RestartOptions;
  /** What has become of the hand-over of this process's tenure. */
  #handOver: 'none' | 'done' | { readonly refused: string } = 'none';
  #isLeaving = false;

  constructor(options: RestartOptions) {
    this.#options = options;
  }

  onHandOver(answer: 'done' | { readonly refused: string }): void {
    this.#handOver = answer;
  }

  /** @throws QuorateError `refused-unsafe` where nothing was done; `restart-failed` where it was given up */
  async run(order: RestartOrder): Promise<RestartOutcome> {
    const { driver, instance } = this.#options;
    const withinMs = order.withinMs ?? DEFAULT_RESTART_MS;
    if (!(withinMs >= MIN_RESTART_MS && withinMs <= MAX_RESTART_MS))
      throw new QuorateError('usage', `a restart takes ${MIN_RESTART_MS} to ${MAX_RESTART_MS} ms`);
    const checks = await this.checks(withinMs);
    const { hold, self: node } = driver.view;
    const epoch = hold.kind === 'held' ? hold.epoch : null;
    const answer = { node, instance, epoch, withinMs, checks, index: null, alreadyDone: false };
    if (order.dryRun) return { ...answer, dryRun: true };
    const failed = checks.filter(({ ok }) => !ok);
    if (failed.length > 0) throw refusedFor(`restart of ${node}`, failed, node, 'refused-unsafe');
    if (this.#isLeaving) throw new QuorateError('restart-failed', 'this agent is ending already');
    if (epoch === null) {
      this.#leave('plain');
      return { ...answer, dryRun: false };
    }
    const index = await this.#announceAndHandOver(order, withinMs);
    this.#leave('kept');
    return { ...answer, dryRun: false, index };
  }

  async #announceAndHandOver({ who, requestId }: RestartOrder, withinMs: number): Promise<number> {
    const { driver, limitMs, until } = this.#options;
    const request = requestId === '' ? null : requestId;
    const index = await driver.commit(
      { kind: 'restart', durationMs: durationMs(withinMs), who, request },
      limitMs,
    );
    this.#handOver = 'none';
    const isOver = (): boolean =>
      this.#handOver !== 'none' || !['held', 'handed-over'].includes(driver.view.hold.kind);
    await until(isOver, HAND_OVER_LIMIT_MS);
    const answer = this.#heard();
    if (answer === 'done') return index;
    // The executor has it, or has not: that is known when this process has gone. It keeps everything, or releases at once.
    if (driver.view.hold.kind === 'handed-over') return index;
    const why = answer === 'none' ? 'the lease was lost, or an override has come before it' : answer.refused;
    throw new QuorateError('restart-failed', `entry ${index} announced it, and it was given up: ${why}`);
  }

  #heard() {
    return this.#handOver;
  }

  /** Everything that it needs, in the order in which a person would ask. */
  async checks(withinMs: number): Promise<readonly SwitchoverCheck[]> {
    const { driver, executor } = this.#options;
    const { view } = driver;
    if (view.hold.kind === 'none') return [check('settled', null, 'it holds nothing: a plain restart')];
    const canKeep = executor.connected && (await executor.canKeep());
    const { hold, timing } = view;
    const isWhole = hold.kind === 'held' && this.#options.isComplete(hold.epoch);
    const isLong = withinMs >= 2 * timing.leaseMs;
    return [
      check('settled', whyNoRestart(view), 'it holds, with a running lease'),
      check(
        'whole',
        isWhole ? null : 'not everything that it should hold is held: see status',
        'everything is held',
      ),
      check('io', this.#options.openBusiness(), 'no decision about the I/O is open (H3)'),
      check(
        'executor',
        canKeep ? null : 'its executor is of an older version, or does not answer',
        'it keeps everything',
      ),
      check('voters', this.#votersProblem(), 'enough voters answer, and know of it'),
      check('time', isLong ? null : `less than two leases of ${timing.leaseMs} ms`, `${withinMs} ms`),
    ];
  }

  #votersProblem(): string | null {
    const { driver, isUp, lacking } = this.#options;
    const { voters, quorum, self } = driver.view;
    const old = lacking();
    if (old.length > 0) return `${old.join(' and ')} has not said that it knows of this: upgrade it first`;
    const there = voters.filter((id) => id === self || isUp(id)).length;
    return there >= quorum ? null : `only ${there} of ${voters.length} voters answer`;
  }

  #leave(how: 'kept' | 'plain'): void {
    this.#isLeaving = true;
    this.#options.clock.after(LEAVE_AFTER_MS, () => this.#options.leave(how));
  }
}

function check(name: string, problem: string | null, well: string): SwitchoverCheck {
  return { name, ok: problem === null, detail: problem ?? well };
}
