import type { Entry, LogIndex, NodeId } from '../core/index.ts';
import type { StatusDocument, TakeoverStep } from './status.ts';

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
}

export interface EntriesPage {
  readonly entries: readonly Entry[];
  readonly commitIndex: LogIndex;
}

/**
 * What the admin service asks of the agent. Rejections are QuorateErrors; their code decides the exit code of the
 * command: `refused-unsafe` 4, `timed-out-unknown` 5, `not-leader` and everything else 1.
 */
export interface AdminBackend {
  status(): StatusDocument;
  /** Entries from index `from` on, at most `limit`; empty behind the end. Uncommitted ones may be among them. */
  entries(from: LogIndex, limit: number): EntriesPage;
  switchover(request: {
    readonly to: NodeId | null;
    readonly who: string;
    readonly dryRun: boolean;
  }): Promise<SwitchoverOutcome>;
  /** H7: nobody is granted a tenure, and nothing moves by itself, until `resume`. */
  pause(request: { readonly who: string; readonly why: string }): Promise<PauseOutcome>;
  resume(request: { readonly who: string; readonly why: string }): Promise<PauseOutcome>;
  /** The node is granted no tenure until `activate`. Where it holds, it first hands over, or nothing is done. */
  standby(request: {
    readonly node: NodeId;
    readonly who: string;
    readonly why: string;
  }): Promise<StandbyOutcome>;
  activate(request: {
    readonly node: NodeId;
    readonly who: string;
    readonly why: string;
  }): Promise<StandbyOutcome>;
  /** O3: an operator's override. Rejects `usage` where the loss is not accepted and it is no dry run. */
  failover(request: {
    readonly to: NodeId;
    readonly who: string;
    readonly why: string;
    readonly acceptDataLoss: boolean;
    readonly dryRun: boolean;
  }): Promise<FailoverOutcome>;
  /** H7. Resolves when the first config entry is durable here and handed to the peers. */
  bootstrap(request: { readonly inSync: readonly NodeId[]; readonly who: string }): Promise<void>;
  /** H3: resolves only after a new `peer-outdated` entry is committed and applied. Null: the only other data node. */
  fencePeer(peer: NodeId | null): Promise<'outdated'>;
}
