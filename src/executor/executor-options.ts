/** What the executor is put together from, and what its parts share: the agent that is connected, and the tenure that it has ordered. */
import type { Clock } from '../clock.ts';
import type { Epoch, Instant, NodeId, Term, Timing } from '../core/index.ts';
import type { Resource } from '../resources/index.ts';
import type { PlanResource } from '../takeover/index.ts';
import type { EndedAgent } from './agent-end.ts';
import type { FenceOrders } from './fence-orders.ts';
import type { LogLevel } from './guard-protocol.ts';
import type { Guard } from './guard-proxy.ts';
import type { ProcessId } from './processes.ts';
import type { SentEvent } from './protocol.ts';
import type { Replicator } from './replicator.ts';
import type { SharedLease } from './shared-lease.ts';
import type { SendStatement } from './statement.ts';

export interface ExecutorOptions {
  readonly node: NodeId;
  readonly cluster: string;
  readonly graph: readonly (PlanResource & { readonly kind: Resource['kind'] })[];
  readonly cloud: ReadonlyMap<string, Resource>;
  readonly otherDataNodes: readonly NodeId[];
  readonly hasReplication: boolean;
  readonly guard: Guard;
  readonly fences: Pick<FenceOrders, 'fence' | 'callOff'>;
  readonly lease: SharedLease;
  readonly clock: Clock;
  readonly send: (event: SentEvent) => void;
  readonly sendStatement: SendStatement;
  /** Loads what sending needs, and connects. Only a holder needs it, so not before a takeover has ended. */
  readonly prepareStatement?: (members: ReadonlyMap<NodeId, string>) => void;
  /** The agent has gone, and everything that there was to say is said. */
  readonly endStatements?: () => void;
  /** Sends snapshots to the other data node; absent where none are sent. */
  readonly replicator?: Pick<Replicator, 'send' | 'run' | 'stop'>;
  /** The system's own where absent. */
  readonly isRunning?: (id: ProcessId) => boolean;
  /** False if the process cannot be killed; the system's own where absent. */
  readonly killProcess?: (id: ProcessId) => Promise<boolean>;
  /** Of pools that are replicated by snapshots; asked only where there are any. */
  readonly lastSnapshot?: LastSnapshot;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

/**
 * In a planned release, when everything is shut and before anybody else may hold: takes a last snapshot, sends it, and has the
 * other side say that it has all of it (`markComplete`, final). Resolves with the snapshot's name, which no other attempt may have had;
 * rejects where that did not succeed by the deadline.
 */
export type LastSnapshot = (order: {
  readonly epoch: Epoch;
  readonly deadline: Instant;
  readonly signal: AbortSignal;
}) => Promise<string>;

/** The agent that is connected: what it is, and how far it has come. */
export interface ConnectedAgent extends EndedAgent {
  members: ReadonlyMap<NodeId, string>;
  timing: Timing;
  lastTake: { readonly epoch: Epoch; readonly term: Term } | null;
  isReady: boolean;
  /** It has asked for the watchdog: a tenure may be about to begin. */
  isPreparing: boolean;
  saidBye: boolean;
  /** L7: it has come for a tenure that was kept, and has not adopted it yet. */
  isAdopting: boolean;
}

export interface Tenure {
  readonly epoch: Epoch;
  readonly abort: AbortController;
  /** When it was granted: the log shows of everybody before that they let go or were stopped (R4, R5). */
  readonly hasProof: boolean;
  /** O3: an operator's override began it. */
  readonly isForced: boolean;
  isTaken: boolean;
  isReleasing: boolean;
  /** L7: no agent may order anything: the one before goes, and no other one has adopted it. */
  isKept: boolean;
}
