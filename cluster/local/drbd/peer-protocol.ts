/**
 * DRBD stand-in: the conversation with the other daemon: handshake, mirrored writes, resync, role changes.
 *
 * 1. A handshake compares two reports; if our own state changed since ours was sent, the connection is dropped.
 * 2. The source holds the peer for Inconsistent only after the peer said so, having made it durable; and for not
 *    behind any more before it tells the peer that the resync is done. In between, a lost connection freezes
 *    a Primary: the peer might be promotable, so it must not go on alone.
 * 3. Only a Secondary takes blocks.
 */
import { decide, type Report, type Verdict } from './generation.ts';
import { adoptGeneration, closeBitmapBase } from './metadata.ts';
import { type Endpoint, type PeerChannel, PeerConnector } from './peer-channel.ts';
import type { Replica } from './replica.ts';
import { ResyncSource } from './resync.ts';
import { type ConnectionState, isEstablished, isKnownStale } from './state.ts';
import { decodeMessage, encodeFrame, encodeMessage, FRAME, type Frame, type PeerMessage } from './wire.ts';
import type { Writes } from './writes.ts';

export interface PeerProtocolOptions {
  readonly node: string;
  readonly peerNode: string;
  readonly resource: string;
  readonly listen: Endpoint;
  readonly dial: Endpoint | null;
  readonly pingTimeoutMs: number;
  readonly connectIntervalMs: number;
  readonly log: (line: string) => void;
}

export interface PeerProtocolEvents {
  /** The peer is connected and its data are being brought up to ours, or are ours. */
  onEstablished(): void;
  /** An established connection ended, or an attempt failed; the view says WFConnection or StandAlone already. */
  onLost(wasEstablished: boolean): void;
  /** The peer leaves in order and leaves us the newer data. */
  onPeerOutdatedItself(): void;
}

type Goodbye = Extract<PeerMessage, { kind: 'goodbye' }>;

export class PeerProtocol {
  readonly #options: PeerProtocolOptions;
  readonly #events: PeerProtocolEvents;
  readonly #replica: Replica;
  readonly #writes: Writes;
  readonly #connector: PeerConnector;
  #channel: PeerChannel | null = null;
  #reportedSerial = -1;
  #discardMyData = false;
  #resync: ResyncSource | null = null;
  #establishedCount = 0;
  #promotion: { readonly id: number; readonly answer: (isGranted: boolean | 'lost') => void } | null = null;
  #goodbye: ((isAnswered: boolean) => void) | null = null;
  #nextPromotion = 1;

  constructor(
    options: PeerProtocolOptions,
    replica: Replica,
    writes: (send: (frame: Buffer) => void) => Writes,
    events: PeerProtocolEvents,
  ) {
    this.#options = options;
    this.#replica = replica;
    this.#events = events;
    this.#writes = writes((frame) => this.#channel?.send(frame));
    this.#connector = new PeerConnector(options, {
      onOpen: (channel) => this.#onOpen(channel),
      onFrame: (channel, frame) => this.#onFrame(channel, frame),
      onClosed: (channel, why) => this.#onClosed(channel, why),
    });
  }

  get writes(): Writes {
    return this.#writes;
  }

  /** Counts handshakes that succeeded: a fence-peer handler that ran across one of them proves nothing. */
  get establishedCount(): number {
    return this.#establishedCount;
  }

  get donePercent(): number {
    return this.#resync?.donePercent ?? 0;
  }

  listen(): Promise<void> {
    return this.#connector.listen();
  }

  connect(discardMyData: boolean): void {
    this.#discardMyData = discardMyData;
    this.#replica.set({ connection: 'WFConnection' });
    this.#connector.enable();
  }

  /** Ends in StandAlone. In order: whoever is not Primary is outdated by it, if the other one is. */
  async disconnect(): Promise<void> {
    const { connection, role, peerRole } = this.#replica.view;
    if (isEstablished(connection)) {
      const goodbye: Goodbye = {
        kind: 'goodbye',
        outdateYourself: role === 'Primary',
        iAmOutdated: peerRole === 'Primary',
      };
      if (goodbye.iAmOutdated) {
        this.#replica.persist({ isUpToDate: false });
        if (this.#replica.view.disk !== 'Inconsistent') this.#replica.set({ disk: 'Outdated' });
      }
      const isAnswered = await new Promise<boolean>((resolve) => {
        this.#goodbye = resolve;
        this.#say(goodbye);
      });
      this.#goodbye = null;
      if (isAnswered && goodbye.outdateYourself) this.#events.onPeerOutdatedItself();
    }
    this.#standAlone('requested');
  }

  close(): void {
    this.#connector.close();
    this.#standAlone('down');
  }

  /** Whether the connected peer agrees that we become Primary. */
  async askForPromotion(): Promise<boolean | 'lost'> {
    const id = this.#nextPromotion;
    this.#nextPromotion += 1;
    const answer = await new Promise<boolean | 'lost'>((resolve) => {
      this.#promotion = { id, answer: resolve };
      this.#say({ kind: 'promote-request', id });
    });
    this.#promotion = null;
    return answer;
  }

  announce(): void {
    const { role, disk, connection } = this.#replica.view;
    if (isEstablished(connection)) this.#say({ kind: 'state', role, disk });
  }

  /** Our state has changed while a handshake was under way: start over with the new one. */
  abortHandshake(): void {
    if (this.#replica.view.connection === 'WFReportParams') this.#channel?.close('our state changed');
  }

  #say(message: PeerMessage): void {
    this.#channel?.send(encodeMessage(message));
  }

  #report(): Report {
    const { role, disk } = this.#replica.view;
    return {
      node: this.#options.node,
      generations: this.#replica.generations,
      role,
      disk,
      hasCrashedAsPrimary: this.#replica.metadata.hasCrashedAsPrimary,
      dirtyBlocks: this.#replica.bitmap.count,
      discardMyData: this.#discardMyData,
    };
  }

  #onOpen(channel: PeerChannel): void {
    // The peer dialled anew, so the old connection is dead on its side.
    this.#channel?.close('replaced by a new connection');
    this.#channel = channel;
    this.#replica.set({ connection: 'WFReportParams' });
    this.#reportedSerial = this.#replica.serial;
    const { resource } = this.#options;
    this.#say({ kind: 'hello', resource, blocks: this.#replica.disk.blocks, report: this.#report() });
  }

  #onClosed(channel: PeerChannel, why: string): void {
    if (channel !== this.#channel) return;
    this.#channel = null;
    this.#resync = null;
    const { connection, peerDisk } = this.#replica.view;
    const wasEstablished = isEstablished(connection);
    if (wasEstablished) this.#options.log(`connection lost in ${connection}: ${why}`);
    this.#writes.connectionLost();
    this.#replica.set({
      connection: connection === 'StandAlone' ? 'StandAlone' : 'WFConnection',
      peerRole: 'Unknown',
      // Inconsistent and Outdated are facts that outlive the connection; everything else becomes unknown.
      peerDisk: peerDisk === 'Inconsistent' || peerDisk === 'Outdated' ? peerDisk : 'DUnknown',
    });
    this.#promotion?.answer('lost');
    this.#goodbye?.(false);
    this.#events.onLost(wasEstablished);
  }

  #standAlone(why: string): void {
    this.#connector.disable();
    this.#discardMyData = false;
    this.#channel?.close(why);
    this.#replica.set({ connection: 'StandAlone' });
  }

  #onFrame(channel: PeerChannel, frame: Frame): void {
    if (channel !== this.#channel) return;
    if (frame.kind === FRAME.message) return this.#onMessage(channel, decodeMessage(frame));
    if (!isEstablished(this.#replica.view.connection)) throw new Error('data before the handshake');
    switch (frame.kind) {
      case FRAME.write:
        return this.#take(channel, frame, FRAME.writeAck);
      case FRAME.resync:
        return this.#take(channel, frame, FRAME.resyncAck);
      case FRAME.writeAck:
        return this.#writes.onPeerAck(frame.id);
      case FRAME.resyncAck:
        return this.#resync?.onAck();
      default:
        throw new Error(`unknown frame kind ${frame.kind}`);
    }
  }

  #take(channel: PeerChannel, frame: Frame, acknowledgement: number): void {
    const { role, disk } = this.#replica.view;
    if (role === 'Primary') throw new Error('the peer sent data to a Primary');
    if (disk === 'Diskless' || disk === 'Failed') return channel.close('no disk to write to');
    this.#replica.disk.write(frame.block, frame.payload);
    this.#replica.disk.flush().then(
      () => channel.send(encodeFrame(acknowledgement, frame.id, frame.block)),
      (error) => channel.close(`the backing disk failed: ${String(error)}`),
    );
  }

  #onMessage(channel: PeerChannel, message: PeerMessage): void {
    if (message.kind === 'hello') return this.#onHello(channel, message);
    const { connection } = this.#replica.view;
    if (!isEstablished(connection)) throw new Error(`${message.kind} before the handshake`);
    switch (message.kind) {
      case 'state':
        this.#replica.set({
          peerRole: message.role,
          ...(connection === 'Connected' ? { peerDisk: message.disk } : {}),
        });
        return;
      case 'promote-request':
        return this.#onPromoteRequest(message.id);
      case 'promote-reply':
        if (this.#promotion?.id === message.id) this.#promotion.answer(message.isGranted);
        return;
      case 'dirty':
        return this.#onDirty(message.blocks);
      case 'sync-done':
        this.#onSyncDone(channel, message.current).catch((error) => channel.close(String(error)));
        return;
      case 'sync-confirmed':
        return this.#onSyncConfirmed();
      case 'goodbye':
        return this.#onGoodbye(message);
      case 'goodbye-ack':
        this.#goodbye?.(true);
        return;
    }
  }

  #onHello(channel: PeerChannel, hello: Extract<PeerMessage, { kind: 'hello' }>): void {
    if (this.#replica.view.connection !== 'WFReportParams') throw new Error('a second hello');
    if (this.#reportedSerial !== this.#replica.serial) return channel.close('our state changed');
    if (hello.resource !== this.#options.resource || hello.blocks !== this.#replica.disk.blocks) {
      return this.#standAlone('the peer has another resource or size');
    }
    const verdict = decide(this.#report(), hello.report);
    this.#options.log(`handshake: ${JSON.stringify(verdict)}`);
    if (verdict.kind === 'retry') return channel.close(verdict.why);
    if (verdict.kind === 'split-brain') return this.#standAlone('Split-Brain detected, dropping connection!');
    if (verdict.kind === 'unrelated') return this.#standAlone('Unrelated data, aborting!');
    this.#establishedCount += 1;
    this.#discardMyData = false;
    this.#establish(verdict, hello.report);
    this.#events.onEstablished();
  }

  #establish(verdict: Extract<Verdict, { kind: 'in-sync' | 'source' | 'target' }>, peer: Report): void {
    const replica = this.#replica;
    const peerRole = peer.role;
    switch (verdict.kind) {
      case 'in-sync':
        if (replica.view.disk === 'Inconsistent') {
          return replica.set({ connection: 'Connected', peerRole, peerDisk: peer.disk });
        }
        replica.persist({ hasCrashedAsPrimary: false, isUpToDate: true, isPeerStale: false });
        return replica.set({ connection: 'Connected', peerRole, disk: 'UpToDate', peerDisk: 'UpToDate' });
      case 'source': {
        if (verdict.full) replica.bitmap.fill(1);
        replica.persist({ isUpToDate: true });
        const { peerDisk } = replica.view;
        return replica.set({
          connection: 'WFBitMapS',
          peerRole,
          disk: 'UpToDate',
          peerDisk: isKnownStale(peerDisk) ? peerDisk : 'Consistent',
        });
      }
      case 'target':
        if (verdict.full) replica.bitmap.fill(1);
        replica.persist({ isConsistent: false, isUpToDate: false, isPeerStale: false });
        replica.set({ connection: 'SyncTarget', peerRole, disk: 'Inconsistent', peerDisk: 'UpToDate' });
        return this.#say({ kind: 'dirty', blocks: replica.bitmap.blocks() });
    }
  }

  #onDirty(blocks: readonly number[]): void {
    const replica = this.#replica;
    if (replica.view.connection !== 'WFBitMapS') throw new Error('a dirty list at the wrong time');
    for (const block of blocks) replica.bitmap.mark(block);
    replica.persist({ isPeerStale: true });
    replica.set({ connection: 'SyncSource', peerDisk: 'Inconsistent' });
    this.#resync = new ResyncSource(
      replica,
      (frame) => this.#channel?.send(frame),
      () => {
        replica.persist({ ...closeBitmapBase(replica.metadata), isPeerStale: false });
        replica.set({ peerDisk: 'Consistent' });
        this.#say({ kind: 'sync-done', current: replica.metadata.current });
      },
    );
    this.#resync.start();
  }

  async #onSyncDone(channel: PeerChannel, current: string): Promise<void> {
    const replica = this.#replica;
    if (replica.view.connection !== 'SyncTarget') throw new Error('the end of a resync that did not run');
    await replica.disk.flush();
    if (channel !== this.#channel) return;
    replica.bitmap.fill(0);
    replica.persist({
      ...adoptGeneration(replica.metadata, current),
      isConsistent: true,
      isUpToDate: true,
      isPeerStale: false,
      hasCrashedAsPrimary: false,
    });
    replica.set({ connection: 'Connected', disk: 'UpToDate', peerDisk: 'UpToDate' });
    this.#say({ kind: 'sync-confirmed' });
  }

  #onSyncConfirmed(): void {
    this.#resync = null;
    this.#writes.clearBitmap();
    this.#replica.persist({ hasCrashedAsPrimary: false });
    this.#replica.set({ connection: 'Connected', peerDisk: 'UpToDate' });
  }

  #onPromoteRequest(id: number): void {
    const { node, peerNode } = this.#options;
    const isOurTurn = this.#promotion !== null && node < peerNode;
    const isGranted = this.#replica.view.role !== 'Primary' && !isOurTurn;
    if (isGranted) this.#replica.set({ peerRole: 'Primary' });
    this.#say({ kind: 'promote-reply', id, isGranted });
  }

  #onGoodbye(goodbye: Goodbye): void {
    const replica = this.#replica;
    if (goodbye.outdateYourself && replica.view.disk !== 'Inconsistent') {
      replica.persist({ isUpToDate: false });
      replica.set({ disk: 'Outdated' });
    }
    if (goodbye.iAmOutdated) this.#events.onPeerOutdatedItself();
    this.#say({ kind: 'goodbye-ack' });
  }
}

export const isSyncing = (connection: ConnectionState): boolean =>
  connection === 'WFBitMapS' || connection === 'SyncSource' || connection === 'SyncTarget';
