/**
 * Replication of the log (Raft §5.3, §5.4) and the heartbeat rounds of the lease.
 *
 * Invariants: an ack claims only what is durable (E2); only entries of the own term are counted for a commit (E4);
 * a committed entry is never replaced.
 */
import { giveUpAdoption } from './adoption.ts';
import type { Append, AppendAck, Heartbeat, HeartbeatAck } from './messages.ts';
import type { CoreNode, Leadership, Progress } from './node.ts';
import { isFreedEarlyBy, noteRelease, noteRenouncedLeader } from './release-proof.ts';
import type { DurationMs, LogIndex, NodeId } from './types.ts';
import { assert, durationMs, instant, logIndex, term } from './types.ts';

/** Entries of one append; a longer log follows in further ones. */
const MAX_ENTRIES_PER_APPEND = 64;
/** Entries sent and not confirmed; behind it the sender waits for acks or the retry. */
const MAX_ENTRIES_IN_FLIGHT = 512;

// --- leader ---------------------------------------------------------------------------------------------------

export function newProgress(node: CoreNode): Progress {
  return {
    next: logIndex(node.log.lastIndex + 1),
    match: logIndex(0),
    activeAt: node.now,
    probing: true,
    outstanding: false,
    repairedFor: null,
  };
}

/** One round of heartbeats (L1), and another try where a peer's log lags without an answer. */
export function beat(node: CoreNode, leadership: Leadership): void {
  const seq = leadership.lease.begin(node.now);
  leadership.heartbeatAt = instant(node.now + node.timing.heartbeatMs);
  for (const peer of node.peers) {
    const progress = leadership.progress.get(peer);
    node.outbox.send({
      kind: 'heartbeat',
      from: node.self,
      to: peer,
      term: node.hard.term,
      seq,
      commit: logIndex(Math.min(node.commitIndex, progress?.match ?? 0)),
      renounced: leadership.renounced,
      promiseMs: askedPromiseMs(node, leadership),
    });
    const isStuck = progress !== undefined && node.now - progress.activeAt >= 2 * node.timing.heartbeatMs;
    if (isStuck && progress.match < node.log.lastIndex) {
      progress.next = logIndex(Math.min(progress.next, progress.match + 1));
      progress.outstanding = false;
      progress.probing = true;
      sendAppend(node, leadership, peer, progress);
    }
  }
}

/** L8, L7: for the time of a planned restart the voters are asked to promise longer: nobody is elected in it for no reason. */
function askedPromiseMs(node: CoreNode, { restart }: Leadership): DurationMs {
  const isAsked = restart !== null && restart.askedAt !== null;
  return durationMs(Math.max(node.timing.promiseMs, isAsked ? restart.durationMs : 0));
}

export function replicate(node: CoreNode, leadership: Leadership): void {
  for (const [peer, progress] of leadership.progress) {
    if (progress.next <= node.log.lastIndex) sendAppend(node, leadership, peer, progress);
  }
}

function maySend(progress: Progress): boolean {
  if (progress.probing) return !progress.outstanding;
  return progress.next - progress.match <= MAX_ENTRIES_IN_FLIGHT;
}

function sendAppend(node: CoreNode, leadership: Leadership, to: NodeId, progress: Progress): void {
  while (maySend(progress)) {
    const entries = node.log.slice(progress.next, MAX_ENTRIES_PER_APPEND);
    const previousIndex = logIndex(progress.next - 1);
    const previousTerm = node.log.termAt(previousIndex);
    const previousHash = node.log.hashAt(previousIndex);
    assert(previousTerm !== null && previousHash !== null, `nothing to append after index ${previousIndex}`);
    node.outbox.send({
      kind: 'append',
      from: node.self,
      to,
      term: node.hard.term,
      previousIndex,
      previousTerm,
      previousHash,
      entries,
      commit: node.commitIndex,
      renounced: leadership.renounced,
      promiseMs: node.timing.promiseMs,
    });
    progress.outstanding = true;
    progress.activeAt = node.now;
    if (!progress.probing) progress.next = logIndex(progress.next + entries.length);
    if (entries.length < MAX_ENTRIES_PER_APPEND) return;
  }
}

export function onHeartbeatAck(node: CoreNode, message: HeartbeatAck): void {
  node.leadership?.lease.ack(message.from, message.seq);
}

export function onAppendAck(node: CoreNode, message: AppendAck): void {
  const leadership = node.leadership;
  const progress = leadership?.progress.get(message.from);
  if (leadership === null || progress === undefined) return;
  progress.activeAt = node.now;
  progress.outstanding = false;
  if (message.success) {
    if (message.match > node.log.lastIndex) return; // a claim about another log: never counted
    progress.probing = false;
    if (message.match > progress.match) progress.match = message.match;
    if (progress.next <= progress.match) progress.next = logIndex(progress.match + 1);
    answerHealed(node, message, progress);
  } else {
    // mark: append-conflict
    const next = nextAfterConflict(node, message);
    // A shorter log than it once confirmed: a damaged disk (D2) or a late answer. Counting less is always safe.
    if (next <= progress.match) progress.match = logIndex(next - 1);
    progress.next = next;
    progress.probing = true;
  }
  // After a refusal also an empty one: a damaged peer that lacks nothing must hear that it lacks nothing.
  if (progress.next <= node.log.lastIndex || !message.success) {
    sendAppend(node, leadership, message.from, progress);
  }
}

/** D2: a damaged peer has its log again: the log says so, once for each damage, and with that it may vote. */
function answerHealed(node: CoreNode, message: AppendAck, progress: Progress): void {
  const { healed } = message;
  const last = progress.repairedFor;
  if (healed === null) return;
  if (last?.markerIndex === healed.markerIndex && last.markerTerm === healed.markerTerm) return;
  progress.repairedFor = healed;
  node.appendOwn({ kind: 'repaired', node: message.from, ...healed });
}

function nextAfterConflict(node: CoreNode, message: AppendAck): LogIndex {
  const end = logIndex(node.log.lastIndex + 1);
  if (message.conflictTerm > 0) {
    const candidate = node.log.lastIndexAtOrBelow(message.conflictTerm, message.conflictIndex);
    if (candidate > 0 && node.log.termAt(candidate) === message.conflictTerm) return logIndex(candidate + 1);
  }
  return logIndex(Math.max(1, Math.min(message.conflictIndex, end)));
}

/** Counts durable copies over the voters, the own one only as far as it is on disk (E2, E4). */
export function advanceCommit(node: CoreNode, leadership: Leadership): void {
  const copies = node.voters
    .map((voter) =>
      voter === node.self ? node.outbox.durableIndex : (leadership.progress.get(voter)?.match ?? logIndex(0)),
    )
    .sort((left, right) => right - left);
  const stored = copies[node.quorum - 1] ?? logIndex(0);
  if (stored > node.commitIndex && node.log.termAt(stored) === node.hard.term) node.commitTo(stored);
}

// --- follower -------------------------------------------------------------------------------------------------

/** What every message of a leader does before its content: term, leader, promise (L2). False: the leader is outdated. */
export function acceptLeader(node: CoreNode, message: Heartbeat | Append): boolean {
  if (message.term < node.hard.term) return false;
  if (message.term > node.hard.term) node.adoptTerm(message.term);
  assert(
    node.role.kind !== 'leader',
    `two leaders in term ${message.term}: ${node.self} and ${message.from}`,
  );
  if (node.role.kind !== 'stopped' && !(node.role.kind === 'follower' && node.role.leader === message.from)) {
    node.becomeFollower(message.from);
  }
  // L7: somebody else was elected, so nothing is adopted. Whoever it is waits for the whole restart, or for this release.
  if (node.hold.kind === 'adopting') giveUpAdoption(node, `${message.from} leads`);
  node.lastLeaderContact = node.now;
  node.failedCampaigns = 0;
  node.hasRefusedOlderLog = false;
  const promiseMs = Math.max(node.timing.promiseMs, message.promiseMs); // L8
  if (message.renounced) {
    noteRenouncedLeader(node, { node: message.from, term: message.term });
  } else {
    node.promise.extend(message.from, message.term, instant(node.now + promiseMs));
  }
  // A node freed by proof of this very leader keeps its early election, and its reason; everybody else waits for the leader.
  if (!isFreedEarlyBy(node, message.from, message.term)) {
    node.nextReason = 'leader-silent';
    const delayMs = Math.max(promiseMs, node.promise.until - node.now) + node.preferenceMs;
    node.armElection(delayMs, firstWindowMs(node, message.from));
  }
  return true;
}

/** The window spreads rivals; in a pair there is none when the leader falls silent, and waiting helps nobody. */
function firstWindowMs(node: CoreNode, leader: NodeId): number {
  const hasRival = node.voters.some((id) => id !== node.self && id !== leader && node.isDataVoter(id));
  return hasRival ? node.timing.heartbeatMs : node.timing.heartbeatMs / 10;
}

export function onHeartbeat(node: CoreNode, message: Heartbeat): void {
  if (acceptLeader(node, message)) {
    // A heartbeat's index is cut off where this log is known to end: without an append it says nothing about the leader's.
    if (node.leaderCommit?.term === message.term) noteCommit(node, message);
    const known = logIndex(Math.min(message.commit, confirmedIndex(node)));
    if (known > node.commitIndex) node.commitTo(known);
    if (node.hard.damaged !== null || node.commitIndex < message.commit) askForLog(node, message);
  }
  const ack = {
    kind: 'heartbeat-ack',
    from: node.self,
    to: message.from,
    term: node.hard.term,
    seq: message.seq,
  } as const;
  // The claim is only the term: it need not wait for entries that are being written.
  if (node.outbox.durableHardState.term === node.hard.term) node.outbox.send(ack);
  else node.outbox.afterPersist(ack);
}

/** What the leader knows of this log may be from before a damage (D2): only what its appends confirmed in this life counts. */
function confirmedIndex(node: CoreNode): LogIndex {
  return node.confirmed.term === node.hard.term ? node.confirmed.index : logIndex(0);
}

/** A leader that believes this log complete sends nothing more: an empty append, at least, must confirm it. */
function askForLog(node: CoreNode, message: Heartbeat): void {
  node.outbox.afterPersist(refusal(node, message, logIndex(node.log.lastIndex + 1), 0));
}

function noteCommit(node: CoreNode, { term, commit }: Heartbeat | Append): void {
  const before = node.leaderCommit?.term === term ? node.leaderCommit.index : commit;
  node.leaderCommit = { term, index: logIndex(Math.max(commit, before)) };
}

export function onAppend(node: CoreNode, message: Append): void {
  if (!acceptLeader(node, message)) {
    node.outbox.afterPersist(refusal(node, message, logIndex(node.log.lastIndex + 1), 0));
    return;
  }
  noteCommit(node, message);
  const ownTerm = node.log.termAt(message.previousIndex);
  if (ownTerm !== message.previousTerm) {
    const conflictIndex =
      ownTerm === null ? logIndex(node.log.lastIndex + 1) : node.log.firstOfTermAt(message.previousIndex);
    node.outbox.afterPersist(refusal(node, message, conflictIndex, ownTerm ?? 0));
    return;
  }
  if (node.log.hashAt(message.previousIndex) !== message.previousHash) {
    // Same index and term, other content: another cluster's log. Fail closed: nothing is taken, nothing is confirmed.
    node.outbox.event({ event: 'foreign-log', from: message.from, index: message.previousIndex });
    return;
  }
  if (!store(node, message)) return;
  const match = logIndex(message.previousIndex + message.entries.length);
  node.confirmed = { term: node.hard.term, index: logIndex(Math.max(match, confirmedIndex(node))) };
  const known = logIndex(Math.min(message.commit, match));
  if (known > node.commitIndex) node.commitTo(known);
  node.outbox.afterPersist({
    kind: 'append-ack',
    from: node.self,
    to: message.from,
    term: node.hard.term,
    success: true,
    match,
    conflictIndex: logIndex(0),
    conflictTerm: term(0),
    healed: heal(node, match),
  });
}

function store(node: CoreNode, message: Append): boolean {
  const firstNew = message.entries.findIndex((entry) => node.log.hashAt(entry.index) !== entry.hash);
  if (firstNew < 0) return true;
  const fresh = message.entries.slice(firstNew);
  const from = fresh[0]?.index ?? logIndex(0);
  if (from <= node.commitIndex) {
    node.outbox.event({ event: 'foreign-log', from: message.from, index: from });
    return false;
  }
  // mark: log-is-overwritten
  node.outbox.overwrittenFrom(from);
  node.log.replaceFrom(fresh);
  node.markUnsaved(from);
  for (const entry of fresh) {
    // R4: the release is a fact from the moment that it is written down, committed or not. It proves nothing beyond the
    // term of its grant: the node may have been elected again since, and a later leader may be the one that wrote it.
    if (entry.body.kind === 'tenure-released') {
      const grantTerm = node.log.termAt(logIndex(entry.body.epoch));
      if (grantTerm !== null)
        noteRelease(node, { node: entry.body.node, term: grantTerm }, entry.body.successor);
    }
  }
  return true;
}

/** D2: past the marker with the leader's log? Then ask for `repaired`; and once it is here, be whole again. */
function heal(node: CoreNode, match: LogIndex): AppendAck['healed'] {
  const damage = node.hard.damaged;
  if (damage === null) return null;
  const matchTerm = node.log.termAt(match) ?? 0;
  const isPast =
    matchTerm > damage.markerTerm || (matchTerm === damage.markerTerm && match >= damage.markerIndex);
  if (!isPast || match !== node.log.lastIndex) return null;
  const repaired = node.log.all.findLast(
    ({ body }) =>
      body.kind === 'repaired' &&
      body.node === node.self &&
      body.markerIndex === damage.markerIndex &&
      body.markerTerm === damage.markerTerm,
  );
  if (repaired === undefined) return damage;
  // mark: damage-healed
  node.setHard({ damaged: null });
  node.outbox.event({ event: 'repaired', index: repaired.index });
  node.announceRole();
  return null;
}

function refusal(
  node: CoreNode,
  message: Heartbeat | Append,
  conflictIndex: LogIndex,
  conflictTerm: number,
): AppendAck {
  return {
    kind: 'append-ack',
    from: node.self,
    to: message.from,
    term: node.hard.term,
    success: false,
    match: logIndex(0),
    conflictIndex,
    conflictTerm: term(conflictTerm),
    healed: null,
  };
}
