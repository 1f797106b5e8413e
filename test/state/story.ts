/** Builds logs for tests: a chain of entries with real hashes. */
import {
  deriveTiming,
  durationMs,
  type Entry,
  type EntryBody,
  type Epoch,
  GENESIS,
  hashEntry,
  logIndex,
  makeEntry,
  type NodeId,
  nodeId,
  term,
} from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';

export const a = nodeId('a');
export const b = nodeId('b');
export const w = nodeId('w');
export const START = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const timing = deriveTiming({
  heartbeatMs: 100,
  leaseMs: 600,
  releaseMs: 1000,
  guardMs: 25,
  watchdogTimeoutMs: null,
  clockErrorRate: 0.005,
});

export type ConfigBody = Extract<EntryBody, { kind: 'config' }>;

export function config(change: Partial<ConfigBody> = {}): ConfigBody {
  return {
    kind: 'config',
    cluster: 'nas-prod',
    members: [
      { id: a, witness: false, learner: false },
      { id: b, witness: false, learner: false },
      { id: w, witness: true, learner: false },
    ],
    removed: [],
    timing,
    inSync: [a, b],
    ...change,
  };
}

export function elected(
  leader: NodeId,
  at: number | null = null,
  change: Partial<Extract<EntryBody, { kind: 'elected' }>> = {},
): EntryBody {
  const votes = [leader, leader === w ? a : w];
  const facts = { reason: 'leader-silent', detectMs: 400, electMs: 12.5 } as const;
  return { kind: 'elected', leader, votes, ...facts, caretaker: leader === w, at, ...change };
}

export const granted = (node: NodeId, at: number | null = null): EntryBody => ({
  kind: 'tenure-granted',
  node,
  at,
});

export function released(
  epoch: number,
  node: NodeId,
  at: number | null = null,
  change: Partial<Extract<EntryBody, { kind: 'tenure-released' }>> = {},
): EntryBody {
  return {
    kind: 'tenure-released',
    epoch: epoch as Epoch,
    node,
    reason: 'switchover',
    evidence: 'r0 is Secondary',
    successor: null,
    at,
    ...change,
  };
}

export const note = (text: string): EntryBody => ({ kind: 'note', text });
export const outdated = (peer: NodeId, epoch: number): EntryBody => ({
  kind: 'peer-outdated',
  peer,
  epoch: epoch as Epoch,
});
export const inSync = (peer: NodeId, epoch: number): EntryBody => ({
  kind: 'peer-in-sync',
  peer,
  epoch: epoch as Epoch,
});
export const paused = (is: boolean, at: number | null = null): EntryBody => ({
  ...{ kind: 'pause', paused: is, who: 'root@nas-a', why: '', request: null, at },
});
export const onStandby = (node: NodeId, is: boolean, at: number | null = null): EntryBody => ({
  ...{ kind: 'standby', node, standby: is, who: 'root@nas-a', why: 'new disk', request: null, at },
});
export const request = (id: string, to: NodeId = b): EntryBody => ({
  ...{ kind: 'operator', who: 'root@nas-a', action: `switchover to ${to}`, to, request: id, at: null },
});
export const restart = (epoch: number, node: NodeId): EntryBody => ({
  kind: 'restart-begun',
  epoch: epoch as Epoch,
  node,
  durationMs: durationMs(5000),
});

/** Bodies with their terms, from index 1 on, chained. */
export function chain(...story: readonly (readonly [term: number, body: EntryBody])[]): Entry[] {
  const entries: Entry[] = [];
  for (const [ownTerm, body] of story) {
    const previous = entries.at(-1)?.hash ?? GENESIS;
    entries.push(makeEntry(sha256, logIndex(entries.length + 1), term(ownTerm), previous, body));
  }
  return entries;
}

/** The same chain with other envelopes, each hashed anew so that only what was changed is wrong. */
export function forge(entry: Entry, change: Partial<Omit<Entry, 'hash'>>): Entry {
  const unhashed = { ...entry, ...change };
  return { ...unhashed, hash: hashEntry(sha256, unhashed) };
}

/** a holds in epoch 3, hands over to b in epoch 6, b dies, a takes over in epoch 8. */
export const FAILOVER = chain(
  [0, config()],
  [1, elected(a, START, { reason: 'boot', detectMs: null })],
  [1, granted(a, START + 20)],
  [1, released(3, a, START + 1000, { successor: b })],
  [2, elected(b, START + 1010, { reason: 'transfer', votes: [a, b] })],
  [2, granted(b, START + 1050)],
  [3, elected(a, START + 9000)],
  [3, granted(a, START + 9040)],
);
