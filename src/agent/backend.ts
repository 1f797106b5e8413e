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
import { QuorateError } from '../errors.ts';
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
import { Membership } from './members.ts';
import { OrderEntries } from './order-entries.ts';
import { Orders } from './orders.ts';
import { refusedByLeader } from './refusals.ts';
import type { ReplicationView } from './replication-view.ts';
import { Requests } from './requests.ts';
import { mirrored } from './roster.ts';
import { scheduleAgain } from './schedule-document.ts';
import { ScheduleOrders } from './schedule-orders.ts';
import { Schedules } from './schedules.ts';
import { Settings } from './settings.ts';
import { standingOf } from './standing.ts';
import { Switchover } from './switchover.ts';
import { TakeoverWatch } from './takeover-watch.ts';

/** How long an order to take over is waited for. */
const TAKEOVER_LIMIT_MS = 60_000;
const FENCE_LIMIT_MS = 25_000;
const FENCE_RETRY_MS = 20;
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
  /** Told before a fence request is taken up, and after it has ended. */
  readonly fence: { begins(peer: NodeId): void; ends(): void };
}

export class Backend implements AdminBackend {
  readonly #options: BackendOptions;
  readonly #takeovers: TakeoverWatch;
  readonly #failover: Failover;
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
    const { state, hard } = this.#options.driver.view;
    return standingOf(this.#options.config, state, node, hard.damaged !== null);
  }

  authority(): object {
    return authorityOf(this.#options.driver.view);
  }

  entries(from: LogIndex, limit: number) {
    const { log, commitIndex } = this.#options.driver.view;
    return { entries: log.slice(from, Math.min(limit, MAX_PAGE)), commitIndex };
  }

  bootstrap(request: Parameters<AdminBackend['bootstrap']>[0]): Promise<void> {
    return this.#options.bootstrap(request);
  }

  replication(): ReplicationDocument {
    const { replication, status } = this.#options;
    return replication.document(status().holder as NodeId | null);
  }

  runReplication(dataset: string | null): { readonly round: number } {
    return { round: this.#options.replication.run(dataset) };
  }

  /**
   * H3: answered only after a new entry, appended after the request, is committed and applied. A holder that is just not
   * taking proposals (a transfer that may yet be given up, a takeover that has not begun) is asked again: without an answer
   * the I/O stays frozen, and nobody calls the handler a second time.
   */
  async fencePeer(peer: NodeId | null, who: string | null): Promise<'outdated'> {
    const { driver, fence, clock } = this.#options;
    const others = mirrored(driver.view.state.members, driver.view.self);
    // A peer that is no member can only be an old name: DRBD is connected to whoever is one now, so that one is meant.
    const named = peer !== null && others.includes(peer) ? peer : null;
    const isOldName = peer !== null && driver.view.state.removed.includes(peer);
    const target =
      named ?? (peer === null || isOldName ? (others.length === 1 ? others[0] : undefined) : peer);
    if (others.length === 0 && (peer === null || isOldName)) return this.#nobodyToOutdate(peer);
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
    if (who !== null)
      driver.propose({ kind: 'operator', who, action: `fence-peer ${target}`, at: clock.wallMs() });
    return 'outdated';
  }

  /** H3: nobody else can ever be promoted here. Only a leader that is one still may say so: it has an entry committed first. */
  async #nobodyToOutdate(peer: NodeId | null): Promise<'outdated'> {
    const { driver } = this.#options;
    this.#requireLeader();
    if (!driver.view.mayHold)
      throw new QuorateError('refused-unsafe', 'only the holder changes the in-sync set (H3)');
    const text = `fence request for ${peer ?? 'the peer'}: no other member is mirrored`;
    await driver.commit({ kind: 'note', text }, FENCE_LIMIT_MS);
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

  async switchover(order: SwitchoverOrder): Promise<SwitchoverOutcome> {
    this.#requireSettledLeader();
    const run = () => this.#switchover.run(order);
    if (order.dryRun) return run();
    const asked = { id: order.requestId, kind: 'switchover', node: order.to } as const;
    return this.#requests.once(asked, run, (record) =>
      switchoverAgain(this.#log, record, this.#entries.isKept(record.id)),
    );
  }

  async scheduleSwitchover(order: ScheduleOrder): Promise<ScheduleOutcome> {
    this.#requireSettledLeader();
    const run = () => this.#scheduleOrders.schedule(order);
    if (order.dryRun) return run();
    return this.#requests.once(
      { id: order.requestId, kind: 'switchover-schedule', node: order.to },
      run,
      (record) => ({
        ...{ dryRun: false, checks: [], alreadyDone: true },
        schedule: scheduleAgain(this.#options.driver.view, record),
      }),
    );
  }

  async cancelSwitchover(order: CancelOrder): Promise<CancelOutcome> {
    this.#requireSettledLeader();
    return this.#requests.once(
      { id: order.requestId, kind: 'switchover-cancel', node: null },
      () => this.#scheduleOrders.cancel(order),
      (record) => ({ schedule: scheduleAgain(this.#options.driver.view, record), alreadyDone: true }),
    );
  }

  async failover(order: FailoverOrder): Promise<FailoverOutcome> {
    this.#requireLeader();
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
    const { self: node, hold } = this.#options.driver.view;
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
    this.#requireSettledLeader();
    return this.#requests.once(
      { id: order.requestId, kind: paused ? 'pause' : 'resume', node: null },
      () => this.#orders.setPaused(paused, order),
      (record) => pauseAgain(this.#log, record),
    );
  }

  async standby(order: StandbyOrder): Promise<StandbyOutcome> {
    this.#requireSettledLeader();
    return this.#requests.once(
      { id: order.requestId, kind: 'standby', node: order.node },
      () => this.#orders.standby(order),
      (record) => standbyAgain(this.#log, record),
    );
  }

  async activate(order: StandbyOrder): Promise<StandbyOutcome> {
    this.#requireSettledLeader();
    return this.#requests.once(
      { id: order.requestId, kind: 'activate', node: order.node },
      () => this.#orders.activate(order),
      (record) => standbyAgain(this.#log, record),
    );
  }

  async allowDrop(order: AllowDropOrder): Promise<{ readonly index: number }> {
    this.#requireSettledLeader();
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
    this.#requireSettledLeader();
    return this.#requests.once({ id: requestId, kind, node }, run, (record) =>
      membersAgain(record, this.members()),
    );
  }

  settings(): SettingsDocument {
    return this.#settings.show();
  }

  async setSettings(order: SettingsOrder): Promise<SettingsOutcome> {
    this.#requireSettledLeader();
    return this.#requests.once(
      { id: order.requestId, kind: 'settings', node: null },
      () => this.#settings.set(order),
      (record) => settingsAgain(record, this.settings()),
    );
  }

  get #log(): CoreView['log'] {
    return this.#options.driver.view.log;
  }

  /** What an earlier leader has written may not be committed here yet: until it is, this one does not know what is so. */
  #requireSettledLeader(): void {
    this.#requireLeader();
    const { leadership, commitIndex, self, isWitness } = this.#options.driver.view;
    if (leadership === null || (commitIndex >= leadership.firstIndex && !isWitness)) return;
    const why = isWitness
      ? `${self} leads as a caretaker, which decides nothing (W3): it hands over to a data node`
      : `${self} was only just elected: ask again in a second`;
    throw refusedByLeader(self, 'refused', why);
  }

  #requireLeader(): void {
    const { view } = this.#options.driver;
    if (view.role.kind === 'leader') return;
    const leader = view.role.kind === 'follower' ? view.role.leader : null;
    const hint =
      leader === null ? 'no leader is known here' : `the leader is ${leader}: run the command there`;
    const facts = leader === null ? {} : { leader };
    throw new QuorateError('not-leader', `${view.self} does not lead; ${hint}`, { context: { facts } });
  }
}
