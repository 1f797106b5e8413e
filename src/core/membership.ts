/**
 * Changes of the members (E5): who may be added, promoted, removed, and when not.
 *
 * Invariants: one change at a time, only after an entry of the own term has committed; an id is used once for all time; the
 * leader, and with it the holder, is not removed, nor the only node in sync; after a change the voters that answer are still a
 * quorum, so that no order of an operator costs the cluster its leader.
 */
import { nextConfig, whyNoChangeNow } from './config-entry.ts';
import type { ConfigChange, EntryBody, Member } from './entry.ts';
import type { Proposal } from './io.ts';
import type { CoreNode, Leadership } from './node.ts';
import type { NodeId } from './types.ts';

export const MAX_MEMBERS = 7;

type MemberProposal = Extract<Proposal, { kind: 'add-learner' | 'promote' | 'remove' }>;
type Decision = { readonly body: EntryBody } | { readonly refused: string };

const refuse = (refused: string): Decision => ({ refused });

export function decideMembers(node: CoreNode, leadership: Leadership, proposal: MemberProposal): Decision {
  const notNow = whyNoChangeNow(node, leadership);
  if (notNow !== null) return refuse(notNow);
  switch (proposal.kind) {
    case 'add-learner':
      return add(node, proposal);
    case 'promote':
      return promote(node, leadership, proposal);
    case 'remove':
      return remove(node, leadership, proposal);
  }
}

function add(node: CoreNode, proposal: Extract<MemberProposal, { kind: 'add-learner' }>): Decision {
  const { members, removed } = node.log.membership;
  const { id, witness, peer, zone, snapshots } = proposal;
  if (members.some((member) => member.id === id)) return refuse(`${id} is a member already`);
  if (removed.includes(id)) return refuse(`the id ${id} was used before; ids are used once (E5)`);
  if (members.length >= MAX_MEMBERS) return refuse(`a cluster has at most ${MAX_MEMBERS} members`);
  const same = peer === undefined ? undefined : members.find((member) => member.peer === peer);
  if (same !== undefined) return refuse(`${peer} is the address of ${same.id}`);
  const member: Member = {
    id,
    witness,
    learner: true,
    ...(peer === undefined ? {} : { peer }),
    ...(zone === undefined ? {} : { zone }),
    ...(snapshots === undefined ? {} : { snapshots }),
  };
  return changed(node, proposal, [...members, member]);
}

function promote(node: CoreNode, leadership: Leadership, proposal: MemberProposal): Decision {
  const { members } = node.log.membership;
  const { id } = proposal;
  const member = members.find((candidate) => candidate.id === id);
  if (member === undefined) return refuse(`${id} is not a member`);
  if (!member.learner) return refuse(`${id} has a vote already`);
  if ((leadership.progress.get(id)?.match ?? 0) < node.commitIndex)
    return refuse(`${id} does not have the log yet`);
  const after = members.map((other) => (other.id === id ? { ...other, learner: false } : other));
  return needsQuorum(node, leadership, after) ?? changed(node, proposal, after);
}

function remove(node: CoreNode, leadership: Leadership, proposal: MemberProposal): Decision {
  const { members, removed } = node.log.membership;
  const { id } = proposal;
  if (!members.some((member) => member.id === id)) return refuse(`${id} is not a member`);
  if (id === node.self) return refuse('the leader is not removed; transfer first');
  if (node.state.inSync.every((other) => other === id)) return refuse(`${id} is the only node in sync`);
  const after = members.filter((other) => other.id !== id);
  return needsQuorum(node, leadership, after) ?? changed(node, proposal, after, [...removed, id].sort());
}

/** The voters as they would be: those that have just answered must be a quorum of them. */
function needsQuorum(node: CoreNode, leadership: Leadership, after: readonly Member[]): Decision | null {
  const voters = after.filter(({ learner }) => !learner).map(({ id }) => id);
  const silent = voters.filter((id) => !answers(node, leadership, id));
  const quorum = Math.floor(voters.length / 2) + 1;
  if (voters.length - silent.length >= quorum) return null;
  return refuse(
    `of the voters ${voters.join(' ')} only ${voters.length - silent.length} would answer, ${quorum} are needed: no answer from ${silent.join(', ')}`,
  );
}

export function answers(node: Readonly<CoreNode>, leadership: Leadership, id: NodeId): boolean {
  return id === node.self || leadership.lease.heardFrom(id, node.now - node.timing.leaseMs);
}

const WHAT = { 'add-learner': 'add', promote: 'promote', remove: 'remove' } as const;

function changed(
  node: CoreNode,
  { kind, id, by }: MemberProposal,
  members: readonly Member[],
  removed?: readonly NodeId[],
): Decision {
  const change: ConfigChange | undefined = by && { what: WHAT[kind], node: id, ...by };
  return {
    body: nextConfig(node, {
      members,
      ...(removed === undefined ? {} : { removed }),
      ...(change === undefined ? {} : { change }),
    }),
  };
}
