import { expect, test } from 'vitest';
import type { Message } from '../../../src/core/index.ts';
import {
  Core,
  deriveTiming,
  GENESIS,
  instant,
  logIndex,
  makeEntry,
  nodeId,
  term,
} from '../../../src/core/index.ts';
import { sha256 } from '../../../src/log/index.ts';
import { aNote, chain, forge } from '../../support/story.ts';

/**
 * LevelDB has lost the batch that replaced entry 2 (D1). The leader still knows, from before the crash, that b's log
 * matched its own up to 3, so its heartbeats say commit 2.
 */
test('D2: a damaged node takes no commit index from a heartbeat: its prefix may be a branch that was overwritten', () => {
  const timing = deriveTiming({
    heartbeatMs: 100,
    leaseMs: 400,
    releaseMs: 120,
    guardMs: 10,
    watchdogTimeoutMs: null,
    clockErrorRate: 0.005,
  });
  const members = ['a', 'b', 'c'].map((id) => ({ id: nodeId(id), witness: false, learner: false }));
  const config = makeEntry(sha256, logIndex(1), term(0), GENESIS, {
    kind: 'config',
    members,
    removed: [],
    timing,
    inSync: members.map(({ id }) => id),
    cluster: 'test',
  });
  const overwritten = chain(config, { term: 1, body: aNote('never committed') });
  const damaged = { markerIndex: logIndex(3), markerTerm: term(2) };
  const hardState = { term: term(2), votedFor: null, commitIndex: logIndex(0), damaged };
  const recovered = { hardState, entries: [config, ...overwritten] };
  const now = instant(1_000);
  const b = new Core({ self: nodeId('b'), digest: sha256, seed: 1, timing, recovered, bootedAt: now }, now);
  const heartbeat = forge({ kind: 'heartbeat', from: 'a', to: 'b', term: 2, commit: 2, promiseMs: 1 });
  b.step({ kind: 'message', message: heartbeat.body as Message }, now);
  expect(b.view.commitIndex).toBe(0);
});
