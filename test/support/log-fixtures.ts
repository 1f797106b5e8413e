/** Logs to write: entries of every kind, and a writer's-eye view of a node that appends, votes and meets conflicts. */
import {
  type ChainHash,
  durationMs,
  type Entry,
  type EntryBody,
  epoch,
  GENESIS,
  type HardState,
  logIndex,
  makeEntry,
  nodeId,
  type Persist,
  term,
} from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';

const [a, b, w] = [nodeId('a'), nodeId('b'), nodeId('w')];

/** One body of each kind, every optional part once present and once not. */
/** Kinds that the format has got since its first golden file, in their own one. */
export const LATER_BODIES: readonly EntryBody[] = [
  {
    kind: 'fenced',
    epoch: epoch(3),
    node: b,
    outcome: 'stopped',
    detail: 'b is stopped',
    ms: 31_000,
    at: null,
  },
  { kind: 'pause', paused: true, who: 'uid 0', why: 'new switch', request: 'r-1', at: 1_700_000_000_002 },
  { kind: 'pause', paused: false, who: 'uid 0', why: '', request: null, at: null },
  { kind: 'standby', node: b, standby: true, who: 'uid 0', why: '', request: null, at: null },
  { kind: 'standby', node: b, standby: false, who: 'uid 0', why: 'done', request: 'r-2', at: null },
  { kind: 'operator', who: 'uid 0', action: 'switchover to b', to: b, request: 'r-3', at: null },
  {
    kind: 'operator-result',
    of: logIndex(6),
    ok: false,
    result: 'b does not catch up',
    at: 1_700_000_000_003,
  },
  { kind: 'forced', who: 'uid 0', why: '', mayLose: '', node: a, request: 'r-4', at: null },
  {
    kind: 'restart-begun',
    epoch: epoch(3),
    node: a,
    durationMs: durationMs(5_000),
    who: 'uid 0',
    request: 'r-5',
    at: null,
  },
];

/** Kinds of the third format, in a golden file of their own. */
export const SCHEDULE_BODIES: readonly EntryBody[] = [
  {
    kind: 'switchover-scheduled',
    to: b,
    epoch: epoch(3),
    dueAt: 1_700_000_100_000,
    graceMs: durationMs(60_000),
    who: 'uid 0',
    why: 'new switch',
    request: 'r-6',
    at: 1_700_000_000_004,
  },
  {
    kind: 'switchover-scheduled',
    to: null,
    epoch: epoch(3),
    dueAt: 0.5,
    graceMs: durationMs(1),
    who: '',
    why: '',
    request: null,
    at: null,
  },
  { kind: 'switchover-begun', of: logIndex(10), to: b, at: 1_700_000_100_001 },
  {
    kind: 'switchover-ended',
    of: logIndex(10),
    outcome: 'done',
    who: null,
    why: 'b holds',
    request: null,
    at: null,
  },
  {
    kind: 'switchover-ended',
    of: logIndex(11),
    outcome: 'cancelled',
    who: 'uid 0',
    why: '',
    request: 'r-7',
    at: 1,
  },
];

export const SAMPLE_BODIES: readonly EntryBody[] = [
  {
    kind: 'config',
    members: [
      { id: a, witness: false, learner: false },
      { id: b, witness: false, learner: true },
      { id: w, witness: true, learner: false },
    ],
    removed: [nodeId('old-1')],
    timing: {
      heartbeatMs: durationMs(100),
      leaseMs: durationMs(400),
      releaseMs: durationMs(600),
      guardMs: durationMs(10),
      watchdog: { timeoutMs: durationMs(1000), petWindowMs: durationMs(300) },
      clockErrorRate: 0.005,
      promiseMs: durationMs(2323.5),
    },
    inSync: [a, b],
    cluster: 'nas-prod',
  },
  {
    kind: 'config',
    members: [{ id: a, witness: false, learner: false }],
    removed: [],
    timing: {
      heartbeatMs: durationMs(100),
      leaseMs: durationMs(400),
      releaseMs: durationMs(600),
      guardMs: durationMs(10),
      watchdog: null,
      clockErrorRate: 0,
      promiseMs: durationMs(1020),
    },
    inSync: null,
    cluster: 'nas-prod',
  },
  {
    kind: 'elected',
    leader: a,
    votes: [a, w],
    reason: 'leader-silent',
    detectMs: 812.25,
    electMs: 3.5,
    caretaker: false,
    at: 1_700_000_000_000,
  },
  {
    kind: 'elected',
    leader: w,
    votes: [w],
    reason: 'caretaker',
    detectMs: null,
    electMs: 0,
    caretaker: true,
    at: null,
  },
  { kind: 'tenure-granted', node: a, at: null },
  {
    kind: 'tenure-released',
    epoch: epoch(3),
    node: a,
    reason: 'switchover',
    evidence: 'r0 is Secondary; 10.0.2.10 is gone – "verified"\n',
    successor: b,
    at: 1_700_000_000_001,
  },
  {
    kind: 'tenure-released',
    epoch: epoch(3),
    node: a,
    reason: 'agent-died',
    evidence: '',
    successor: null,
    at: null,
  },
  {
    kind: 'takeover-done',
    epoch: epoch(3),
    node: b,
    ok: true,
    totalMs: 48.125,
    steps: [{ name: 'block', ms: 20, result: 'held' }],
    at: null,
  },
  { kind: 'peer-outdated', peer: b, epoch: epoch(3) },
  { kind: 'peer-in-sync', peer: b, epoch: epoch(3) },
  { kind: 'node-outdated', node: a, epoch: epoch(3) },
  { kind: 'repaired', node: w, markerIndex: logIndex(9), markerTerm: term(2) },
  { kind: 'operator', who: 'uid 0', action: 'switchover --to b', at: null },
  { kind: 'forced', who: 'uid 0', why: 'b is gone', mayLose: 'the last 3 s', node: a, at: null },
  { kind: 'restart-begun', epoch: epoch(3), node: a, durationMs: durationMs(10_000) },
  { kind: 'tenure-adopted', epoch: epoch(3), node: a },
  { kind: 'timing-persisted', node: a, promiseMs: durationMs(1500) },
  { kind: 'note', text: 'Ünïcödé, "quotes", \u0000 and a lone \ud800' },
  ...LATER_BODIES,
  ...SCHEDULE_BODIES,
];

/** Entries that continue `before`. */
export function chain(before: readonly Entry[], termNumber: number, bodies: readonly EntryBody[]): Entry[] {
  const entries: Entry[] = [];
  let previous: ChainHash = before.at(-1)?.hash ?? GENESIS;
  for (const body of bodies) {
    const entry = makeEntry(
      sha256,
      logIndex(before.length + entries.length + 1),
      term(termNumber),
      previous,
      body,
    );
    entries.push(entry);
    previous = entry.hash;
  }
  return entries;
}

export const note = (text: string): EntryBody => ({ kind: 'note', text });

/** What a node's core would persist, and the log that it then has. */
export class ScriptedNode {
  log: Entry[];
  hardState: HardState;
  #id = 0;

  constructor(log: readonly Entry[] = [], hardState?: HardState) {
    this.log = [...log];
    this.hardState = hardState ?? {
      term: term(0),
      votedFor: null,
      commitIndex: logIndex(0),
      damaged: null,
    };
  }

  #persist(entries: readonly Entry[]): Persist {
    this.#id += 1;
    return { id: this.#id, hardState: this.hardState, entries };
  }

  /** A vote in the next term. */
  vote(candidate = 'b'): Persist {
    this.hardState = {
      ...this.hardState,
      term: term(this.hardState.term + 1),
      votedFor: nodeId(candidate),
    };
    return this.#persist([]);
  }

  append(count = 1, text = 'x'): Persist {
    return this.replaceFrom(this.log.length + 1, count, text);
  }

  /** A conflict: everything from `index` on gives way to `count` entries of the present term. */
  replaceFrom(index: number, count: number, text = 'conflict'): Persist {
    const kept = this.log.slice(0, index - 1);
    const bodies = Array.from({ length: count }, (_, number) => note(`${text} ${number}`));
    const entries = chain(kept, this.hardState.term, bodies);
    this.log = [...kept, ...entries];
    this.hardState = {
      ...this.hardState,
      commitIndex: logIndex(Math.min(this.hardState.commitIndex, index - 1)),
    };
    return this.#persist(entries);
  }

  commit(index: number): Persist {
    this.hardState = { ...this.hardState, commitIndex: logIndex(index) };
    return this.#persist([]);
  }
}
