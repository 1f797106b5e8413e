/**
 * Fencing the old holder through the cloud (R5): who, when, and what the log says about it. The cloud itself is called by the
 * executor.
 *
 * 1. Only a leader fences, after its promise-bound election, and only the holder of a tenure before that has not proven its
 *    release.
 * 2. `before`: where H2 has no other proof, the takeover waits until the machine is confirmed as stopped.
 * 3. `after`: once everything is held; nothing waits for it.
 * 4. How it ended is an entry of the log, also where it could not be confirmed.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import type { Epoch, Instant, NodeId } from '../core/index.ts';
import { instant, epoch as makeEpoch, nodeId } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import type { Driver } from './driver.ts';

type FenceEnded = Extract<ExecutorEvent, { kind: 'fence-ended' }>;

/** Between two attempts. A leader's order is good for what its lease has left, so an attempt is short where the cloud refuses. */
const RETRY_MS = 2_000;
/** After a takeover the old holder is stopped to keep it from coming back half dead; some attempts are enough for that. */
const ATTEMPTS_AFTER = 5;
/** How long a takeover waits for the confirmation: a stop that insists on a shutdown takes minutes. */
export const FENCE_BEFORE_MS = 600_000;
const COMMIT_LIMIT_MS = 10_000;

interface Waiting {
  readonly node: NodeId;
  readonly isWanted: () => boolean;
  readonly resolve: (event: FenceEnded | null) => void;
}

interface Target {
  readonly node: NodeId;
  readonly epoch: Epoch;
}

export class Fencing {
  readonly #config: Config['fencing'];
  readonly #driver: Driver;
  readonly #executor: Pick<ExecutorClient, 'fence'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waiting = new Map<number, Waiting>();
  #orders = 0;
  #isEnded = false;

  constructor(
    config: Config['fencing'],
    driver: Driver,
    executor: Pick<ExecutorClient, 'fence'>,
    clock: Clock,
    log: Logger,
  ) {
    this.#config = config;
    this.#driver = driver;
    this.#executor = executor;
    this.#clock = clock;
    this.#log = log;
  }

  end(): void {
    this.#isEnded = true;
    this.onExecutorGone();
  }

  /** An answer to another agent of this node, whose numbers began with 1 too, is none to this one. */
  onFenceEnded(event: FenceEnded): void {
    if (this.#waiting.get(event.id)?.node === event.node) this.#settle(event.id, event);
  }

  /** After every committed entry: what is no longer wanted is not waited for. */
  onCommitted(): void {
    for (const [id, { isWanted }] of this.#waiting) if (!isWanted()) this.#settle(id, null);
  }

  /** An order that it was carrying out is unconfirmed. */
  onExecutorGone(): void {
    for (const id of [...this.#waiting.keys()]) this.#settle(id, null);
  }

  /** R5, `before`: true once the holder of the open tenure is confirmed as stopped and the log says so. */
  async before(): Promise<boolean> {
    const { tenure } = this.#driver.view.state;
    if (this.#config.ec2Stop !== 'before' || tenure === null || tenure.node === this.#driver.view.self)
      return false;
    const target = { node: nodeId(tenure.node), epoch: tenure.epoch };
    // A proof that comes meanwhile is as good (R4), and who has let go is not stopped.
    const isWaited = (): boolean => {
      const { hold, state } = this.#driver.view;
      const isOpen = state.tenure?.released === false && !state.tenure.fenced;
      return hold.kind === 'preparing' && isOpen && state.tenure?.epoch === target.epoch;
    };
    return this.#fence(target, isWaited, Number.POSITIVE_INFINITY);
  }

  /** `after`: the takeover of `epoch` has ended; the holder before may still run, cut off, and is stopped. */
  async after(epoch: Epoch): Promise<void> {
    if (this.#config.ec2Stop === 'off') return;
    const target = this.#predecessor(epoch);
    if (target === null) return;
    const isStillHolder = (): boolean => {
      const { hold, mayHold } = this.#driver.view;
      return mayHold && hold.kind === 'held' && hold.epoch === epoch;
    };
    await this.#fence(target, isStillHolder, ATTEMPTS_AFTER);
  }

  /** The holder of the tenure before, where nothing in the log says that it has released or was stopped. */
  #predecessor(epoch: Epoch): Target | null {
    const { log, self } = this.#driver.view;
    const before = log.all.findLast(({ index, body }) => index < epoch && body.kind === 'tenure-granted');
    if (before?.body.kind !== 'tenure-granted' || before.body.node === self) return null;
    // The epoch of a tenure is the index of its grant (H2).
    const ended = makeEpoch(before.index);
    const isOver = log.all.some(
      ({ body }) =>
        (body.kind === 'tenure-released' || (body.kind === 'fenced' && body.outcome !== 'unconfirmed')) &&
        body.epoch === ended,
    );
    return isOver ? null : { node: before.body.node, epoch: ended };
  }

  async #fence(target: Target, isWanted: () => boolean, attempts: number): Promise<boolean> {
    if (this.#config.instances[target.node] === undefined) return false;
    for (let attempt = 1; attempt <= attempts && isWanted() && !this.#isEnded; attempt += 1) {
      if (attempt > 1) await this.#clock.sleep(RETRY_MS);
      const until = this.#driver.view.leaseUntil;
      if (!isWanted() || until === null) continue;
      const startedAt = this.#clock.now();
      const ended = await this.#order(target.node, until, isWanted);
      const ms = Math.round(this.#clock.now() - startedAt);
      const isConfirmed = ended !== null && ended.outcome !== 'unconfirmed';
      const detail = ended?.detail ?? 'called off, or the executor is gone';
      this.#log[isConfirmed ? 'info' : 'error'](
        { event: 'fenced', target: target.node, outcome: ended?.outcome ?? 'unconfirmed', detail, ms },
        isConfirmed ? `fenced ${target.node}: ${detail}` : `could not fence ${target.node}: ${detail}`,
      );
      if (isConfirmed) return this.#record(target, ended.outcome, detail, ms);
      if (!isWanted()) return false;
      // Once: a cloud that cannot be reached for hours must not fill the log (D4).
      if (attempt === 1) await this.#record(target, 'unconfirmed', detail, ms);
    }
    return false;
  }

  #order(node: NodeId, until: Instant, isWanted: () => boolean): Promise<FenceEnded | null> {
    this.#orders += 1;
    const id = this.#orders;
    const confirmedAt = instant(until - this.#driver.view.timing.leaseMs);
    return new Promise((resolve) => {
      this.#waiting.set(id, { node, isWanted, resolve });
      this.#executor.fence({ id, node, until, confirmedAt });
    });
  }

  #settle(id: number, event: FenceEnded | null): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.resolve(event);
  }

  /** True once it is committed: what is not in the log of a quorum is no proof. */
  async #record(
    { node, epoch }: Target,
    outcome: FenceEnded['outcome'],
    detail: string,
    ms: number,
  ): Promise<boolean> {
    try {
      const entry = { kind: 'fenced', epoch, node, outcome, detail, ms, at: this.#clock.wallMs() } as const;
      await this.#driver.commit(entry, COMMIT_LIMIT_MS);
      return outcome !== 'unconfirmed';
    } catch (error) {
      this.#log.warn({ event: 'proposal-refused', why: String(error) }, 'the fencing could not be recorded');
      return false;
    }
  }
}
