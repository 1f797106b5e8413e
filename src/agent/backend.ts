/** What operators and DRBD's handlers may ask of a running agent. */
import type {
  AddMemberOrder,
  AdminBackend,
  AllowDropOrder,
  CancelOrder,
  CancelOutcome,
  FailoverOrder,
  FailoverOutcome,
  MemberOrder,
  MemberOutcome,
  MembersDocument,
  NodeStanding,
  PauseOrder,
  PauseOutcome,
  ReplicationDocument,
  RestartOrder,
  RestartOutcome,
  ScheduleOrder,
  ScheduleOutcome,
  SettingsDocument,
  SettingsOrder,
  SettingsOutcome,
  StandbyOrder,
  StandbyOutcome,
  StatusDocument,
  SwitchoverOrder,
  SwitchoverOutcome,
} from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import type { CoreEvent, CoreView, Entry, LogIndex, NodeId, Timing } from '../core/index.ts';
import type { MetricFacts, RoleFacts, StatusFacts } from '../http/index.ts';
import {
  failoverAgain,
  membersAgain,
  pauseAgain,
  restartAgain,
  settingsAgain,
  standbyAgain,
  switchoverAgain,
} from './again.ts';
import { allowDrop } from './allow-drop.ts';
import { authorityOf } from './authority.ts';
import type { DataLoss } from './data-loss.ts';
import type { Driver } from './driver.ts';
import { Failover } from './failover.ts';
import { FenceRequests, type FenceWatch } from './fence-requests.ts';
import { requireLeader, requireSettledLeader } from './leadership.ts';
import { Membership } from './members.ts';
import { OrderEntries } from './order-entries.ts';
import { Orders } from './orders.ts';
import type { ReplicationView } from './replication-view.ts';
import { Requests } from './requests.ts';
import { scheduleAgain } from './schedule-document.ts';
import { ScheduleOrders } from './schedule-orders.ts';
import { Schedules } from './schedules.ts';
import { Settings } from './settings.ts';
import { standingOf } from './standing.ts';
import { Switchover } from './switchover.ts';
import { TakeoverWatch } from './takeover-watch.ts';

/** How long an order to take over is waited for. */
const TAKEOVER_LIMIT_MS = 60_000;
const MAX_PAGE = 10_000;
/** How the core begins to say it. */
const GIVEN_UP = 'given up';

export interface BackendOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly clock: Clock;
  /** What the config file says, derived with this host's watchdog. */
  readonly timing: Timing;
  readonly status: () => StatusDocument;
  readonly roleFacts: () => RoleFacts;
  readonly metricFacts: () => MetricFacts;
  readonly statusFacts: () => StatusFacts;
  readonly bootstrap: AdminBackend['bootstrap'];
  readonly replication: Pick<ReplicationView, 'document' | 'run'>;
  readonly restart: (order: RestartOrder) => Promise<RestartOutcome>;
  /** Reads the own block layer anew: is its data, however old, of one moment? */
  readonly hasWholeData: () => Promise<boolean | null>;
  /** Null: no pool is replicated by snapshots. */
  readonly dataLoss?: DataLoss | null;
  readonly fence: FenceWatch;
}

export class Backend implements AdminBackend {
  readonly #options: BackendOptions;
  readonly #takeovers: TakeoverWatch;
  readonly #failover: Failover;
  readonly #fencing: FenceRequests;
  readonly #listeners = new Set<() => void>();
  readonly #switchover: Switchover;
  readonly #orders: Orders;
  readonly #schedules: Schedules;
  readonly #scheduleOrders: ScheduleOrders;
  readonly #requests: Requests;
  readonly #entries: OrderEntries;
  readonly #membership: Membership;
  readonly #settings: Settings;

  constructor(options: BackendOptions) {
    this.#options = options;
    this.#takeovers = new TakeoverWatch(options.clock, TAKEOVER_LIMIT_MS);
    this.#fencing = new FenceRequests(options);
    const entries = new OrderEntries(options.driver);
    this.#entries = entries;
    const shared = { ...options, takeovers: this.#takeovers, entries, limitMs: TAKEOVER_LIMIT_MS };
    this.#failover = new Failover(shared);
    this.#switchover = new Switchover({
      ...shared,
      probes: () => new Map(options.status().resources.map(({ name, probe }) => [name, probe])),
    });
    this.#orders = new Orders({ ...shared, switchover: this.#switchover });
    const schedules = { ...shared, switchover: this.#switchover };
    this.#schedules = new Schedules(schedules);
    this.#scheduleOrders = new ScheduleOrders(schedules);
    this.#requests = new Requests(shared);
    this.#membership = new Membership(shared);
    this.#settings = new Settings({ ...shared, fileTiming: options.timing });
  }

  onCommitted(entry: Entry): void {
    this.#takeovers.onCommitted(entry);
    this.#requests.onCommitted(entry);
    this.#schedules.onCommitted();
    this.onChanged();
  }

  /** Nothing is begun by it any more. */
  end(): void {
    this.#schedules.end();
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

  /** R3: the core gives a transfer up without a word to whoever asked for it. */
  onCoreEvent(event: CoreEvent): void {
    this.onChanged();
    if (event.event === 'transfer' && event.phase.startsWith(GIVEN_UP))
      this.#takeovers.onGivenUp(event.phase);
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

  standing(node: NodeId): NodeStanding {
    const { state, hard } = this.#view;
    return standingOf(this.#options.config, state, node, hard.damaged !== null);
  }

  authority(): object {
    return authorityOf(this.#view);
  }

  entries(from: LogIndex, limit: number) {
    const { log, commitIndex } = this.#view;
    return { entries: log.slice(from, Math.min(limit, MAX_PAGE)), commitIndex };
  }

  bootstrap(request: Parameters<AdminBackend['bootstrap']>[0]): Promise<void> {
    return this.#options.bootstrap(request);
  }

  replication(): ReplicationDocument {
    const { replication, status } = this.#options;
    return replication.document(status().holder as NodeId | null);
  }

  runReplication(dataset: string | null, who: string): { readonly round: number } {
    const { replication, driver, clock } = this.#options;
    const round = replication.run(dataset);
    const action = `replication run${dataset === null ? '' : ` of ${dataset}`}: round ${round}`;
    driver.propose({ kind: 'operator', who, action, at: clock.wallMs() });
    return { round };
  }

  fencePeer(peer: NodeId | null, who: string | null): Promise<'outdated'> {
    return this.#fencing.outdate(peer, who);
  }

  async switchover(order: SwitchoverOrder): Promise<SwitchoverOutcome> {
    requireSettledLeader(this.#view);
    const run = () => this.#switchover.run(order);
    if (order.dryRun) return run();
    const asked = { id: order.requestId, kind: 'switchover', node: order.to } as const;
    return this.#requests.once(asked, run, (record) =>
      switchoverAgain(this.#log, record, this.#entries.isKept(record.id)),
    );
  }

  async scheduleSwitchover(order: ScheduleOrder): Promise<ScheduleOutcome> {
    requireSettledLeader(this.#view);
    const run = () => this.#scheduleOrders.schedule(order);
    if (order.dryRun) return run();
    return this.#requests.once(
      { id: order.requestId, kind: 'switchover-schedule', node: order.to },
      run,
      (record) => ({
        ...{ dryRun: false, checks: [], alreadyDone: true },
        schedule: scheduleAgain(this.#view, record),
      }),
    );
  }

  async cancelSwitchover(order: CancelOrder): Promise<CancelOutcome> {
    requireSettledLeader(this.#view);
    return this.#requests.once(
      { id: order.requestId, kind: 'switchover-cancel', node: null },
      () => this.#scheduleOrders.cancel(order),
      (record) => ({ schedule: scheduleAgain(this.#view, record), alreadyDone: true }),
    );
  }

  async failover(order: FailoverOrder): Promise<FailoverOutcome> {
    requireLeader(this.#view);
    const run = () => this.#failover.run(order);
    if (order.dryRun) return run();
    const asked = { id: order.requestId, kind: 'failover', node: order.to } as const;
    return this.#requests.once(asked, run, (record) =>
      failoverAgain(this.#log, record, this.#entries.isKept(record.id)),
    );
  }

  /**
   * L7: of the agent that is asked, whoever leads. Where it holds, the log knows the request; elsewhere there is nothing to do
   * twice but a restart of something that holds nothing.
   */
  async restart(order: RestartOrder): Promise<RestartOutcome> {
    const run = () => this.#options.restart(order);
    const { self: node, hold } = this.#view;
    if (order.dryRun) return run();
    const asked = { id: order.requestId, kind: 'restart', node } as const;
    const known = this.#requests.isKnown(order.requestId);
    if (hold.kind === 'none' && !known) return run();
    return this.#requests.once(asked, run, (record) => restartAgain(this.#log, record, node));
  }

  async pause(order: PauseOrder): Promise<PauseOutcome> {
    return this.#setPaused(true, order);
  }

  async resume(order: PauseOrder): Promise<PauseOutcome> {
    return this.#setPaused(false, order);
  }

  async #setPaused(paused: boolean, order: PauseOrder): Promise<PauseOutcome> {
    requireSettledLeader(this.#view);
    return this.#requests.once(
      { id: order.requestId, kind: paused ? 'pause' : 'resume', node: null },
      () => this.#orders.setPaused(paused, order),
      (record) => pauseAgain(this.#log, record),
    );
  }

  async standby(order: StandbyOrder): Promise<StandbyOutcome> {
    requireSettledLeader(this.#view);
    return this.#requests.once(
      { id: order.requestId, kind: 'standby', node: order.node },
      () => this.#orders.standby(order),
      (record) => standbyAgain(this.#log, record),
    );
  }

  async activate(order: StandbyOrder): Promise<StandbyOutcome> {
    requireSettledLeader(this.#view);
    return this.#requests.once(
      { id: order.requestId, kind: 'activate', node: order.node },
      () => this.#orders.activate(order),
      (record) => standbyAgain(this.#log, record),
    );
  }

  async allowDrop(order: AllowDropOrder): Promise<{ readonly index: number }> {
    requireSettledLeader(this.#view);
    return allowDrop(order, this.#options);
  }

  members(): MembersDocument {
    return this.#membership.list();
  }

  async addMember(order: AddMemberOrder): Promise<MemberOutcome> {
    return this.#changeMembers('members-add', order, () => this.#membership.add(order));
  }

  async promoteMember(order: MemberOrder): Promise<MemberOutcome> {
    return this.#changeMembers('members-promote', order, () => this.#membership.promote(order));
  }

  async removeMember(order: MemberOrder): Promise<MemberOutcome> {
    return this.#changeMembers('members-remove', order, () => this.#membership.remove(order));
  }

  async #changeMembers(
    kind: 'members-add' | 'members-promote' | 'members-remove',
    { requestId, node }: MemberOrder,
    run: () => Promise<MemberOutcome>,
  ): Promise<MemberOutcome> {
    requireSettledLeader(this.#view);
    return this.#requests.once({ id: requestId, kind, node }, run, (record) =>
      membersAgain(record, this.members()),
    );
  }

  settings(): SettingsDocument {
    return this.#settings.show();
  }

  async setSettings(order: SettingsOrder): Promise<SettingsOutcome> {
    requireSettledLeader(this.#view);
    return this.#requests.once(
      { id: order.requestId, kind: 'settings', node: null },
      () => this.#settings.set(order),
      (record) => settingsAgain(record, this.settings()),
    );
  }

  get #view(): CoreView {
    return this.#options.driver.view;
  }

  get #log(): CoreView['log'] {
    return this.#view.log;
  }
}
