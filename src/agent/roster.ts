/**
 * Whom this node talks to. Who is a member says the log; the config file says it only until there is a log, and for nodes that the
 * log has not (it may be behind: a node that joins, or was away for long, must hear those who can bring it up to date).
 *
 * A member's address: the one in this node's own file, where it stands there (nodes may reach each other by different
 * addresses), otherwise the one that it was added with. Who answers there is checked by its certificate, so that a wrong
 * address costs a connection and nothing else.
 */
import type { Config } from '../config/index.ts';
import { type ClusterState, isMirrored, type Member, type NodeId } from '../core/index.ts';

export interface Roster {
  /** All others that are dialled and heard. */
  readonly peers: ReadonlyMap<NodeId, string>;
  /** E5: their ids are used up. */
  readonly removed: readonly NodeId[];
  /** The other nodes that the block layer here may be connected to; null: as the config file says. */
  readonly dataNodes: readonly NodeId[] | null;
}

type Known = Pick<ClusterState, 'members' | 'removed'>;
type File = Pick<Config, 'members' | 'node'>;

export function rosterOf(config: File, { members, removed }: Known): Roster {
  const peers = new Map<NodeId, string>();
  for (const { id, peer } of members) if (peer !== undefined) peers.set(id, peer);
  for (const { id, peer } of config.members) peers.set(id, peer);
  for (const id of [...removed, config.node]) peers.delete(id);
  return { peers, removed, dataNodes: mirroredOthers(config, { members, removed }) };
}

/**
 * A file that was changed is read when the executor starts, the log rules while it runs: so it is told where they differ, and wherever
 * it may have been told before. Learners too: DRBD 8.4 does not say who its peer is, and what a new node has must not be taken
 * for what the one before it had (H3).
 */
function mirroredOthers(
  { members: inFile, node }: File,
  { members, removed }: Known,
): readonly NodeId[] | null {
  if (members.length === 0) return null;
  const byLog = members
    .filter(({ id, witness, snapshots }) => id !== node && !witness && snapshots !== true)
    .map(({ id }) => id);
  const byFile = inFile.filter(({ id, witness }) => !witness && id !== node).map(({ id }) => id);
  const isSame = byLog.toSorted().join() === byFile.toSorted().join();
  return isSame && removed.length === 0 ? null : byLog;
}

/** The other nodes that can be in sync. */
export function mirrored(members: readonly Member[], self: NodeId): NodeId[] {
  return members.map(({ id }) => id).filter((id) => id !== self && isMirrored(members, id));
}

/** As the config file has them: for a node without a log. */
export function otherMembers({ members, node }: Config): Map<NodeId, string> {
  return new Map(members.filter(({ id }) => id !== node).map(({ id, peer }) => [id, peer]));
}
