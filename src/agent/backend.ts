/** What operators and DRBD's handlers may ask of a running agent. */
import type {
  AdminBackend,
  FailoverOutcome,
  PauseOutcome,
  StandbyOutcome,
  StatusDocument,
  SwitchoverOutcome,
} from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { type Config, dataNodes } from '../config/index.ts';
import type { Entry, LogIndex, NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { MetricFacts, RoleFacts } from '../http/index.ts';
import type { Driver } from './driver.ts';
import { Failover } from './failover.ts';
import { Orders } from './orders.ts';
import { Switchover } from './switchover.ts';
import { TakeoverWatch } from './takeover-watch.ts';

/** How long an order to take over is waited for. */
const TAKEOVER_LIMIT_MS = 60_000;
const FENCE_LIMIT_MS = 25_000;
const FENCE_RETRY_MS = 20;
const MAX_PAGE = 10_000;

export interface BackendOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly status: () => StatusDocument;
  readonly roleFacts: () => RoleFacts;
  readonly metricFacts: () => MetricFacts;
  readonly bootstrap: AdminBackend['bootstrap'];
  /** Reads the own block layer anew: is its data, however old, of one moment? */
  readonly hasWholeData: () => Promise<boolean | null>;
  /** Told before a fence request is taken up, and after it has ended. */
  readonly fence: { begins(peer: NodeId): void; ends(): void };
}

export class Backend implements AdminBackend {
  readonly #options: BackendOptions;
  readonly #takeovers: TakeoverWatch;
  readonly #failover: Failover;
  readonly #switchover: Switchover;
  readonly #orders: Orders;

  constructor(options: BackendOptions) {
    this.#options = options;
    this.#takeovers = new TakeoverWatch(options.clock, TAKEOVER_LIMIT_MS);
    const shared = { ...options, takeovers: this.#takeovers, limitMs: TAKEOVER_LIMIT_MS };
    this.#failover = new Failover(shared);
    this.#switchover = new Switchover({
      ...shared,
      probes: () => new Map(options.status().resources.map(({ name, probe }) => [name, probe])),
    });
    this.#orders = new Orders({ ...shared, switchover: this.#switchover });
  }

  onCommitted(entry: Entry): void {
    this.#takeovers.onCommitted(entry);
  }

  status(): StatusDocument {
    return this.#options.status();
  }

  /** As of now: read anew for each question (T2). */
  roleFacts(): RoleFacts {
    return this.#options.roleFacts();
  }

  metricFacts(): MetricFacts {
    return this.#options.metricFacts();
  }

  entries(from: LogIndex, limit: number) {
    const { log, commitIndex } = this.#options.driver.view;
    return { entries: log.slice(from, Math.min(limit, MAX_PAGE)), commitIndex };
  }

  bootstrap(request: Parameters<AdminBackend['bootstrap']>[0]): Promise<void> {
    return this.#options.bootstrap(request);
  }

  /**
   * H3: answered only after a new entry, appended after the request, is committed and applied. A holder that is just not
   * taking proposals (a transfer that may yet be given up, a takeover that has not begun) is asked again: without an answer
   * the I/O stays frozen, and nobody calls the handler a second time.
   */
  async fencePeer(peer: NodeId | null): Promise<'outdated'> {
    const { driver, config, fence } = this.#options;
    const others = dataNodes(config).filter((member) => member.id !== driver.view.self);
    const target = peer ?? (others.length === 1 ? others[0]?.id : undefined);
    if (target === undefined) {
      throw new QuorateError('usage', 'there is more than one other data node: say which with --peer');
    }
    this.#requireLeader();
    fence.begins(target);
    try {
      await this.#outdate(target);
    } finally {
      fence.ends();
    }
    if (driver.view.state.inSync.includes(target)) {
      throw new QuorateError(
        'refused-unsafe',
        `${target} is still in the in-sync set: the entry was void (H3)`,
      );
    }
    return 'outdated';
  }

  async #outdate(target: NodeId): Promise<void> {
    const { driver, clock } = this.#options;
    const deadline = clock.now() + FENCE_LIMIT_MS;
    for (;;) {
      const result = driver.propose({ kind: 'peer-outdated', peer: target });
      if (!('refused' in result)) return driver.committed(result, Math.max(1, deadline - clock.now()));
      this.#requireLeader();
      if (clock.now() >= deadline) throw new QuorateError('refused-unsafe', `refused: ${result.refused}`);
      // mark: fence-request-waits
      await clock.sleep(FENCE_RETRY_MS);
    }
  }

  async switchover(request: Parameters<AdminBackend['switchover']>[0]): Promise<SwitchoverOutcome> {
    this.#requireLeader();
    return this.#switchover.run(request);
  }

  async pause(request: Parameters<AdminBackend['pause']>[0]): Promise<PauseOutcome> {
    this.#requireLeader();
    return this.#orders.setPaused(true, request);
  }

  async resume(request: Parameters<AdminBackend['resume']>[0]): Promise<PauseOutcome> {
    this.#requireLeader();
    return this.#orders.setPaused(false, request);
  }

  async standby(request: Parameters<AdminBackend['standby']>[0]): Promise<StandbyOutcome> {
    this.#requireLeader();
    return this.#orders.standby(request);
  }

  async activate(request: Parameters<AdminBackend['activate']>[0]): Promise<StandbyOutcome> {
    this.#requireLeader();
    return this.#orders.activate(request);
  }

  async failover(request: Parameters<AdminBackend['failover']>[0]): Promise<FailoverOutcome> {
    this.#requireLeader();
    return this.#failover.run(request);
  }

  #requireLeader(): void {
    const { view } = this.#options.driver;
    if (view.role.kind === 'leader') return;
    const leader = view.role.kind === 'follower' ? view.role.leader : null;
    const hint =
      leader === null ? 'no leader is known here' : `the leader is ${leader}: run the command there`;
    throw new QuorateError('not-leader', `${view.self} does not lead; ${hint}`);
  }
}
