/**
 * DRBD stand-in: one resource of one node: roles, fencing, suspension. The invariants that matter to the agent:
 *
 * 1. Of two connected nodes at most one is Primary: the peer is asked before.
 * 2. `fencing resource-and-stonith`: a Primary that loses a peer which may be promotable suspends its I/O and calls the
 *    handler; only exit code 4, a reconnection or an explicit `resume-io` lets it go on.
 * 3. Going on alone begins a new data generation, durable before the first write completes.
 * 4. A promotion without the peer needs a peer that is known to be stale, or the handler's exit code 4.
 */
import { FencePeer, PEER_OUTDATED_EXIT } from './fencing.ts';
import { goAlone } from './metadata.ts';
import type { Endpoint } from './peer-channel.ts';
import { PeerProtocol } from './peer-protocol.ts';
import { REFUSED, type Refusal } from './refusals.ts';
import { Replica } from './replica.ts';
import { isEstablished, isKnownStale, type View } from './state.ts';
import { Writes } from './writes.ts';

export interface ResourceOptions {
  readonly node: string;
  readonly peerNode: string;
  readonly resource: string;
  readonly minor: number;
  readonly directory: string;
  readonly blocks: number;
  readonly listen: Endpoint;
  /** Where the peer's daemon is reached (through the link); only the node with the smaller name dials. */
  readonly peer: Endpoint;
  readonly fencing: 'dont-care' | 'resource-and-stonith';
  readonly fencePeerCommand: string | null;
  readonly pingTimeoutMs: number;
  readonly connectIntervalMs: number;
}

const PROMOTION_TRIES = 4;
/** A killed holder's socket may be seen closed a little after its process is gone; a kernel has no such gap. */
const HOLD_GRACE_MS = 30;

export class Resource {
  readonly replica: Replica;
  readonly writes: Writes;
  readonly #options: ResourceOptions;
  readonly #peer: PeerProtocol;
  readonly #fencePeer: FencePeer;
  readonly #emit: (line: string) => void;
  readonly #log: (line: string) => void;
  #needsNewGeneration = false;
  #fencing: Promise<boolean> | null = null;
  #holders = 0;

  constructor(options: ResourceOptions, emit: (line: string) => void, log: (line: string) => void) {
    this.#options = options;
    this.#emit = emit;
    this.#log = log;
    const { directory, blocks, fencing, node, peerNode, peer, resource, minor } = options;
    this.replica = new Replica(directory, blocks, fencing === 'dont-care');
    this.#fencePeer = new FencePeer(
      { command: options.fencePeerCommand, resource, minor, peerNode, peerAddress: peer.host },
      (line) => this.#emit(line),
    );
    this.#peer = new PeerProtocol(
      { ...options, dial: node < peerNode ? peer : null, log },
      this.replica,
      (send) => new Writes(this.replica, send),
      {
        onEstablished: () => this.#onEstablished(),
        onLost: (wasEstablished) => this.#onLost(wasEstablished),
        onPeerOutdatedItself: () => this.#peerIsStale(),
      },
    );
    this.writes = this.#peer.writes;
  }

  get view(): View {
    return this.replica.view;
  }

  get donePercent(): number {
    return this.#peer.donePercent;
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  async up(): Promise<void> {
    await this.#peer.listen();
    this.#peer.connect(false);
  }

  async down(): Promise<Refusal | null> {
    const refusal = await this.secondary();
    if (refusal !== null) return refusal;
    await this.disconnect();
    this.close();
    return null;
  }

  close(): void {
    this.#fencePeer.stop();
    this.#peer.close();
    this.replica.close();
  }

  /** A local client opens the device; it stays held until the returned function is called. */
  open(): () => void {
    this.#holders += 1;
    let isHeld = true;
    return () => {
      if (isHeld) this.#holders -= 1;
      isHeld = false;
    };
  }

  async primary(force: boolean): Promise<Refusal | null> {
    let refusal: Refusal = REFUSED.peerNotOutdated;
    for (let tries = 0; tries < PROMOTION_TRIES; tries += 1) {
      if (this.view.role === 'Primary') return null;
      const result = isEstablished(this.view.connection)
        ? await this.#promoteConnected()
        : await this.#promoteAlone(force);
      if (result === 'done') return null;
      if (result !== 'again') return result;
      refusal = isEstablished(this.view.connection) ? REFUSED.twoPrimaries : REFUSED.peerNotOutdated;
    }
    return refusal;
  }

  async #promoteConnected(): Promise<Refusal | 'done' | 'again'> {
    if (this.view.peerRole === 'Primary') {
      // Maybe the peer is dead and not yet noticed: wait once for the ping time-out, as the kernel does.
      const { pingTimeoutMs } = this.#options;
      await this.#until((view) => view.peerRole !== 'Primary', pingTimeoutMs * 1.5);
      return this.view.peerRole === 'Primary' ? REFUSED.twoPrimaries : 'again';
    }
    // The kernel would let an Inconsistent node read through its peer; the stand-in refuses.
    if (this.view.disk !== 'UpToDate') return REFUSED.noUpToDateDisk;
    const answer = await this.#peer.askForPromotion();
    if (answer === 'lost' || !isEstablished(this.view.connection)) return 'again';
    if (!answer) return REFUSED.twoPrimaries;
    this.#becomePrimary();
    return 'done';
  }

  async #promoteAlone(force: boolean): Promise<Refusal | 'done' | 'again'> {
    const { disk, peerDisk } = this.view;
    const isUsable = disk === 'UpToDate' || disk === 'Consistent';
    if (!isUsable && !(force && disk !== 'Diskless' && disk !== 'Failed')) return REFUSED.noUpToDateDisk;
    const mayPeerHaveNewer = !isKnownStale(peerDisk) && this.#options.fencing === 'resource-and-stonith';
    if (mayPeerHaveNewer && !force) {
      const refusal = disk === 'Consistent' ? REFUSED.noUpToDateDisk : REFUSED.peerNotOutdated;
      const isOutdated = await this.#callFencePeer();
      // Everything may have changed while the handler ran: look again from the start.
      return isOutdated || isEstablished(this.view.connection) ? 'again' : refusal;
    }
    if (force) this.replica.persist({ isConsistent: true, isUpToDate: true });
    this.#peer.abortHandshake();
    this.replica.persist({ ...goAlone(this.replica.metadata), isUpToDate: true });
    this.#becomePrimary();
    return 'done';
  }

  #becomePrimary(): void {
    this.replica.persist({ isPrimary: true, isUpToDate: true });
    this.replica.set({ role: 'Primary', disk: 'UpToDate' });
    this.#peer.announce();
    this.writes.wake();
  }

  async secondary(): Promise<Refusal | null> {
    if (this.view.role === 'Secondary') return null;
    const graceEnds = Date.now() + HOLD_GRACE_MS;
    while (this.isHeld && Date.now() < graceEnds) await new Promise((next) => setTimeout(next, 1));
    if (this.isHeld) return REFUSED.heldOpen;
    this.replica.set({ role: 'Secondary', suspendedByFencing: false });
    this.#needsNewGeneration = false;
    this.#peer.abortHandshake();
    await this.writes.abandonAll();
    // Promoted again meanwhile: the activity log belongs to the new role.
    const { role } = this.view as View;
    if (role === 'Secondary') this.replica.persist({ isPrimary: false, activeExtents: [] });
    this.#peer.announce();
    return null;
  }

  outdate(): Refusal | null {
    const { role, disk, connection } = this.view;
    if (disk === 'Outdated') return null;
    if (role === 'Primary') return REFUSED.noUpToDateDisk;
    if (isEstablished(connection)) return REFUSED.connectedOutdates;
    if (disk !== 'UpToDate' && disk !== 'Consistent') return REFUSED.lowerThanOutdated;
    this.replica.persist({ isUpToDate: false });
    this.replica.set({ disk: 'Outdated' });
    this.#peer.abortHandshake();
    return null;
  }

  suspendIo(): void {
    this.replica.set({ suspendedByUser: true });
  }

  /** As in the kernel it asks nobody: whoever calls it knows that the peer is out (H3). */
  resumeIo(): void {
    this.#newGenerationIfNeeded();
    this.replica.set({ suspendedByUser: false, suspendedByFencing: false });
    if (isEstablished(this.view.connection)) this.writes.wake();
    else this.writes.completeAlone();
  }

  connect(discardMyData: boolean): void {
    this.#peer.connect(discardMyData);
  }

  disconnect(): Promise<void> {
    return this.#peer.disconnect();
  }

  /** A fault for tests and demo: the backing disk is gone until the next `up`. */
  failDisk(): void {
    this.replica.set({ disk: 'Diskless' });
    this.#peer.announce();
    this.writes.wake();
  }

  #onEstablished(): void {
    if (this.view.role !== 'Primary') return;
    // What the peer missed is resent, so the generations need not part (the kernel's RESEND).
    this.#needsNewGeneration = false;
    this.replica.set({ suspendedByFencing: false });
    this.writes.resend();
  }

  #onLost(wasEstablished: boolean): void {
    if (!wasEstablished || this.view.role !== 'Primary') return;
    if (isKnownStale(this.view.peerDisk)) return this.#goOnAlone();
    this.#needsNewGeneration = true;
    if (this.#options.fencing === 'dont-care') return this.#goOnAlone();
    this.replica.set({ suspendedByFencing: true });
    this.#callFencePeer().catch((error) => this.#log(`fence-peer: ${String(error)}`));
  }

  /** One handler at a time. True: the peer is outdated, and a suspended Primary goes on. */
  #callFencePeer(): Promise<boolean> {
    this.#fencing ??= this.#fence().finally(() => {
      this.#fencing = null;
    });
    return this.#fencing;
  }

  async #fence(): Promise<boolean> {
    for (;;) {
      const establishedBefore = this.#peer.establishedCount;
      const exit = await this.#fencePeer.call();
      this.#log(`helper command: fence-peer exit code ${exit}`);
      const isStillAlone =
        this.#peer.establishedCount === establishedBefore && !isEstablished(this.view.connection);
      if (isStillAlone) {
        if (exit === PEER_OUTDATED_EXIT) this.#peerIsStale();
        return exit === PEER_OUTDATED_EXIT;
      }
      // The peer was there meanwhile: the answer is about the past. Lost again: ask again.
      this.#log('Ignoring fence-peer exit code');
      if (isEstablished(this.view.connection) || !this.view.suspendedByFencing) return false;
    }
  }

  #peerIsStale(): void {
    this.#peer.abortHandshake();
    this.replica.persist({ isPeerStale: true });
    this.replica.set({ peerDisk: 'Outdated' });
    if (this.view.role !== 'Primary') return;
    this.#needsNewGeneration = true;
    this.#goOnAlone();
  }

  #goOnAlone(): void {
    this.#newGenerationIfNeeded();
    this.replica.set({ suspendedByFencing: false });
    if (!isEstablished(this.view.connection)) this.writes.completeAlone();
  }

  #newGenerationIfNeeded(): void {
    if (this.#needsNewGeneration) this.replica.persist(goAlone(this.replica.metadata));
    this.#needsNewGeneration = false;
  }

  #until(condition: (view: View) => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      const stop = this.replica.watch((_before, view) => {
        if (condition(view)) done();
      });
      if (condition(this.view)) done();
    });
  }
}
