/**
 * Proof that a node holds nothing (R4): its `tenure-released` in the own log, its renunciation, or the statement of
 * its executor. Only these end a promise early.
 */
import type { Released, ReleaseProof, Renounced } from './messages.ts';
import type { CoreNode } from './node.ts';
import type { NodeId } from './types.ts';

/**
 * Takes a proof in. A data node that it frees campaigns at once, after a random part of `H`; where the proof names a
 * successor, the others leave it the first half.
 */
export function noteRelease(node: CoreNode, proof: ReleaseProof, successor: NodeId | null = null): void {
  if (!node.promise.free(proof, node.now)) return;
  node.outbox.event({ event: 'freed', by: proof.node, term: proof.term });
  if (node.role.kind !== 'follower' || !node.isDataVoter(node.self)) return;
  // mark: freed-early
  node.freedEarlyBy = proof;
  const half = node.timing.heartbeatMs / 2;
  node.nextReason = 'released';
  node.armElection(successor === null || successor === node.self ? 0 : half, half);
}

/** The executor of a node whose agent is gone says that it has released (R4). Its own term may be older than ours. */
export function onReleased(node: CoreNode, message: Released): void {
  if (message.epoch >= (node.proofs.get(message.from)?.epoch ?? 0)) {
    node.proofs.set(message.from, { epoch: message.epoch, evidence: message.evidence });
  }
  if (node.role.kind === 'follower' && node.role.leader === message.from && message.term >= node.hard.term) {
    node.becomeFollower(null);
  }
  noteRelease(node, { node: message.from, term: message.term });
  recordProof(node);
}

/**
 * R3: a leader that has renounced. Only a node that could hold in its place hurries: others, with stale data, on standby or
 * with an executor that could not hold either, would take the leadership from each other, term after term (D4).
 */
export function noteRenouncedLeader(node: CoreNode, proof: ReleaseProof): void {
  if (node.mayTakeOver(node.self) && node.failedPreparations === 0) noteRelease(node, proof);
  else if (node.promise.free(proof, node.now))
    node.outbox.event({ event: 'freed', by: proof.node, term: proof.term });
}

export function isFreedEarlyBy(node: CoreNode, leader: NodeId, term: number): boolean {
  return node.freedEarlyBy?.node === leader && node.freedEarlyBy.term >= term;
}

export function onRenounced(node: CoreNode, message: Renounced): void {
  noteRelease(node, { node: message.from, term: message.term });
}

/** A leader writes down what it can prove of the open tenure, so that the audit has its end. */
export function recordProof(node: CoreNode): void {
  const tenure = node.state.tenure;
  if (node.role.kind !== 'leader' || tenure === null || tenure.released || tenure.epoch === heldEpoch(node))
    return;
  const firstOwn = node.role.leadership.firstIndex;
  if (node.commitIndex < firstOwn || isRecorded(node, tenure.epoch, firstOwn)) return;
  const proof = node.proofs.get(tenure.node);
  const isOwn = tenure.node === node.self;
  if (!isOwn && proof?.epoch !== tenure.epoch) return;
  node.appendOwn({
    kind: 'tenure-released',
    epoch: tenure.epoch,
    node: tenure.node,
    reason: isOwn ? 'lease-lost' : 'agent-died',
    // An own tenure that is not held any more was released and verified, at the latest at start (L4).
    evidence: isOwn ? 'released and verified by its own executor' : (proof?.evidence ?? ''),
    successor: null,
    at: node.wallMs,
  });
}

/** A `tenure-released` of the open tenure is written and not committed yet. */
export function isReleasePending(node: CoreNode): boolean {
  const { tenure } = node.state;
  return tenure !== null && !tenure.released && isRecorded(node, tenure.epoch, node.commitIndex + 1);
}

function heldEpoch(node: CoreNode) {
  return node.hold.kind === 'none' || node.hold.kind === 'preparing' ? null : node.hold.epoch;
}

function isRecorded(node: CoreNode, epoch: number, from: number): boolean {
  for (let index = node.log.lastIndex; index >= from; index = (index - 1) as typeof index) {
    const body = node.log.at(index)?.body;
    if (body?.kind === 'tenure-released' && body.epoch === epoch) return true;
  }
  return false;
}
