/** Rules about elections and membership that a log must keep, each judged by the state before the entry. */
import type { ClusterState, EntryBody, Member, NodeId } from '../core/index.ts';
import type { ViolationKind } from './audit-document.ts';

export type Violation = (kind: ViolationKind, what: string) => void;

export function electionViolations(
  members: readonly Member[],
  body: Extract<EntryBody, { kind: 'elected' }>,
  report: Violation,
): void {
  const voters = members.filter((member) => !member.learner);
  const isVoter = (id: NodeId): boolean => voters.some((voter) => voter.id === id);
  if (!isVoter(body.leader)) report('elected-by-stranger', `the leader "${body.leader}" is not a voter`);
  const strangers = body.votes.filter((id) => !isVoter(id));
  if (strangers.length > 0) report('elected-by-stranger', `votes of ${strangers.join(', ')}`);
  const votes = new Set([...body.votes, body.leader].filter(isVoter));
  const quorum = Math.floor(voters.length / 2) + 1;
  if (votes.size < quorum)
    report(
      'elected-without-quorum',
      `"${body.leader}" had ${votes.size} of ${voters.length} votes, needs ${quorum}`,
    );
  const isWitness = members.some((member) => member.id === body.leader && member.witness);
  if (isWitness && !body.caretaker) report('witness-not-caretaker', `"${body.leader}"`);
}

export function membershipViolations(
  state: ClusterState,
  body: Extract<EntryBody, { kind: 'config' }>,
  /** An operator's new cluster begins with it (O3): then all but one go at once. */
  isNewCluster: boolean,
  report: Violation,
): void {
  if (body.inSync !== null) report('config-in-sync-late', `it names ${body.inSync.join(', ')}`);
  const before = new Map(state.members.map((member) => [member.id, member]));
  const after = new Map(body.members.map((member) => [member.id, member]));
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((id) => {
    const was = before.get(id);
    const is = after.get(id);
    return was?.witness !== is?.witness || was?.learner !== is?.learner;
  });
  const isAlone = isNewCluster && body.members.length === 1;
  if (changed.length > 1 && !isAlone) report('membership-jump', `${changed.join(', ')} changed at once`);
  const reused = body.members.filter((member) => state.removed.includes(member.id)).map(({ id }) => id);
  if (reused.length > 0) report('id-reused', reused.join(', '));
  const forgotten = state.removed.filter((id) => !body.removed.includes(id));
  if (forgotten.length > 0) report('id-reused', `${forgotten.join(', ')} may be used again`);
}
