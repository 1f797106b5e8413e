import type { Entry, LogIndex, NodeId } from '../core/index.ts';
import type { NodeStanding } from './authorise.ts';
import type { MemberOutcome, MembersDocument, SettingsDocument, SettingsOutcome } from './members.ts';
import type { ReplicationDocument } from './replication.ts';
import type { ScheduledSwitchover, StatusDocument, TakeoverStep } from './status.ts';

/** One condition that a switchover needs, with what was found. */
export interface SwitchoverCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface SwitchoverOutcome {
  readonly dryRun: boolean;
  readonly from: NodeId | null;
  readonly to: NodeId;
  /** Of the new tenure; null on a dry run. */
  readonly epoch: number | null;
  /** From the order to the end of the takeover; null on a dry run. */
  readonly totalMs: number | null;
  /** What was done, or on a dry run what would be done (`ms` 0, `result` "planned"). */
  readonly steps: readonly TakeoverStep[];
  readonly checks: readonly SwitchoverCheck[];
  /** The request id was known: it was done before, and this is how it ended. */
  readonly alreadyDone: boolean;
  /** A voter of an older version cannot read the request's id: only the agent that has answered knows it. */
  readonly idNotInLog: boolean;
}

export interface FailoverOutcome {
  readonly dryRun: boolean;
  readonly to: NodeId;
  /** What is given up by it, a sentence. */
  readonly mayLose: string;
  /** Index of the `forced` entry, and the epoch of the tenure after it; null on a dry run. */
  readonly forcedAt: number | null;
  readonly epoch: number | null;
  /** From the order to the end of the takeover; null on a dry run. */
  readonly totalMs: number | null;
  /** What was done, or on a dry run what would be done (`ms` 0). */
  readonly steps: readonly TakeoverStep[];
  readonly checks: readonly SwitchoverCheck[];
  /** The request id was known: it was done before, and this is how it ended. */
  readonly alreadyDone: boolean;
  /** A voter of an older version cannot read the request's id: only the agent that has answered knows it. */
  readonly idNotInLog: boolean;
}

export interface RestartOutcome {
  readonly dryRun: boolean;
  readonly node: NodeId;
  /** Of the process that has answered: another one has another. */
  readonly instance: string;
  /** Of the tenure that is kept (L7); null where the node holds nothing. */
  readonly epoch: number | null;
  readonly withinMs: number;
  /** Of the entry that announces it; null where none does. */
  readonly index: number | null;
  readonly checks: readonly SwitchoverCheck[];
  /** The request id was known: it was done before, and this is how it ended. */
  readonly alreadyDone: boolean;
}

export interface PauseOutcome {
  /** From now on. */
  readonly paused: boolean;
  /** False: it was so already, and nothing was written. */
  readonly changed: boolean;
  /** Of the entry that says so. */
  readonly index: number | null;
  /** Who has paused it, why (empty: not said), and when (ISO 8601); null while it is not paused. */
  readonly since: { readonly who: string; readonly why: string; readonly at: string | null } | null;
  /** The request id was known: it was done before, and this is how it ended. */
  readonly alreadyDone: boolean;
}

export interface StandbyOutcome {
  readonly node: NodeId;
  /** From now on. */
  readonly standby: boolean;
  /** False: it was so already, and nothing was written. */
  readonly changed: boolean;
  /** Of the entry that says so. */
  readonly index: number | null;
  /** The switchover that it took, where the node held; otherwise null. */
  readonly moved: SwitchoverOutcome | null;
  /** The request id was known: it was done before, and this is how it ended. */
  readonly alreadyDone: boolean;
}

export interface ScheduleOutcome {
  readonly dryRun: boolean;
  /** Null: the request id was known, and the log does not have the order any more. */
  readonly schedule: ScheduledSwitchover | null;
  /** As they are now: what is not ok may be by then. */
  readonly checks: readonly SwitchoverCheck[];
  readonly alreadyDone: boolean;
}

export interface CancelOutcome {
  readonly schedule: ScheduledSwitchover | null;
  readonly alreadyDone: boolean;
}

export interface EntriesPage {
  readonly entries: readonly Entry[];
  readonly commitIndex: LogIndex;
}

/** What every request that changes something brings along. */
export interface Order {
  /** The name that the certificate proves, and what the caller calls itself. */
  readonly who: string;
  /** To repeat the request by: with the same one it is done at most once. Empty: none. */
  readonly requestId: string;
}

/** An order that moves the resources, or may. */
export interface MovingOrder extends Order {
  /** Refused where another tenure is open than that of this epoch; 0: none; null: whichever. */
  readonly expectedEpoch: number | null;
}

export interface SwitchoverOrder extends MovingOrder {
  /** Null: the best other data node. */
  readonly to: NodeId | null;
  readonly dryRun: boolean;
}

export interface ScheduleOrder extends MovingOrder {
  /** Null: the best other data node at that time. */
  readonly to: NodeId | null;
  /** ms since 1970, or from when the leader takes the order. */
  readonly when: { readonly kind: 'at' | 'in'; readonly ms: number };
  readonly why: string;
  readonly dryRun: boolean;
}

export interface CancelOrder extends Order {
  /** Refused where another one is open; null: whichever is. */
  readonly id: number | null;
  readonly why: string;
}

export interface FailoverOrder extends MovingOrder {
  readonly to: NodeId;
  readonly why: string;
  readonly acceptDataLoss: boolean;
  readonly dryRun: boolean;
}

export interface AllowDropOrder {
  readonly who: string;
  readonly node: NodeId;
  readonly datasets: readonly string[];
  readonly why: string;
}

export interface PauseOrder extends Order {
  readonly why: string;
}

/** L7. */
export interface RestartOrder extends Order {
  /** How long the agent may be away; null: five seconds. */
  readonly withinMs: number | null;
  readonly dryRun: boolean;
}

export interface StandbyOrder extends MovingOrder {
  readonly node: NodeId;
  readonly why: string;
}

export interface MemberOrder extends Order {
  readonly node: NodeId;
  readonly why: string;
}

export interface AddMemberOrder extends MemberOrder {
  /** HOST:PORT of its peer service. */
  readonly peer: string;
  /** Empty: not said. */
  readonly zone: string;
  readonly witness: boolean;
  /** Its data comes by snapshots: it is never in sync. */
  readonly snapshots: boolean;
}

export interface SettingsOrder extends Order {
  readonly why: string;
  /** Null: as it is; of the promise: derived. */
  readonly values: Readonly<
    Record<'heartbeatMs' | 'leaseMs' | 'releaseMs' | 'watchdogMs' | 'promiseMs', number | null>
  >;
  /** How long the end of it is waited for. */
  readonly waitMs: number;
}

/**
 * What the admin service asks of the agent. Rejections are QuorateErrors; their code decides the exit code of the
 * command: `refused-unsafe` 4, `timed-out-unknown` 5, `not-leader` and everything else 1.
 */
export interface AdminBackend {
  status(): StatusDocument;
  /** E5: what the committed log says of a node, whose certificate is as good as that. Never blocks. */
  standing(node: NodeId): NodeStanding;
  /** Calls back in the step that changes something, until what it returns is called; who is called notes it, and reads later. */
  onChange(listener: () => void): () => void;
  /** Entries from index `from` on, at most `limit`; empty behind the end. Uncommitted ones may be among them. */
  entries(from: LogIndex, limit: number): EntriesPage;
  switchover(order: SwitchoverOrder): Promise<SwitchoverOutcome>;
  /** Resolves when the log says so; it is carried out later, by whoever leads then. */
  scheduleSwitchover(order: ScheduleOrder): Promise<ScheduleOutcome>;
  cancelSwitchover(order: CancelOrder): Promise<CancelOutcome>;
  /** H7: nobody is granted a tenure, and nothing moves by itself, until `resume`. */
  pause(order: PauseOrder): Promise<PauseOutcome>;
  resume(order: PauseOrder): Promise<PauseOutcome>;
  /** The node is granted no tenure until `activate`. Where it holds, it first hands over, or nothing is done. */
  standby(order: StandbyOrder): Promise<StandbyOutcome>;
  activate(order: StandbyOrder): Promise<StandbyOutcome>;
  /** L7: of this very agent. Answers before it ends; whether it has come back shows only then. */
  restart(order: RestartOrder): Promise<RestartOutcome>;
  /** O3: an operator's override. Rejects `usage` where the loss is not accepted and it is no dry run. */
  failover(order: FailoverOrder): Promise<FailoverOutcome>;
  /** E5. Never blocks. */
  members(): MembersDocument;
  /** Each resolves when the log says so; `promoteMember` first waits for the node to have the log. */
  addMember(order: AddMemberOrder): Promise<MemberOutcome>;
  promoteMember(order: MemberOrder): Promise<MemberOutcome>;
  removeMember(order: MemberOrder): Promise<MemberOutcome>;
  /** L8. Never blocks. */
  settings(): SettingsDocument;
  /** Resolves when it is done, or when it was waited for so long: the cluster goes on with it by itself. */
  setSettings(order: SettingsOrder): Promise<SettingsOutcome>;
  /** H7. Resolves when the first config entry is durable here and handed to the peers. */
  bootstrap(request: { readonly inSync: readonly NodeId[]; readonly who: string }): Promise<void>;
  /** Never blocks. */
  replication(): ReplicationDocument;
  /** A round of snapshot replication now; null: of everything. Says of which number it is. The order is in the log, its result in `replication`. */
  runReplication(dataset: string | null, who: string): { readonly round: number };
  /** An operator's word, in the log, that a node may destroy what a change of roles has kept there (DATASET=GUID). Of whoever leads. */
  allowDrop(order: AllowDropOrder): Promise<{ readonly index: number }>;
  /**
   * H3: resolves only after a new `peer-outdated` entry is committed and applied. Null: the only other data node. `who` is null for
   * the handler of this host, which is no operator.
   */
  fencePeer(peer: NodeId | null, who: string | null): Promise<'outdated'>;
}
