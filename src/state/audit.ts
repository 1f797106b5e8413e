/**
 * Replays a log and says what happened, and every place where it breaks a rule. It trusts nothing: neither the hashes
 * nor that the entries were made by our own core. One pass, linear in the entries.
 *
 * What a log cannot show is not judged: when a promise ran out (nobody's clock is in it), or what the disks did.
 */
import {
  applyEntry,
  assertNever,
  type ChainHash,
  type Digest,
  EMPTY_STATE,
  type Entry,
  type EntryBody,
  type Epoch,
  GENESIS,
  hashEntry,
  type LogIndex,
  mayHoldByKind,
  type NodeId,
  type Term,
  whyForceIsVoid,
  whyNotEnded,
  whyNotScheduled,
} from '../core/index.ts';
import type { AuditDocument, AuditTerm, AuditViolation, ViolationKind } from './audit-document.ts';
import { electionViolations, membershipViolations, type Violation } from './audit-rules.ts';
import { isoTime } from './iso-time.ts';
import { changeText, orderText, scheduleText } from './order-text.ts';
import { NO_REQUESTS, rememberRequests, requestIdOf } from './requests.ts';

interface TenureRecord {
  readonly epoch: Epoch;
  readonly node: NodeId;
  /** The term that may still act for it: the granting one, or that of the last adoption (L7). */
  term: Term;
  readonly grantedAt: number | null;
  released: { readonly at: number | null; readonly reason: string; readonly index: LogIndex } | null;
}

/**
 * `entries` from index 1 on; with `commitIndex`, what lies behind it is left out: it may still be replaced.
 * The digest is the one that the log was written with.
 */
export function audit(entries: readonly Entry[], digest: Digest, commitIndex?: LogIndex): AuditDocument {
  const replay = new Replay(digest);
  for (const entry of entries) {
    if (commitIndex !== undefined && entry.index > commitIndex) break;
    replay.step(entry);
  }
  return replay.document();
}

class Replay {
  readonly #digest: Digest;
  readonly #violations: AuditViolation[] = [];
  readonly #terms: AuditTerm[] = [];
  readonly #tenures: TenureRecord[] = [];
  readonly #byEpoch = new Map<Epoch, TenureRecord>();
  readonly #operators: { index: number; who: string; action: string }[] = [];
  #state = EMPTY_STATE;
  /** The ids alone matter here, not what became of them. */
  #requests = NO_REQUESTS;
  #count = 0;
  #head: ChainHash = GENESIS;
  #chainOk = true;
  #lastIndex = 0;
  #term: Term = 0 as Term;
  /** Leader of the current term as its election entry says; null before it. */
  #leader: NodeId | null = null;
  /** Index of the entry by which an operator began a new cluster (O3). */
  #newCluster: number | null = null;
  #grantedInTerm = false;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  step(entry: Entry): void {
    const report = (kind: ViolationKind, what: string): void => {
      this.#violations.push({ index: entry.index, term: entry.term, kind, what });
    };
    this.#checkLinks(entry, report);
    this.#enterTerm(entry, report);
    this.#readBody(entry, entry.body, report);
    this.#checkRequest(entry, report);
    this.#state = applyEntry(this.#state, entry);
    this.#count += 1;
  }

  #checkLinks(entry: Entry, report: Violation): void {
    const expected = this.#lastIndex + 1;
    if (entry.index !== expected)
      report('index-gap', `entry ${entry.index} stands where ${expected} belongs`);
    const isLinked = entry.previous === this.#head;
    if (!isLinked) report('chain-broken', `entry ${entry.index} does not continue the chain`);
    const isIntact = hashEntry(this.#digest, entry) === entry.hash;
    if (!isIntact) report('chain-broken', `entry ${entry.index} does not have the hash of its content`);
    if (entry.index !== expected || !isLinked || !isIntact) this.#chainOk = false;
    this.#lastIndex = entry.index;
    this.#head = entry.hash;
  }

  #enterTerm(entry: Entry, report: Violation): void {
    const { body } = entry;
    if (this.#count === 0) {
      if (body.kind !== 'config') report('no-first-config', `the log starts with "${body.kind}"`);
      // The operator's first entry needs no election.
      else this.#term = entry.term;
      if (body.kind === 'config') return;
    }
    if (entry.term < this.#term) report('term-falls', `term ${entry.term} follows term ${this.#term}`);
    if (entry.term <= this.#term) return;
    this.#term = entry.term;
    this.#leader = null;
    this.#grantedInTerm = false;
    if (body.kind !== 'elected')
      report(
        'term-without-election',
        `term ${entry.term} starts with "${body.kind}" and not with its election`,
      );
  }

  #readBody(entry: Entry, body: EntryBody, report: Violation): void {
    switch (body.kind) {
      case 'config':
        if (this.#count > 0)
          membershipViolations(this.#state, body, this.#newCluster === entry.index - 1, report);
        if (body.change !== undefined)
          this.#operators.push({
            index: entry.index,
            who: body.change.who,
            action: changeText(body.change, body.goal ?? body.timing),
          });
        return;
      case 'elected':
        return this.#readElection(entry, body, report);
      case 'tenure-granted':
        return this.#readGrant(entry, body, report);
      case 'tenure-released':
        return this.#readRelease(entry, body, report);
      case 'takeover-done': {
        const tenure = this.#byEpoch.get(body.epoch);
        if (tenure?.node !== body.node)
          report(
            'takeover-unknown',
            `a takeover of epoch ${body.epoch} by "${body.node}", which does not hold it`,
          );
        return;
      }
      case 'tenure-adopted':
        return this.#readAdoption(entry, body, report);
      case 'operator':
        this.#operators.push({ index: entry.index, who: body.who, action: body.action });
        return;
      case 'pause':
      case 'standby':
        this.#operators.push({ index: entry.index, who: body.who, action: orderText(body) });
        return;
      case 'forced': {
        // One that counts puts its node into the in-sync set: that is what excuses the grant after it (O3).
        const { who, node, why, mayLose, newCluster } = body;
        if (newCluster !== undefined) {
          const said = `began a new cluster with ${node} alone, ${newCluster.fenced.join(' ')} fenced: ${why}`;
          this.#operators.push({ index: entry.index, who, action: `${said} (may lose ${mayLose})` });
          this.#newCluster = entry.index;
          return;
        }
        const voidBecause = whyForceIsVoid(this.#state, entry.term, body.node);
        const action = `forced ${node} to hold: ${why} (may lose ${mayLose})`;
        this.#operators.push({ index: entry.index, who, action: voided(action, voidBecause) });
        return;
      }
      case 'switchover-scheduled': {
        const voidBecause = whyNotScheduled(this.#state, body.epoch);
        const action = voided(scheduleText(body), voidBecause);
        this.#operators.push({ index: entry.index, who: body.who, action });
        return;
      }
      case 'switchover-begun':
        // One that was called off by an entry just before it is void, and no breach.
        if (this.#state.schedule?.index === body.of && this.#state.schedule.phase.kind === 'begun')
          report('switchover-begun-twice', `the one of entry ${body.of}`);
        return;
      case 'switchover-ended': {
        // What became of an order is its operator's to read, whoever has written it down.
        const ordered = this.#state.schedule?.index === body.of ? this.#state.schedule.who : null;
        const who = body.who ?? ordered;
        const action = voided(scheduleText(body), whyNotEnded(this.#state, body));
        if (who !== null) this.#operators.push({ index: entry.index, who, action });
        return;
      }
      // Void where their epoch is not the current tenure's (H3); the core's own fold decides that.
      case 'operator-result':
      case 'fenced':
      case 'peer-outdated':
      case 'peer-in-sync':
      case 'node-outdated':
      case 'restart-begun':
      case 'repaired':
      case 'timing-persisted':
      case 'note':
        return;
      default:
        return assertNever(body);
    }
  }

  #checkRequest(entry: Entry, report: Violation): void {
    const id = requestIdOf(entry.body);
    const known = id === null ? undefined : this.#requests.records.find((record) => record.id === id);
    if (known !== undefined) report('request-done-twice', `"${id}", first at entry ${known.index}`);
    if (id !== null) this.#requests = rememberRequests(this.#requests, entry);
  }

  #readElection(entry: Entry, body: Extract<EntryBody, { kind: 'elected' }>, report: Violation): void {
    if (this.#leader !== null && entry.term === this.#term) {
      if (this.#leader === body.leader) report('elected-twice', `"${body.leader}" in term ${entry.term}`);
      else report('two-leaders', `"${this.#leader}" and "${body.leader}" in term ${entry.term}`);
    } else this.#leader = body.leader;
    electionViolations(this.#state.members, body, report);
    this.#terms.push({
      term: entry.term,
      leader: body.leader,
      electedAt: isoTime(body.at),
      reason: body.reason,
      votes: body.votes,
      detectMs: body.detectMs,
      electMs: body.electMs,
    });
  }

  #readGrant(entry: Entry, body: Extract<EntryBody, { kind: 'tenure-granted' }>, report: Violation): void {
    const { node } = body;
    if (node !== this.#leader)
      report('granted-by-other', `"${node}" was granted term ${entry.term}, led by ${quoted(this.#leader)}`);
    if (!mayHoldByKind(this.#state.members, node))
      report('granted-to-non-holder', `"${node}" may never hold`);
    else if (!this.#state.inSync.includes(node))
      report(
        'granted-out-of-sync',
        `"${node}" is not among the in-sync nodes ${this.#state.inSync.join(', ')}`,
      );
    if (this.#state.pause !== null)
      report('granted-while-paused', `"${node}", paused at entry ${this.#state.pause.index}`);
    if (this.#state.standby.includes(node)) report('granted-on-standby', `"${node}"`);
    const former = this.#tenures.at(-1);
    // A later term's election outlives the promise of every earlier one (L2), so that only the same term can overlap.
    if (former !== undefined && former.released === null && former.term === entry.term)
      report('tenures-overlap', `epoch ${former.epoch} of "${former.node}" is open in term ${entry.term}`);
    else if (this.#grantedInTerm) report('granted-twice', `term ${entry.term} had its tenure already`);
    this.#grantedInTerm = true;
    const epoch = entry.index as number as Epoch;
    const tenure = { epoch, node, term: entry.term, grantedAt: body.at, released: null };
    this.#tenures.push(tenure);
    this.#byEpoch.set(epoch, tenure);
  }

  #readRelease(entry: Entry, body: Extract<EntryBody, { kind: 'tenure-released' }>, report: Violation): void {
    const tenure = this.#byEpoch.get(body.epoch);
    if (tenure === undefined) {
      report('release-unknown', `epoch ${body.epoch} was never granted`);
      return;
    }
    if (tenure.node !== body.node)
      report('release-by-other', `epoch ${body.epoch} is "${tenure.node}"'s, not "${body.node}"'s`);
    // Said again, by the next leader with the executor's proof (R4): the first one counts.
    tenure.released ??= { at: body.at, reason: body.reason, index: entry.index };
  }

  #readAdoption(entry: Entry, body: Extract<EntryBody, { kind: 'tenure-adopted' }>, report: Violation): void {
    const tenure = this.#byEpoch.get(body.epoch);
    const { restart } = this.#state;
    const isAnnounced = restart !== null && restart.epoch === body.epoch && restart.node === body.node;
    if (tenure === undefined || !isAnnounced || body.node !== this.#leader) {
      report('adoption-without-restart', `epoch ${body.epoch} by "${body.node}"`);
      return;
    }
    tenure.term = entry.term;
    this.#grantedInTerm = true;
  }

  document(): AuditDocument {
    const tenures = this.#tenures.map((tenure, position) => {
      const next = this.#tenures[position + 1];
      const { released } = tenure;
      const isOver = next !== undefined || tenure.term < this.#term;
      return {
        epoch: tenure.epoch,
        node: tenure.node,
        grantedAt: isoTime(tenure.grantedAt),
        releasedAt: isoTime(released?.at ?? null),
        reason: released?.reason ?? (isOver ? 'expired' : null),
        gapMs: gapMs(tenure, next),
      };
    });
    return {
      chain: { ok: this.#chainOk, head: this.#head, entries: this.#count },
      terms: this.#terms,
      tenures,
      operators: this.#operators,
      violations: this.#violations,
    };
  }
}

function gapMs(tenure: TenureRecord, next: TenureRecord | undefined): number | null {
  const releasedAt = tenure.released?.at ?? null;
  if (next === undefined || releasedAt === null || next.grantedAt === null) return null;
  // A release that was recorded after the next grant, by proof that came late, says nothing about the gap.
  if (tenure.released !== null && tenure.released.index > next.epoch) return null;
  return Math.max(0, next.grantedAt - releasedAt);
}

const voided = (action: string, why: string | null): string =>
  why === null ? action : `${action}, void: ${why}`;

const quoted = (leader: NodeId | null): string => (leader === null ? 'nobody' : `"${leader}"`);
