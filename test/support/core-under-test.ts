/**
 * The contract through which anybody runs scenarios against the core without knowing its insides. Time, network and the
 * disk's completions belong to the harness; the disk's bytes, their codec and their recovery are the product's own.
 */
import type { Effect, Entry, Message, Persist, Proposal, Timing } from '../../src/core/index.ts';
import {
  adoptable,
  Core,
  canonicalJson,
  deriveTiming,
  durationMs,
  GENESIS,
  instant,
  logIndex,
  makeEntry,
  nodeId,
  term,
} from '../../src/core/index.ts';
import type { LogWriter, StoredLog } from '../../src/log/index.ts';
import { applyBatch, applyMarker, emptyStoredLog, openStored, sha256 } from '../../src/log/index.ts';

export type TestConfig = {
  members: { id: string; witness?: boolean }[];
  heartbeatMs: number;
  leaseMs: number;
  releaseMs: number;
  guardMs: number;
  watchdog: { timeoutMs: number; petWindowMs: number } | null;
  clockErrorRate: number;
  seed: number;
  /** Beyond the contract, for our own stories: ids whose executor can never arm. */
  cannotHold?: string[];
  /** Likewise: ids whose executor does not say whether it has armed. */
  neverAnswers?: string[];
  /** Likewise: ids whose executor does not say that it works with a new timing (L8). */
  keepsTiming?: string[];
  /** Likewise: ids whose executor refuses to keep a tenure over a restart, or to be bound for its adoption (L7). */
  keepsNothing?: string[];
};

export interface TestDisk {
  /** Opaque: kept by the harness, lives on after `crash()`. */
  readonly kind: 'disk';
}

export type OpaqueMessage = { from: string; to: string; kind: string; term: number; body: unknown };

export type TestCommand =
  | { kind: 'note'; text: string }
  | { kind: 'peer-outdated'; peer: string }
  | { kind: 'peer-in-sync'; peer: string }
  /** Beyond the contract, for our own stories: an operator's override (O3). */
  | { kind: 'forced'; node: string }
  | { kind: 'self-outdated' }
  | { kind: 'restart'; durationMs: number }
  | { kind: 'pause'; paused: boolean }
  | { kind: 'standby'; node: string; standby: boolean }
  | {
      kind: 'add-learner' | 'promote' | 'remove';
      member: { id: string; witness?: boolean; snapshots?: true };
    }
  | { kind: 'set-timing'; leaseMs?: number; releaseMs?: number; heartbeatMs?: number; watchdogMs?: number };

export type Observed = {
  role: 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'caretaker' | 'damaged' | 'stopped';
  term: number;
  leader: string | null;
  votedFor: string | null;
  commitIndex: number;
  lastIndex: number;
  lastTerm: number;
  promiseMs: number;
  promiseUntilMs: number;
  leaseUntilMs: number | null;
  mayHold: boolean;
  releasing: boolean;
  epoch: number | null;
  inSync: string[];
  members: { id: string; witness: boolean; learner: boolean }[];
  renounced: boolean;
  entries: { index: number; term: number; kind: string; text: string | null }[];
  chain: string;
  /** Beyond the contract: epochs that this node was told to take by force (O3). */
  forcedEpochs: number[];
  /** The timing that this node goes by, and what it shall become (L8). */
  timing: Timing;
  goal: Timing | null;
  /** Taken with the proof that everybody before had let go or was stopped. */
  provenEpochs: number[];
  /** L7: until when the executor was told to keep the tenure; and what this node has done for its adoption, in order. */
  keptUntilMs: number | null;
  adoption: string[];
};

export interface TestNode {
  deliver(message: OpaqueMessage, nowMs: number): void;
  advance(nowMs: number): void;
  nextDeadlineMs(): number | null;
  campaign(nowMs: number): void;
  leadAnew(nowMs: number): void;
  propose(command: TestCommand, nowMs: number): 'accepted' | 'refused';
  transfer(to: string, nowMs: number): void;
  released(nowMs: number): void;
  /** Beyond the contract: its takeover was refused as a whole (H6). */
  failed(nowMs: number): void;
  /** Beyond the contract: a planned release could not end, and everything is held again (R1). */
  releaseFailed(nowMs: number): void;
  fsyncDone(nowMs: number): void;
  fsyncFail(nowMs: number): void;
  pendingFsyncs(): number;
  crash(unsynced: 'keep' | 'lose' | { keep: number }, executor: 'dies' | 'releases'): OpaqueMessage[];
  takeOutbox(): OpaqueMessage[];
  observe(): Observed;
}

class MemoryDisk implements TestDisk {
  readonly kind = 'disk';
  stored: StoredLog = emptyStoredLog();
}

function memory(disk: TestDisk): MemoryDisk {
  if (!(disk instanceof MemoryDisk)) throw new TypeError('not a disk of newDisk()');
  return disk;
}

function flipByte(bytes: Uint8Array): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  const middle = Math.floor(flipped.length / 2);
  flipped[middle] = (flipped[middle] ?? 0) ^ 0x10;
  return flipped;
}

export function newDisk(): TestDisk {
  return new MemoryDisk();
}

export function corruptEntry(disk: TestDisk, index: number): void {
  const { stored } = memory(disk);
  const record = stored.records.get(index);
  if (record === undefined) throw new RangeError(`entry ${index} is not on this disk`);
  memory(disk).stored = { ...stored, records: new Map(stored.records).set(index, flipByte(record)) };
}

export function corruptHardState(disk: TestDisk, copy: 'log' | 'marker' | 'both'): void {
  const { stored } = memory(disk);
  const flip = (bytes: Uint8Array | null) => (bytes === null ? null : flipByte(bytes));
  const [first, second] = stored.slots;
  memory(disk).stored = {
    ...stored,
    hardStateRecord: copy === 'marker' ? stored.hardStateRecord : flip(stored.hardStateRecord),
    slots: copy === 'log' ? stored.slots : [flip(first), flip(second)],
  };
}

function timingOf(config: TestConfig) {
  return deriveTiming({
    heartbeatMs: config.heartbeatMs,
    leaseMs: config.leaseMs,
    releaseMs: config.releaseMs,
    guardMs: config.guardMs,
    watchdogTimeoutMs: config.watchdog?.timeoutMs ?? null,
    clockErrorRate: config.clockErrorRate,
    ...(config.watchdog === null ? {} : { petWindowMs: config.watchdog.petWindowMs }),
  });
}

/** The same first entry on every node: equal members, equal bytes. */
function firstEntry(config: TestConfig): Entry {
  const members = config.members
    .map(({ id, witness }) => ({ id: nodeId(id), witness: witness ?? false, learner: false }))
    .sort((left, right) => (left.id < right.id ? -1 : 1));
  return makeEntry(sha256, logIndex(1), term(0), GENESIS, {
    kind: 'config',
    members,
    removed: [],
    timing: timingOf(config),
    inSync: members.filter((member) => !member.witness).map((member) => member.id),
    cluster: 'test',
  });
}

/** What `quorate bootstrap` writes to a new node before its core starts. */
function format(disk: MemoryDisk, config: TestConfig): void {
  const { writer } = openStored(disk.stored);
  const hardState = { term: term(0), votedFor: null, commitIndex: logIndex(1), damaged: null };
  const plan = writer.plan([{ id: 0, hardState, entries: [firstEntry(config)] }]);
  disk.stored = applyMarker(applyBatch(disk.stored, plan.batch), plan.marker);
}

/** `keptUntilMs`: the executor says that it has kept what the disk says is to be adopted (L7). */
export function boot(
  id: string,
  config: TestConfig,
  disk: TestDisk,
  nowMs: number,
  keptUntilMs: number | null = null,
): TestNode {
  return new CoreUnderTest(id, config, memory(disk), nowMs, keptUntilMs);
}

class CoreUnderTest implements TestNode {
  readonly #id: string;
  readonly #disk: MemoryDisk;
  readonly #writer: LogWriter;
  readonly #core: Core;
  readonly #canHold: boolean;
  readonly #answers: boolean;
  /** Asked each time: an executor may hang from some moment on. */
  readonly #takesTiming: () => boolean;
  readonly #timing: Timing;
  readonly #keeps: boolean;
  readonly #pending: Persist[] = [];
  readonly #seen: Observed['entries'] = [];
  readonly #seenHashes: string[] = [];
  readonly #forcedEpochs: number[] = [];
  readonly #provenEpochs: number[] = [];
  #outbox: OpaqueMessage[] = [];

  #keptUntilMs: number | null = null;
  readonly #adoption: string[] = [];

  constructor(id: string, config: TestConfig, disk: MemoryDisk, nowMs: number, keptUntilMs: number | null) {
    const timing = timingOf(config);
    if (disk.stored.records.size === 0 && disk.stored.hardStateRecord === null) format(disk, config);
    const { recovered, writer } = openStored(disk.stored);
    this.#id = id;
    this.#canHold = config.cannotHold?.includes(id) !== true;
    this.#answers = config.neverAnswers?.includes(id) !== true;
    this.#takesTiming = () => config.keepsTiming?.includes(id) !== true;
    this.#timing = timing;
    this.#disk = disk;
    this.#writer = writer;
    const now = instant(nowMs);
    this.#keeps = config.keepsNothing?.includes(id) !== true;
    const found = keptUntilMs === null ? null : adoptable(nodeId(id), recovered);
    const kept = found === null ? null : { epoch: found.epoch, until: instant(keptUntilMs ?? 0) };
    const options = { self: nodeId(id), digest: sha256, seed: config.seed, timing, recovered, bootedAt: now };
    this.#core = new Core({ ...options, kept }, now);
    if (this.#takesTiming()) this.#run({ kind: 'timing-applied', timing: this.#core.view.timing }, nowMs);
  }

  deliver(message: OpaqueMessage, nowMs: number): void {
    // The gateway's business in production; here the body is our own message, unchanged.
    this.#run({ kind: 'message', message: message.body as Message }, nowMs);
  }
  advance(nowMs: number): void {
    this.#run({ kind: 'tick' }, nowMs);
  }
  nextDeadlineMs(): number | null {
    return this.#core.nextDeadline();
  }
  campaign(nowMs: number): void {
    this.#run({ kind: 'campaign' }, nowMs);
  }
  leadAnew(nowMs: number): void {
    this.#run({ kind: 'lead-anew' }, nowMs);
  }
  propose(command: TestCommand, nowMs: number): 'accepted' | 'refused' {
    const id =
      'member' in command
        ? command.member.id
        : 'peer' in command
          ? command.peer
          : 'node' in command
            ? command.node
            : null;
    if (id !== null && knownId(id) === null) {
      this.advance(nowMs);
      return 'refused';
    }
    const effects = this.#run({ kind: 'propose', proposal: proposalOf(command, this.#timing) }, nowMs);
    return effects.some((effect) => effect.kind === 'proposed') ? 'accepted' : 'refused';
  }
  transfer(to: string, nowMs: number): void {
    const target = knownId(to);
    if (target === null) this.advance(nowMs);
    else this.#run({ kind: 'transfer', to: target, reason: 'switchover' }, nowMs);
  }
  released(nowMs: number): void {
    this.#run({ kind: 'released', evidence: 'nothing held, says the harness' }, nowMs);
  }
  failed(nowMs: number): void {
    this.#run({ kind: 'transfer', to: null, reason: 'failure' }, nowMs);
  }
  releaseFailed(nowMs: number): void {
    this.#run({ kind: 'release-failed' }, nowMs);
  }

  fsyncDone(nowMs: number): void {
    if (this.#core.view.role.kind === 'stopped') return; // D3: never again on this handle
    const persist = this.#pending.shift();
    if (persist === undefined) throw new Error('no fsync is outstanding');
    this.#write(persist);
    this.#run({ kind: 'persisted', id: persist.id }, nowMs);
  }
  fsyncFail(nowMs: number): void {
    this.#run({ kind: 'persist-failed' }, nowMs);
    this.#outbox = [];
  }
  pendingFsyncs(): number {
    return this.#pending.length;
  }

  crash(unsynced: 'keep' | 'lose' | { keep: number }, executor: 'dies' | 'releases'): OpaqueMessage[] {
    const all = this.#pending.length;
    const kept = unsynced === 'keep' ? all : unsynced === 'lose' ? 0 : Math.min(unsynced.keep, all);
    for (const persist of this.#pending.splice(0).slice(0, kept)) this.#write(persist);
    this.#outbox = [];
    const { hold, peers, self } = this.#core.view;
    const isHolding = hold.kind === 'held' || hold.kind === 'releasing';
    if (executor === 'dies' || !isHolding || hold.epoch === null) return [];
    const { epoch, term: heldTerm } = hold;
    return peers.map((to) =>
      wrap({ kind: 'released', from: self, to, term: heldTerm, epoch, evidence: 'verified by the harness' }),
    );
  }

  takeOutbox(): OpaqueMessage[] {
    const taken = this.#outbox;
    this.#outbox = [];
    return taken;
  }

  observe(): Observed {
    const view = this.#core.view;
    const { role, hold, hard, log } = view;
    const leader = role.kind === 'leader' ? this.#id : role.kind === 'follower' ? role.leader : null;
    return {
      role: view.roleName,
      term: hard.term,
      leader,
      votedFor: hard.votedFor,
      commitIndex: view.commitIndex,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      promiseMs: view.timing.promiseMs,
      promiseUntilMs: view.promise.until,
      leaseUntilMs: view.leaseUntil,
      mayHold: view.mayHold,
      releasing: hold.kind === 'releasing',
      epoch: view.isHoldingOrReleasing && 'epoch' in hold ? hold.epoch : null,
      inSync: [...view.state.inSync],
      members: log.membership.members.map(({ id, witness, learner }) => ({ id, witness, learner })),
      renounced: view.leadership?.renounced ?? false,
      entries: this.#entries(),
      chain: log.lastHash,
      timing: view.timing,
      goal: goalOf(log.at(log.configIndex)),
      forcedEpochs: [...this.#forcedEpochs],
      provenEpochs: [...this.#provenEpochs],
      keptUntilMs: this.#keptUntilMs,
      adoption: [...this.#adoption],
    };
  }

  /** Seen after every event of long runs: only what is new since the last look is converted. */
  #entries(): Observed['entries'] {
    const { log } = this.#core.view;
    let kept = Math.min(this.#seen.length, log.lastIndex);
    while (kept > 0 && log.hashAt(logIndex(kept)) !== this.#seenHashes[kept - 1]) kept -= 1;
    this.#seen.length = kept;
    this.#seenHashes.length = kept;
    for (const entry of log.slice(logIndex(kept + 1), log.lastIndex - kept)) {
      this.#seen.push({ index: entry.index, term: entry.term, kind: entry.body.kind, text: textOf(entry) });
      this.#seenHashes.push(entry.hash);
    }
    return this.#seen.slice();
  }

  #write(persist: Persist): void {
    const plan = this.#writer.plan([persist]);
    this.#disk.stored = applyMarker(applyBatch(this.#disk.stored, plan.batch), plan.marker);
  }

  #run(input: Parameters<Core['step']>[0], nowMs: number): Effect[] {
    const effects = this.#core.step(input, instant(nowMs));
    for (const effect of effects) {
      if (effect.kind === 'send') this.#outbox.push(wrap(effect.message));
      else if (effect.kind === 'persist') this.#pending.push(effect.persist);
      if (effect.kind === 'hold' && effect.isForced) this.#forcedEpochs.push(effect.epoch);
      if (effect.kind === 'hold' && effect.hasProof) this.#provenEpochs.push(effect.epoch);
    }
    for (const effect of effects) {
      if (effect.kind === 'hand-over') {
        if (this.#keeps) this.#keptUntilMs = effect.until;
        this.#run({ kind: 'handed-over', epoch: effect.epoch, ok: this.#keeps }, nowMs);
      } else if (effect.kind === 'bind') {
        this.#adoption.push('bind');
        this.#run({ kind: 'bound', epoch: effect.epoch, ok: this.#keeps }, nowMs);
      } else if (effect.kind === 'adopted') this.#adoption.push('adopted');
    }
    // What must be armed is armed at once here (H2).
    for (const effect of effects) {
      if (effect.kind === 'committed' && effect.entry.body.kind === 'config' && this.#takesTiming())
        this.#run({ kind: 'timing-applied', timing: effect.entry.body.timing }, nowMs);
      if (effect.kind === 'prepare' && this.#answers)
        this.#run({ kind: 'prepared', id: effect.id, ok: this.#canHold }, nowMs);
    }
    return effects;
  }
}

function wrap(message: Message): OpaqueMessage {
  return { from: message.from, to: message.to, kind: message.kind, term: message.term, body: message };
}

function goalOf(entry: Entry | null): Timing | null {
  return entry?.body.kind === 'config' ? (entry.body.goal ?? null) : null;
}

function textOf({ body }: Entry): string | null {
  if (body.kind === 'note') return body.text;
  return body.kind === 'peer-outdated' || body.kind === 'peer-in-sync' ? body.peer : null;
}

/** Null: no node can have this id, so it is unknown to everybody. */
function knownId(id: string) {
  try {
    return nodeId(id);
  } catch {
    return null;
  }
}

function proposalOf(command: TestCommand, timing: Timing): Proposal {
  switch (command.kind) {
    case 'note':
      return command;
    case 'peer-outdated':
    case 'peer-in-sync':
      return { kind: command.kind, peer: nodeId(command.peer) };
    case 'self-outdated':
      return command;
    case 'restart':
      return { kind: 'restart', durationMs: durationMs(command.durationMs), who: 'operator', request: null };
    case 'pause':
      return { ...command, who: 'operator', why: '', request: null, at: null };
    case 'standby':
      return { ...command, node: nodeId(command.node), who: 'operator', why: '', request: null, at: null };
    case 'forced':
      return { ...command, node: nodeId(command.node), who: 'operator', why: '', mayLose: '', at: null };
    case 'add-learner':
      return {
        kind: 'add-learner',
        id: nodeId(command.member.id),
        witness: command.member.witness ?? false,
        ...(command.member.snapshots === undefined ? {} : { snapshots: true }),
      };
    case 'set-timing': {
      const { heartbeatMs, leaseMs, releaseMs, guardMs, watchdog, clockErrorRate } = timing;
      const { kind, watchdogMs = watchdog?.timeoutMs ?? null, ...changed } = command;
      const parts = { heartbeatMs, leaseMs, releaseMs, guardMs, clockErrorRate, ...changed };
      const by = { who: 'operator', why: '', request: null, at: null };
      return { kind, timing: deriveTiming({ ...parts, watchdogTimeoutMs: watchdogMs }), by };
    }
    case 'promote':
    case 'remove':
      return { kind: command.kind, id: nodeId(command.member.id) };
    default:
      throw new RangeError(`unknown command ${canonicalJson(command)}`);
  }
}
