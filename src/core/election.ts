/**
 * Elections: pre-vote, vote, and who answers what (E1–E3, L2, L3, W2).
 *
 * Invariants: no vote and no pre-vote, not even one's own, while a promise binds (L2), while leading, holding,
 * releasing or unsure (L3), or damaged (D2); a vote leaves only when it is durable (E2); at most one vote a term.
 */

import { isAskedToAdopt, mayAskToAdopt } from './adoption.ts';
import type { ElectionReason } from './entry.ts';
import { Lease } from './lease.ts';
import type { PreVote, PreVoteAck, ReleaseProof, TimeoutNow, Vote, VoteAck } from './messages.ts';
import type { Campaign, CoreNode, Leadership } from './node.ts';
import { noteRelease } from './release-proof.ts';
import { beat, newProgress } from './replication.ts';
import { assert, durationMs, instant, term } from './types.ts';

/** Retries grow up to this many leases, so that a slow network still ends its rounds (E1 voids answers of old ones). */
const MAX_RETRY_LEASES = 2;

// --- candidate ------------------------------------------------------------------------------------------------

/** May this node campaign by its timer at all? Not: learners, strangers, damaged and releasing nodes. */
function mayCampaign(node: CoreNode): boolean {
  const isFree = !node.isBoundByHolding || mayAskToAdopt(node);
  return node.isVoter && node.hard.damaged === null && isFree && node.role.kind !== 'stopped';
}

/** W2: a witness leads only to bring a data node up to date, and only after a long silence. */
function caretakerDueAt(node: CoreNode): number {
  const silentSince = node.lastLeaderContact ?? node.promise.until - node.timing.promiseMs;
  return silentSince + node.timing.promiseMs + 2 * node.timing.heartbeatMs;
}

/** The election window has elapsed. Promises still bind. */
export function electionDue(node: CoreNode, isForced = false): void {
  node.electionAt = null;
  if (!mayCampaign(node)) {
    // What forbids it (a release that goes on, a damaged disk) may end before anybody leads again.
    const waitMs = node.isBoundByHolding ? node.timing.heartbeatMs : node.timing.promiseMs;
    if (node.isVoter && !node.isWitness && node.role.kind !== 'leader') node.armElection(waitMs);
    return;
  }
  if (node.isWitness && (!node.hasRefusedOlderLog || (!isForced && node.now < caretakerDueAt(node)))) {
    if (node.hasRefusedOlderLog) node.electionAt = instant(Math.max(caretakerDueAt(node), node.now + 1));
    return;
  }
  // L7: it promised, if anything, to this very tenure; a promise does not bind against whom it is made to.
  if (node.promise.binds(node.now) && !mayAskToAdopt(node)) {
    node.armElection(node.promise.until - node.now);
    return;
  }
  startPreVote(node);
}

function startPreVote(node: CoreNode): void {
  node.round += 1;
  const reason = runningCampaign(node)?.reason ?? node.nextReason;
  // mark: pre-vote
  const campaign = newCampaign(node, node.isWitness ? 'caretaker' : reason, null);
  node.role = { kind: 'pre-candidate', campaign, round: node.round };
  campaign.grants.add(node.self);
  node.announceRole();
  retryLater(node, node.timing.heartbeatMs / 2);
  for (const peer of node.peers) {
    node.outbox.send({
      kind: 'pre-vote',
      from: node.self,
      to: peer,
      term: node.hard.term,
      nextTerm: term(node.hard.term + 1),
      round: node.round,
      lastIndex: node.log.lastIndex,
      lastTerm: node.log.lastTerm,
      caretaker: campaign.caretaker,
      proof: null,
      adopt: campaign.adopt,
    });
  }
  countPreVotes(node);
}

/** Exponential, with jitter: two candidates that met once soon miss each other. */
function retryLater(node: CoreNode, leastMs: number): void {
  const stretch = 2 ** Math.min(node.failedCampaigns, 10);
  node.failedCampaigns += 1;
  const limit = MAX_RETRY_LEASES * node.timing.leaseMs;
  node.armElection(Math.min(leastMs * stretch, limit), Math.min(node.timing.heartbeatMs * stretch, limit));
}

function runningCampaign(node: CoreNode): Campaign | null {
  return node.role.kind === 'pre-candidate' || node.role.kind === 'candidate' ? node.role.campaign : null;
}

function newCampaign(node: CoreNode, reason: ElectionReason, proof: ReleaseProof | null): Campaign {
  const running = runningCampaign(node);
  const silentMs = node.lastLeaderContact === null ? null : node.now - node.lastLeaderContact;
  return {
    reason,
    startedAt: running?.startedAt ?? node.now,
    detectMs: running === null ? silentMs : running.detectMs,
    caretaker: node.isWitness,
    proof,
    adopt: mayAskToAdopt(node) ? node.hold.epoch : null,
    grants: new Set(),
  };
}

/**
 * H7: nothing shows yet that every member has the first entry. A term above 0 does: it was begun. So a waiting node asks all
 * the same: an answer tells it the term, or makes a witness see that its log is newer (W2).
 */
function isWaitingToBegin(node: CoreNode): boolean {
  return node.waitsToBegin && node.log.lastIndex <= 1 && node.hard.term === 0;
}

function countPreVotes(node: CoreNode): void {
  if (node.role.kind !== 'pre-candidate' || !hasQuorum(node, node.role.campaign)) return;
  if (isWaitingToBegin(node)) return;
  startElection(node, node.role.campaign.reason, null);
}

function hasQuorum(node: CoreNode, campaign: Campaign): boolean {
  return node.voters.filter((voter) => campaign.grants.has(voter)).length >= node.quorum;
}

/** The own vote is bound like any other (L2, L3): callers have checked, this asserts. */
function startElection(node: CoreNode, reason: ElectionReason, proof: ReleaseProof | null): void {
  const isFree = !node.promise.binds(node.now) || mayAskToAdopt(node);
  assert(isFree && mayCampaign(node), 'a bound node must not campaign');
  const campaign = newCampaign(node, reason, proof);
  node.setHard({ term: term(node.hard.term + 1), votedFor: node.self });
  node.role = { kind: 'candidate', campaign };
  node.outbox.event({ event: 'campaign', term: node.hard.term, reason: campaign.reason });
  node.announceRole();
  retryLater(node, node.timing.leaseMs);
  for (const peer of node.peers) {
    node.outbox.afterPersist({
      kind: 'vote',
      from: node.self,
      to: peer,
      term: node.hard.term,
      lastIndex: node.log.lastIndex,
      lastTerm: node.log.lastTerm,
      caretaker: campaign.caretaker,
      reason: campaign.reason,
      proof,
      adopt: campaign.adopt,
    });
  }
}

/** A persist has completed: the own vote counts from now on (E2). */
export function onOwnVoteDurable(node: CoreNode): void {
  const durable = node.outbox.durableHardState;
  if (node.role.kind !== 'candidate' || durable.term !== node.hard.term || durable.votedFor !== node.self)
    return;
  node.role.campaign.grants.add(node.self);
  countVotes(node);
}

function countVotes(node: CoreNode): void {
  if (node.role.kind !== 'candidate' || !hasQuorum(node, node.role.campaign)) return;
  becomeLeader(node, node.role.campaign);
}

function becomeLeader(node: CoreNode, campaign: Campaign): void {
  const progress = new Map(node.peers.map((peer) => [peer, newProgress(node)]));
  const first = node.appendOwn({
    kind: 'elected',
    leader: node.self,
    // A learner may answer too, or one whose config is behind: only votes that count are evidence.
    votes: node.voters.filter((id) => campaign.grants.has(id)).sort(),
    reason: campaign.reason,
    detectMs: campaign.detectMs,
    electMs: node.now - campaign.startedAt,
    caretaker: campaign.caretaker,
    at: node.wallMs,
  });
  const leadership: Leadership = {
    electedAt: node.now,
    lease: new Lease(node.timing.leaseMs),
    progress,
    firstIndex: first.index,
    heartbeatAt: node.now,
    // W3: a caretaker is renounced from its first message.
    renounced: campaign.caretaker,
    renouncedUntil: campaign.caretaker ? instant(node.now + node.timing.promiseMs) : null,
    isStandingAside: false,
    handOverAt: node.now,
    transfer: null,
    dataMoveAt: node.now,
    failedDataMoves: 0,
    restart: null,
  };
  node.role = { kind: 'leader', leadership };
  node.electionAt = null;
  node.failedCampaigns = 0;
  node.announceRole();
  beat(node, leadership);
}

// --- voter ----------------------------------------------------------------------------------------------------

/** What forbids a vote to this candidate whatever its term, and how long a promise still does. */
function refusalOf(node: CoreNode, message: PreVote | Vote): { retryAfterMs: number | null } | null {
  if (node.isBoundByHolding || node.hard.damaged !== null) return { retryAfterMs: null };
  if (node.log.lastIndex === 0) return { retryAfterMs: null }; // not a member yet, or a lost disk (D2)
  if (message.proof !== null) noteRelease(node, message.proof); // R3: the vote carries its cause's proof
  if (node.promise.binds(node.now) && !isAskedToAdopt(node, message))
    return { retryAfterMs: node.promise.until - node.now };
  if (node.state.removed.includes(message.from)) return { retryAfterMs: null };
  return null;
}

function acceptsLog(node: CoreNode, message: PreVote | Vote): boolean {
  // W2: to a data node only a strictly newer log of a caretaker counts: an equal one can lead by itself. Another witness
  // cannot (while one is replaced there are two), so to it a caretaker is a candidate like any other.
  if (message.caretaker && !node.isWitness) return node.log.isOlderThan(message.lastTerm, message.lastIndex);
  return node.log.isUpToDate(message.lastTerm, message.lastIndex);
}

export function onPreVote(node: CoreNode, message: PreVote): void {
  const refusal = refusalOf(node, message);
  const isNewerTerm = message.nextTerm > node.hard.term;
  const hasLog = acceptsLog(node, message);
  if (refusal === null && !hasLog && node.isWitness && node.isDataVoter(message.from)) {
    // mark: witness-refuses-an-older-log
    node.hasRefusedOlderLog = true;
    if (node.electionAt === null) node.electionAt = instant(Math.max(caretakerDueAt(node), node.now + 1));
  }
  node.outbox.send({
    kind: 'pre-vote-ack',
    from: node.self,
    to: message.from,
    term: node.hard.term,
    round: message.round,
    granted: refusal === null && isNewerTerm && hasLog,
    retryAfterMs: refusal?.retryAfterMs == null ? null : durationMs(refusal.retryAfterMs),
  });
}

export function onPreVoteAck(node: CoreNode, message: PreVoteAck): void {
  if (message.term > node.hard.term) {
    node.adoptTerm(message.term);
    node.armElection(0);
    return;
  }
  if (node.role.kind !== 'pre-candidate' || message.round !== node.role.round) return; // E1
  if (message.granted) {
    node.role.campaign.grants.add(message.from);
    countPreVotes(node);
  } else if (message.retryAfterMs !== null) {
    // The voter says when its promise ends: no sense in asking earlier, nor in waiting longer.
    const soonest = node.now + message.retryAfterMs + (node.random() * node.timing.heartbeatMs) / 10;
    if (node.electionAt !== null && soonest < node.electionAt) node.electionAt = instant(soonest);
  }
}

export function onVote(node: CoreNode, message: Vote): void {
  const refusal = refusalOf(node, message);
  if (refusal === null && message.term > node.hard.term) node.adoptTerm(message.term);
  const isFree = node.hard.votedFor === null || node.hard.votedFor === message.from;
  const granted = refusal === null && message.term === node.hard.term && isFree && acceptsLog(node, message);
  if (granted && node.hard.votedFor === null) node.setHard({ votedFor: message.from });
  if (granted) node.armElection(node.timing.leaseMs);
  node.outbox.afterPersist({
    kind: 'vote-ack',
    from: node.self,
    to: message.from,
    term: node.hard.term,
    candidateTerm: message.term,
    granted,
  });
}

export function onVoteAck(node: CoreNode, message: VoteAck): void {
  if (message.term > node.hard.term) {
    node.adoptTerm(message.term);
    node.armElection(0);
    return;
  }
  if (node.role.kind !== 'candidate' || !message.granted || message.candidateTerm !== node.hard.term) return;
  node.role.campaign.grants.add(message.from);
  countVotes(node);
}

/** R3: the leader has renounced in favour of this node: campaign at once, without a pre-vote. */
export function onTimeoutNow(node: CoreNode, message: TimeoutNow): void {
  if (message.term < node.hard.term || node.role.kind === 'leader') return;
  if (message.term > node.hard.term) node.adoptTerm(message.term);
  if (node.hold.kind === 'adopting') return; // L7: it asks for that, or for nothing
  noteRelease(node, message.proof);
  if (!mayCampaign(node) || node.isWitness) return;
  if (node.promise.binds(node.now)) {
    node.armElection(node.promise.until - node.now);
    return;
  }
  // mark: transfer-campaign
  node.nextReason = 'transfer';
  startElection(node, 'transfer', message.proof);
}
