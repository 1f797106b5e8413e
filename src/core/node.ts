/**
 * The state that the parts of the core share, and the few moves that all of them make. Decisions live beside it:
 * elections, replication, holding, transfer.
 *
 * Invariants: `hard.term` never falls; `votedFor` changes at most once per term; `commitIndex` never falls and never
 * passes the log; `releasing` ends only by the executor's word (R2).
 */
import type { ClusterState } from './cluster-state.ts';
import { applyEntry, EMPTY_STATE, mayHoldByKind } from './cluster-state.ts';
import type { ElectionReason, Entry, EntryBody, ReleaseReason, Timing } from './entry.ts';
import type { DamageMarker, HardState } from './hard-state.ts';
import type { RoleName, StepDownReason } from './io.ts';
import type { Lease } from './lease.ts';
import { LogView } from './log-view.ts';
import type { ReleaseProof } from './messages.ts';
import { Outbox } from './outbox.ts';
import { PromiseRecord } from './promise.ts';
import type { Random } from './random.ts';
import { seededRandom } from './random.ts';
import { isSameButPromise } from './timing-change.ts';
import type { Digest, Epoch, Instant, LogIndex, NodeId, Term } from './types.ts';
import { assert, assertNever, instant, logIndex, term } from './types.ts';

/** More rounds than any node can begin between two starts, which a boot promise keeps apart. */
const ROUNDS_PER_MS = 1_000;

/** How far a peer's log is known to reach. */
export interface Progress {
  next: LogIndex;
  match: LogIndex;
  /** Last time that something was sent to it or confirmed by it. */
  activeAt: Instant;
  /** One append at a time, until the peer has confirmed where the logs agree. */
  probing: boolean;
  outstanding: boolean;
  /** D2: the last damage that it got a `repaired` entry for, so that it gets one only. */
  repairedFor: DamageMarker | null;
}

export interface Transfer {
  /** Null: whoever may hold, or nobody. */
  readonly to: NodeId | null;
  readonly reason: ReleaseReason;
  readonly startedAt: Instant;
  phase: 'catching-up' | 'releasing' | 'committing';
  /** The `tenure-released` entry; 0 before. */
  releasedIndex: LogIndex;
  /** After this: given up, or, once released, handed to whoever can. */
  deadline: Instant;
}

export interface Leadership {
  readonly electedAt: Instant;
  readonly lease: Lease;
  readonly progress: Map<NodeId, Progress>;
  /** The `elected` entry (E4). */
  readonly firstIndex: LogIndex;
  heartbeatAt: Instant;
  /** R3: no tenure, and none to come in this term. */
  renounced: boolean;
  /** When a renounced leader that must not stay for ever steps down; null where it may wait (H3). */
  renouncedUntil: Instant | null;
  /** Renounced because it is on standby: where that ends, it leads anew (R3). */
  isStandingAside: boolean;
  /** A renounced leader hands over from here on: at once, or later where nobody seems able to hold. */
  handOverAt: Instant;
  transfer: Transfer | null;
  /** H3: before this nothing is moved for its own bad data: an attempt could not end. */
  dataMoveAt: Instant;
  /** How many could not. */
  failedDataMoves: number;
  restart: OwnRestart | null;
}

/** L7: the planned restart of this very process, up to the hand-over of its tenure. */
export interface OwnRestart {
  /** The `restart-begun` entry. */
  readonly index: LogIndex;
  readonly durationMs: number;
  /** When the round was sent that asks the voters to promise for the whole restart; null before the entry is committed. */
  askedAt: Instant | null;
}

export interface Campaign {
  readonly reason: ElectionReason;
  readonly startedAt: Instant;
  readonly detectMs: number | null;
  readonly caretaker: boolean;
  readonly proof: ReleaseProof | null;
  /** L7: the tenure that it is about. */
  readonly adopt: Epoch | null;
  readonly grants: Set<NodeId>;
}

export type Role =
  | { readonly kind: 'follower'; leader: NodeId | null }
  | { readonly kind: 'pre-candidate'; readonly campaign: Campaign; readonly round: number }
  | { readonly kind: 'candidate'; readonly campaign: Campaign }
  | { readonly kind: 'leader'; readonly leadership: Leadership }
  | { readonly kind: 'stopped' };

/** What this node has done about holding. `preparing` and `granting`: nothing has been touched yet. */
export type Hold =
  | { readonly kind: 'none' }
  | { readonly kind: 'preparing'; readonly id: number; readonly deadline: Instant }
  | { readonly kind: 'granting'; readonly epoch: Epoch; readonly term: Term }
  | { readonly kind: 'held'; readonly epoch: Epoch; readonly term: Term; readonly announcedUntil: Instant }
  /** L7: the executor has the deadline, or may have it: this process goes away. */
  | {
      readonly kind: 'handed-over';
      readonly epoch: Epoch;
      readonly term: Term;
      readonly announcedUntil: Instant;
    }
  | Adopting
  /** `epoch` null: the executor is lost and what it held is not known. */
  | {
      readonly kind: 'releasing';
      readonly epoch: Epoch | null;
      readonly term: Term;
      readonly announcedUntil: Instant;
    };

/**
 * L7: the executor has kept a tenure of the process before this one. `asking`: for votes, and for the first round of a term;
 * `binding`: the executor is told of the new term's lease; `writing`: it obeys that, and the entry is not committed.
 */
export interface Adopting {
  readonly kind: 'adopting';
  readonly epoch: Epoch;
  /** Of the tenure; in `writing` the new one. */
  readonly term: Term;
  readonly announcedUntil: Instant;
  readonly deadline: Instant;
  readonly phase: 'asking' | 'binding' | 'writing';
  /** Of the `tenure-adopted` entry; 0 before. */
  readonly writtenAt: LogIndex;
}

export interface CoreOptions {
  readonly self: NodeId;
  readonly digest: Digest;
  readonly seed: number;
  /** Used until the log says otherwise (L8). */
  readonly timing: Timing;
  readonly recovered: { readonly hardState: HardState; readonly entries: readonly Entry[] };
  /**
   * H7: a log with nothing but the first entry may be half of a bootstrap: no election before `begin`, or before a term shows
   * that somebody has begun. A cluster that started without one of its members could never take it in: it would look like a
   * disk that was lost (D2).
   */
  readonly waitsToBegin?: boolean;
  /**
   * How long the executor may take to get ready where that needs more than a watchdog: the fencing of the old holder (R5).
   * Nothing is held meanwhile, and the lease runs on. At least a promise and a second.
   */
  readonly preparationMs?: number;
  /** L7: what the executor has kept, and until when. Null after every other start: nothing is held then (L4). */
  readonly kept?: { readonly epoch: Epoch; readonly until: Instant } | null;
  /** When the boot promise began: now, or the kernel's boot where its boot id has changed (L4). */
  readonly bootedAt: Instant;
}

export class CoreNode {
  readonly self: NodeId;
  readonly digest: Digest;
  readonly random: Random;
  readonly log: LogView;
  readonly outbox: Outbox;
  readonly promise: PromiseRecord;
  readonly #fallbackTiming: Timing;

  now: Instant;
  /** Wall clock in ms for people (T3); null where unknown. */
  wallMs: number | null = null;
  hard: HardState;
  role: Role = { kind: 'follower', leader: null };
  hold: Hold = { kind: 'none' };
  state: ClusterState = EMPTY_STATE;
  commitIndex: LogIndex = logIndex(0);
  /** Numbers the preparations: an answer to an earlier one says nothing about this one (H2). */
  preparations = 0;
  /** The leader whose release freed this data node: its later messages do not put the early election off (R4). */
  freedEarlyBy: ReleaseProof | null = null;
  /** Terms in a row that this node led with stale data and nobody to hand over to. */
  staleTerms = 0;
  /** D2: up to here the present leader's appends have proven, in this life, that the logs agree. */
  confirmed: { readonly term: Term; readonly index: LogIndex } = { term: term(0), index: logIndex(0) };
  /** How far the leader of that term has said that it has committed. Null: its appends have not said anything yet. */
  leaderCommit: { readonly term: Term; readonly index: LogIndex } | null = null;
  /** A leader that released gets no new tenure in that term (R2). */
  releasedTerm: Term = term(0);
  electionAt: Instant | null = null;
  waitsToBegin: boolean;
  readonly preparationMs: number;
  /** Why the next timer-driven campaign starts, for the audit. */
  nextReason: ElectionReason = 'boot';
  failedCampaigns = 0;
  /** Times in a row that the executor could not hold: each lengthens the wait, so that two such nodes do not flood the log. */
  failedPreparations = 0;
  /** E1: begins higher after each restart, so that an answer from before it belongs to no round. */
  round: number;
  lastLeaderContact: Instant | null = null;
  /** W2: this witness has refused a data node whose log was strictly older. */
  hasRefusedOlderLog = false;
  /** R4: statements about releases, for the log of whoever leads next. One per node: bounded by the members. */
  readonly proofs = new Map<NodeId, { readonly epoch: Epoch; readonly evidence: string }>();

  /** L8: since when L, D, W, G are what they are, and the longer promise of before and since. */
  timingSince: { readonly at: Instant; readonly promiseMs: number };
  /** L8: what the executor is known to work with, `P` aside. */
  appliedTiming: string | null = null;

  #rosterCache: {
    readonly ruling: Entry | null;
    readonly voters: readonly NodeId[];
    readonly peers: readonly NodeId[];
  } | null = null;
  #hardChanged = false;
  #firstUnsaved: LogIndex | null = null;

  constructor(options: CoreOptions, now: Instant) {
    this.self = options.self;
    this.digest = options.digest;
    this.waitsToBegin = options.waitsToBegin ?? false;
    this.preparationMs = options.preparationMs ?? 0;
    this.random = seededRandom(options.seed, options.self);
    this.#fallbackTiming = options.timing;
    this.now = now;
    this.round = Math.floor(now * ROUNDS_PER_MS);
    this.hard = options.recovered.hardState;
    this.log = new LogView(options.digest, options.recovered.entries);
    this.outbox = new Outbox(this.hard, this.log.lastIndex);
    this.timingSince = { at: now, promiseMs: options.timing.promiseMs };
    this.commitTo(logIndex(Math.min(this.hard.commitIndex, this.log.lastIndex)), false);
    const kept = options.kept ?? null;
    const bootPromise = instant(options.bootedAt + this.longestPromiseMs); // L4
    this.promise =
      kept === null
        ? new PromiseRecord(bootPromise)
        : PromiseRecord.toOneself(this.self, this.hard.term, bootPromise);
    if (kept === null) return;
    const { epoch, until: deadline } = kept;
    const written = { announcedUntil: now, writtenAt: logIndex(0), phase: 'asking' } as const;
    this.hold = { kind: 'adopting', epoch, term: this.hard.term, deadline, ...written };
    this.nextReason = 'operator';
  }

  // --- who is who ---------------------------------------------------------------------------------------------

  get timing(): Timing {
    return this.state.timing ?? this.#fallbackTiming;
  }
  /**
   * L8: what a voter has on its disk counts from the moment that the leader may hear of it, which is before this node hears of the
   * commit, and long before it has written that down.
   */
  get longestPromiseMs(): number {
    let longest: number = this.timing.promiseMs;
    for (let index = this.commitIndex + 1; index <= this.log.lastIndex; index += 1) {
      const body = this.log.at(logIndex(index))?.body;
      if (body?.kind === 'config') longest = Math.max(longest, body.timing.promiseMs);
    }
    return longest;
  }
  get voters(): readonly NodeId[] {
    return this.#roster.voters;
  }
  get peers(): readonly NodeId[] {
    return this.#roster.peers;
  }
  /** Asked many times a step and changed once in a year: made anew only when another `config` entry rules. */
  get #roster() {
    const ruling = this.log.at(this.log.configIndex);
    if (this.#rosterCache?.ruling !== ruling || this.#rosterCache === null) {
      const { members } = this.log.membership;
      this.#rosterCache = {
        ruling,
        voters: members.filter((member) => !member.learner).map((member) => member.id),
        peers: members.map((member) => member.id).filter((id) => id !== this.self),
      };
    }
    return this.#rosterCache;
  }
  get quorum(): number {
    return Math.floor(this.voters.length / 2) + 1;
  }
  get isVoter(): boolean {
    return this.voters.includes(this.self);
  }
  get isWitness(): boolean {
    return this.log.membership.members.some((member) => member.id === this.self && member.witness);
  }
  isDataVoter(id: NodeId): boolean {
    return mayHoldByKind(this.log.membership.members, id);
  }
  /** H1: a data node in the committed in-sync set. */
  isEligible(id: NodeId): boolean {
    return this.isDataVoter(id) && this.state.inSync.includes(id);
  }
  /** Eligible, and no operator wants it to hold nothing: it may be granted a tenure. */
  mayTakeOver(id: NodeId): boolean {
    return this.isEligible(id) && !this.isSetAside(id);
  }
  /** E3: a node that would not hold lets the others go first; it never refuses a vote for it. */
  get preferenceMs(): number {
    return this.mayTakeOver(this.self) ? 0 : this.timing.heartbeatMs;
  }
  get leadership(): Leadership | null {
    return this.role.kind === 'leader' ? this.role.leadership : null;
  }
  get roleName(): RoleName {
    if (this.role.kind === 'leader') return this.isWitness ? 'caretaker' : 'leader';
    if (this.role.kind === 'stopped') return 'stopped';
    return this.hard.damaged === null ? this.role.kind : 'damaged';
  }
  /** L3: leads, holds, is releasing, or is not sure whether it still holds. */
  get isBoundByHolding(): boolean {
    return this.role.kind === 'leader' || this.isHoldingOrReleasing;
  }
  /** L7: also a process that goes, and one that has come for a tenure: their executor holds. */
  get isHoldingOrReleasing(): boolean {
    switch (this.hold.kind) {
      case 'held':
      case 'handed-over':
      case 'adopting':
      case 'releasing':
        return true;
      case 'none':
      case 'preparing':
      case 'granting':
        return false;
      default:
        return assertNever(this.hold);
    }
  }

  /**
   * H7: as soon as it is in the own log, committed or not: no grant ever stands behind a pause. It is over only when that is
   * committed. Only for leaders: to a follower the end of its log says nothing.
   */
  get isPaused(): boolean {
    return this.state.pause !== null || this.#hasPending(({ body }) => body.kind === 'pause' && body.paused);
  }
  /** Likewise of a node's standby; of a follower's log only what is committed counts. */
  isSetAside(id: NodeId): boolean {
    if (this.state.standby.includes(id)) return true;
    const isThat = ({ body }: Entry) => body.kind === 'standby' && body.node === id && body.standby;
    return this.role.kind === 'leader' && this.#hasPending(isThat);
  }
  get isOnStandby(): boolean {
    return this.isSetAside(this.self);
  }
  #hasPending(isThat: (entry: Entry) => boolean): boolean {
    for (let index = this.commitIndex + 1; index <= this.log.lastIndex; index += 1) {
      const entry = this.log.at(logIndex(index));
      if (entry !== null && isThat(entry)) return true;
    }
    return false;
  }

  // --- the lease ----------------------------------------------------------------------------------------------

  /** When a quorum last confirmed this leader; null before the first time. */
  get confirmedAt(): Instant | null {
    return this.leadership?.lease.confirmedAt(this.voters, this.self, this.now) ?? null;
  }
  /** L1: `q + L`, the end of this leader's authority; null when it has none. A renounced leader never has (R3). */
  get leaseUntil(): Instant | null {
    const leadership = this.leadership;
    const confirmed = this.confirmedAt;
    if (leadership === null || leadership.renounced || confirmed === null) return null;
    const until = instant(confirmed + this.timing.leaseMs);
    return this.now < until ? until : null;
  }
  get mayHold(): boolean {
    return this.hold.kind === 'held' && this.leaseUntil !== null;
  }

  /** Does the log prove that the tenure before this one was released? Without an earlier one there is nothing to fear. */
  isPreviousReleased(granted: Epoch): boolean {
    const released = new Set<Epoch>();
    for (let index = granted - 1; index > 0; index -= 1) {
      const body = this.log.at(logIndex(index))?.body;
      if (body?.kind === 'tenure-released') released.add(body.epoch);
      if (body?.kind === 'tenure-granted') return released.has(index as Epoch);
    }
    return true;
  }

  // --- moves --------------------------------------------------------------------------------------------------

  setHard(change: Partial<HardState>): void {
    this.hard = { ...this.hard, ...change };
    this.#hardChanged = true;
  }
  /** Marks entries from `index` on as not yet given to the disk. */
  markUnsaved(index: LogIndex): void {
    if (this.#firstUnsaved === null || index < this.#firstUnsaved) this.#firstUnsaved = index;
  }
  appendOwn(body: EntryBody): Entry {
    const entry = this.log.appendOwn(this.hard.term, body);
    this.markUnsaved(entry.index);
    return entry;
  }

  /** A newer term from elsewhere. Never done for the sake of a vote request while a promise binds (L2). */
  adoptTerm(newer: Term): void {
    assert(newer > this.hard.term, 'a term may only grow');
    if (this.role.kind === 'leader') this.stepDown('newer-term');
    this.setHard({ term: newer, votedFor: null });
    this.becomeFollower(null);
  }

  becomeFollower(leader: NodeId | null): void {
    assert(this.role.kind !== 'leader', 'a leader leaves by stepping down');
    const isSame = this.role.kind === 'follower' && this.role.leader === leader;
    this.role = { kind: 'follower', leader };
    if (!isSame) this.announceRole();
  }

  /** L6: stop leading at once, in the same term; what is held is released. */
  stepDown(why: StepDownReason): void {
    assert(this.role.kind === 'leader', 'only a leader steps down');
    this.role = { kind: 'follower', leader: null };
    this.outbox.event({ event: 'stepped-down', term: this.hard.term, why });
    // L7: what was to be adopted was led for in this term by now: with that it ends.
    if (this.hold.kind === 'adopting') this.beginRelease('abrupt', this.hold.epoch, this.hard.term);
    else if (this.hold.kind === 'held') this.beginRelease('abrupt', this.hold.epoch, this.hold.term);
    else if (this.hold.kind === 'handed-over') this.beginRelease('abrupt', this.hold.epoch, this.hold.term);
    else if (this.hold.kind === 'releasing') this.beginRelease('abrupt', this.hold.epoch, this.hold.term);
    else this.dropPreparation();
    this.nextReason = 'leader-silent';
    this.armElection(this.timing.heartbeatMs);
    this.announceRole();
  }

  beginRelease(mode: 'planned' | 'abrupt', epoch: Epoch | null, heldTerm: Term): void {
    this.hold = { kind: 'releasing', epoch, term: heldTerm, announcedUntil: this.now };
    this.outbox.emit({ kind: 'release', epoch, mode });
  }

  /** Nothing was touched: the executor only disarms what it armed. */
  dropPreparation(): void {
    if (this.hold.kind === 'none') return;
    this.hold = { kind: 'none' };
    this.outbox.emit({ kind: 'release', epoch: null, mode: 'abrupt' });
  }

  announceRole(): void {
    const leader =
      this.role.kind === 'follower' ? this.role.leader : this.role.kind === 'leader' ? this.self : null;
    this.outbox.event({ event: 'role', role: this.roleName, term: this.hard.term, leader });
  }

  /** The next election of a data node: `delayMs` from now, plus a random part of the window. */
  armElection(delayMs: number, windowMs: number = this.timing.heartbeatMs): void {
    // Always later than now, so that evaluating the deadlines of an instant comes to an end.
    this.electionAt = instant(this.now + Math.max(delayMs + this.random() * windowMs, 0.001));
  }

  /** Moves the commit index and folds what has become certain (never uncommitted entries). */
  commitTo(index: LogIndex, announce = true): void {
    assert(index <= this.log.lastIndex, `commit ${index} passes the log's end ${this.log.lastIndex}`);
    while (this.commitIndex < index) {
      const entry = this.log.at(logIndex(this.commitIndex + 1));
      assert(entry !== null, 'a committed entry is missing');
      this.commitIndex = entry.index;
      const before = this.timing;
      this.state = applyEntry(this.state, entry);
      if (this.state.timing !== null && this.timing !== before) this.#noteTiming(before, this.timing);
      if (announce) this.outbox.emit({ kind: 'committed', entry });
    }
    // Saved with whatever is written next: a lower bound is enough, so it costs no write of its own.
    this.hard = { ...this.hard, commitIndex: this.commitIndex };
  }

  #noteTiming(before: Timing, after: Timing): void {
    const promiseMs = Math.max(before.promiseMs, after.promiseMs);
    if (isSameButPromise(before, after))
      this.timingSince = { ...this.timingSince, promiseMs: Math.max(this.timingSince.promiseMs, promiseMs) };
    else {
      this.timingSince = { at: this.now, promiseMs };
      // What it has said before was about a time before: where these are the values of then, it may be at others by now.
      this.appliedTiming = null;
    }
  }

  /** One persist for all that the step changed. */
  flush() {
    const first = this.#firstUnsaved;
    const entries = first === null ? [] : this.log.slice(first, Number.POSITIVE_INFINITY);
    const isDirty = this.#hardChanged || first !== null;
    this.#hardChanged = false;
    this.#firstUnsaved = null;
    return this.outbox.flush(this.hard, entries, isDirty, this.log.lastIndex, this.now);
  }
}
