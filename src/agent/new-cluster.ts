/**
 * H7 as this node takes part in it: makes the first entry and gives it to all, or takes it from another node.
 *
 * The own node first: whatever fails after that, a second try writes the same bytes everywhere. Nobody is elected until every
 * member has confirmed its first entry: one that was left out could never come in again (D2).
 */
import type { Config } from '../config/index.ts';
import { type Entry, logIndex, type NodeId, type Timing } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import type { PeerTransport } from '../peer/index.ts';
import { checkInSync, checkOffered, firstEntry } from './bootstrap.ts';
import type { Driver } from './driver.ts';

/** One write of one entry; beyond it the store itself gives up (D3). */
const LIMIT_MS = 10_000;

export interface NewClusterOptions {
  readonly config: Config;
  readonly timing: Timing;
  readonly driver: Driver;
  readonly transport: Pick<PeerTransport, 'isUp' | 'sendBootstrap'>;
  readonly others: ReadonlyMap<NodeId, string>;
  /** What the executor has read last; null before that. */
  readonly probes: () => Extract<ExecutorEvent, { kind: 'probes' }> | null;
  /** Told before the first entry is written; throws where a leader's log has come first (D2). */
  readonly onFirst: () => void;
  /** Resolves true once the condition holds after some step, false when the time is over. */
  readonly until: (isDone: () => boolean, limitMs: number) => Promise<boolean>;
}

export class NewCluster {
  readonly #options: NewClusterOptions;

  constructor(options: NewClusterOptions) {
    this.#options = options;
  }

  /** Rejects with a QuorateError that says what is missing; `timed-out-unknown` where it may yet begin. */
  async bootstrap(inSync: readonly NodeId[]): Promise<void> {
    const { config, timing, driver, transport, others, probes, until } = this.#options;
    checkInSync(config, inSync, probes());
    const entry = firstEntry(config, timing, inSync);
    this.#check(entry);
    if (driver.view.log.lastIndex > 1) throw this.#hasLog();
    const missing = [...others.keys()].filter((id) => !transport.isUp(id));
    if (missing.length > 0)
      throw new QuorateError(
        'peer-unreachable',
        `bootstrap needs every member: no connection to ${missing.join(', ')}`,
      );
    await this.#store(entry);
    for (const address of others.values()) await transport.sendBootstrap(address, entry);
    driver.input({ kind: 'begin' });
    if (!(await until(() => driver.view.outbox.durableHardState.term > 0, LIMIT_MS)))
      throw new QuorateError(
        'timed-out-unknown',
        'every member has the first entry; whether it begins is not known',
      );
  }

  /** Of another node; resolves when it is durable here. */
  async accept(entry: Entry): Promise<void> {
    checkOffered(this.#options.config, entry);
    this.#check(entry);
    await this.#store(entry);
  }

  #check(entry: Entry): void {
    const { log, hard } = this.#options.driver.view;
    const first = log.hashAt(logIndex(1));
    // Nobody has a term before every member has its first entry: this one has joined a cluster that runs, or has lost its log (D2).
    if (first === null && hard.term > 0)
      throw new QuorateError(
        'already-bootstrapped',
        `${this.#options.config.node} has no log, but has heard of a cluster that has begun (term ${hard.term})`,
      );
    if (first !== null && first !== entry.hash) throw this.#hasLog();
  }

  #hasLog(): QuorateError {
    return new QuorateError('already-bootstrapped', `${this.#options.config.node} has a log already`);
  }

  async #store(entry: Entry): Promise<void> {
    const { config, driver, onFirst, until } = this.#options;
    if (driver.view.log.lastIndex === 0) {
      onFirst();
      driver.input({ kind: 'bootstrap', entry });
    }
    // E2: not acknowledged before it is durable, whatever the disk takes.
    if (await until(() => driver.view.outbox.durableIndex >= 1, LIMIT_MS)) return;
    throw new QuorateError(
      'timed-out-unknown',
      `the first entry is not known to be durable on ${config.node}`,
    );
  }
}
