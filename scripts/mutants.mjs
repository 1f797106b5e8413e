#!/usr/bin/env node
/**
 * Switches off one safety rule at a time and expects the tests to notice: a test that cannot fail is a defect.
 *
 *   node scripts/mutants.mjs [RULE…]
 *
 * Each mutant is one small change of one source file, tried in a copy of the tree. Exit 1 if a mutant survives, or if its
 * text is not found exactly once (the source has changed: change the mutant with it).
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(fileURLToPath(import.meta.url), '../..');
const AT_ONCE = Math.min(2, availableParallelism());
const RUN_LIMIT_MS = 240_000;
const CHAOS_SEEDS = 40;
const COPIED = ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
const TESTS = ['test/core', 'test/log/recover'];

/** @type {{rule: string, file: string, find: string, replace: string, what: string}[]} */
const MUTANTS = [
  {
    rule: 'H7',
    file: 'src/core/holding.ts',
    find: '  if (node.isPaused) return; // H7',
    replace: '  // H7',
    what: 'a leader that is elected while paused takes over',
  },
  {
    rule: 'H7',
    file: 'src/core/transfer.ts',
    find: "  if (node.isPaused && reason !== 'shutdown') return 'the cluster is paused (H7)';\n",
    replace: '',
    what: 'a transfer begins while paused',
  },
  {
    rule: 'T1',
    file: 'src/core/core.ts',
    find: 'assert(now >= node.now, ',
    replace: 'assert(now >= 0, ',
    what: 'time may run backwards',
  },
  {
    rule: 'T2',
    file: 'src/core/core.ts',
    find: '    this.#evaluateDeadlines();\n    this.#handle(input);',
    replace: '    this.#handle(input);\n    this.#evaluateDeadlines();',
    what: 'the input is looked at before the deadlines',
  },
  {
    rule: 'L1',
    file: 'src/core/lease.ts',
    find: 'this.#acked.set(from, round);',
    replace:
      'this.#acked.set(from, { seq, sentAt: Math.max(...this.#rounds.map((other) => other.sentAt)) as Instant });',
    what: 'the lease is anchored at the newest round when the ack comes',
  },
  {
    rule: 'L1',
    file: 'src/core/lease.ts',
    find: 'if (round === undefined || seq <= (this.#acked.get(from)?.seq ?? 0)) return;',
    replace: 'if (round === undefined) return;',
    what: 'an old ack moves the lease back',
  },
  {
    rule: 'L1',
    file: 'src/core/lease.ts',
    find: 'const confirmed = times[Math.floor(voters.length / 2)] ??',
    replace: 'const confirmed = times[Math.floor((voters.length - 1) / 2)] ??',
    what: 'half of the voters is a quorum',
  },
  {
    rule: 'L2',
    file: 'src/core/election.ts',
    find: 'if (node.promise.binds(node.now) && !isAskedToAdopt(node, message))\n    return { retryAfterMs: node.promise.until - node.now };',
    replace: '',
    what: 'a promise does not bind votes',
  },
  {
    rule: 'L2',
    file: 'src/core/election.ts',
    find: `  if (node.promise.binds(node.now) && !mayAskToAdopt(node)) {
    node.armElection(node.promise.until - node.now);
    return;
  }
  startPreVote(node);`,
    replace: '  startPreVote(node);',
    what: "a candidate's pre-vote for itself is not bound",
  },
  {
    rule: 'L2',
    file: 'src/core/election.ts',
    find: 'if (refusal === null && message.term > node.hard.term) node.adoptTerm(message.term);',
    replace: 'if (message.term > node.hard.term) node.adoptTerm(message.term);',
    what: 'a refused vote raises the term',
  },
  {
    rule: 'L2',
    file: 'src/core/promise.ts',
    find: 'if (until > this.#until) this.#until = until;',
    replace: 'this.#until = until;',
    what: 'a new leader lowers the promise',
  },
  {
    rule: 'L2',
    file: 'src/core/node.ts',
    find: 'this.setHard({ term: newer, votedFor: null });',
    replace:
      'this.setHard({ term: newer, votedFor: null }); this.promise.free({ node: this.self, term: newer }, this.now); (this as { promise: PromiseRecord }).promise = new PromiseRecord(this.now);',
    what: 'a newer term ends the promise',
  },
  {
    rule: 'L3',
    file: 'src/core/election.ts',
    find: 'if (node.isBoundByHolding || node.hard.damaged !== null) return { retryAfterMs: null };',
    replace: "if (node.role.kind === 'leader' || node.hard.damaged !== null) return { retryAfterMs: null };",
    what: 'an ex-leader votes while it releases',
  },
  {
    rule: 'L3',
    file: 'src/core/node.ts',
    find: "return this.role.kind === 'leader' || this.isHoldingOrReleasing;",
    replace: 'return this.isHoldingOrReleasing;',
    what: 'a leader votes for others',
  },
  {
    rule: 'L4',
    file: 'src/core/node.ts',
    find: 'const bootPromise = instant(options.bootedAt + this.longestPromiseMs); // L4',
    replace: 'const bootPromise = options.bootedAt;',
    what: 'no promise after a restart',
  },
  {
    rule: 'L5',
    file: 'src/core/timing.ts',
    find: 'petWindow(timing, timing.watchdogTimeoutMs) + 2 * timing.watchdogTimeoutMs);',
    replace: 'petWindow(timing, timing.watchdogTimeoutMs) + timing.watchdogTimeoutMs);',
    what: 'only G + W',
  },
  {
    rule: 'L5',
    file: 'src/core/timing.ts',
    find: 'return k * (L + g + D);',
    replace: 'return k * L;',
    what: 'P = k · L',
  },
  {
    rule: 'L6',
    file: 'src/core/core.ts',
    find: "      if (node.now >= authorityEnd(node, leadership))\n        node.stepDown('lease-lost'); // L6\n      else if (isDiskStalled(node))",
    replace: '      if (isDiskStalled(node))',
    what: 'a leader without a lease goes on with its heartbeats',
  },
  {
    rule: 'L6',
    file: 'src/core/core.ts',
    find: 'return since !== null && node.now >= since + node.timing.leaseMs;',
    replace: 'return since === null && node.now < 0;',
    what: 'a stalled disk demotes nobody',
  },
  {
    rule: 'L6',
    file: 'src/core/node.ts',
    find: "else if (this.hold.kind === 'held') this.beginRelease('abrupt', this.hold.epoch, this.hold.term);",
    replace: "else if (this.hold.kind === 'held') this.hold = { kind: 'none' };",
    what: 'a lost lease releases nothing',
  },
  {
    rule: 'L7',
    file: 'src/core/holding.ts',
    find: '  if (node.now < claimsUntil(node, leadership)) return;\n',
    replace: '',
    what: "another node's announced restart is not waited for",
  },
  {
    rule: 'L7',
    file: 'src/core/adoption.ts',
    find: 'if (adopt === null || node.promise.to !== from) return false;',
    replace: 'if (adopt === null) return false;',
    what: 'a promise to somebody else does not bind against an adoption',
  },
  {
    rule: 'L7',
    file: 'src/core/adoption.ts',
    find: 'if (node.commitIndex < hold.writtenAt) return;',
    replace: '',
    what: 'an adoption counts before it is committed',
  },
  {
    rule: 'L7',
    file: 'src/core/restart.ts',
    find: "node.hold.kind !== 'held' || node.commitIndex < restart.index) return;",
    replace: "node.hold.kind !== 'held') return;",
    what: 'a tenure is handed over before its restart is committed',
  },
  {
    rule: 'E1',
    file: 'src/core/election.ts',
    find: "if (node.role.kind !== 'pre-candidate' || message.round !== node.role.round) return; // E1",
    replace: "if (node.role.kind !== 'pre-candidate') return;",
    what: 'a grant of an older round counts',
  },
  {
    rule: 'E1',
    file: 'src/core/election.ts',
    find: '  startPreVote(node);\n}',
    replace: '  startElection(node, node.nextReason, null);\n}',
    what: 'no pre-vote',
  },
  {
    rule: 'E1',
    file: 'src/core/election.ts',
    find: '  const refusal = refusalOf(node, message);\n  const isNewerTerm',
    replace:
      '  if (message.nextTerm <= node.hard.term) return;\n  const refusal = refusalOf(node, message);\n  const isNewerTerm',
    what: 'a pre-vote of a lower term is dropped',
  },
  {
    rule: 'E1',
    file: 'src/core/node.ts',
    find: 'this.round = Math.floor(now * ROUNDS_PER_MS);',
    replace: 'this.round = 0;',
    what: 'rounds begin anew after a restart',
  },
  {
    rule: 'E2',
    file: 'src/core/election.ts',
    find: "  node.outbox.event({ event: 'campaign', term: node.hard.term, reason: campaign.reason });",
    replace: '  campaign.grants.add(node.self);',
    what: 'the own vote counts before its fsync',
  },
  {
    rule: 'E2',
    file: 'src/core/replication.ts',
    find: 'voter === node.self ? node.outbox.durableIndex :',
    replace: 'voter === node.self ? node.log.lastIndex :',
    what: 'the own copy counts before its fsync',
  },
  {
    rule: 'E2',
    file: 'src/core/outbox.ts',
    find: 'for (const message of done.waiting) if (message.term >= term) this.emit',
    replace: 'for (const message of done.waiting) this.emit',
    what: 'a completion of an earlier leadership confirms',
  },
  {
    rule: 'E2',
    file: 'src/core/outbox.ts',
    find: 'for (const pending of this.#pending) if (pending.lastIndex > kept) pending.lastIndex = kept;',
    replace: '',
    what: 'the completion of an overwritten index makes the new one durable',
  },
  {
    rule: 'E2',
    file: 'src/core/outbox.ts',
    find: '    this.#waiting.push(message);\n  }\n\n  /** The log was cut',
    replace: '    this.send(message as never);\n  }\n\n  /** The log was cut',
    what: 'messages leave before the fsync',
  },
  {
    rule: 'E3',
    file: 'src/core/node.ts',
    find: 'return this.mayTakeOver(this.self) ? 0 : this.timing.heartbeatMs;',
    replace: 'return 0;',
    what: 'stale data does not shift the window',
  },
  {
    rule: 'E3',
    file: 'src/core/election.ts',
    find: '  return node.log.isUpToDate(message.lastTerm, message.lastIndex);',
    replace:
      '  return node.isEligible(message.from) && node.log.isUpToDate(message.lastTerm, message.lastIndex);',
    what: 'preference refuses votes',
  },
  {
    rule: 'E4',
    file: 'src/core/replication.ts',
    find: 'if (stored > node.commitIndex && node.log.termAt(stored) === node.hard.term) node.commitTo(stored);',
    replace: 'if (stored > node.commitIndex) node.commitTo(stored);',
    what: 'copies of older terms are counted for a commit',
  },
  {
    rule: 'E4',
    file: 'src/core/log-view.ts',
    find: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
    replace: 'return lastIndex >= this.lastIndex;',
    what: 'the longer log is the newer one',
  },
  {
    rule: 'E5',
    file: 'src/core/proposals.ts',
    find: "  if (node.log.configIndex > node.commitIndex) return refuse('another membership change is under way (E5)');\n",
    replace: '',
    what: 'two membership changes at a time',
  },
  {
    rule: 'E5',
    file: 'src/core/proposals.ts',
    find: "  if (node.commitIndex < leadership.firstIndex) return refuse('no entry of this term has committed yet (E5)');\n",
    replace: '',
    what: 'a change before an own-term entry',
  },
  {
    rule: 'E5',
    file: 'src/core/proposals.ts',
    find: 'if (removed.includes(proposal.id))',
    replace: 'if (proposal.id.length === 0)',
    what: 'an id is used twice',
  },
  {
    rule: 'E5',
    file: 'src/core/proposals.ts',
    find: 'if ((leadership.progress.get(proposal.id)?.match ?? 0) < node.commitIndex) {',
    replace: 'if (proposal.id.length === 0) {',
    what: 'a learner without the log is promoted',
  },
  {
    rule: 'E5',
    file: 'src/core/node.ts',
    find: 'voters: members.filter((member) => !member.learner).map((member) => member.id),',
    replace: 'voters: members.map((member) => member.id),',
    what: 'learners vote',
  },
  {
    rule: 'W1',
    file: 'src/core/cluster-state.ts',
    find: 'return member !== undefined && !member.witness && !member.learner;',
    replace: 'return member !== undefined && !member.learner;',
    what: 'a witness is a data node',
  },
  {
    rule: 'W2',
    file: 'src/core/election.ts',
    find: 'if (node.isWitness && (!node.hasRefusedOlderLog || (!isForced && node.now < caretakerDueAt(node)))) {',
    replace: 'if (node.isWitness && !isForced && node.now < caretakerDueAt(node)) {',
    what: 'a witness campaigns although it has refused nobody',
  },
  {
    rule: 'W2',
    file: 'src/core/election.ts',
    find: 'return silentSince + node.timing.promiseMs + 2 * node.timing.heartbeatMs;',
    replace: 'return silentSince;',
    what: 'a witness campaigns without the long silence',
  },
  {
    rule: 'W2',
    file: 'src/core/election.ts',
    find: 'if (message.caretaker && !node.isWitness) return node.log.isOlderThan(message.lastTerm, message.lastIndex);',
    replace: '',
    what: 'a data node votes for a caretaker whose log is equal',
  },
  {
    rule: 'W3',
    file: 'src/core/election.ts',
    find: '    renounced: campaign.caretaker,\n',
    replace: '    renounced: false,\n',
    what: 'a caretaker is not renounced',
  },
  {
    rule: 'W3',
    file: 'src/core/election.ts',
    find: 'renouncedUntil: campaign.caretaker ? instant(node.now + node.timing.promiseMs) : null,',
    replace: 'renouncedUntil: null,',
    what: 'a caretaker stays for ever',
  },
  {
    rule: 'W3',
    file: 'src/core/proposals.ts',
    find: "  if (node.isWitness) return refuse('a caretaker takes no proposals (W3)');\n",
    replace: '',
    what: 'a caretaker takes proposals',
  },
  {
    rule: 'H1',
    file: 'src/core/holding.ts',
    find: "  if (!node.isEligible(node.self)) return renounceForAnother(node, leadership, 'not in the in-sync set');\n",
    replace: '',
    what: 'a leader outside the in-sync set holds',
  },
  {
    rule: 'H2',
    file: 'src/core/holding.ts',
    find: '  if (node.commitIndex < leadership.firstIndex) return; // own-term entry committed, all before it applied\n',
    replace: '',
    what: 'the gate skips the commit of the own-term entry',
  },
  {
    rule: 'H2',
    file: 'src/core/holding.ts',
    find: 'until === null || node.commitIndex < node.hold.epoch) return;',
    replace: 'until === null) return;',
    what: 'the gate skips the commit of tenure-granted',
  },
  {
    rule: 'H2',
    file: 'src/core/holding.ts',
    find: '  if (node.leaseUntil === null) return; // one round of the own term acknowledged by a quorum\n',
    replace: '',
    what: 'the gate skips the confirmed round before arming',
  },
  {
    rule: 'H2',
    file: 'src/core/holding.ts',
    find: '  if (!isArmed) {\n    node.dropPreparation();',
    replace: '  if (id < 0) {\n    node.dropPreparation();',
    what: 'the gate does not need the watchdog armed',
  },
  {
    rule: 'H3',
    file: 'src/core/cluster-state.ts',
    find: 'return state.tenure !== null && !state.tenure.released && state.tenure.epoch === of;',
    replace: 'return state.tenure !== null && of > 0;',
    what: 'entries of another epoch change the in-sync set',
  },
  {
    rule: 'H3',
    file: 'src/core/transfer.ts',
    find: 'const ready = candidates(node, leadership).filter((id) => isReadyToLead(node, leadership, id));',
    replace: 'const ready = candidates(node, leadership).filter((id) => isReachable(node, leadership, id));',
    what: 'handed over to a node that lacks the log',
  },
  {
    rule: 'H3',
    file: 'src/core/proposals.ts',
    find: "  if (node.hold.kind !== 'held' || !node.mayHold)\n    return refuse('only the holder changes the in-sync set (H3)');\n  if (peer",
    replace: '  if (peer',
    what: 'a leader that does not hold changes the in-sync set',
  },
  {
    rule: 'R2',
    file: 'src/core/node.ts',
    find: "    this.outbox.emit({ kind: 'release', epoch, mode });",
    replace: "    this.outbox.emit({ kind: 'release', epoch, mode });\n    this.hold = { kind: 'none' };",
    what: 'released is assumed at once',
  },
  {
    rule: 'R2',
    file: 'src/core/holding.ts',
    find: 'if (leadership.renounced || leadership.transfer !== null) return;',
    replace: '',
    what: 'a leader that released gets a second tenure in its term',
  },
  {
    rule: 'R3',
    file: 'src/core/transfer.ts',
    find: '    node.commitIndex >= transfer.releasedIndex\n',
    replace: '    node.commitIndex >= 0\n',
    what: 'renounces before tenure-released is committed',
  },
  {
    rule: 'R3',
    file: 'src/core/transfer.ts',
    find: "    transfer.phase = 'releasing';",
    replace: "    transfer.phase = 'committing';",
    what: 'TimeoutNow before the release is verified',
  },
  {
    rule: 'R3',
    file: 'src/core/replication.ts',
    find: '  if (message.renounced) {\n    noteRenouncedLeader',
    replace: '  if (message.renounced && message.term < 0) {\n    noteRenouncedLeader',
    what: 'renounced messages set promises',
  },
  {
    rule: 'R3',
    file: 'src/core/promise.ts',
    find: '    if (this.isFreed(leader, term)) return;\n',
    replace: '',
    what: 'a late message of a renounced leader sets a promise',
  },
  {
    rule: 'R3',
    file: 'src/core/election.ts',
    find: "  if (message.proof !== null) noteRelease(node, message.proof); // R3: the vote carries its cause's proof\n",
    replace: '',
    what: 'the proof that a vote carries is ignored',
  },
  {
    rule: 'R3',
    file: 'src/core/transfer.ts',
    find: "  if (to !== null && !node.isEligible(to)) return 'the target is not in the in-sync set (H1)';\n",
    replace: '',
    what: 'transfer to a node that is out of sync',
  },
  {
    rule: 'R3',
    file: 'src/core/transfer.ts',
    find: 'return hasWholeLog(node, leadership, to) && leadership.lease.heardFrom(to, startedAt);',
    replace: 'return hasWholeLog(node, leadership, to);',
    what: 'everything is released for a target that is dead',
  },
  {
    rule: 'R4',
    file: 'src/core/promise.ts',
    find: 'if (this.#to !== proof.node || this.#term > proof.term || !this.binds(now)) return false;',
    replace: 'if (this.#to !== proof.node || !this.binds(now)) return false;',
    what: 'proof about an older term frees',
  },
  {
    rule: 'R4',
    file: 'src/core/promise.ts',
    find: 'if (this.#to !== proof.node || this.#term > proof.term || !this.binds(now)) return false;',
    replace: 'if (this.#term > proof.term || !this.binds(now)) return false;',
    what: 'proof about another node frees',
  },
  {
    rule: 'R4',
    file: 'src/core/replication.ts',
    find: 'const grantTerm = node.log.termAt(logIndex(entry.body.epoch));',
    replace: 'const grantTerm = entry.term;',
    what: "a tenure-released proves up to its writer's term",
  },
  {
    rule: 'R4',
    file: 'src/core/release-proof.ts',
    find: '  node.armElection(successor === null || successor === node.self ? 0 : half, half);\n',
    replace: '',
    what: 'a freed data node waits for its old window',
  },
  {
    rule: 'D2',
    file: 'src/core/election.ts',
    find: 'if (node.isBoundByHolding || node.hard.damaged !== null) return { retryAfterMs: null };',
    replace: 'if (node.isBoundByHolding) return { retryAfterMs: null };',
    what: 'a damaged node votes',
  },
  {
    rule: 'D2',
    file: 'src/core/election.ts',
    find: 'return node.isVoter && node.hard.damaged === null && isFree',
    replace: 'return node.isVoter && isFree',
    what: 'a damaged node campaigns',
  },
  {
    rule: 'D2',
    file: 'src/core/replication.ts',
    find: '  if (repaired === undefined) return damage;\n',
    replace:
      '  if (repaired === undefined) {\n    node.setHard({ damaged: null });\n    return damage;\n  }\n',
    what: 'a damaged node is whole before the log says so',
  },
  {
    rule: 'D2',
    file: 'src/log/recover.ts',
    find: 'hasTail && !chosen.levelLostABatch ? null :',
    replace: 'hasTail || !chosen.levelLostABatch ? null :',
    what: 'a tail behind the marker passes as clean',
  },
  {
    rule: 'D2',
    file: 'src/log/recover.ts',
    find: 'const damage = larger(fresh, hardState.damaged);',
    replace: 'const damage = fresh;',
    what: 'a restart in the middle of healing forgets the damage',
  },
  {
    rule: 'D2',
    file: 'src/core/replication.ts',
    find: 'if (node.hard.damaged !== null || node.commitIndex < message.commit) askForLog(node, message);',
    replace: '',
    what: 'a damaged follower does not ask for the log',
  },
  {
    rule: 'D2',
    file: 'src/core/replication.ts',
    find: 'Math.min(message.commit, confirmedIndex(node))',
    replace: 'Math.min(message.commit, node.log.lastIndex)',
    what: 'a heartbeat commits what no append has confirmed in this life',
  },
  {
    rule: 'D3',
    file: 'src/core/core.ts',
    find: "    node.role = { kind: 'stopped' };\n",
    replace: '',
    what: 'a failed fsync does not stop the node',
  },
  {
    rule: 'D3',
    file: 'src/core/core.ts',
    find: "if (node.role.kind === 'leader') node.stepDown('stopped');",
    replace: '',
    what: 'a failed fsync releases nothing',
  },
  {
    rule: 'O3',
    file: 'src/core/cluster-state.ts',
    find: 'isForced: isToBeForced(state, body.node),',
    replace: 'isForced: true,',
    what: 'every tenure is forced',
  },
  {
    rule: 'O3',
    file: 'src/core/cluster-state.ts',
    find: '  if (state.forced !== null) return false;\n',
    replace: '',
    what: 'the old tenure changes the set after an override',
  },
  {
    rule: 'O3',
    file: 'src/core/cluster-state.ts',
    find: 'if (tenure !== null && !tenure.released && tenure.term >= term)',
    replace: 'if (tenure !== null && !tenure.released && tenure.term > term)',
    what: 'an override counts in the term of a tenure',
  },
  {
    rule: 'O3',
    file: 'src/core/cluster-state.ts',
    find: '  if (state.inSync.includes(node)) return',
    replace: '  if (state.removed.includes(node)) return',
    what: 'an override of a node in sync counts',
  },
  {
    rule: 'O3',
    file: 'src/core/force.ts',
    find: ' || node.now < leadership.electedAt + node.timing.leaseMs)',
    replace: ')',
    what: 'who was only just elected takes silence for absence',
  },
  {
    rule: 'O3',
    file: 'src/core/force.ts',
    find: 'others.filter((id) => mayHoldByKind(node.state.members, id) && answers(node, id));',
    replace: 'others.filter((id) => !mayHoldByKind(node.state.members, id) && answers(node, id));',
    what: 'an override although an in-sync node answers',
  },
  {
    rule: 'O3',
    file: 'src/core/transfer.ts',
    find: 'transfer === null && mayNowHold(node, leadership)) leadAnew(node);',
    replace: 'transfer === null && mayNowHold(node, leadership)) leadership.renounced = false;',
    what: 'the leader that had renounced holds in its term after all',
  },
];

const wanted = process.argv.slice(2);
const chosen = MUTANTS.filter(({ rule }) => wanted.length === 0 || wanted.includes(rule));
if (chosen.length === 0) {
  console.error(`no mutants for ${wanted.join(', ')}`);
  process.exit(2);
}

/** A copy of the tree in which this process may change sources. */
async function copyTree() {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-mutants-'));
  for (const name of COPIED) await cp(join(ROOT, name), join(directory, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  return directory;
}

/** Name of the first failing test; null when all pass. */
async function firstFailure(directory, tests) {
  const report = join(directory, 'report.json');
  await rm(report, { force: true });
  const vitest = join(directory, 'node_modules/vitest/vitest.mjs');
  const options = [
    '--bail=1',
    '--maxWorkers=1',
    '--no-isolate',
    '--passWithNoTests',
    '--reporter=json',
    `--outputFile=${report}`,
    '--testTimeout=60000',
  ];
  const child = spawn(process.execPath, [vitest, 'run', ...tests, ...options], {
    cwd: directory,
    env: { ...process.env, CHAOS_SEEDS: String(CHAOS_SEEDS) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr = (stderr + chunk).slice(-4_000);
  });
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, RUN_LIMIT_MS);
  const code = await new Promise((done) => child.on('close', done));
  clearTimeout(limit);
  if (isLate) return `(no end within ${RUN_LIMIT_MS / 1000} s)`;
  if (code === 0) return null;
  const results = JSON.parse(await readFile(report, 'utf8').catch(() => '{"testResults":[]}')).testResults;
  for (const { name, assertionResults, message } of results) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    if (failed) return failed.fullName;
    if (message) return `(${name}: ${message.split('\n')[0]})`;
  }
  return `(vitest ended with ${code}: ${stderr.trim().split('\n').at(-1)})`;
}

/** File names of stories begin with their rule. */
function storiesOf(rule) {
  if (rule === 'L5') return ['test/core/timing'];
  return [
    `test/core/stories/${/^[TW]/.test(rule) ? rule[0] : rule}`,
    ...(rule === 'D2' ? ['test/log/recover'] : []),
  ];
}

async function tryMutant(directory, { rule, file, find, replace }) {
  const path = join(directory, file);
  const source = await readFile(path, 'utf8');
  const places = source.split(find).length - 1;
  if (places !== 1) return { outcome: `STALE: found ${places} times in ${file}`, isKilled: false };
  await writeFile(
    path,
    source.replace(find, () => replace),
  );
  try {
    // The stories of the rule itself first, the random runs last.
    const caught =
      (await firstFailure(directory, storiesOf(rule))) ??
      (await firstFailure(directory, ['test/core/stories', 'test/log/recover'])) ??
      (await firstFailure(directory, ['test/core/chaos', 'test/core/timing']));
    return caught === null ? { outcome: 'SURVIVED', isKilled: false } : { outcome: caught, isKilled: true };
  } finally {
    await writeFile(path, source);
  }
}

const results = new Map();
const queue = [...chosen];
async function work() {
  const directory = await copyTree();
  try {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const result = await tryMutant(directory, mutant);
      results.set(mutant, result);
      console.log(
        `${result.isKilled ? 'caught ' : 'MISSED '} ${mutant.rule.padEnd(3)} ${mutant.what}\n             ${result.outcome}`,
      );
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const pristine = await copyTree();
const broken = await firstFailure(pristine, TESTS);
await rm(pristine, { recursive: true, force: true });
if (broken !== null) {
  console.error(`the tests fail without any mutant: ${broken}`);
  process.exit(1);
}
await Promise.all(Array.from({ length: AT_ONCE }, work));

console.log('\n| rule | switched off | caught by |\n|---|---|---|');
for (const mutant of chosen)
  console.log(`| ${mutant.rule} | ${mutant.what} | ${results.get(mutant)?.outcome.replaceAll('|', '/')} |`);
const missed = chosen.filter((mutant) => !results.get(mutant)?.isKilled);
console.log(`\n${chosen.length - missed.length} of ${chosen.length} mutants caught`);
process.exit(missed.length === 0 ? 0 : 1);
