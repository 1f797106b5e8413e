/**
 * Handing leadership over (R3): planned transfer, caretaker (W3), leader with stale data (H3).
 *
 * Invariants: `timeout-now` leaves only after the leader has renounced, so a lost one leaves nobody holding until a
 * fresh election, never two; a tenure is released and logged before its leader renounces.
 */
import type { ReleaseReason } from './entry.ts';
import { isForcedHere, leadAnew } from './force.ts';
import { renounce } from './holding.ts';
import type { CoreNode, Leadership, Transfer } from './node.ts';
import { beat } from './replication.ts';
import type { NodeId } from './types.ts';
import { instant, logIndex } from './types.ts';

/** A planned release that takes longer than this is ended by the abrupt one. */
const PLANNED_RELEASE_LIMIT_MS = 120_000;

/** Starts a transfer; says why not where it does not. */
export function startTransfer(node: CoreNode, to: NodeId | null, reason: ReleaseReason): string | null {
  const leadership = node.leadership;
  if (leadership === null) return 'not the leader';
  if (leadership.renounced && reason === 'shutdown') {
    node.stepDown('no-successor');
    return null;
  }
  if (leadership.renounced) return 'this leader holds nothing and is handing over already';
  if (leadership.transfer !== null) return 'a transfer is under way';
  if (leadership.restart !== null || node.hold.kind === 'handed-over')
    return 'a planned restart is under way (L7)';
  if (node.hold.kind === 'adopting') return 'the tenure from before the restart is just being adopted (L7)';
  if (to === node.self) return 'the target leads already';
  if (to !== null && !node.isDataVoter(to)) return 'the target is not a data node with a vote';
  if (to !== null && !node.isEligible(to)) return 'the target is not in the in-sync set (H1)';
  if (to !== null && !node.mayTakeOver(to)) return 'the target is on standby';
  // H7: nobody could hold afterwards. Only who is told to end lets go all the same.
  if (node.isPaused && reason !== 'shutdown') return 'the cluster is paused (H7)';
  const deadline = instant(node.now + node.timing.promiseMs);
  beat(node, leadership);
  leadership.transfer = {
    to,
    reason,
    phase: 'catching-up',
    releasedIndex: logIndex(0),
    startedAt: node.now,
    deadline,
  };
  node.outbox.event({ event: 'transfer', to, phase: 'catching-up' });
  return null;
}

/** After every step of a leader. */
export function advanceTransfer(node: CoreNode, leadership: Leadership): void {
  const transfer = leadership.transfer;
  // R1: generous, not endless: what cannot be given back in order is given back by force.
  if (transfer?.phase === 'releasing' && node.now >= transfer.deadline) return node.stepDown('release-stuck');
  if (transfer?.phase === 'catching-up') releaseWhenCaughtUp(node, leadership, transfer);
  if (
    transfer?.phase === 'committing' &&
    !leadership.renounced &&
    node.commitIndex >= transfer.releasedIndex
  ) {
    renounce(node, leadership, 'released', transfer.deadline);
  }
  if (leadership.renounced && transfer === null && mayNowHold(node, leadership)) leadAnew(node);
  else if (leadership.renounced && node.commitIndex >= leadership.firstIndex)
    handOver(node, leadership, transfer);
  else if (mustMoveForItsData(node, leadership)) startTransfer(node, null, 'stale-data');
}

/**
 * H3: its own data is bad, and somebody who may take over is there. Where nobody is, or who is in sync is on standby, nobody would hold
 * afterwards: it goes on with the peer's data until one of them is there again.
 */
function mustMoveForItsData(node: CoreNode, leadership: Leadership): boolean {
  return (
    node.hold.kind === 'held' &&
    !node.isEligible(node.self) &&
    node.now >= leadership.dataMoveAt &&
    successors(node).some((id) => isReadyToLead(node, leadership, id))
  );
}

/** What it has renounced for is over by an operator's word. */
function mayNowHold(node: CoreNode, leadership: Leadership): boolean {
  return isForcedHere(node, leadership) || (leadership.isStandingAside && !node.isOnStandby);
}

function releaseWhenCaughtUp(node: CoreNode, leadership: Leadership, transfer: Transfer): void {
  const isLate = node.now >= transfer.deadline;
  const isReady =
    transfer.to === null
      ? isAnybodyReady(node, leadership, transfer)
      : hasAnswered(node, leadership, transfer, transfer.to);
  if (!isReady && !isLate) return;
  // Who is told to end lets go, whoever is there, and so does a tenure in which nothing could be taken: only another one can try again.
  if (!isReady && (transfer.to !== null || transfer.reason === 'stale-data')) {
    // mark: transfer-given-up
    leadership.transfer = null;
    const who = transfer.to === null ? 'nobody catches up' : 'the target does not catch up';
    node.outbox.event({ event: 'transfer', to: transfer.to, phase: `given up: ${who}` });
    return;
  }
  if (node.hold.kind === 'preparing') node.dropPreparation();
  if (node.hold.kind === 'held') {
    transfer.phase = 'releasing';
    transfer.deadline = instant(node.now + Math.max(PLANNED_RELEASE_LIMIT_MS, node.timing.promiseMs));
    node.outbox.event({ event: 'transfer', to: transfer.to, phase: 'releasing' });
    node.beginRelease('planned', node.hold.epoch, node.hold.term);
  } else if (node.hold.kind === 'none' && node.commitIndex >= leadership.firstIndex) {
    transfer.phase = 'committing';
    transfer.deadline = instant(node.now + node.timing.promiseMs);
  }
}

/** Nobody is waited for who is not there; but what still serves, with the peer's data (H3), is not ended for nobody. */
function isAnybodyReady(node: CoreNode, leadership: Leadership, { reason }: Transfer): boolean {
  const reachable = successors(node).filter((id) => isReachable(node, leadership, id));
  if (reachable.length === 0) return reason !== 'stale-data';
  return reachable.some((id) => hasWholeLog(node, leadership, id));
}

/** An explicit target must answer after the order: one that died a moment ago would cost the service everything. */
function hasAnswered(node: CoreNode, leadership: Leadership, { startedAt }: Transfer, to: NodeId): boolean {
  return hasWholeLog(node, leadership, to) && leadership.lease.heardFrom(to, startedAt);
}

/** A log that was complete once is not enough: a dead target would cost the service everything and gain nothing. */
function isReadyToLead(node: CoreNode, leadership: Leadership, id: NodeId): boolean {
  return hasWholeLog(node, leadership, id) && isReachable(node, leadership, id);
}

/** Who may take over first; a caretaker may also bring up one that may not, which then leads without holding. */
function successors(node: CoreNode): readonly NodeId[] {
  const dataNodes = node.voters.filter((id) => id !== node.self && node.isDataVoter(id));
  const eligible = dataNodes.filter((id) => node.mayTakeOver(id));
  return node.isWitness ? [...eligible, ...dataNodes.filter((id) => !node.mayTakeOver(id))] : eligible;
}

/** A caretaker takes a node with stale data only when nobody with good data comes: the stale one would not hold. */
function candidates(node: CoreNode, leadership: Leadership): readonly NodeId[] {
  const all = successors(node);
  const eligible = all.filter((id) => node.mayTakeOver(id));
  const isEarly = node.now < leadership.electedAt + node.timing.promiseMs / 2;
  return isEarly || eligible.some((id) => isReachable(node, leadership, id)) ? eligible : all;
}

function hasWholeLog(node: CoreNode, leadership: Leadership, id: NodeId): boolean {
  return leadership.progress.get(id)?.match === node.log.lastIndex;
}

function isReachable(node: CoreNode, leadership: Leadership, id: NodeId): boolean {
  return leadership.lease.heardFrom(id, node.now - node.timing.leaseMs);
}

function handOver(node: CoreNode, leadership: Leadership, transfer: Transfer | null): void {
  if (node.now < leadership.handOverAt) return;
  const ready = candidates(node, leadership).filter((id) => isReadyToLead(node, leadership, id));
  const wanted = transfer?.to ?? null;
  // The wanted target has the first half of the bound for itself; then anybody who can is better than nobody.
  const isPatient =
    wanted !== null && transfer !== null && node.now < transfer.deadline - node.timing.promiseMs / 2;
  const target = ready.find((id) => id === wanted) ?? (isPatient ? undefined : ready[0]);
  if (target === undefined) return;
  node.outbox.send({
    kind: 'timeout-now',
    from: node.self,
    to: target,
    term: node.hard.term,
    proof: { node: node.self, term: node.hard.term },
  });
  // mark: handed-over
  node.stepDown('handed-over');
  node.armElection(node.timing.leaseMs + node.timing.heartbeatMs);
}
