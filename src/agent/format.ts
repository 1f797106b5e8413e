/**
 * What may be written while an agent of an older version votes. It drops an append with an entry that it cannot read, and so
 * counts for nothing from there on: whatever is newer than it is refused until it has said that it knows it.
 */
import type { NodeId, Proposal } from '../core/index.ts';
import { FORMAT } from '../peer/index.ts';

/**
 * Kinds that came after the first format. What safety needs (R5's `fenced`, the in-sync set) is never held back: without it a
 * takeover would wait for ever.
 */
const NEWER: ReadonlySet<Proposal['kind']> = new Set([
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

/**
 * Voters that answer and have not said that they know this version's format. Who is away does not vote either, and must be
 * upgraded before it comes back.
 */
export function lackingVoters(
  others: readonly NodeId[],
  isUp: (peer: NodeId) => boolean,
  formatOf: (peer: NodeId) => number | null,
): readonly NodeId[] {
  return others.filter((id) => isUp(id) && (formatOf(id) ?? 0) < FORMAT);
}

/** A pause that ends is never refused: it may have been said by all of them when they knew it. */
export function isNewer(proposal: Proposal): boolean {
  if (proposal.kind === 'pause') return proposal.paused;
  if (proposal.kind === 'standby') return proposal.standby;
  if (proposal.kind === 'operator' || proposal.kind === 'forced') return proposal.request !== undefined;
  return NEWER.has(proposal.kind);
}
