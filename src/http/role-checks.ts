/**
 * The role checks: facts → answer. Pure.
 *
 * 1. What is not known is no (style 10): an unknown lag is not 0, a leader that is silent is no leader.
 * 2. `/leader` and `/holder` are decided against the instant of the question, not against what the core last saw (T2), and end
 *    by g before the lease does, because a decision takes a moment to leave.
 */
import { assertNever, type NodeId } from '../core/index.ts';
import type { RoleFacts, RoleName } from './role-facts.ts';

export const CHECKS = ['leader', 'holder', 'standby', 'witness', 'health', 'ready'] as const;
export type Check = (typeof CHECKS)[number];

/** Entries behind the leader's commit index, or the time since its last message. */
export type MaxLag = { readonly entries: number } | { readonly ms: number };

export interface RoleAnswer {
  readonly node: NodeId;
  readonly role: RoleName;
  readonly check: Check;
  readonly ok: boolean;
  /** Why, or why not: one sentence for people. */
  readonly reason: string;
  readonly term: number;
  readonly leader: NodeId | null;
  readonly holder: NodeId | null;
  readonly epoch: number | null;
  readonly lease: { readonly remainingMs: number | null };
  readonly lag: { readonly entries: number | null; readonly ms: number | null };
  /** H6: what the own tenure goes on without, as sentences. It changes no answer: there is no better place. */
  readonly degraded: readonly string[];
  /** H7, as far as it is committed here: nobody takes over, and nothing moves, until an operator says so. */
  readonly paused: boolean;
}

export interface Decision {
  readonly answer: RoleAnswer;
  /** A yes that the lease will end: it must not be kept. */
  readonly isPerishable: boolean;
}

export function decide(check: Check, facts: RoleFacts, maxLag: MaxLag | null = null): Decision {
  const lag = lagOf(facts);
  const obstacles = [
    ...OBSTACLES[check](facts),
    ...(maxLag === null ? [] : obstacleOf(lagObstacle(lag, maxLag))),
  ];
  const ok = obstacles.length === 0;
  const leads = isLeading(facts);
  return {
    answer: {
      node: facts.node,
      role: facts.role,
      check,
      ok,
      reason: ok ? YES[check](facts) : obstacles.join('; '),
      term: facts.term,
      leader: leads ? facts.node : heardLeader(facts),
      // A tenure that the log still has open is over here as soon as it cannot be acted under.
      holder: facts.tenure?.node === facts.node && !isHolding(facts) ? null : (facts.tenure?.node ?? null),
      epoch: facts.tenure?.epoch ?? null,
      lease: { remainingMs: leads && facts.leaseUntil !== null ? round(facts.leaseUntil - facts.now) : null },
      lag,
      degraded: facts.degraded,
      paused: facts.isPaused,
    },
    isPerishable: ok && (check === 'leader' || check === 'holder'),
  };
}

// --- what each of them asks ---

type Ask = (facts: RoleFacts) => string[];

const OBSTACLES: Readonly<Record<Check, Ask>> = {
  leader: (facts) => obstacleOf(leaderObstacle(facts)),
  holder: holderObstacles,
  standby: (facts) => [
    ...obstacleOf(notDataNode(facts)),
    ...copyObstacles(facts),
    ...followObstacles(facts),
    // Without a whole log it may have missed that it is out of sync; without an executor nothing of its disk is known.
    ...logObstacles(facts),
    ...executorObstacles(facts, true),
  ],
  witness: (facts) => [
    ...(facts.kind === 'witness' ? [] : [`${facts.node} is not the witness`]),
    ...followObstacles(facts),
    ...logObstacles(facts),
  ],
  health: (facts) => [...logObstacles(facts), ...executorObstacles(facts, false), ...endingObstacles(facts)],
  ready: readyObstacles,
};

const YES: Readonly<Record<Check, (facts: RoleFacts) => string>> = {
  leader: ({ term }) => `leads term ${term} with a valid lease`,
  holder: ({ held }) => `holds everything under epoch ${held?.epoch}`,
  standby: ({ following }) => `in sync, and follows ${following?.leader}`,
  witness: ({ following }) => `follows ${following?.leader}`,
  health: () => 'agent, log and executor work',
  ready: ({ kind, following }) =>
    kind === 'witness'
      ? `votes as soon as its promise to ${following?.leader} ends`
      : `could take over as soon as its promise to ${following?.leader} ends`,
};

function isLeading({ leaseUntil, now, guardMs }: RoleFacts): boolean {
  return leaseUntil !== null && now < leaseUntil - guardMs;
}

function isHolding(facts: RoleFacts): boolean {
  return holderObstacles(facts).length === 0;
}

function leaderObstacle(facts: RoleFacts): string | null {
  if (isLeading(facts)) return null;
  if (facts.role === 'caretaker') return `${facts.node} leads only to bring a log up to date (W3)`;
  if (facts.role === 'leader') return `${facts.node} was elected, and has no valid lease (L1, R3)`;
  return `${facts.node} does not lead`;
}

function holderObstacles(facts: RoleFacts): string[] {
  const { tenure, held, executor, node } = facts;
  const leading = leaderObstacle(facts);
  if (leading !== null) return [leading];
  if (held === null) return [`${node} leads, and holds nothing ${executor === 'ready' ? 'yet' : 'any more'}`];
  if (executor !== 'ready') return executorObstacles(facts, true);
  if (tenure === null || tenure.node !== node || tenure.epoch !== held.epoch)
    return [`the tenure of epoch ${held.epoch} is not ${node}'s any more`];
  return held.isComplete ? [] : [`the takeover of epoch ${held.epoch} is not complete`];
}

function notDataNode({ kind, node }: RoleFacts): string | null {
  if (kind === 'data') return null;
  return kind === 'witness'
    ? `${node} is the witness, which never holds (W1)`
    : `${node} is not a member of the log`;
}

function copyObstacles({ isInSync, disk, node }: RoleFacts): string[] {
  return [
    ...(isInSync === true ? [] : [`${node} is not in the in-sync set (H1)`]),
    ...(disk === 'up-to-date'
      ? []
      : [`the disk of ${node} ${disk === 'failed' ? 'has failed' : 'is not known to be up to date'}`]),
  ];
}

/** Follows a leader that is there. One that has been silent for L has lost its lease, or is cut off from here. */
function followObstacles(facts: RoleFacts): string[] {
  const { following, now, leaseMs, node } = facts;
  if (following === null)
    return [
      facts.role === 'leader' || facts.role === 'caretaker' ? `${node} leads itself` : 'no leader is known',
    ];
  const silentMs = now - following.heardAt;
  return silentMs < leaseMs ? [] : [`${following.leader} has been silent for ${round(silentMs)} ms`];
}

function heardLeader(facts: RoleFacts): NodeId | null {
  return followObstacles(facts).length === 0 ? (facts.following?.leader ?? null) : null;
}

function logObstacles({ log, node }: RoleFacts): string[] {
  switch (log) {
    case 'works':
      return [];
    case 'damaged':
      return [`the log of ${node} is damaged: it does not vote (D2)`];
    case 'stalled':
      return ['a write of the log has been under way for longer than the lease'];
    case 'failed':
      return ['a write of the log has failed (D3)'];
    default:
      return assertNever(log);
  }
}

/** `isStrict`: also a release that is under way, which is no illness. */
function executorObstacles({ executor, node }: RoleFacts, isStrict: boolean): string[] {
  switch (executor) {
    case 'ready':
      return [];
    case 'releasing':
      return isStrict ? [`${node} is releasing`] : [];
    case 'unverified':
      return [`it is not verified that ${node} holds nothing: it votes for nobody (L3)`];
    case 'lost':
      return ['there is no connection to the executor (O1)'];
    default:
      return assertNever(executor);
  }
}

/** What an operator has said forbids a takeover, on a data node: a witness votes all the same. */
const orderObstacles = ({ kind, isPaused, isOnStandby, node }: RoleFacts): string[] =>
  kind === 'witness'
    ? []
    : [
        ...(isPaused ? ['the cluster is paused: nobody takes over (H7)'] : []),
        ...(isOnStandby ? [`an operator has put ${node} on standby`] : []),
      ];

const endingObstacles = ({ isEnding }: RoleFacts): string[] => (isEnding ? ['the agent is ending'] : []);

/** Would vote, and if it is a data node take over, if the holder died now. */
function readyObstacles(facts: RoleFacts): string[] {
  const { kind, isVoter, following, promise, now, node } = facts;
  const isBound = following !== null && promise.to === following.leader && now < promise.until;
  return [
    ...(kind === 'witness' ? [] : [...obstacleOf(notDataNode(facts)), ...copyObstacles(facts)]),
    ...(isVoter || kind === null ? [] : [`${node} has no vote yet (E5)`]),
    ...followObstacles(facts),
    ...(isBound || following === null ? [] : [`${node} has no promise to ${following.leader} (L2)`]),
    ...logObstacles(facts),
    ...executorObstacles(facts, true),
    ...orderObstacles(facts),
    ...endingObstacles(facts),
  ];
}

// --- lag ---

function lagOf(facts: RoleFacts): RoleAnswer['lag'] {
  // Nobody is ahead of a leader with a valid lease.
  if (isLeading(facts)) return { entries: 0, ms: 0 };
  const { following, now, behind } = facts;
  if (following === null) return { entries: null, ms: null };
  return { entries: behind, ms: round(now - following.heardAt) };
}

function lagObstacle({ entries, ms }: RoleAnswer['lag'], maxLag: MaxLag): string | null {
  if ('entries' in maxLag) {
    if (entries === null) return 'how many entries it is behind is not known';
    return entries <= maxLag.entries ? null : `${entries} entries behind, more than ${maxLag.entries}`;
  }
  if (ms === null) return 'how long ago the leader was heard is not known';
  return ms <= maxLag.ms ? null : `the leader was heard ${ms} ms ago, more than ${maxLag.ms} ms`;
}

const obstacleOf = (why: string | null): string[] => (why === null ? [] : [why]);

/** Tenths of a millisecond are enough for people. */
const round = (ms: number): number => Math.round(ms * 10) / 10;
