/**
 * The consensus core: `step(input, now) → effects`. Pure: no clock, no randomness, no I/O.
 *
 * Each step first evaluates every deadline against `now`, then the input (T2), then what follows from both: commit,
 * gate, transfer, replication; and ends with at most one persist.
 */

import { giveUpAdoption, onBound } from './adoption.ts';
import {
  electionDue,
  onOwnVoteDurable,
  onPreVote,
  onPreVoteAck,
  onTimeoutNow,
  onVote,
  onVoteAck,
} from './election.ts';
import { leadAnewIfRenounced } from './force.ts';
import {
  advanceHolding,
  claimsUntil,
  onExecutorLost,
  onPrepared,
  onReleaseFailed,
  onVerifiedRelease,
} from './holding.ts';
import type { Effect, Input, Proposal } from './io.ts';
import type { Message } from './messages.ts';
import type { CoreOptions, Leadership } from './node.ts';
import { CoreNode } from './node.ts';
import { decide } from './proposals.ts';
import { onReleased, onRenounced, recordProof } from './release-proof.ts';
import {
  advanceCommit,
  beat,
  newProgress,
  onAppend,
  onAppendAck,
  onHeartbeat,
  onHeartbeatAck,
  replicate,
} from './replication.ts';
import { advanceRestart, onHandedOver, startRestart } from './restart.ts';
import { advanceTiming, noteApplied, promiseShrinksAt } from './timing-change.ts';
import { advanceTransfer, startTransfer } from './transfer.ts';
import type { Instant } from './types.ts';
import { assert, assertNever, instant, logIndex, term } from './types.ts';

/** For reading only. */
export type CoreView = Readonly<CoreNode>;

export class Core {
  readonly #node: CoreNode;

  constructor(options: CoreOptions, now: Instant) {
    this.#node = new CoreNode(options, now);
    // L7: whoever comes back for its tenure asks at once.
    if (this.#node.hold.kind === 'adopting') this.#node.armElection(0, 0);
    else this.#node.armElection(this.#node.promise.until - now + this.#node.preferenceMs);
  }

  /** For reading only: status, tests, the driver. */
  get view(): CoreView {
    return this.#node;
  }

  step(input: Input, now: Instant, wallMs: number | null = null): Effect[] {
    const node = this.#node;
    assert(now >= node.now, `time ran backwards: ${now} after ${node.now}`);
    node.now = now;
    node.wallMs = wallMs;
    if (node.role.kind === 'stopped') {
      if (input.kind === 'released') node.hold = { kind: 'none' };
      return [];
    }
    this.#evaluateDeadlines();
    this.#handle(input);
    if (this.#isStopped()) return node.outbox.flush(node.hard, [], false, node.log.lastIndex, now);
    this.#advance();
    return node.flush();
  }

  /** The earliest instant at which a `tick` has something to do; later than the last step's. Null: never. */
  nextDeadline(): Instant | null {
    const node = this.#node;
    const leadership = node.leadership;
    const times: number[] = [];
    if (leadership === null) {
      if (node.electionAt !== null && node.role.kind !== 'stopped') times.push(node.electionAt);
    } else {
      times.push(leadership.heartbeatAt, authorityEnd(node, leadership));
      if (leadership.renouncedUntil !== null) times.push(leadership.renouncedUntil, leadership.handOverAt);
      if (leadership.transfer !== null) times.push(leadership.transfer.deadline);
      if (node.outbox.waitingSince !== null) times.push(node.outbox.waitingSince + node.timing.leaseMs);
      if (node.hold.kind === 'none') times.push(claimsUntil(node, leadership));
      if (node.hold.kind === 'preparing') times.push(node.hold.deadline);
      times.push(promiseShrinksAt(node) ?? Number.POSITIVE_INFINITY);
    }
    if (node.hold.kind === 'adopting') times.push(node.hold.deadline);
    const due = times.filter((time) => time > node.now);
    return due.length === 0 ? null : instant(Math.min(...due));
  }

  #isStopped(): boolean {
    return this.#node.role.kind === 'stopped';
  }

  /** T2: an expired lease is over before any message that waited is looked at. */
  #evaluateDeadlines(): void {
    const node = this.#node;
    const leadership = node.leadership;
    if (leadership !== null) {
      if (node.now >= authorityEnd(node, leadership))
        node.stepDown('lease-lost'); // L6
      else if (isDiskStalled(node))
        node.stepDown('disk-stalled'); // L6
      else if (leadership.renouncedUntil !== null && node.now >= leadership.renouncedUntil) {
        node.stepDown(node.isWitness ? 'caretaker-bound' : 'no-successor');
        // Long enough for a witness to see that nobody leads and to bring up whoever has the data (W2).
        if (!node.isWitness) node.armElection(node.timing.promiseMs + 4 * node.timing.heartbeatMs);
      } else if (node.now >= leadership.heartbeatAt) beat(node, leadership);
    }
    if (node.hold.kind === 'adopting' && node.now >= node.hold.deadline)
      giveUpAdoption(node, 'the time of the restart is over');
    if (node.role.kind !== 'leader' && node.electionAt !== null && node.now >= node.electionAt)
      electionDue(node);
  }

  #handle(input: Input): void {
    const node = this.#node;
    switch (input.kind) {
      case 'tick':
        return;
      case 'message':
        return this.#onMessage(input.message);
      case 'persisted':
        node.outbox.persisted(input.id, node.hard.term);
        return onOwnVoteDurable(node);
      case 'persist-failed':
        return this.#stop();
      case 'propose':
        return this.#propose(input.proposal);
      case 'transfer': {
        const refused = startTransfer(node, input.to, input.reason);
        if (refused !== null) node.outbox.emit({ kind: 'refused', why: refused });
        return;
      }
      case 'prepared':
        return onPrepared(node, input.id, input.ok);
      case 'released':
        return onVerifiedRelease(node, input.evidence);
      case 'release-failed':
        return onReleaseFailed(node);
      case 'executor-lost':
        return onExecutorLost(node);
      case 'lead-anew':
        return leadAnewIfRenounced(node);
      case 'timing-applied':
        return noteApplied(node, input.timing);
      case 'handed-over':
        return onHandedOver(node, input.epoch, input.ok);
      case 'bound':
        return onBound(node, input.epoch, input.ok);
      case 'campaign':
        if (node.role.kind !== 'leader') electionDue(node, true);
        return;
      case 'bootstrap':
        assert(node.log.lastIndex === 0 && input.entry.index === 1, 'only an empty log is bootstrapped');
        node.log.replaceFrom([input.entry]);
        node.markUnsaved(logIndex(1));
        node.commitTo(logIndex(1));
        return node.armElection(Math.max(node.promise.until - node.now, 0));
      case 'begin':
        // Durable, as a term: it must outlive this process, and others learn it like any other term.
        if (node.hard.term === 0) node.setHard({ term: term(1), votedFor: null });
        node.waitsToBegin = false;
        return node.armElection(Math.max(node.promise.until - node.now, 0));
      default:
        return assertNever(input);
    }
  }

  #onMessage(message: Message): void {
    const node = this.#node;
    if (message.to !== node.self || message.from === node.self) return;
    switch (message.kind) {
      case 'heartbeat':
        return onHeartbeat(node, message);
      case 'append':
        return onAppend(node, message);
      case 'pre-vote':
        return onPreVote(node, message);
      case 'vote':
        return onVote(node, message);
      case 'pre-vote-ack':
        return onPreVoteAck(node, message);
      case 'vote-ack':
        return onVoteAck(node, message);
      case 'timeout-now':
        return onTimeoutNow(node, message);
      case 'released':
        return onReleased(node, message);
      case 'renounced':
        return onRenounced(node, message);
      case 'heartbeat-ack':
      case 'append-ack':
        if (message.term > node.hard.term) return node.adoptTerm(message.term);
        if (message.term < node.hard.term) return;
        return message.kind === 'append-ack' ? onAppendAck(node, message) : onHeartbeatAck(node, message);
      default:
        return assertNever(message);
    }
  }

  #propose(proposal: Proposal): void {
    const node = this.#node;
    const leadership = node.leadership;
    const decision = leadership === null ? { refused: 'not the leader' } : decide(node, leadership, proposal);
    if ('refused' in decision) return node.outbox.emit({ kind: 'refused', why: decision.refused });
    const entry = node.appendOwn(decision.body);
    if (entry.body.kind === 'restart-begun' && leadership !== null)
      startRestart(leadership, entry, entry.body);
    if (entry.body.kind === 'config' && leadership !== null) this.#followMembership(leadership);
    node.outbox.emit({ kind: 'proposed', index: entry.index, term: entry.term });
  }

  /** A removed node still gets the entry that removes it, so that it falls silent by itself. */
  #followMembership(leadership: Leadership): void {
    const node = this.#node;
    replicate(node, leadership);
    for (const id of leadership.progress.keys()) if (!node.peers.includes(id)) leadership.progress.delete(id);
    for (const id of node.peers) {
      if (!leadership.progress.has(id)) leadership.progress.set(id, newProgress(node));
    }
  }

  /** What follows from the input: commits, the gate, the transfer, and what the peers lack. */
  #advance(): void {
    const node = this.#node;
    for (;;) {
      const leadership = node.leadership;
      if (leadership === null) return;
      const before = node.log.lastIndex;
      advanceCommit(node, leadership);
      recordProof(node);
      advanceHolding(node, leadership);
      advanceTransfer(node, leadership);
      if (node.leadership === leadership) advanceTiming(node, leadership);
      advanceRestart(node, leadership);
      replicate(node, leadership);
      if (node.leadership === null || node.log.lastIndex === before) return;
    }
  }

  /** D3: a write or fsync failed. Nothing more leaves this node; what is held is released. */
  #stop(): void {
    const node = this.#node;
    if (node.role.kind === 'leader') node.stepDown('stopped');
    node.role = { kind: 'stopped' };
    node.electionAt = null;
    node.outbox.drop();
    node.announceRole();
  }
}

/** L6: when a leader that hears nothing more stops leading. Before its first round this counts from its election. */
function authorityEnd(node: CoreNode, leadership: Leadership): number {
  return (node.confirmedAt ?? leadership.electedAt) + node.timing.leaseMs;
}

/** L6: heartbeats may flow while the own log's fsync does not. */
function isDiskStalled(node: CoreNode): boolean {
  const since = node.outbox.waitingSince;
  return since !== null && node.now >= since + node.timing.leaseMs;
}
