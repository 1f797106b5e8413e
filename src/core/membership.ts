/**
 * Changes of the members (E5): who may be added, promoted, removed, and when not.
 *
 * Invariants: one change at a time, only after an entry of the own term has committed; an id is used once for all time; the
 * leader, and with it the holder, is not removed, nor the only node in sync; after a change the voters that answer are still a
 * quorum, so that no order of an operator costs the cluster its leader.
 */
import { nextConfig, whyNoChangeNow } from './config-entry.ts';
import type { ConfigChange, EntryBody, Member } from './entry.ts';
import type { ForceCheck } from './force.ts';
import type { Proposal } from './io.ts';
import type { CoreNode, Leadership } from './node.ts';
import type { NodeId } from './types.ts';
import { assertNever } from './types.ts';

export const MAX_MEMBERS = 7;

export type MemberProposal = Extract<Proposal, { kind: 'add-learner' | 'promote' | 'remove' }>;
type Decision = { readonly body: EntryBody } | { readonly refused: string };

/** Every condition that a leader can see, in words. A proposal is refused for the first that fails. */
export function memberChecks(node: Readonly<CoreNode>, proposal: MemberProposal): readonly ForceCheck[] {
  const { leadership } = node;
  if (leadership === null) return [check('leader', `${node.self} does not lead`, '')];
  const notNow = whyNoChangeNow(node, leadership);
  const common = [check('one change', notNow, 'no other change of the members or the timing is under way')];
  switch (proposal.kind) {
    case 'add-learner':
      return [...common, ...checksToAdd(node, proposal)];
    case 'promote':
      return [...common, ...checksToPromote(node, leadership, proposal.id)];
    case 'remove':
      return [...common, ...checksToRemove(node, leadership, proposal.id)];
    default:
      return assertNever(proposal);
  }
}

function check(name: string, problem: string | null, fine: string): ForceCheck {
  return { name, ok: problem === null, detail: problem ?? fine };
}

type Adding = Extract<MemberProposal, { kind: 'add-learner' }>;

function checksToAdd(node: Readonly<CoreNode>, { id, peer }: Adding): ForceCheck[] {
  const { members, removed } = node.log.membership;
  const isMember = members.some((member) => member.id === id);
  const same = peer === undefined ? undefined : members.find((member) => member.peer === peer);
  return [
    check('stranger', isMember ? `${id} is a member already` : null, `${id} is no member yet`),
    check(
      'unused id',
      removed.includes(id) ? `the id ${id} was used before; ids are used once (E5)` : null,
      `the id ${id} was never used`,
    ),
    check(
      'room',
      members.length >= MAX_MEMBERS ? `a cluster has at most ${MAX_MEMBERS} members` : null,
      `there are ${members.length} of at most ${MAX_MEMBERS} members`,
    ),
    check(
      'own address',
      same === undefined ? null : `${peer} is the address of ${same.id}`,
      'nobody else has its address',
    ),
  ];
}

function checksToPromote(node: Readonly<CoreNode>, leadership: Leadership, id: NodeId): ForceCheck[] {
  const { members } = node.log.membership;
  const member = members.find((candidate) => candidate.id === id);
  const hasLog = (leadership.progress.get(id)?.match ?? 0) >= node.commitIndex;
  const isLearner = member?.learner === true;
  return [
    memberCheck(members, id),
    check(
      'learner',
      isLearner || member === undefined ? null : `${id} has a vote already`,
      `${id} has no vote yet`,
    ),
    check('caught up', hasLog ? null : `${id} does not have the log yet`, `${id} has the whole log`),
    quorumCheck(node, leadership, promoted(members, id)),
  ];
}

function checksToRemove(node: Readonly<CoreNode>, leadership: Leadership, id: NodeId): ForceCheck[] {
  const { members } = node.log.membership;
  const { inSync } = node.state;
  const isOnly = inSync.length > 0 && inSync.every((other) => other === id);
  return [
    memberCheck(members, id),
    check(
      'not the holder',
      id === node.self ? `${id} leads, and holds what there is to hold: "quorate switchover" first` : null,
      `${id} does not lead, nor hold`,
    ),
    check('not alone in sync', isOnly ? `${id} is the only node in sync` : null, 'another node is in sync'),
    quorumCheck(node, leadership, without(members, id)),
  ];
}

function memberCheck(members: readonly Member[], id: NodeId): ForceCheck {
  const isMember = members.some((member) => member.id === id);
  return check('member', isMember ? null : `${id} is not a member`, `${id} is a member`);
}

const promoted = (members: readonly Member[], id: NodeId): readonly Member[] =>
  members.map((other) => (other.id === id ? { ...other, learner: false } : other));
const without = (members: readonly Member[], id: NodeId): readonly Member[] =>
  members.filter((other) => other.id !== id);

/** The voters as they would be: those that have just answered must be a quorum of them. */
function quorumCheck(node: Readonly<CoreNode>, leadership: Leadership, after: readonly Member[]): ForceCheck {
  const voters = after.filter(({ learner }) => !learner).map(({ id }) => id);
  const silent = voters.filter((id) => !answers(node, leadership, id));
  const quorum = Math.floor(voters.length / 2) + 1;
  const count = voters.length - silent.length;
  const all = `of the voters ${voters.join(' ')} ${count} would answer, ${quorum} are needed`;
  return check('quorum', count >= quorum ? null : `${all}: no answer from ${silent.join(', ')}`, all);
}

export function answers(node: Readonly<CoreNode>, leadership: Leadership, id: NodeId): boolean {
  return id === node.self || leadership.lease.heardFrom(id, node.now - node.timing.leaseMs);
}

export function decideMembers(node: CoreNode, proposal: MemberProposal): Decision {
  const failed = memberChecks(node, proposal).find(({ ok }) => !ok);
  if (failed !== undefined) return { refused: failed.detail };
  const { members, removed } = node.log.membership;
  const { id } = proposal;
  switch (proposal.kind) {
    case 'add-learner':
      return changed(node, proposal, [...members, learnerOf(proposal)]);
    case 'promote':
      return changed(node, proposal, promoted(members, id));
    case 'remove':
      return changed(node, proposal, without(members, id), [...removed, id].sort());
    default:
      return assertNever(proposal);
  }
}

function learnerOf({ id, witness, peer, zone, snapshots }: Adding): Member {
  return {
    id,
    witness,
    learner: true,
    ...(peer === undefined ? {} : { peer }),
    ...(zone === undefined ? {} : { zone }),
    ...(snapshots === undefined ? {} : { snapshots }),
  };
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
