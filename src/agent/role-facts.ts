/** What the role checks over HTTP decide by: the core's state, read at the instant of the question (T2). */
import type { Instant } from '../core/index.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import type { RoleFacts } from '../http/index.ts';
import type { Driver } from './driver.ts';
import { ownRole } from './status.ts';

export interface RoleSources {
  readonly driver: Driver;
  readonly now: Instant;
  /** T3: when the host last went on after a suspend; what was confirmed before that authorises nothing. */
  readonly resumedAt: number;
  readonly isExecutorConnected: boolean;
  /** Of the executor's last report. */
  readonly disk: Extract<ExecutorEvent, { kind: 'probes' }>['disk'] | null;
  readonly isComplete: (epoch: NonNullable<RoleFacts['held']>['epoch']) => boolean;
  readonly degraded: readonly string[];
  readonly isEnding: boolean;
}

export function roleFactsOf(sources: RoleSources): RoleFacts {
  const { driver, now, isExecutorConnected } = sources;
  const { view } = driver;
  const { hold, log, promise, role, state, timing } = view;
  const own = log.membership.members.find(({ id }) => id === view.self);
  const tenure = state.tenure !== null && !state.tenure.released ? state.tenure : null;
  const leader = role.kind === 'follower' ? role.leader : null;
  const heardAt = view.lastLeaderContact;
  return {
    node: view.self,
    kind: own === undefined ? null : own.witness ? 'witness' : 'data',
    isVoter: view.isVoter,
    role: ownRole(driver),
    term: view.hard.term,
    now,
    leaseMs: timing.leaseMs,
    guardMs: timing.guardMs,
    leaseUntil: leaseOf(sources),
    following: leader === null || heardAt === null ? null : { leader, heardAt },
    promise: { to: promise.to, until: promise.until },
    tenure: tenure === null ? null : { node: tenure.node, epoch: tenure.epoch },
    held: hold.kind === 'held' ? { epoch: hold.epoch, isComplete: sources.isComplete(hold.epoch) } : null,
    isInSync: own === undefined || own.witness ? null : state.inSync.includes(view.self),
    // What an executor that is gone has read says nothing about now.
    disk: isExecutorConnected ? (sources.disk ?? 'unknown') : 'unknown',
    behind: behindOf(driver),
    log: logOf(driver, now),
    executor: executorOf(sources),
    degraded: sources.degraded,
    isPaused: state.pause !== null,
    isOnStandby: state.standby.includes(view.self),
    isEnding: sources.isEnding,
  };
}

/** The core last looked some time ago, and it does not know of suspends. */
function leaseOf({ driver, now, resumedAt }: RoleSources): RoleFacts['leaseUntil'] {
  const { leaseUntil, timing } = driver.view;
  if (leaseUntil === null || now >= leaseUntil) return null;
  return leaseUntil - timing.leaseMs <= resumedAt ? null : leaseUntil;
}

function behindOf({ view }: Driver): number | null {
  const { leaderCommit } = view;
  if (leaderCommit === null || leaderCommit.term !== view.hard.term) return null;
  return Math.max(0, leaderCommit.index - view.commitIndex);
}

function logOf({ view }: Driver, now: Instant): RoleFacts['log'] {
  if (view.role.kind === 'stopped') return 'failed';
  if (view.hard.damaged !== null) return 'damaged';
  const { waitingSince } = view.outbox;
  return waitingSince !== null && now >= waitingSince + view.timing.leaseMs ? 'stalled' : 'works';
}

/** A release under a lease is in order, and ends; one without is owed, and until it is verified this node votes for nobody (L3). */
function executorOf(sources: RoleSources): RoleFacts['executor'] {
  if (!sources.isExecutorConnected) return 'lost';
  if (sources.driver.view.hold.kind !== 'releasing') return 'ready';
  return leaseOf(sources) === null ? 'unverified' : 'releasing';
}
