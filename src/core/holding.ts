/**
 * Holding: the activation gate and the release (H1, H2, R2).
 *
 * Invariants: nothing is touched before the gate is passed; a term sees at most one tenure of its leader; a leader
 * that cannot hold renounces, for good in that term (R3).
 */
import { advanceAdoption } from './adoption.ts';
import type { CoreNode, Hold, Leadership } from './node.ts';
import { isReleasePending } from './release-proof.ts';
import { beat } from './replication.ts';
import type { Instant } from './types.ts';
import { assert, epoch, instant } from './types.ts';

/** A leader whose executor fails again and again stays up to 32 promises before the next node tries. */
const MAX_DOUBLINGS = 5;
/** Arming a watchdog is a matter of milliseconds; a loaded machine may take longer. */
const LEAST_PREPARATION_MS = 1_000;
/** A leader with stale data stays this many promises before it makes room, then twice that, up to 64. */
const STALE_PATIENCE_PROMISES = 16;
const MAX_STALE_DOUBLINGS = 2;

/** Between two attempts to move because the own data is bad: the first pause, doubled up to the last. */
const DATA_MOVE_PAUSE_MS = { first: 60_000, most: 900_000 } as const;

/** After every step of a leader: as far through the gate as the facts allow. */
export function advanceHolding(node: CoreNode, leadership: Leadership): void {
  switch (node.hold.kind) {
    case 'none':
      return considerHolding(node, leadership);
    case 'granting':
      return takeWhenGranted(node);
    case 'held':
    case 'releasing': // planned: the lease runs on until everything is given back (R1)
      return announceLease(node);
    case 'preparing':
      return watchPreparation(node, leadership, node.hold);
    case 'adopting':
      return advanceAdoption(node, leadership, node.hold);
    case 'handed-over':
      return;
  }
}

/** H7: nothing was touched yet, and now nothing is; how the preparation would have ended does not matter any more. */
function watchPreparation(
  node: CoreNode,
  leadership: Leadership,
  { id, deadline }: Extract<Hold, { kind: 'preparing' }>,
): void {
  if (node.isPaused || node.isOnStandby) {
    node.dropPreparation();
    return considerHolding(node, leadership);
  }
  if (node.now >= deadline) onPrepared(node, id, false);
}

/** L7: an announced restart of another node's is a claim that the votes do not prove to be over. */
export function claimsUntil(node: CoreNode, leadership: Leadership): Instant {
  const restart = node.state.restart;
  const waitMs = restart === null || restart.node === node.self ? 0 : restart.durationMs * clockFactor(node);
  return instant(leadership.electedAt + waitMs);
}

function clockFactor(node: CoreNode): number {
  const rate = node.timing.clockErrorRate;
  return (1 + rate) / (1 - rate);
}

/**
 * H2, first half. Earlier claims: the vote of a quorum proves that every earlier lease and release is over, because no
 * voter votes while its promise binds (L2); what is left is an announced restart.
 */
function considerHolding(node: CoreNode, leadership: Leadership): void {
  if (leadership.renounced || leadership.transfer !== null) return;
  if (node.releasedTerm === node.hard.term) return; // R2: one tenure a term
  if (node.commitIndex < leadership.firstIndex) return; // own-term entry committed, all before it applied
  if (isReleasePending(node)) return; // what this leader can prove of the last tenure is part of what comes before
  if (!node.isEligible(node.self)) return renounceForAnother(node, leadership, 'not in the in-sync set');
  if (node.isOnStandby) {
    leadership.isStandingAside = true;
    return renounceForAnother(node, leadership, 'on standby');
  }
  if (node.isPaused) return; // H7: it leads, keeps the log and waits for the operator's word
  if (node.leaseUntil === null) return; // one round of the own term acknowledged by a quorum
  if (node.now < claimsUntil(node, leadership)) return;
  node.preparations += 1;
  // With watchdogs there is nothing to prepare but the own one.
  const fencingMs = node.timing.watchdog === null ? node.preparationMs : 0;
  node.hold = {
    kind: 'preparing',
    id: node.preparations,
    deadline: instant(node.now + Math.max(node.timing.promiseMs, LEAST_PREPARATION_MS, fencingMs)),
  };
  node.outbox.emit({ kind: 'prepare', id: node.preparations });
}

/**
 * H3: without good data, or on standby, this leader waits for somebody who may hold. Not for ever: that one may reach the
 * witness but not this node; then only a caretaker can bring it up to date (W2), and that needs silence.
 */
function renounceForAnother(node: CoreNode, leadership: Leadership, why: string): void {
  // mark: leader-that-will-not-hold
  const patience = STALE_PATIENCE_PROMISES * 2 ** Math.min(node.staleTerms, MAX_STALE_DOUBLINGS);
  node.staleTerms += 1;
  renounce(node, leadership, why, instant(node.now + patience * node.timing.promiseMs));
}

/** H2, second half: armed, and *then* the lease checked again. */
export function onPrepared(node: CoreNode, id: number, isArmed: boolean): void {
  const leadership = node.leadership;
  if (node.hold.kind !== 'preparing' || node.hold.id !== id || leadership === null) return;
  if (!isArmed) {
    node.dropPreparation();
    return giveUpHolding(node, leadership);
  }
  assert(
    !node.isPaused && !node.isOnStandby,
    'a preparation does not outlive the order that bars its node (H7)',
  );
  node.hold = { kind: 'none' };
  node.failedPreparations = 0;
  if (node.leaseUntil === null) return node.outbox.emit({ kind: 'release', epoch: null, mode: 'abrupt' });
  const granted = node.appendOwn({ kind: 'tenure-granted', node: node.self, at: node.wallMs });
  node.hold = { kind: 'granting', epoch: epoch(granted.index), term: node.hard.term };
}

/** Let another node try; where none can, wait longer each time, and stand down at the end to begin afresh. */
function giveUpHolding(node: CoreNode, leadership: Leadership): void {
  // mark: executor-cannot-hold
  const { promiseMs } = node.timing;
  const waitMs =
    node.failedPreparations === 0 ? 0 : promiseMs * 2 ** Math.min(node.failedPreparations, MAX_DOUBLINGS);
  node.failedPreparations += 1;
  leadership.handOverAt = instant(node.now + waitMs);
  renounce(node, leadership, 'the executor cannot hold', instant(node.now + waitMs + promiseMs));
}

function takeWhenGranted(node: CoreNode): void {
  const until = node.leaseUntil;
  if (node.hold.kind !== 'granting' || until === null || node.commitIndex < node.hold.epoch) return;
  const { epoch: granted, term } = node.hold;
  node.staleTerms = 0;
  node.hold = { kind: 'held', epoch: granted, term, announcedUntil: until };
  const previousReleased = node.isPreviousReleased(granted);
  const { tenure } = node.state;
  const own = tenure?.epoch === granted ? tenure : null;
  const hasProof = own !== null && own.unproven.length === 0;
  const isForced = own?.isForced === true;
  node.outbox.emit({ kind: 'hold', epoch: granted, term, until, previousReleased, hasProof, isForced });
}

function announceLease(node: CoreNode): void {
  const { hold, leaseUntil: until } = node;
  if ((hold.kind !== 'held' && hold.kind !== 'releasing') || hold.epoch === null) return;
  if (until === null || until <= hold.announcedUntil) return;
  node.hold = { ...hold, announcedUntil: until } as typeof hold;
  node.outbox.emit({ kind: 'lease', epoch: hold.epoch, until });
}

/** R3: from now on every message of this leader says that it holds nothing and will not in this term. */
export function renounce(node: CoreNode, leadership: Leadership, why: string, until: Instant | null): void {
  leadership.renounced = true;
  leadership.renouncedUntil = until;
  node.outbox.event({ event: 'renounced', term: node.hard.term, why });
  beat(node, leadership);
}

/** The executor has verified that nothing is held (R2). */
export function onVerifiedRelease(node: CoreNode, evidence: string): void {
  if (node.hold.kind !== 'releasing') return;
  const { epoch: held, term } = node.hold;
  node.hold = { kind: 'none' };
  if (held === null) return;
  node.releasedTerm = term;
  const transfer = node.leadership?.transfer;
  if (transfer?.phase === 'releasing' && term === node.hard.term) {
    const entry = node.appendOwn({
      kind: 'tenure-released',
      epoch: held,
      node: node.self,
      reason: transfer.reason,
      evidence,
      successor: transfer.to,
      at: node.wallMs,
    });
    transfer.phase = 'committing';
    transfer.releasedIndex = entry.index;
    transfer.deadline = instant(node.now + node.timing.promiseMs);
    return;
  }
  // mark: released-after-the-lease
  // Too late for the log of that term, but not for the peers: it will hold nothing in that term any more (R3, R4).
  for (const to of node.peers) node.outbox.send({ kind: 'renounced', from: node.self, to, term });
}

/** R1: the planned release was undone; the tenure goes on if its lease does. */
export function onReleaseFailed(node: CoreNode): void {
  const leadership = node.leadership;
  if (
    node.hold.kind !== 'releasing' ||
    leadership?.transfer?.phase !== 'releasing' ||
    node.hold.epoch === null
  )
    return;
  // mark: planned-release-undone
  if (leadership.transfer.reason === 'stale-data') putOffDataMove(node, leadership);
  leadership.transfer = null;
  node.hold = {
    kind: 'held',
    epoch: node.hold.epoch,
    term: node.hold.term,
    announcedUntil: node.leaseUntil ?? node.now,
  };
  node.outbox.event({ event: 'transfer', to: null, phase: 'given up: the release could not end' });
}

/** R1, H3: each attempt stops what stands in front of whatever is busy. What cannot end now is not tried without pause. */
function putOffDataMove(node: CoreNode, leadership: Leadership): void {
  const pauseMs = Math.min(
    DATA_MOVE_PAUSE_MS.first * 2 ** leadership.failedDataMoves,
    DATA_MOVE_PAUSE_MS.most,
  );
  leadership.failedDataMoves += 1;
  leadership.dataMoveAt = instant(node.now + pauseMs);
}

/** O1: without its executor a node does not know what it holds: it stops leading and votes for nobody (L3). */
export function onExecutorLost(node: CoreNode): void {
  if (node.role.kind === 'leader') node.stepDown('executor-lost');
  if (node.hold.kind === 'releasing') return;
  node.hold = { kind: 'releasing', epoch: null, term: node.hard.term, announcedUntil: node.now };
  if (node.role.kind !== 'stopped' && node.role.kind !== 'follower') node.becomeFollower(null);
  node.armElection(node.timing.heartbeatMs);
}
