/**
 * A table on which a story is played by hand: real nodes, one clock, a network without delay whose messages the story may
 * hold back, change or forge, and disks that complete when the story says so. For precision; whole clusters with random
 * delays are in `virtual-cluster.ts`.
 */
import type { Entry, EntryBody, Message } from '../../src/core/index.ts';
import { logIndex, makeEntry, nodeId, term } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import type {
  Observed,
  OpaqueMessage,
  TestCommand,
  TestConfig,
  TestDisk,
  TestNode,
} from './core-under-test.ts';
import { boot, newDisk } from './core-under-test.ts';
import { pair } from './virtual-cluster.ts';

/** Deliveries and completions of one instant; more means that two nodes answer each other for ever. */
const MAX_ROUNDS = 2_000;

export class Table {
  now = 10_000;
  readonly config: TestConfig;
  readonly disks = new Map<string, TestDisk>();
  readonly #nodes = new Map<string, TestNode>();
  /** False holds the message back; it goes to `held`. */
  lets: (message: OpaqueMessage) => boolean = () => true;
  held: OpaqueMessage[] = [];
  /** Everything that any node has sent, in order. */
  sent: OpaqueMessage[] = [];
  /** Nodes that get no time, no message and no completion: stopped processes. */
  readonly asleep = new Set<string>();
  /** Nodes whose fsyncs do not complete. */
  readonly stalled = new Set<string>();

  constructor(config: Partial<TestConfig> = {}, ids?: readonly string[]) {
    this.config = pair(config);
    for (const id of ids ?? this.config.members.map((member) => member.id)) this.boot(id);
  }

  // --- nodes ---

  /** `keptUntilMs`: its executor has kept what the process before held (L7). */
  boot(id: string, keptUntilMs: number | null = null): TestNode {
    const disk = this.disks.get(id) ?? newDisk();
    this.disks.set(id, disk);
    const node = boot(id, this.config, disk, this.now, keptUntilMs);
    this.#nodes.set(id, node);
    return node;
  }
  crash(
    id: string,
    unsynced: 'keep' | 'lose' | { keep: number } = 'lose',
    executor: 'dies' | 'releases' = 'dies',
  ) {
    const statements = this.node(id).crash(unsynced, executor);
    this.#nodes.delete(id);
    return statements;
  }
  isUp(id: string): boolean {
    return this.#nodes.has(id);
  }
  node(id: string): TestNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`${id} is down`);
    return node;
  }
  disk(id: string): TestDisk {
    const disk = this.disks.get(id);
    if (disk === undefined) throw new Error(`${id} has no disk`);
    return disk;
  }
  see(id: string): Observed {
    return this.node(id).observe();
  }
  kinds(id: string): string[] {
    return this.see(id).entries.map((entry) => entry.kind);
  }
  /** Who was told to take by force, and under which epoch (O3). */
  get forced(): string[] {
    return [...this.#nodes].flatMap(([id, node]) =>
      node.observe().forcedEpochs.map((epoch) => `${id} under ${epoch}`),
    );
  }
  get holders(): string[] {
    return [...this.#nodes].filter(([, node]) => node.observe().mayHold).map(([id]) => id);
  }

  // --- inputs; each is followed by everything that can happen at this instant ---

  campaign(id: string): void {
    this.node(id).campaign(this.now);
    this.settle();
  }
  leadAnew(id: string): void {
    this.node(id).leadAnew(this.now);
    this.settle();
  }
  propose(id: string, command: TestCommand): 'accepted' | 'refused' {
    const answer = this.node(id).propose(command, this.now);
    this.settle();
    return answer;
  }
  note(id: string, text: string): 'accepted' | 'refused' {
    return this.propose(id, { kind: 'note', text });
  }
  transfer(id: string, to: string): void {
    this.node(id).transfer(to, this.now);
    this.settle();
  }
  released(id: string): void {
    this.node(id).released(this.now);
    this.settle();
  }
  failed(id: string): void {
    this.node(id).failed(this.now);
    this.settle();
  }
  releaseFailed(id: string): void {
    this.node(id).releaseFailed(this.now);
    this.settle();
  }
  /** To its addressee, whatever `lets` says; answers obey it. */
  deliver(...messages: OpaqueMessage[]): void {
    for (const message of messages) {
      if (this.isUp(message.to)) this.node(message.to).deliver(structuredClone(message), this.now);
      this.settle();
    }
  }
  /** Takes what was held back and fits. */
  takeHeld(fits: (message: OpaqueMessage) => boolean = () => true): OpaqueMessage[] {
    const taken = this.held.filter(fits);
    this.held = this.held.filter((message) => !fits(message));
    return taken;
  }

  // --- time ---

  /** The clock goes on and nobody is told. */
  wait(ms: number): void {
    this.now += ms;
  }
  /** The clock goes on and every node wakes at each of its deadlines. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.#awake()]
        .map(([, node]) => node.nextDeadlineMs() ?? Number.POSITIVE_INFINITY)
        .reduce((soonest, at) => Math.min(soonest, at), Number.POSITIVE_INFINITY);
      if (due > until) break;
      this.now = Math.max(this.now, due);
      this.#advance();
    }
    this.now = until;
    this.#advance();
  }
  /** Passes time until it is so; fails after `limitMs`. Says how long it took. */
  until(what: string, isSo: () => boolean, limitMs = 20_000): number {
    const start = this.now;
    while (!isSo()) {
      if (this.now - start > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      this.pass(10);
    }
    return this.now - start;
  }
  #advance(): void {
    for (const [, node] of this.#awake()) node.advance(this.now);
    this.settle();
  }
  *#awake(): Iterable<[string, TestNode]> {
    for (const pair of this.#nodes) if (!this.asleep.has(pair[0])) yield pair;
  }

  /** Messages arrive and disks complete until nothing more happens at this instant. */
  settle(): void {
    for (let round = 0; round < MAX_ROUNDS; round += 1) if (!this.#round()) return;
    throw new Error('the nodes answer each other for ever');
  }
  #round(): boolean {
    let moved = false;
    for (const [id, node] of this.#awake()) {
      while (!this.stalled.has(id) && node.pendingFsyncs() > 0 && node.observe().role !== 'stopped') {
        node.fsyncDone(this.now);
        moved = true;
      }
    }
    for (const [, node] of this.#nodes) {
      for (const message of node.takeOutbox()) {
        this.sent.push(message);
        moved = true;
        if (!this.lets(message) || this.asleep.has(message.to)) this.held.push(message);
        else if (this.isUp(message.to)) this.node(message.to).deliver(structuredClone(message), this.now);
      }
    }
    return moved;
  }

  // --- whole steps ---

  /** At the very end of the last promise, before anybody's own window: `id` is elected, and holds if it may. */
  elect(id: string): Observed {
    const promises = [...this.#awake()].map(([, node]) => node.observe().promiseUntilMs);
    this.now = Math.max(this.now, ...promises);
    // The first try may only tell it of a newer term (E1).
    for (let tries = 0; tries < 3 && this.see(id).leader !== id; tries += 1) this.campaign(id);
    return this.see(id);
  }
}

export const isLink = (message: OpaqueMessage, one: string, other: string) =>
  (message.from === one && message.to === other) || (message.from === other && message.to === one);
export const touches = (message: OpaqueMessage, ...ids: string[]) =>
  ids.includes(message.from) || ids.includes(message.to);

export const DATA3 = [{ id: 'a' }, { id: 'b' }, { id: 'c' }];
export const DATA5 = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id }));

/** A message as it would stand on the wire; what the story does not name is harmless. */
export function forge(
  message: { kind: Message['kind']; from: string; to: string; term: number } & Record<string, unknown>,
): OpaqueMessage {
  const defaults: Record<string, Record<string, unknown>> = {
    heartbeat: { seq: 1, commit: 0, renounced: false, promiseMs: 0 },
    'heartbeat-ack': { seq: 1 },
    append: {
      previousIndex: 0,
      previousTerm: 0,
      previousHash: '',
      entries: [],
      commit: 0,
      renounced: false,
      promiseMs: 0,
    },
    'append-ack': { success: true, match: 0, conflictIndex: 0, conflictTerm: 0, healed: null },
    'pre-vote': {
      nextTerm: message.term + 1,
      round: 1,
      lastIndex: 1000,
      lastTerm: message.term,
      caretaker: false,
      proof: null,
      adopt: null,
    },
    'pre-vote-ack': { round: 1, granted: true, retryAfterMs: null },
    vote: {
      lastIndex: 1000,
      lastTerm: message.term,
      caretaker: false,
      reason: 'leader-silent',
      proof: null,
      adopt: null,
    },
    'vote-ack': { candidateTerm: message.term, granted: true },
    'timeout-now': { proof: { node: message.from, term: message.term } },
    released: { epoch: 1, evidence: 'forged' },
    renounced: {},
  };
  const body = { ...defaults[message.kind], ...message };
  return { from: message.from, to: message.to, kind: message.kind, term: message.term, body };
}

/** The fields of a message's body, for stories that look at or change one. */
export function bodyOf(message: OpaqueMessage): Record<string, unknown> {
  return message.body as Record<string, unknown>;
}
export function changed(message: OpaqueMessage, change: Record<string, unknown>): OpaqueMessage {
  return { ...message, body: { ...bodyOf(message), ...change } };
}

/** Entries that continue a log whose last entry has this hash. */
export function chain(
  after: { index: number; hash: string },
  ...tail: { term: number; body: EntryBody }[]
): Entry[] {
  const entries: Entry[] = [];
  for (const { term: of, body } of tail) {
    const previous = (entries.at(-1)?.hash ?? after.hash) as Entry['previous'];
    entries.push(makeEntry(sha256, logIndex(after.index + entries.length + 1), term(of), previous, body));
  }
  return entries;
}
export const aNote = (text: string): EntryBody => ({ kind: 'note', text });
export const aGrant = (id: string): EntryBody => ({ kind: 'tenure-granted', node: nodeId(id), at: null });
