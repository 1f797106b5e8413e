/** What operators and DRBD's handlers may ask of a running agent. */
import type {
  AdminBackend,
  FailoverOutcome,
  StatusDocument,
  SwitchoverCheck,
  SwitchoverOutcome,
} from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { type Config, dataNodes, graphOf } from '../config/index.ts';
import type { Entry, LogIndex, NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { MetricFacts, RoleFacts, StatusFacts } from '../http/index.ts';
import { planRelease, planTakeover } from '../takeover/index.ts';
import type { Driver } from './driver.ts';
import { Failover } from './failover.ts';
import { plannedSteps, TakeoverWatch } from './takeover-watch.ts';

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
  readonly statusFacts: () => StatusFacts;
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
  readonly #listeners = new Set<() => void>();

  constructor(options: BackendOptions) {
    this.#options = options;
    this.#takeovers = new TakeoverWatch(options.clock, TAKEOVER_LIMIT_MS);
    this.#failover = new Failover({ ...options, takeovers: this.#takeovers, limitMs: TAKEOVER_LIMIT_MS });
  }

  onCommitted(entry: Entry): void {
    this.#takeovers.onCommitted(entry);
    this.onChanged();
  }

  /** In the step in which something has changed: who listens notes it, and reads later. */
  onChanged(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Until what it returns is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
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

  statusFacts(): StatusFacts {
    return this.#options.statusFacts();
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
    const { driver, clock } = this.#options;
    this.#requireLeader();
    const from = driver.view.self;
    const to = request.to ?? driver.view.voters.find((id) => id !== from && driver.view.isEligible(id));
    if (to === undefined)
      throw new QuorateError('refused-unsafe', 'no other data node is in the in-sync set (H1)');
    const checks = this.#checks(to);
    const failed = checks.find(({ ok }) => !ok);
    if (request.dryRun) {
      const steps = this.#plannedSteps(from, to);
      return { dryRun: true, from, to, epoch: null, totalMs: null, steps, checks };
    }
    if (failed !== undefined)
      throw new QuorateError('refused-unsafe', `switchover to ${to} refused: ${failed.detail}`);
    await driver.commit(
      { kind: 'operator', who: request.who, action: `switchover to ${to}`, at: clock.wallMs() },
      TAKEOVER_LIMIT_MS,
    );
    const began = clock.now();
    const taken = this.#takeovers.next(to, 'switchover-failed');
    const refused = driver.transfer({ kind: 'transfer', to, reason: 'switchover' });
    if (refused !== null) {
      taken.cancel();
      throw new QuorateError('refused-unsafe', `switchover to ${to} refused: ${refused}`);
    }
    const { epoch, steps } = await taken.promise;
    return { dryRun: false, from, to, epoch, totalMs: clock.now() - began, steps, checks };
  }

  async failover(request: Parameters<AdminBackend['failover']>[0]): Promise<FailoverOutcome> {
    this.#requireLeader();
    return this.#failover.run(request);
  }

  /** By the same planner that the executors use: what is held here is given up, and over there everything is taken. */
  #plannedSteps(from: NodeId, to: NodeId): SwitchoverOutcome['steps'] {
    const graph = graphOf(this.#options.config.resources);
    const observed = new Map(this.status().resources.map(({ name, probe }) => [name, probe]));
    return [
      ...plannedSteps(planRelease(graph, observed, 'planned'), from),
      { name: `${from}: hand leadership to ${to}`, ms: 0, result: 'when all of that is verified' },
      ...plannedSteps(planTakeover(graph, new Map()), to),
    ];
  }

  #checks(to: NodeId): SwitchoverCheck[] {
    const { view } = this.#options.driver;
    const isReachable = view.leadership?.lease.heardFrom(to, view.now - view.timing.leaseMs) ?? false;
    return [
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
    ];
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
