/**
 * What may be written while an agent of an older version votes. It drops an append with an entry that it cannot read, and so
 * counts for nothing from there on: whatever is newer than it is refused until it has said that it knows it.
 */
import type { NodeId, Proposal } from '../core/index.ts';

/**
 * Kinds of the second format. What safety needs (R5's `fenced`, the in-sync set) is never held back: without it a
 * takeover would wait for ever.
 */
const SECOND: ReadonlySet<Proposal['kind']> = new Set([
  'pause',
  'standby',
  'operator-result',
  'restart',
  // A `config` entry is old, who has ordered it, the address of a member and the timing on its way are not.
  'add-learner',
  'promote',
  'remove',
  'set-timing',
]);

/** Kinds of the third format. */
const THIRD: ReadonlySet<Proposal['kind']> = new Set([
  'switchover-scheduled',
  'switchover-begun',
  'switchover-ended',
]);

/** What `quorate restart` needs of the voters (L7). */
export const RESTART_FORMAT = 2;

/**
 * Voters that answer and have not said that they know this format. Who is away does not vote either, and must be upgraded before it
 * comes back.
 */
export function lackingVoters(
  others: readonly NodeId[],
  isUp: (peer: NodeId) => boolean,
  formatOf: (peer: NodeId) => number | null,
  format: number,
): readonly NodeId[] {
  return others.filter((id) => isUp(id) && (formatOf(id) ?? 0) < format);
}

/**
 * The format that the voters must know for it; 0: the first one. A pause that ends is never refused: it may have been said by all of
 * them when they knew it.
 */
export function formatNeeded(proposal: Proposal): number {
  if (THIRD.has(proposal.kind)) return 3;
  return isSecond(proposal) ? 2 : 0;
}

function isSecond(proposal: Proposal): boolean {
  if (proposal.kind === 'pause') return proposal.paused;
  if (proposal.kind === 'standby') return proposal.standby;
  if (proposal.kind === 'operator' || proposal.kind === 'forced') return proposal.request !== undefined;
  return SECOND.has(proposal.kind);
}
