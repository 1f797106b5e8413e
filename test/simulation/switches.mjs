/**
 * The rules that can be switched off in a simulation (`npm run sim -- --without RULE`), and what must notice it.
 *
 * A switch is a small change of source text, made while the simulator is bundled and nowhere else: the product has no switch.
 * A text that is not found exactly once is an error: the source has changed, change the switch with it.
 */

/** @typedef {{ file: string, find: string, replace: string }} Edit */
/** @type {Readonly<Record<string, { off: string, fires: readonly string[], harms: 'safety' | 'liveness', edits: readonly Edit[] }>>} */
export const SWITCHES = {
  T2: {
    off: 'a role check goes by what the core last saw, not by the clock of the question',
    fires: ['role-answers'],
    harms: 'safety',
    edits: [
      {
        file: 'src/http/role-checks.ts',
        find: 'return leaseUntil !== null && now < leaseUntil - guardMs;',
        replace: 'return leaseUntil !== null && now > guardMs - guardMs;',
      },
      {
        file: 'src/agent/role-facts.ts',
        find: 'if (leaseUntil === null || now >= leaseUntil) return null;',
        replace: 'if (leaseUntil === null || now < 0) return null;',
      },
    ],
  },
  T3: {
    off: 'what the monotonic clock says is left of a lease counts, although the host was suspended',
    fires: ['action-epoch', 'one-holder', 'one-lease'],
    harms: 'safety',
    edits: [
      {
        file: 'src/executor/suspend-check.ts',
        find: "      if (seen === 'suspended') break;",
        replace: "      if (seen === 'suspended') return this.#resumedAt;",
      },
      {
        file: 'src/executor/shared-lease.ts',
        find: 'isStillApart(lease.distanceMs, now, bootMs) && lease.isValid',
        replace: 'lease.isValid',
      },
    ],
  },
  L1: {
    off: 'the lease counts from the newest round when an ack comes, not from the send of the round that it answers',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/lease.ts',
        find: 'this.#acked.set(from, round);',
        replace:
          'this.#acked.set(from, { seq, sentAt: Math.max(...this.#rounds.map((other) => other.sentAt)) as Instant });',
      },
    ],
  },
  L2: {
    off: 'a promise binds nobody: votes and pre-votes are granted while it runs',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [{ file: 'src/core/promise.ts', find: 'return now < this.#until;', replace: 'return now < 0;' }],
  },
  L3: {
    off: 'a node votes although it leads, holds or is releasing',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/node.ts',
        find: "return this.role.kind === 'leader' || this.isHoldingOrReleasing;",
        replace: 'return this.now < 0;',
      },
    ],
  },
  L4: {
    off: 'a node that has started votes at once',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/node.ts',
        find: 'const bootPromise = instant(options.bootedAt + this.longestPromiseMs); // L4',
        replace: 'const bootPromise = options.bootedAt;',
      },
    ],
  },
  L5: {
    off: 'the promise is as long as the lease: no time for the release, none for the watchdog',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [
      { file: 'src/core/timing.ts', find: 'return k * (L + g + D);', replace: 'return k * L;' },
      {
        file: 'src/core/timing.ts',
        find: 'return k * Math.max(L + g + D, petWindow(timing, timing.watchdogTimeoutMs) + 2 * timing.watchdogTimeoutMs);',
        replace: 'return k * Math.max(L, D - L);',
      },
    ],
  },
  L6: {
    off: 'a leader whose lease is over goes on with its heartbeats, and holds on to the term',
    fires: ['heartbeat-without-lease'],
    harms: 'liveness',
    edits: [
      {
        file: 'src/core/core.ts',
        find: "      if (node.now >= authorityEnd(node, leadership))\n        node.stepDown('lease-lost'); // L6\n      else if (isDiskStalled(node))",
        replace: '      if (isDiskStalled(node))',
      },
    ],
  },
  L7: {
    off: 'whoever is elected does not wait for an announced restart',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/holding.ts',
        find: '  if (node.now < claimsUntil(node, leadership)) return;\n',
        replace: '',
      },
      {
        file: 'src/core/replication.ts',
        find: 'durationMs(Math.max(node.timing.promiseMs, isAsked ? restart.durationMs : 0));',
        replace: 'durationMs(Math.max(node.timing.promiseMs, isAsked ? 0 : 0));',
      },
    ],
  },
  'L7 deadline': {
    off: 'an executor without an agent keeps everything until one comes, whatever its deadline is',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/executor/guard-kept.ts',
        find: "    this.#guard.kept = { until, phase: 'alone' };\n    this.#guard.until = until;",
        replace:
          "    this.#guard.kept = { until: instant(until + 60_000), phase: 'alone' };\n    this.#guard.until = instant(until + 60_000);",
      },
    ],
  },
  E2: {
    off: 'votes, own votes and acks count before their fsync, and messages leave before it',
    fires: [
      'claim-forgotten',
      'election-safety',
      'term',
      'leader-completeness',
      'state-machine-safety',
      'invariant',
    ],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/election.ts',
        find: "  node.outbox.event({ event: 'campaign', term: node.hard.term, reason: campaign.reason });",
        replace: '  campaign.grants.add(node.self);',
      },
      {
        file: 'src/core/replication.ts',
        find: 'voter === node.self ? node.outbox.durableIndex :',
        replace: 'voter === node.self ? node.log.lastIndex :',
      },
      {
        file: 'src/core/outbox.ts',
        find: '    this.#waiting.push(message);\n  }\n\n  /** The log was cut',
        replace: '    this.send(message as never);\n  }\n\n  /** The log was cut',
      },
    ],
  },
  E4: {
    off: 'copies of entries of older terms count for a commit, and the longer log wins, not the newer one',
    fires: ['leader-completeness', 'state-machine-safety', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/replication.ts',
        find: 'if (stored > node.commitIndex && node.log.termAt(stored) === node.hard.term) node.commitTo(stored);',
        replace: 'if (stored > node.commitIndex) node.commitTo(stored);',
      },
      {
        file: 'src/core/log-view.ts',
        find: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
        replace: 'return lastIndex >= this.lastIndex;',
      },
    ],
  },
  W2: {
    off: 'a witness campaigns on the normal timer, whatever the data nodes have',
    fires: ['caretaker-needless'],
    harms: 'liveness',
    edits: [
      {
        file: 'src/core/election.ts',
        find: 'if (node.isWitness && (!node.hasRefusedOlderLog || (!isForced && node.now < caretakerDueAt(node)))) {',
        replace: 'if (node.isWitness && !isForced && node.now < 0) {',
      },
      {
        file: 'src/core/replication.ts',
        find: '  node.hasRefusedOlderLog = false;\n',
        replace: '  node.hasRefusedOlderLog = true;\n',
      },
      {
        file: 'src/core/election.ts',
        find: 'if (message.caretaker && !node.isWitness) return node.log.isOlderThan(message.lastTerm, message.lastIndex);',
        replace: '',
      },
    ],
  },
  W3: {
    off: 'a caretaker is a leader like any other: not renounced, and it sets promises',
    fires: ['caretaker-not-renounced'],
    harms: 'liveness',
    edits: [
      {
        file: 'src/core/election.ts',
        find: '    renounced: campaign.caretaker,\n',
        replace: '    renounced: false,\n',
      },
    ],
  },
  H2: {
    off: 'resources are taken before the grant, and what comes before it, is committed',
    fires: ['action-epoch', 'one-holder'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/holding.ts',
        find: '  if (node.commitIndex < leadership.firstIndex) return; // own-term entry committed, all before it applied\n',
        replace: '',
      },
      {
        file: 'src/core/holding.ts',
        find: 'until === null || node.commitIndex < node.hold.epoch) return;',
        replace: 'until === null) return;',
      },
    ],
  },
  H1: {
    off: 'any data node may hold, in the in-sync set or not',
    fires: ['acknowledged-writes', 'split-brain', 'audit', 'liveness'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/node.ts',
        find: 'return this.isDataVoter(id) && this.state.inSync.includes(id);',
        replace: 'return this.isDataVoter(id);',
      },
    ],
  },
  H7: {
    off: 'a leader that is elected while the cluster is paused takes over',
    fires: ['audit'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/node.ts',
        find: 'return this.state.pause !== null || this.#hasPending(',
        replace: 'return this.state.pause !== this.state.pause || this.#hasPending(',
      },
    ],
  },
  H3: {
    off: 'a fence request is answered as soon as its entry is proposed: the holder writes alone before anybody else knows',
    fires: ['acknowledged-writes', 'split-brain'],
    harms: 'safety',
    edits: [
      {
        file: 'src/agent/fence-requests.ts',
        find: "if (!('refused' in result)) return driver.committed(result, Math.max(1, deadline - clock.now()));",
        replace: "if (!('refused' in result)) return;",
      },
      {
        file: 'src/agent/fence-requests.ts',
        find: '    if (driver.view.state.inSync.includes(target)) {',
        replace: '    if (driver.view.now < 0) {',
      },
    ],
  },
  R2: {
    off: 'a release counts as done when it is ordered, not when it is verified',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant', 'liveness'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/node.ts',
        find: "    this.outbox.emit({ kind: 'release', epoch, mode });",
        replace: "    this.outbox.emit({ kind: 'release', epoch, mode });\n    this.hold = { kind: 'none' };",
      },
    ],
  },
  R3: {
    off: 'a transfer renounces and says TimeoutNow before its release is verified and logged',
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant', 'liveness'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/transfer.ts',
        find: "    transfer.phase = 'releasing';",
        replace: "    transfer.phase = 'committing';",
      },
    ],
  },
  R4: {
    off: "a dead agent's executor says that it has released when it begins to",
    fires: ['one-holder', 'one-lease', 'action-epoch', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/executor/agent-end.ts',
        find: 'const [released, isGone] = await Promise.all([options.releasing, kill(agent.process)]);',
        replace: "const [released, isGone] = [{ evidence: '' }, await kill(agent.process)];",
      },
    ],
  },
  O1: {
    off: 'the executor does what it was told to, whatever has become of epoch and lease',
    fires: ['action-epoch', 'action-lease', 'invariant'],
    harms: 'safety',
    edits: [
      {
        file: 'src/executor/guard-core.ts',
        find: '    if (now >= this.#guard.until)\n      throw refused(`the order',
        replace: '    if (now < 0)\n      throw refused(`the order',
      },
      {
        file: 'src/executor/guard-worker.ts',
        find: 'this.#core.mayAct(epoch)\n          ? runner.run(command, { ...options, startLimit: this.#startLimit() })',
        replace:
          'epoch > 0\n          ? runner.run(command, { ...options, signal: new AbortController().signal })',
      },
      {
        file: 'src/executor/guard-core.ts',
        find: "    if (!this.mayAct(epoch) || this.#guard.phase.kind !== 'tenure')\n      throw refused(",
        replace:
          "    if (epoch > 0) return new AbortController().signal;\n    if (!this.mayAct(epoch) || this.#guard.phase.kind !== 'tenure')\n      throw refused(",
      },
      {
        file: 'src/executor/plan-performer.ts',
        find: 'const signal = AbortSignal.any([order.signal, leaseEnd.signal]);',
        replace: 'const signal = new AbortController().signal;',
      },
    ],
  },
  O2: {
    off: 'the cloud is called whether or not the lease is valid',
    fires: ['action-epoch', 'action-lease'],
    harms: 'safety',
    edits: [
      {
        file: 'src/resources/ec2.ts',
        find: '    mayMutate() ? call() :',
        replace: '    true || mayMutate() ? call() :',
      },
      {
        file: 'src/executor/plan-performer.ts',
        find: 'const signal = AbortSignal.any([order.signal, leaseEnd.signal]);',
        replace: 'const signal = new AbortController().signal;',
      },
    ],
  },
  O3: {
    off: 'every tenure may promote old data by force, whether or not an operator has said so',
    fires: ['forced-without-override', 'acknowledged-writes', 'split-brain', 'one-holder'],
    harms: 'safety',
    edits: [
      {
        file: 'src/core/cluster-state.ts',
        find: 'isForced: isToBeForced(state, body.node),',
        replace: 'isForced: true,',
      },
    ],
  },
  D1: {
    off: 'what the disk gives back is believed: no checksum, no hash',
    fires: [
      'audit',
      'state-machine-safety',
      'leader-completeness',
      'claim-forgotten',
      'invariant',
      'liveness',
    ],
    harms: 'safety',
    edits: [
      {
        file: 'src/log/record.ts',
        find: '  if (!checksum(bytes, length).equals(bytes.subarray(CHECKSUM_AT, HEADER_BYTES)))',
        replace: '  if (length < 0)',
      },
      {
        file: 'src/log/entry-codec.ts',
        find: '  if (hashEntry(digest, unknownBody) !== envelope.hash)\n    throw new CorruptRecordError',
        replace: '  if (unknownBody === null)\n    throw new CorruptRecordError',
      },
    ],
  },
  D2: {
    off: 'a log that has lost its end is taken for whole: the node votes',
    fires: [
      'claim-forgotten',
      'leader-completeness',
      'state-machine-safety',
      'term',
      'election-safety',
      'invariant',
    ],
    harms: 'safety',
    edits: [
      {
        file: 'src/log/recover.ts',
        find: 'const damage = larger(fresh, hardState.damaged);',
        replace: 'const damage = fresh === hardState.damaged ? fresh : null;',
      },
    ],
  },
};
