/**
 * Engine, receiver and roles together, over the model of ZFS: two data nodes that take over from each other, planned and by power cuts,
 * with streams that break off and receivers that die in the middle of an order, with datasets that are excluded, switched off, or destroyed by
 * a person. Nothing is destroyed by anybody else, what a word promises is there, no takeover opens what is older than its word, and in the
 * end everything is common. A longer search: `FUZZ_RUNS=10000 npx vitest run test/replication/failovers.test.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Guids, type ModelDataset, ModelPool } from '../../cluster/zfs-model/index.ts';
import type { Clock } from '../../src/clock.ts';
import type { KeepConfig } from '../../src/config/index.ts';
import { durationMs, type Epoch, epoch, instant, nodeId } from '../../src/core/index.ts';
import { FEATURES, type ReceiveEnd, type ReceiverChannel } from '../../src/replication/channel.ts';
import { Board, Engine, LocalPool } from '../../src/replication/engine/index.ts';
import { endAside, type PoolsReading, readCopyWords } from '../../src/replication/index.ts';
import { isWithin } from '../../src/replication/pool.ts';
import {
  endReceives,
  inParts,
  judge,
  type Known,
  RECEIVE_MARK,
  Receiver,
} from '../../src/replication/receiver/index.ts';
import { replayLog } from '../../src/replication/receiver/replay.ts';
import { isHeirOf } from '../../src/replication/receiver/roles.ts';
import { Zfs } from '../../src/replication/receiver/zfs.ts';
import {
  type CommandRunner,
  isKept,
  PoolMemory,
  ReplicatedPoolResource,
  SHUT_PROPERTIES,
} from '../../src/resources/index.ts';
import { FakeCopies } from '../resources/support/fake-copies.ts';
import { perform } from './perform.ts';
import { ZfsCommand } from './zfs-command.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 40);
const LIMIT_MS = 120_000 + RUNS * 2000;
const KEEP: KeepConfig = { last: 1000, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const POLICY = { periodMs: durationMs(1000), keep: KEEP, keepCopy: KEEP, windows: [] };

type Side = 'a' | 'b';
const other = (side: Side): Side => (side === 'a' ? 'b' : 'a');
const { signal } = new AbortController();

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-failovers-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Nothing waits for time here. */
const clockAt = (wallMs: () => number): Clock => ({
  now: () => instant(wallMs()),
  wallMs,
  after: () => ({ cancel: () => undefined }),
  sleep: (ms, over) =>
    new Promise((resolve) => {
      if (ms <= 1000 || over?.aborted) setImmediate(resolve);
      else over?.addEventListener('abort', () => resolve(), { once: true });
    }),
});

class Node {
  readonly pool: ModelPool;
  readonly zfs: ZfsCommand;
  readonly receiver: Receiver;
  /** Changes of the receiver that a takeover could not find once they have outlived it. */
  readonly unmarked: string[] = [];
  known: Known = { kind: 'known', mayHold: false, tenure: null };
  readonly #mounts = new FakeCopies();
  #memory = new PoolMemory();
  readonly #clock: Clock;
  readonly #dataDir: string;

  constructor(side: Side, pool: ModelPool, clock: Clock, dataDir: string) {
    this.pool = pool;
    this.zfs = new ZfsCommand(pool);
    this.#clock = clock;
    this.#dataDir = dataDir;
    this.receiver = new Receiver({
      self: nodeId(side),
      peer: nodeId(other(side)),
      ...{ pools: ['tank'], dataDir, clock },
      commands: {
        run: (command, options) => {
          const isMarked = options.environment?.[RECEIVE_MARK] === dataDir;
          if (!isMarked && !['list', 'get', 'holds'].includes(command[1] ?? ''))
            this.unmarked.push(command.join(' '));
          return this.zfs.run(command);
        },
      },
      authority: { ask: async () => this.known },
      hasDevice: this.#hasDevice,
      read: async (): Promise<PoolsReading> => ({
        version: 1,
        pools: [{ kind: 'read', name: 'tank', texts: pool.texts() }],
      }),
    });
  }

  /** With its device, where it is a volume. */
  destroy(name: string): void {
    this.pool.datasets.delete(name);
    this.#mounts.zds.delete(name);
  }

  get mounted(): readonly string[] {
    return this.#mounts.mounts.map(({ source }) => source);
  }

  isMarked(name: string): boolean {
    return this.pool.property(name, 'quorate:left-out')[1] === 'local';
  }

  /** No takeover opens it: by its own mark, or with what it has its readonly from. */
  isLeftOut(name: string): boolean {
    if (name === 'tank') return false;
    if (this.isMarked(name)) return true;
    return this.pool.get(name).isReadonly === null && this.isLeftOut(name.slice(0, name.lastIndexOf('/')));
  }

  powerCut(late: (name: string) => string | null): void {
    this.#mounts.mounts = [];
    this.#memory = new PoolMemory();
    this.pool.powerCut(late);
    this.pool.isLocked = true;
  }

  /** A person loads the keys; whoever holds mounts what waits for them. */
  unlock(): void {
    this.pool.isLocked = false;
    if (this.mounted.length === 0) return;
    for (const one of this.pool.datasets.values())
      if (one.isEncrypted && !isKept('tank', one.name)) this.pool.replay(one.name);
  }

  /** "raw" has `volmode=none`. */
  readonly #hasDevice = async (volume: string): Promise<boolean> => volume !== 'tank/raw';

  /** Streams go past the receiver here; this does not. */
  async replayLog(dataset: string, claimed: Epoch): Promise<void> {
    const zfs = new Zfs({ dataDir: this.#dataDir, commands: this.zfs, clock: this.#clock });
    const now = await zfs.stateOf(dataset, signal);
    const host = { commands: this.zfs, clock: this.#clock, signal };
    const isHeir = (): Promise<boolean> => isHeirOf(dataset, claimed, host);
    if (now !== null) await replayLog(dataset, now, { zfs, hasDevice: this.#hasDevice, isHeir }, signal);
  }

  words() {
    const { kernel } = this.#mounts;
    return readCopyWords('tank', { commands: this.zfs, clock: this.#clock, signal, kernel });
  }

  resource(): ReplicatedPoolResource {
    const clock = this.#clock;
    const { kernel, readMounts, devices } = this.#mounts;
    return new ReplicatedPoolResource({
      ...{
        name: 'tank',
        pool: 'tank',
        loadKeys: false,
        mayKill: false,
        memory: this.#memory,
        ownPaths: ['/'],
      },
      ...{ kernel, readMounts, devices, clock, runner: this.#runner() },
      endReceives: async () => {
        expect(await endReceives(this.#dataDir, instant(clock.now() + 1000), clock)).toEqual({
          kind: 'ended',
          count: 0,
        });
        return null;
      },
      endAside: async (name) => {
        await endAside(name, { commands: this.zfs, clock, signal, mayChange: () => true });
        return null;
      },
    });
  }

  #runner(): CommandRunner {
    const done = { kind: 'exited', code: 0, stdout: '', stderr: '' } as const;
    return {
      run: async (command) => {
        const [program, verb] = command;
        const last = command.at(-1) ?? '';
        if (program === 'zfs' && verb === 'mount') {
          this.#mounts.mounts.push({ source: last, mountPoint: `/${last}` });
          this.pool.replay(last);
          return done;
        }
        if (program === 'umount') {
          this.#mounts.mounts = this.#mounts.mounts.filter(({ mountPoint }) => mountPoint !== last);
          return done;
        }
        if (program === 'fuser') return { ...done, code: 1 };
        return this.zfs.run(command);
      },
      killMarked: async () => 0,
      follow: () => () => undefined,
    };
  }
}

class Pair {
  wallMs = Date.parse('2026-11-27T10:00:00Z');
  readonly #clock = clockAt(() => this.wallMs);
  readonly nodes: Readonly<Record<Side, Node>>;
  holder: Side = 'a';
  epoch = 10;
  /** After how many streams of a tenure one breaks off. */
  breaksAt: number | null = null;
  readonly #engines = new Map<number, Engine>();
  #rounds = 0;
  #writes = 0;
  readonly #contents = new Map<string, string>();
  #left: { side: Side; name: string; content: string }[] = [];
  /** By the name of what was taken: what the holder had then. */
  readonly #moments = new Map<string, ReadonlyMap<string, Moment>>();
  /** Likewise: what was there no more. */
  readonly #goneBy = new Map<string, ReadonlySet<string>>();
  readonly #excluded = new Set<string>();
  /** Whatever was not replicated for a time: its two sides may have gone different ways, which is left to people. */
  readonly #apart = new Set<string>();
  readonly #vanished = new Set<string>();
  /** GUIDs of datasets that have come with a stream. */
  readonly #received = new Set<string>();
  #board = new Board();
  readonly #ends = new Map<string, (end: ReceiveEnd) => void>();

  constructor(number: number) {
    const guids = new Guids();
    const node = (side: Side): Node =>
      new Node(side, new ModelPool('tank', guids), this.#clock, join(directory, `${number}-${side}`));
    this.nodes = { a: node('a'), b: node('b') };
  }

  get source(): Node {
    return this.nodes[this.holder];
  }

  get target(): Node {
    return this.nodes[other(this.holder)];
  }

  /** With what cannot be replayed, whatever anybody does, and what can be with its key. */
  async beginShut(): Promise<void> {
    const { pool } = this.nodes.a;
    pool.create('tank/raw', false, 'volume');
    pool.create('tank/secret', true);
    pool.createBelowKey('tank/secret/in');
    await this.begin();
  }

  async begin(): Promise<void> {
    for (const name of ['tank/a', 'tank/a/x', 'tank/b']) this.nodes.a.pool.create(name);
    this.nodes.a.pool.create('tank/disk', false, 'volume');
    for (const { pool } of Object.values(this.nodes)) pool.get('tank').isReadonly = false;
    await this.#release('a');
    await this.#release('b');
    await this.#takeOver('a');
  }

  write(name: string): void {
    const { pool } = this.source;
    const found = this.ownOf(this.source).find((one) => one.name === name);
    if (found !== undefined && !pool.isReadonly(name) && !pool.isShut(found))
      pool.write(name, `${this.#writes++},`);
  }

  create(name: string): void {
    if (!this.source.pool.datasets.has(name) && !this.#vanished.has(name)) this.source.pool.create(name);
  }

  /** In the config of both nodes, whose replicators read it when they start. */
  exclude(name: string, isExcluded: boolean): void {
    if (isExcluded) this.#apart.add(name);
    if (isExcluded) this.#excluded.add(name);
    else this.#excluded.delete(name);
    this.#engines.clear();
  }

  /** By the property, of the holder's own dataset. */
  switchOff(name: string, isOff: boolean): void {
    const { pool } = this.source;
    if (!pool.datasets.has(name)) return;
    for (const one of pool.below(name)) this.#apart.add(one.name);
    if (isOff) pool.setProperty(name, 'quorate:replicate', 'off');
    else pool.inheritProperty(name, 'quorate:replicate');
  }

  /** `zfs destroy -r` of a person who holds nothing back. */
  vanish(name: string): void {
    const { pool } = this.source;
    const gone = pool.datasets.get(name);
    if (gone === undefined || pool.below(name).length > 1) return;
    if (gone.snapshots.some((one) => pool.clonesOf(one).length > 0)) return;
    this.source.destroy(name);
    this.#vanished.add(name);
    for (const { guid } of gone.snapshots) this.#contents.delete(`${this.holder} ${guid}`);
    this.#left = this.#left.filter((one) => one.side !== this.holder || one.name !== name);
  }

  /** A person takes up what the other side does not have any more, as it is. */
  async takeUp(): Promise<void> {
    const { source, target } = this;
    const out = this.ownOf(source).find(
      ({ name }) => source.isMarked(name) && !target.pool.datasets.has(name),
    );
    if (out === undefined) return;
    source.pool.inheritProperty(out.name, 'quorate:left-out');
    await this.#acquire(this.holder, false);
  }

  #isSent(node: Node, name: string): boolean {
    const isExcluded = [...this.#excluded].some((one) => name === one || name.startsWith(`${one}/`));
    const isOff = node.pool.property(name, 'quorate:replicate')[0] === 'off';
    return !isExcluded && !isOff && !node.isMarked(name);
  }

  /** The sender of such a tenure says nothing of what is left out. */
  #isOlder = (number: number): boolean => number % 3 === 0;

  ownOf({ pool }: Node): readonly ModelDataset[] {
    return [...pool.datasets.values()].filter(
      ({ name, partial, snapshots }) =>
        name !== 'tank' && !isKept('tank', name) && !(partial !== null && snapshots.length === 0),
    );
  }

  /** `cut`: after so many changes the receiver's power goes, and comes back. */
  async round(cut: number | null): Promise<void> {
    this.wallMs += 61_000;
    const { zfs } = this.target;
    zfs.changesLeft = cut ?? Number.POSITIVE_INFINITY;
    const engine = this.#engine();
    await engine.round(++this.#rounds);
    await engine.settled();
    zfs.changesLeft = Number.POSITIVE_INFINITY;
    this.check();
  }

  /** `late`: where something has just been written with a sync. */
  async powerCut(late: readonly string[]): Promise<void> {
    const lost = this.holder;
    this.source.powerCut((name) => (late.includes(name) ? `${this.#writes++},` : null));
    for (const { name, content, log = '' } of this.ownOf(this.source))
      this.#left.push({ side: lost, name, content: content + log });
    this.#know(null);
    await this.#takeOver(other(lost));
    // It comes back, and releases before anything else (L4).
    await this.#release(lost);
    this.check();
  }

  async switchOver(): Promise<void> {
    const from = this.holder;
    await this.nodes[from].resource().release({ ...this.#within(60_000), mode: 'planned' });
    this.wallMs += 1000;
    // The killed replicator's place is taken by one for this alone.
    const engine = this.#newEngine();
    let name: string;
    try {
      name = await engine.finish(['tank']);
    } catch {
      // Undone: the role stays (R1).
      await this.#acquire(from);
      this.check();
      return;
    }
    const words = await this.target.words();
    expect(words).toMatchObject({ complete: { snapshot: name, isFinal: true, epoch: this.epoch } });
    const sent = this.ownOf(this.source).filter((one) => this.#isSent(this.source, one.name));
    const had = new Map(sent.map(({ name: dataset, content }) => [dataset, content]));
    this.#know(null);
    await this.#takeOver(other(from));
    for (const [dataset, content] of had) {
      expect(this.source.pool.get(dataset).content).toBe(content);
      expect([dataset, this.source.isLeftOut(dataset)]).toEqual([dataset, false]);
    }
    this.check();
  }

  async #takeOver(side: Side): Promise<void> {
    const words = await this.nodes[side].words();
    const before = this.epoch;
    this.holder = side;
    this.epoch += 10;
    await this.#acquire(side);
    if (words.kind !== 'read') throw new Error(words.why);
    const { complete } = words;
    if (complete === null || complete.epoch !== before) return;
    this.#mustBeAsSaid(complete.snapshot, this.#isOlder(before));
  }

  /** What the word promised is here, and what is older than that is not open. */
  #mustBeAsSaid(snapshot: string, isOlder: boolean): void {
    const { pool } = this.source;
    const moment = this.#moments.get(snapshot) ?? new Map<string, Moment>();
    for (const [dataset, { content, isSent, isOpen }] of moment) {
      const here = pool.datasets.get(dataset);
      const isAsNew = here?.content.startsWith(content) === true;
      // What was excluded since is not promised any more.
      if (isSent && !isAsNew && !this.#apart.has(dataset))
        throw new Error(`${dataset} lacks what was said to be complete by @${snapshot}`);
      if (isOpen && here !== undefined && !isAsNew && !isOlder && !pool.isReadonly(dataset))
        throw new Error(`${dataset} is open, and older than @${snapshot}`);
    }
    const gone = [...(this.#goneBy.get(snapshot) ?? [])].filter((name) => !moment.has(name));
    for (const { name, guid } of this.ownOf(this.source))
      if (gone.includes(name) && !isOlder && this.#received.has(guid) && !pool.isReadonly(name))
        throw new Error(`${name} is open, and was not there any more by @${snapshot}`);
  }

  async #acquire(side: Side, isFirst = true): Promise<void> {
    this.#know(side);
    const order = { epoch: epoch(this.epoch), isFirst, previousReleased: false };
    await this.nodes[side].resource().acquire({ ...this.#within(60_000), ...order });
    const { mounted } = this.nodes[side];
    expect(mounted).toContain('tank');
    for (const one of this.ownOf(this.source)) {
      const { name, kind } = one;
      const isOut = this.source.isLeftOut(name);
      expect([name, this.source.pool.isReadonly(name)]).toEqual([name, isOut]);
      // What is locked stays locked.
      const isMounted = !isOut && !this.source.pool.isShut(one);
      if (isFirst && kind === 'filesystem') expect([name, mounted.includes(name)]).toEqual([name, isMounted]);
    }
  }

  async #release(side: Side): Promise<void> {
    await this.nodes[side].resource().release({ ...this.#within(60_000), mode: 'abrupt' });
    for (const { name } of this.ownOf(this.nodes[side]))
      expect(this.nodes[side].pool.isReadonly(name)).toBe(true);
  }

  #within = (ms: number) => ({ deadline: instant(this.#clock.now() + ms), signal });

  /** Null: between two tenures. */
  #know(side: Side | null): void {
    for (const own of ['a', 'b'] as const)
      this.nodes[own].known = {
        kind: 'known',
        mayHold: own === side,
        tenure: { epoch: epoch(this.epoch), node: nodeId(this.holder), isReleased: side === null },
      };
  }

  #engine(): Engine {
    const engine = this.#engines.get(this.epoch) ?? this.#newEngine();
    this.#engines.set(this.epoch, engine);
    return engine;
  }

  #newEngine(): Engine {
    const [source, target, number] = [this.source, this.target, this.epoch];
    let streams = 0;
    const breaksAt = this.breaksAt;
    const run: CommandRunner['run'] = async (command) => {
      const result = await source.zfs.run(command);
      if (command[1] === 'snapshot' && result.kind === 'exited' && result.code === 0) {
        const [, name = ''] = (command.at(-1) ?? '').split('@');
        const moment = this.ownOf(source).map((one): [string, Moment] => {
          const isOpen = !source.pool.isReadonly(one.name);
          return [one.name, { content: one.content, isSent: this.#isSent(source, one.name), isOpen }];
        });
        this.#moments.set(name, new Map(moment));
        this.#goneBy.set(name, new Set(this.#vanished));
      }
      this.check();
      return result;
    };
    const { kernel } = new FakeCopies();
    const [ends, clock] = [{ from: this.holder, to: other(this.holder) }, this.#clock];
    this.#board = new Board();
    return new Engine({
      ...{ ends, clock, signal, board: this.#board, epoch: epoch(number), drbdBelow: () => [] },
      replication: {
        ...{ pools: ['tank'], include: [], exclude: [...this.#excluded] },
        send: { policy: POLICY, overrides: [], bytesPerSecond: null, answerMs: 30_000 },
      },
      local: new LocalPool({ pools: ['tank'], commands: { run }, kernel, clock, signal }),
      channel: this.#channel(target),
      startSend: ({ step }) => {
        const isBroken = streams++ === breaksAt;
        perform(step, source.pool, target.pool, isBroken, streams % 3);
        this.#received.add(target.pool.get(step.dataset).guid);
        for (const word of SHUT_PROPERTIES) {
          const [key = '', value = ''] = word.split('=');
          if (key !== 'readonly') target.pool.get(step.dataset).properties.set(key, value);
        }
        this.check();
        this.#ends.get(step.dataset)?.(
          isBroken ? { kind: 'broken', code: 'stream', why: 'cut off' } : { kind: 'received' },
        );
        return { ended: Promise.resolve({ kind: 'sent' }), stop: () => undefined };
      },
      onBroken: (error) => {
        throw error;
      },
    });
  }

  #channel(target: Node): ReceiverChannel {
    const [self, peer] = [nodeId(other(this.holder)), nodeId(this.holder)];
    return {
      name: 'local',
      // The other side may be of a version before. One that replays nothing gets nothing into what ZFS has cloned (engine/changed.ts).
      features: this.#isOlder(this.epoch) ? new Set(['replays' as const]) : new Set(FEATURES),
      read: () => target.receiver.read(),
      perform: async (claimed, order) => {
        for (const part of inParts(order))
          await target.receiver.perform(claimed, JSON.parse(JSON.stringify(part)), signal);
        this.check();
      },
      receive: async (claimed, { dataset, kind, snapshot: keep, letGo }) => {
        const verdict = judge(target.known, self, peer, claimed);
        if (verdict.kind !== 'yes') throw new Error(verdict.why);
        if (kind !== 'full') await target.replayLog(dataset, claimed);
        return {
          sink: new PassThrough(),
          ended: new Promise<ReceiveEnd>((resolve) => this.#ends.set(dataset, resolve)).then(async (end) => {
            if (end.kind !== 'received' || letGo === undefined) return end;
            try {
              await target.receiver.perform(claimed, { kind: 'hold', keep, letGo }, signal);
              return end;
            } catch (error) {
              return { kind: 'broken', code: 'refused', why: String(error) };
            }
          }),
          abort: () => this.#ends.get(dataset)?.({ kind: 'broken', code: 'aborted', why: 'given up' }),
        };
      },
      close: async () => undefined,
    };
  }

  /** Nothing that was ever there on a side is gone there, or another. */
  check(): void {
    const found = new Map<string, string>();
    for (const side of ['a', 'b'] as const)
      for (const { snapshots } of this.nodes[side].pool.datasets.values())
        for (const { guid, content } of snapshots) found.set(`${side} ${guid}`, content);
    for (const [key, content] of this.#contents)
      if (found.get(key) !== content) throw new Error(`${key} is lost`);
    for (const [key, content] of found) this.#contents.set(key, content);
  }

  async quietDown(): Promise<void> {
    this.breaksAt = null;
    this.#excluded.clear();
    this.#engines.clear();
    for (const { pool } of Object.values(this.nodes))
      for (const name of pool.datasets.keys()) pool.inheritProperty(name, 'quorate:replicate');
    for (let count = 0; count < 4; count++) await this.round(null);
    const conflicts = this.ownOf(this.source).filter(
      ({ name }) => this.#board.get(name)?.state === 'conflict',
    );
    for (const { name } of conflicts) {
      // With what it lies in, too.
      expect([name, [...this.#apart].some((at) => isWithin(name, at))]).toEqual([name, true]);
      this.exclude(name, true);
    }
    for (let count = 0; count < 4 && conflicts.length > 0; count++) await this.round(null);
    const sent = this.ownOf(this.source).filter(({ name }) => this.#isSent(this.source, name));
    for (const { name, snapshots, content } of sent) {
      expect([name, this.target.isMarked(name)]).toEqual([name, false]);
      const copy = this.target.pool.get(name);
      expect([name, copy.content]).toEqual([name, content]);
      expect(copy.snapshots.at(-1)?.guid).toBe(snapshots.at(-1)?.guid);
    }
    if (sent.length > 0)
      expect(await this.target.words()).toMatchObject({ written: null, complete: { epoch: this.epoch } });
    for (const { side, content } of this.#left) {
      const all = [...this.nodes[side].pool.datasets.values()];
      const isThere = all.some(
        (one) =>
          (one.content + (one.log ?? '')).startsWith(content) ||
          one.snapshots.some((own) => own.content.startsWith(content)),
      );
      if (!isThere) throw new Error(`${side} has lost what was written: ${content}`);
    }
    for (const { zfs } of Object.values(this.nodes))
      expect(zfs.calls.filter((call) => /^zfs (destroy [^#]*$|rollback)/.test(call))).toEqual([]);
  }
}

interface Moment {
  readonly content: string;
  readonly isSent: boolean;
  readonly isOpen: boolean;
}

const NAMES = [
  ...[
    'tank/a',
    'tank/a/x',
    'tank/b',
    'tank/disk',
    'tank/secret',
    'tank/secret/in',
    'tank/new-20',
    'tank/new-30',
  ],
];
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('write' as const), name: fc.constantFrom(...NAMES) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('round' as const), cut: fc.option(fc.nat(25), { freq: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('powerCut' as const), late: fc.subarray(NAMES) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('switchOver' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('create' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('lock' as const, 'unlock' as const),
      side: fc.constantFrom<Side>('a', 'b'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('breaks' as const), at: fc.option(fc.nat(4)) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('exclude' as const, 'switchOff' as const),
      name: fc.constantFrom(...NAMES),
      isOut: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('vanish' as const), name: fc.constantFrom(...NAMES) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('takeUp' as const) }) },
);

let number = 0;

async function happens(pair: Pair, one: typeof event extends fc.Arbitrary<infer Value> ? Value : never) {
  switch (one.kind) {
    case 'write':
      return pair.write(one.name);
    case 'round':
      return pair.round(one.cut);
    case 'powerCut':
      return pair.powerCut(one.late);
    case 'create':
      // Two that were made under one name are left to people.
      return pair.create(`tank/new-${pair.epoch}`);
    case 'breaks':
      pair.breaksAt = one.at;
      return;
    case 'lock':
      // What is mounted keeps its key.
      if (pair.holder !== one.side) pair.nodes[one.side].pool.isLocked = true;
      return;
    case 'unlock':
      return pair.nodes[one.side].unlock();
    case 'exclude':
    case 'switchOff':
      return pair[one.kind](one.name, one.isOut);
    case 'vanish':
      return pair.vanish(one.name);
    default:
      return pair[one.kind]();
  }
}

it('a full copy, changes, a power cut with a tail, the other side holds, the roles turned round', async () => {
  const pair = new Pair(number++);
  await pair.begin();
  pair.write('tank/b');
  pair.write('tank/a');
  await pair.round(null);
  pair.write('tank/a');
  await pair.round(null);
  pair.write('tank/a');
  await pair.powerCut(['tank/b']);
  expect(pair.holder).toBe('b');
  pair.write('tank/a');
  await pair.quietDown();
  expect(pair.nodes.a.pool.get('tank/.diverged/30/a').content).toBe('1,2,3,');
  expect(pair.nodes.a.pool.get('tank/a').content).toBe('1,2,5,');
  // Synced, in the intent log alone, and nothing of it was on b.
  expect(pair.nodes.a.pool.get('tank/.diverged/30/b').snapshots.at(-1)?.content).toBe('0,4,');
  // What was only cloned, and not written to since, is set aside once.
  expect([...pair.nodes.a.pool.datasets.keys()].filter((name) => name.startsWith('tank/.diverged/'))).toEqual(
    ['tank/.diverged/30', 'tank/.diverged/30/a', 'tank/.diverged/30/b'],
  );
  await pair.switchOver();
  expect(pair.holder).toBe('a');
  pair.write('tank/a');
  await pair.quietDown();
  expect(pair.nodes.b.pool.datasets.has('tank/.diverged')).toBe(false);
  expect(pair.nodes.a.zfs.calls.some((call) => call.startsWith('zfs promote'))).toBe(true);
  for (const side of ['a', 'b'] as const) expect(pair.nodes[side].unmarked).toEqual([]);
});

it('what cannot be replayed is set aside once, where nobody knows of its log, and after orderly releases never', async () => {
  const pair = new Pair(number++);
  await pair.beginShut();
  pair.write('tank/secret');
  await pair.round(null);
  const kept = (side: Side) =>
    [...pair.nodes[side].pool.datasets.values()].flatMap(({ name, snapshots }) =>
      isKept('tank', name) && snapshots.length > 0 ? [[name, snapshots.at(-1)?.name]] : [],
    );
  const turn = async (): Promise<void> => {
    const from = pair.nodes[pair.holder];
    await pair.switchOver();
    from.pool.isLocked = true;
    pair.write('tank/secret');
    await pair.quietDown();
    pair.target.unlock();
  };
  await turn();
  // Its first tenure: nobody has had everything before.
  expect(kept('a')).toEqual(
    ['raw', 'secret', 'secret/in'].map((name) => [
      `tank/.diverged/30/${name}`,
      'quorate-diverged-30-unreplayed',
    ]),
  );
  const before = kept('a');
  await turn();
  await turn();
  expect([pair.holder, kept('a'), kept('b')]).toEqual(['b', before, []]);
});

it('what stayed locked in a tenure that has ended in order may have the log of the one before, and keeps it', async () => {
  const pair = new Pair(number++);
  await pair.beginShut();
  for (let turn = 0; turn < 2; turn++) {
    await pair.quietDown();
    await pair.switchOver();
  }
  pair.write('tank/secret');
  await pair.quietDown();
  // Synced, and in the log alone; then back to a, which has no key by now.
  await pair.powerCut(['tank/secret']);
  await pair.powerCut([]);
  expect([pair.holder, pair.source.pool.get('tank/secret').log]).toEqual(['a', '1,']);
  await pair.quietDown();
  await pair.switchOver();
  await pair.quietDown();
  const kept = [...pair.nodes.a.pool.datasets.values()].filter(({ log }) => log !== undefined);
  expect(kept.map(({ name, log }) => [name.replace(/\d+/, 'N'), log])).toEqual([
    ['tank/.diverged/N/secret', '1,'],
  ]);
});

it('a copy that is not replicated any more, and one that was destroyed on the holder, are opened by no takeover', async () => {
  const pair = new Pair(number++);
  await pair.begin();
  for (const name of ['tank/a', 'tank/a/x', 'tank/b']) pair.write(name);
  await pair.round(null);
  pair.exclude('tank/b', true);
  pair.switchOff('tank/a', true);
  pair.nodes.a.pool.setProperty('tank/a/x', 'quorate:replicate', 'on');
  pair.write('tank/b');
  pair.write('tank/a/x');
  pair.vanish('tank/disk');
  await pair.round(null);
  const { a, b } = pair.nodes;
  const marked = (of: typeof a) => [...of.pool.datasets.keys()].filter((name) => of.isMarked(name));
  expect(marked(b)).toEqual(['tank/a', 'tank/b', 'tank/disk']);
  await pair.powerCut([]);
  expect(pair.holder).toBe('b');
  expect(b.mounted.toSorted()).toEqual(['tank', 'tank/a/x']);
  expect(b.pool.get('tank/a/x').content).toBe('1,4,');
  // What b leaves out it does not send, and says nothing of what a has of it: that is newer.
  await pair.round(null);
  expect([marked(a), a.pool.get('tank/b').content]).toEqual([[], '2,3,']);
  expect([...a.pool.datasets.keys()].filter((name) => name.includes('.diverged'))).toEqual([]);
  await pair.takeUp();
  expect(marked(b)).toEqual(['tank/a', 'tank/b']);
  await pair.switchOver();
  expect(pair.holder).toBe('a');
  expect(a.mounted.toSorted()).toEqual(['tank', 'tank/a', 'tank/a/x', 'tank/b']);
  expect(a.pool.datasets.has('tank/disk')).toBe(true);
  expect(a.pool.get('tank/b').content).toBe('2,3,');
  await pair.quietDown();
  expect([marked(a), marked(b), b.pool.get('tank/b').content]).toEqual([[], [], '2,3,']);
});

it(
  `whatever happens, nothing is destroyed, words are true, and everything is common in the end (${RUNS})`,
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 3, maxLength: 20 }), async (events) => {
        const pair = new Pair(number++);
        await pair.beginShut();
        // A pool of nothing has nothing to send, and no word.
        await pair.round(null);
        for (const one of events) await happens(pair, one);
        await pair.quietDown();
      }),
      { numRuns: RUNS },
    );
  },
  LIMIT_MS,
);
