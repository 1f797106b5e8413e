/**
 * What the status page shows: facts of one instant → a document. Pure.
 *
 * 1. What this node cannot know now is `null` or `unknown`, never no, and never what was true before: who holds is told only
 *    while a leader is heard (style 10).
 * 2. What changes by itself with every instant stands in the pulse, so that the state changes only when something has happened.
 */
import type { NodeStatus, ResourceStatus, StatusDocument, TakeoverStep } from '../../admin/index.ts';
import { assertNever } from '../../core/index.ts';
import type { PoolCopyFacts } from '../../pool-copies.ts';
import type { ResyncFacts } from '../../resync.ts';
import type { ScheduledFacts } from '../../scheduled.ts';
import type { MetricFacts, ProcessFacts } from '../metrics.ts';
import { decide, type RoleAnswer } from '../role-checks.ts';
import type { RoleFacts } from '../role-facts.ts';
import { type Warning, warningsOf } from './warnings.ts';

export interface StatusFacts {
  readonly status: StatusDocument;
  readonly metrics: MetricFacts;
  /** Of the open tenure of the log; null where there is none. */
  readonly tenure: {
    readonly grantedAt: string | null;
    /** Its takeover has succeeded, as the log says. */
    readonly isTaken: boolean;
  } | null;
  /** Who has acknowledged a heartbeat within the lease; null where this node does not lead: then it asks nobody. */
  readonly answering: readonly string[] | null;
  /** Of the executor's own checks; null: it has told none yet, or is gone. */
  readonly failedChecks: readonly string[] | null;
  /** Oldest first. */
  readonly takeovers: readonly PastTakeover[];
  /** Wall clock in ms since 1970, for people (T3). */
  readonly wallMs: number;
}

/** From the log. */
export interface PastTakeover {
  readonly epoch: number;
  readonly node: string;
  /** Who held before; null for the first tenure. */
  readonly from: string | null;
  readonly reason: string | null;
  /** Of the grant, ISO 8601, by the wall clock of the node that took over. */
  readonly grantedAt: string | null;
  /** From the last sign of the old leader to the campaign; null where there was none. */
  readonly detectMs: number | null;
  readonly electMs: number | null;
  /** From the election to the grant, while earlier claims ran out (H2). */
  readonly grantMs: number | null;
  /** `open`: no entry says how it ended. */
  readonly result: 'ok' | 'failed' | 'open';
  readonly steps: readonly TakeoverStep[];
  readonly totalMs: number | null;
}

export type Holding =
  /** `isTaken` false: it may hold, and its takeover has not succeeded yet. */
  | {
      readonly kind: 'held';
      readonly node: string;
      readonly epoch: number;
      readonly since: string | null;
      readonly isTaken: boolean;
    }
  /** In order, or after a failure; whether all of it is gone is not known yet. Told by the node itself only. */
  | {
      readonly kind: 'releasing';
      readonly node: string;
      readonly epoch: number;
      readonly since: string | null;
    }
  | { readonly kind: 'nobody'; readonly why: string }
  /** `last`: what the log says as far as it is known here; somebody else may hold by now. */
  | {
      readonly kind: 'unknown';
      readonly why: string;
      readonly last: { readonly node: string; readonly epoch: number; readonly since: string | null } | null;
    };

export interface PageNode {
  readonly id: string;
  readonly kind: 'data' | 'witness';
  readonly zone: string | null;
  /** Null where this node cannot tell. */
  readonly role: NodeStatus['role'];
  readonly standby: boolean;
  /** From the node that tells: both of its streams are up, or not. */
  readonly link: 'self' | 'up' | 'down';
  /** Heartbeats, within the lease; null where it is not asked by this node. */
  readonly answers: boolean | null;
  readonly inSync: boolean | null;
  /** Of the replicated data between this node and that one, as the own block layer has it; null where nothing says it. */
  readonly mirror: 'in-sync' | 'not-in-sync' | 'unknown' | null;
  /** Committed entries that it is not known to have on its disk; null where that is not known here. */
  readonly lagEntries: number | null;
}

export interface PageState {
  readonly cluster: string;
  readonly observer: string;
  readonly version: string;
  readonly term: number;
  /** Heard within the lease, or this node itself with a valid one. */
  readonly leader: string | null;
  readonly quorum: boolean | null;
  readonly paused: boolean;
  readonly commitIndex: number;
  /** A switchover at a later time, as the log says of it. */
  readonly scheduled: ScheduledFacts | null;
  readonly holding: Holding;
  readonly timing: {
    readonly leaseMs: number;
    readonly promiseMs: number;
    readonly releaseBoundMs: number;
  };
  readonly nodes: readonly PageNode[];
  /** Of this node's replicated data; null for a witness, and where nothing is replicated. */
  readonly disk: 'up-to-date' | 'failed' | 'unknown' | null;
  readonly ioSuspended: boolean | null;
  /** Of this node's DRBD, while they run. */
  readonly resync: readonly ResyncFacts[];
  /** Pools that snapshots keep alike, as this node knows of them. */
  readonly replication: readonly PoolCopyFacts[];
  /** Of this node; null where its executor has told nothing, or is gone. */
  readonly resources: readonly ResourceStatus[] | null;
  /** Newest first. */
  readonly takeovers: readonly PastTakeover[];
  readonly warnings: readonly Warning[];
}

export interface Pulse {
  /** ISO 8601, the observer's wall clock. */
  readonly at: string;
  /** Monotonic, so that who reads can tell how late the news are. */
  readonly clockMs: number;
  readonly leaseRemainingMs: number | null;
  /** Since the last message of the leader that is followed. */
  readonly leaderHeardMs: number | null;
}

export interface News {
  readonly state: PageState;
  readonly pulse: Pulse;
}

const MAX_TEXT = 300;

export function newsOf(facts: StatusFacts, process: ProcessFacts): News {
  const { status, metrics, wallMs } = facts;
  const { role } = metrics;
  const { answer } = decide('health', role);
  const holding = holdingOf(facts, answer);
  const nodes = status.nodes.map((node) => nodeOf(node, facts, answer));
  const resources =
    metrics.probes === null
      ? null
      : status.resources.map((one) => ({ ...one, detail: one.detail === null ? null : clip(one.detail) }));
  const state = {
    ...{ cluster: status.cluster, observer: status.observer, version: process.version },
    ...{ term: status.term, leader: answer.leader, quorum: quorumOf(status, answer) },
    ...{ paused: status.paused, commitIndex: status.commitIndex, holding, nodes, resources },
    scheduled: status.scheduled && clippedSchedule(status.scheduled),
    timing: {
      leaseMs: role.leaseMs,
      promiseMs: metrics.promiseMs,
      releaseBoundMs: metrics.releaseBoundMs,
    },
    disk: role.kind === 'witness' || !isReplicated(facts) ? null : role.disk,
    ioSuspended: metrics.probes?.ioSuspended ?? null,
    // What a lost executor has told says nothing about now.
    resync: metrics.probes === null ? [] : status.resync,
    replication: status.replication.map(clippedPool),
    takeovers: facts.takeovers.map(clipped).reverse(),
  };
  return {
    state: { ...state, warnings: warningsOf({ ...state, facts, process, health: answer }) },
    pulse: {
      at: new Date(wallMs).toISOString(),
      clockMs: Math.round(role.now),
      leaseRemainingMs: answer.lease.remainingMs,
      leaderHeardMs: role.following === null ? null : Math.round(role.now - role.following.heardAt),
    },
  };
}

function holdingOf(facts: StatusFacts, { leader }: RoleAnswer): Holding {
  const { status, metrics, tenure } = facts;
  const open = metrics.role.tenure;
  const last =
    open === null ? null : { node: open.node, epoch: open.epoch, since: tenure?.grantedAt ?? null };
  if (leader === null) {
    const why =
      status.nodes.length === 0
        ? 'the log of this node is empty'
        : `${status.observer} knows of no leader that it hears, and leads with no valid lease itself`;
    return { kind: 'unknown', why, last };
  }
  // A newer leader outlives the promise to every earlier one (L2): its tenure is over, with or without a release in the log.
  if (last?.node !== leader)
    return { kind: 'nobody', why: `${leader} leads term ${status.term}, and has not been granted a tenure` };
  if (leader === status.observer) return ownHolding(metrics.role, last);
  return { kind: 'held', ...last, isTaken: tenure?.isTaken ?? false };
}

/** Of itself a node knows more than the log: what it has given up since. */
function ownHolding(
  role: RoleFacts,
  last: NonNullable<Extract<Holding, { kind: 'unknown' }>['last']>,
): Holding {
  const { reason } = decide('holder', role).answer;
  switch (role.executor) {
    case 'ready':
      return role.held?.epoch === last.epoch
        ? { kind: 'held', ...last, isTaken: role.held.isComplete }
        : { kind: 'nobody', why: reason };
    case 'releasing':
      return { kind: 'releasing', ...last };
    case 'unverified':
    case 'lost':
      return { kind: 'unknown', why: reason, last };
    default:
      return assertNever(role.executor);
  }
}

/** Whoever follows a leader that it does not hear knows of no majority, and of no lack of one. */
function quorumOf({ quorum }: StatusDocument, { leader, role }: RoleAnswer): boolean | null {
  return role === 'leader' || role === 'caretaker' || leader !== null ? quorum : null;
}

function nodeOf(node: NodeStatus, facts: StatusFacts, answer: RoleAnswer): PageNode {
  const { answering, metrics, status } = facts;
  const isSelf = node.id === status.observer;
  const link = isSelf ? 'self' : node.reachable === true ? 'up' : 'down';
  return {
    ...{ id: node.id, kind: node.kind, zone: node.zone, standby: node.standby, link },
    role: isSelf ? node.role : otherRole(node, link, answer),
    answers: isSelf || answering === null ? null : answering.includes(node.id),
    inSync: node.inSync,
    mirror: isSelf || !isReplicated(facts) ? null : (metrics.probes?.peers[node.id] ?? null),
    lagEntries: lagOf(node, isSelf, facts, answer),
  };
}

/** Without a mirror, everybody's data is as good as everybody else's: it would say "in sync" of what is not there. */
const isReplicated = ({ status, metrics }: StatusFacts): boolean =>
  metrics.probes === null || status.resources.some(({ kind }) => kind === 'drbd');

/** Of a leader that is not heard any more, nobody knows what the others follow. */
function otherRole(node: NodeStatus, link: PageNode['link'], { leader }: RoleAnswer): PageNode['role'] {
  if (leader !== null) return node.role;
  return link === 'down' ? 'unreachable' : null;
}

function lagOf(
  node: NodeStatus,
  isSelf: boolean,
  { status }: StatusFacts,
  answer: RoleAnswer,
): PageNode['lagEntries'] {
  if (isSelf) return answer.lag.entries;
  return node.matchIndex === null ? null : Math.max(0, status.commitIndex - node.matchIndex);
}

const clip = (text: string): string => (text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`);

function clippedSchedule({ id, to, at, until, state, outcome, result }: ScheduledFacts): ScheduledFacts {
  return { id, to, at, until, state, outcome, result: result === null ? null : clip(result) };
}

const clippedPool = (pool: PoolCopyFacts): PoolCopyFacts => ({
  ...pool,
  why: pool.why === null ? null : clip(pool.why),
  problem: pool.problem === null ? null : clip(pool.problem),
  trouble: pool.trouble.map((one) => ({ ...one, why: clip(one.why) })),
});

const clipped = (takeover: PastTakeover): PastTakeover => ({
  ...takeover,
  steps: takeover.steps.map((step) => ({ ...step, result: clip(step.result) })),
});
