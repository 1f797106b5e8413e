/**
 * What a node's own certificate is worth at the admin service. The authority of a cluster signs it for a year,
 * and cannot take it back: so the log is asked what the node is by now (E5).
 */
import type { NodeStanding } from '../admin/index.ts';
import type { Config } from '../config/index.ts';
import type { ClusterState, NodeId } from '../core/index.ts';

/**
 * By what is committed here. A node that is behind may know of a removal later than the leader does; what it may be ordered by
 * then is about itself only, since everything else needs the log of the leader.
 */
export function standingOf(
  { node: self, members: inFile }: Pick<Config, 'node' | 'members'>,
  { members, removed }: Pick<ClusterState, 'members' | 'removed'>,
  node: NodeId,
  isDamaged = false,
): NodeStanding {
  if (removed.includes(node)) return 'removed';
  // Who has this node's key is root here, and could tell the executor by itself.
  if (node === self) return 'self';
  // D2: what is left of the log may be of before a removal, and the file always is: not known to be a member is nobody, until the repair.
  if (isDamaged) return 'stranger';
  // Before there is a log the file says who they are, as for the peers.
  if (members.length === 0) return inFile.some(({ id }) => id === node) ? 'voter' : 'stranger';
  const member = members.find(({ id }) => id === node);
  if (member === undefined) return 'stranger';
  return member.learner ? 'learner' : 'voter';
}
