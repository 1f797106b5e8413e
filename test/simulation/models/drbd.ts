/**
 * A device that DRBD mirrors between two hosts: kernel state of both ends, in the words and with the refusals of DRBD 8.4.
 *
 * Modelled: protocol C (a write completes when both have it), one Primary, a lost connection that freezes a Primary's I/O and
 * calls its fence-peer handler, handler during promotion, generations and who resyncs whom (the stand-in's own decisions),
 * resync as a window in which the target is Inconsistent, a device that is held open, a disk that is taken away, power cuts in
 * the middle of writes, replies of handlers that are lost. Everything goes on while agent and executor are dead.
 * Not modelled: blocks (a write is a number that is on a disk or not), the frames of a handshake (it is one instant), barriers.
 */
import type { Report } from '../../../cluster/local/drbd/generation.ts';
import {
  adoptGeneration,
  closeBitmapBase,
  goAlone,
  type Metadata,
  newMetadata,
} from '../../../cluster/local/drbd/metadata.ts';
import { REFUSED, type Refusal } from '../../../cluster/local/drbd/refusals.ts';
import {
  changeEvents,
  dumpEvents,
  isEstablished,
  isKnownStale,
  type View,
} from '../../../cluster/local/drbd/state.ts';
import type { Host, HostPart, Thread } from '../engine/host.ts';
import { between } from '../engine/world.ts';
import { type DrbdPair, MAX_PING_TIMEOUT_MS } from './drbd-pair.ts';

const HANDLER_SAID_OUTDATED = 4;
const WRITE_MS = [0.2, 2] as const;
const PROMOTION_TRIES = 4;
const MINOR = 0;

/** How a handler ends: DRBD's exit code. */
export type FencePeerHandler = (peer: string) => Promise<number>;

interface Write {
  readonly id: number;
  isHere: boolean;
  isThere: boolean;
  isAbandoned: boolean;
  readonly settle: (isDone: boolean) => void;
}

export class DrbdEnd implements HostPart {
  readonly pair: DrbdPair;
  readonly host: Host;
  /** The kernel's own thread: it stops with the host and ends with the power. Null while the resource is down. */
  kernel: Thread | null = null;
  /** What is on the disk; a number is a client's write. */
  data = new Set<number>();
  readonly #dirty = new Set<number>();
  #meta: Metadata = newMetadata('generation-0');
  view: View = DOWN;
  handler: FencePeerHandler = async () => 1;
  /** `connect --discard-my-data`: until the next connection this end's own changes count for nothing. */
  discardsOwnData = false;
  readonly followers = new Set<(line: string) => void>();
  /** Who has the device open: a Secondary it becomes only when nobody does. */
  readonly openers = new Set<string>();
  readonly #pending = new Map<number, Write>();
  #frozen: Write[] = [];
  #waiting: (() => void)[] = [];
  #needsNewGeneration = false;
  #fencing: Promise<boolean> | null = null;
  #establishedCount = 0;
  #isPromoting = false;

  constructor(pair: DrbdPair, host: Host) {
    this.pair = pair;
    this.host = host;
    host.parts.push(this);
  }

  get isConnected(): boolean {
    return isEstablished(this.view.connection);
  }
  get isSuspended(): boolean {
    return this.view.suspendedByFencing || this.view.suspendedByUser;
  }
  /** Would a write that is begun now complete, if everything stays as it is? */
  get canWrite(): boolean {
    const { role, disk } = this.view;
    if (!this.host.isRunning || role !== 'Primary' || disk !== 'UpToDate' || this.isSuspended) return false;
    if (!this.isConnected) return true;
    const peer = this.pair.other(this);
    return peer.isConnected && peer.view.role !== 'Primary' && this.pair.isReachable;
  }

  // --- host ---

  up(): void {
    this.kernel = this.host.thread(`kernel ${this.pair.name}`);
    const { isPeerStale, isConsistent, isUpToDate } = this.#meta;
    const disk = !isConsistent
      ? 'Inconsistent'
      : !isUpToDate
        ? 'Outdated'
        : isPeerStale
          ? 'UpToDate'
          : 'Consistent';
    this.view = { ...DOWN, disk, peerDisk: isPeerStale ? 'Outdated' : 'DUnknown' };
    this.set({ connection: 'WFConnection' });
    this.pair.connectSoon();
  }

  powerOn(): void {
    this.up();
  }

  powerOff(): void {
    const inFlight = [...this.#pending.values(), ...this.#frozen];
    if (this.view.role === 'Primary') {
      // DRBD's activity log: what a Primary may have been writing is in doubt, and marked when it attaches again.
      for (const { id } of inFlight) this.#dirty.add(id);
      this.#persist({ isPrimary: false, hasCrashedAsPrimary: true });
    }
    for (const { id, isHere } of inFlight) if (!isHere && this.pair.random() < 0.5) this.data.delete(id);
    this.kernel = null;
    this.view = DOWN;
    this.followers.clear();
    this.openers.clear();
    this.#pending.clear();
    this.#frozen = [];
    this.#waiting = [];
    this.#needsNewGeneration = false;
    this.#fencing = null;
    this.#isPromoting = false;
    this.pair.watch();
  }
  frozen(): void {
    this.pair.watch();
  }
  thawed(): void {
    this.pair.watch();
  }

  // --- state ---

  set(change: Partial<View>): void {
    const before = this.view;
    this.view = { ...before, ...change };
    this.pair.world.changes += 1;
    if (this.followers.size > 0) {
      for (const line of changeEvents(this.pair.name, MINOR, before, this.view))
        for (const follow of this.followers) follow(line);
    }
    const told = (['role', 'disk', 'connection', 'suspendedByFencing'] as const).filter(
      (key) => before[key] !== this.view[key],
    );
    if (told.length > 0)
      this.host.say(`${this.pair.name} ${told.map((key) => `${key} ${this.view[key]}`).join(', ')}`);
  }
  dump(): string[] {
    return [...dumpEvents('exists', this.pair.name, MINOR, this.view), 'exists -'];
  }
  #persist(change: Partial<Metadata>): void {
    this.#meta = { ...this.#meta, ...change };
  }
  report(): Report {
    const { current, bitmapBase, history, hasCrashedAsPrimary } = this.#meta;
    return {
      node: this.host.id,
      generations: { current, bitmapBase, history },
      role: this.view.role,
      disk: this.view.disk,
      hasCrashedAsPrimary,
      dirtyBlocks: this.#dirty.size,
      discardMyData: this.discardsOwnData,
    };
  }

  // --- connection ---

  drop(_why: string): void {
    if (!this.isConnected) return;
    const { peerDisk } = this.view;
    for (const write of this.#pending.values()) {
      this.#dirty.add(write.id);
      if (!write.isAbandoned) this.#frozen.push(write);
    }
    this.#pending.clear();
    this.set({
      connection: 'WFConnection',
      peerRole: 'Unknown',
      peerDisk: peerDisk === 'Inconsistent' || peerDisk === 'Outdated' ? peerDisk : 'DUnknown',
    });
    const session = this.pair.session;
    const peer = this.pair.other(this);
    // The peer's side is reset as soon as that gets through.
    this.pair.network.reliably(this.host.id, peer.host.id, () =>
      peer.kernel?.post(0, () => {
        if (this.pair.session === session) peer.drop('reset');
      }),
    );
    this.#onLost();
    this.pair.connectSoon();
  }

  #onLost(): void {
    if (this.view.role !== 'Primary') return;
    if (isKnownStale(this.view.peerDisk)) return this.#goOnAlone();
    this.#needsNewGeneration = true;
    this.set({ suspendedByFencing: true });
    this.pair.world.marks.add('drbd-suspended');
    void this.#callFencePeer();
  }

  establishInSync(peer: DrbdEnd): void {
    this.#persist({ hasCrashedAsPrimary: false, isUpToDate: true, isPeerStale: false });
    this.set({ connection: 'Connected', peerRole: peer.view.role, disk: 'UpToDate', peerDisk: 'UpToDate' });
    this.#onEstablished();
  }
  establishSource(target: DrbdEnd): void {
    for (const id of target.#dirty) this.#dirty.add(id);
    this.#persist({ isUpToDate: true, isPeerStale: true });
    this.set({
      connection: 'SyncSource',
      peerRole: target.view.role,
      disk: 'UpToDate',
      peerDisk: 'Inconsistent',
    });
    this.#onEstablished();
  }
  establishTarget(source: DrbdEnd): void {
    this.#persist({ isConsistent: false, isUpToDate: false, isPeerStale: false });
    this.set({
      connection: 'SyncTarget',
      peerRole: source.view.role,
      disk: 'Inconsistent',
      peerDisk: 'UpToDate',
    });
    this.#onEstablished();
  }
  #onEstablished(): void {
    this.discardsOwnData = false;
    this.#establishedCount += 1;
    if (this.view.role !== 'Primary') return;
    // What the peer missed is sent again, so the generations need not part.
    this.#needsNewGeneration = false;
    this.set({ suspendedByFencing: false });
    const writes = this.#frozen;
    this.#frozen = [];
    for (const write of writes) this.#transmit(write);
    this.#wake();
  }

  /** The source no longer holds the peer for behind before it says so; in between a lost connection freezes a Primary. */
  finishResync(target: DrbdEnd, session: number): void {
    this.#persist({ ...closeBitmapBase(this.#meta), isPeerStale: false });
    this.set({ peerDisk: 'Consistent' });
    const { current } = this.#meta;
    this.#tell(target, session, () => {
      target.data = new Set(this.data);
      target.#dirty.clear();
      target.#persist({
        ...adoptGeneration(target.#meta, current),
        isConsistent: true,
        isUpToDate: true,
        isPeerStale: false,
        hasCrashedAsPrimary: false,
      });
      target.set({ connection: 'Connected', disk: 'UpToDate', peerDisk: 'UpToDate' });
      this.pair.events.onResynced(this, target);
      target.#tell(this, session, () => {
        this.#dirty.clear();
        for (const write of this.#pending.values()) if (write.isAbandoned) this.#dirty.add(write.id);
        this.#persist({ hasCrashedAsPrimary: false });
        this.set({ connection: 'Connected', peerDisk: 'UpToDate' });
      });
    });
  }

  /** Over this session's connection: what arrives when either side has given it up is nothing. */
  #tell(peer: DrbdEnd, session: number, act: () => void): void {
    if (!this.isConnected || this.pair.session !== session) return;
    this.pair.network.reliably(this.host.id, peer.host.id, () =>
      peer.kernel?.post(0, () => {
        if (peer.isConnected && this.pair.session === session) act();
      }),
    );
  }

  // --- writes ---

  /** Resolves true when the write is acknowledged, false when it never will be. */
  write(id: number): Promise<boolean> {
    return new Promise((resolve) => this.#begin(id, resolve));
  }

  #begin(id: number, settle: (isDone: boolean) => void): void {
    const { role, disk } = this.view;
    if (role !== 'Primary' || disk === 'Diskless' || this.kernel === null) return settle(false);
    if (this.isSuspended) {
      this.#waiting.push(() => this.#begin(id, settle));
      return;
    }
    const write: Write = { id, isHere: false, isThere: false, isAbandoned: false, settle };
    this.data.add(id);
    if (this.isConnected) this.#transmit(write);
    else {
      this.#dirty.add(id);
      write.isThere = true;
    }
    this.kernel.post(between(this.pair.random, WRITE_MS), () => {
      write.isHere = true;
      this.#finish(write);
    });
  }

  #transmit(write: Write): void {
    const { session } = this.pair;
    const peer = this.pair.other(this);
    this.#pending.set(write.id, write);
    this.#tell(peer, session, () => {
      if (peer.view.role === 'Primary') return peer.drop('the peer sent data to a Primary');
      if (peer.view.disk === 'Diskless') return peer.drop('no disk to write to');
      peer.data.add(write.id);
      peer.kernel?.post(between(this.pair.random, WRITE_MS), () =>
        peer.#tell(this, session, () => {
          if (!this.#pending.delete(write.id)) return;
          write.isThere = true;
          if (write.isAbandoned) this.#dirty.delete(write.id);
          else this.#finish(write);
        }),
      );
    });
  }

  #finish(write: Write): void {
    if (write.isHere && write.isThere && !write.isAbandoned) write.settle(true);
  }

  #completeAlone(): void {
    const writes = this.#frozen;
    this.#frozen = [];
    for (const write of writes) {
      write.isThere = true;
      this.#finish(write);
    }
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const again of waiting) again();
  }

  // --- roles ---

  async primary(force = false): Promise<Refusal | null> {
    let refusal: Refusal = REFUSED.peerNotOutdated;
    for (let tries = 0; tries < PROMOTION_TRIES; tries += 1) {
      if (this.view.role === 'Primary') return null;
      const result = this.isConnected ? await this.#promoteConnected() : await this.#promoteAlone(force);
      if (result === 'done') return null;
      if (result !== 'again') return result;
      refusal = this.isConnected ? REFUSED.twoPrimaries : REFUSED.peerNotOutdated;
    }
    return refusal;
  }

  async #promoteConnected(): Promise<Refusal | 'done' | 'again'> {
    if (this.view.peerRole === 'Primary') {
      await this.kernel?.clock.sleep(1.5 * MAX_PING_TIMEOUT_MS);
      return this.view.peerRole === 'Primary' ? REFUSED.twoPrimaries : 'again';
    }
    if (this.view.disk !== 'UpToDate') return REFUSED.noUpToDateDisk;
    const answer = await this.#askForPromotion();
    if (answer === 'lost' || !this.isConnected) return 'again';
    if (!answer) return REFUSED.twoPrimaries;
    this.#becomePrimary();
    return 'done';
  }

  #askForPromotion(): Promise<boolean | 'lost'> {
    const peer = this.pair.other(this);
    const { session } = this.pair;
    this.#isPromoting = true;
    return new Promise<boolean | 'lost'>((resolve) => {
      const watch = (): void => {
        if (!this.isConnected || this.pair.session !== session) resolve('lost');
        else this.kernel?.post(20, watch);
      };
      watch();
      this.#tell(peer, session, () => {
        const isPeersTurn = peer.#isPromoting && peer.host.id < this.host.id;
        const isGranted = peer.view.role !== 'Primary' && !isPeersTurn;
        if (isGranted) peer.set({ peerRole: 'Primary' });
        peer.#tell(this, session, () => resolve(isGranted));
      });
    }).finally(() => {
      this.#isPromoting = false;
    });
  }

  /** With force nobody is asked, and data of any age will do. */
  async #promoteAlone(force: boolean): Promise<Refusal | 'done' | 'again'> {
    const { disk, peerDisk } = this.view;
    const isUsable = disk === 'UpToDate' || disk === 'Consistent';
    if (!isUsable && (!force || disk === 'Diskless')) return REFUSED.noUpToDateDisk;
    if (force) this.#persist({ isConsistent: true, isUpToDate: true });
    else if (!isKnownStale(peerDisk)) {
      const refusal = disk === 'Consistent' ? REFUSED.noUpToDateDisk : REFUSED.peerNotOutdated;
      return (await this.#callFencePeer()) || this.isConnected ? 'again' : refusal;
    }
    this.#persist({ ...goAlone(this.#meta, this.pair.newGeneration()), isUpToDate: true });
    this.#becomePrimary();
    return 'done';
  }

  #becomePrimary(): void {
    this.discardsOwnData = false;
    this.#persist({ isPrimary: true, isUpToDate: true });
    this.set({ role: 'Primary', disk: 'UpToDate' });
    this.#announce();
    this.pair.events.onPrimary(this);
    this.#wake();
  }

  secondary(): Refusal | null {
    if (this.view.role === 'Secondary') return null;
    if (this.openers.size > 0) return REFUSED.heldOpen;
    this.set({ role: 'Secondary', suspendedByFencing: false });
    this.#needsNewGeneration = false;
    for (const write of [...this.#frozen, ...this.#pending.values()]) {
      this.#dirty.add(write.id);
      write.isAbandoned = true;
      write.settle(false);
    }
    this.#frozen = [];
    this.#wake();
    this.#persist({ isPrimary: false });
    this.#announce();
    return null;
  }

  #announce(): void {
    const peer = this.pair.other(this);
    const { role } = this.view;
    this.#tell(peer, this.pair.session, () => peer.set({ peerRole: role }));
  }

  resumeIo(): void {
    this.#newGenerationIfNeeded();
    this.set({ suspendedByUser: false, suspendedByFencing: false });
    if (this.isConnected) this.#wake();
    else this.#completeAlone();
  }

  /** What its peer, or a person, has told it of itself; refused while it is connected or in use. */
  outdate(): void {
    if (
      this.isConnected ||
      this.view.role === 'Primary' ||
      !['UpToDate', 'Consistent'].includes(this.view.disk)
    )
      return;
    this.#persist({ isUpToDate: false });
    this.set({ disk: 'Outdated' });
  }

  /** The backing disk is gone until the next boot. */
  failDisk(): void {
    this.set({ disk: 'Diskless' });
    this.#wake();
    const peer = this.pair.other(this);
    this.#tell(peer, this.pair.session, () => peer.set({ peerDisk: 'Diskless' }));
  }

  // --- fencing ---

  #callFencePeer(): Promise<boolean> {
    this.#fencing ??= this.#fence().finally(() => {
      this.#fencing = null;
    });
    return this.#fencing;
  }

  async #fence(): Promise<boolean> {
    const { boots } = this.host;
    for (;;) {
      const establishedBefore = this.#establishedCount;
      const exit = await this.handler(this.pair.other(this).host.id);
      if (this.host.boots !== boots || this.kernel === null) return false;
      const isStillAlone = this.#establishedCount === establishedBefore && !this.isConnected;
      if (isStillAlone) {
        if (exit === HANDLER_SAID_OUTDATED) this.#peerIsStale();
        return exit === HANDLER_SAID_OUTDATED;
      }
      // The peer was there meanwhile: the answer is about the past. Lost again: ask again.
      if (this.isConnected || !this.view.suspendedByFencing) return false;
    }
  }

  #peerIsStale(): void {
    this.#persist({ isPeerStale: true });
    this.set({ peerDisk: 'Outdated' });
    if (this.view.role !== 'Primary') return;
    this.#needsNewGeneration = true;
    this.#goOnAlone();
  }

  #goOnAlone(): void {
    this.#newGenerationIfNeeded();
    this.set({ suspendedByFencing: false });
    if (!this.isConnected) this.#completeAlone();
  }

  #newGenerationIfNeeded(): void {
    if (this.#needsNewGeneration) this.#persist(goAlone(this.#meta, this.pair.newGeneration()));
    this.#needsNewGeneration = false;
  }
}

const DOWN: View = {
  role: 'Secondary',
  peerRole: 'Unknown',
  disk: 'Diskless',
  peerDisk: 'DUnknown',
  connection: 'StandAlone',
  suspendedByUser: false,
  suspendedByFencing: false,
};
