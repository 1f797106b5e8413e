/**
 * What the holder owes the log and its executor during a tenure: the in-sync set follows the block layer, a lost handler
 * reply is made good (H3).
 */

import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Epoch, NodeId, Proposal } from '../core/index.ts';
import { nodeId } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import type { Driver } from './driver.ts';
import { mirrored } from './roster.ts';

/** How long the own disk must be bad, probe after probe, before the node says so. */
const DISK_GRACE_MS = 2_000;

/** A fresh look costs a child process. */
const LOOK_EVERY_MS = 250;

type Event<Kind extends ExecutorEvent['kind']> = Extract<ExecutorEvent, { kind: Kind }>;

export class Upkeep {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #executor: Pick<ExecutorClient, 'resumeIo' | 'look'>;
  readonly #log: Logger;
  #diskFailedSince: number | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #openFences = 0;
  /** The epoch for which a resume was ordered whose outcome is not known. */
  #resuming: Epoch | null = null;
  #tenure: { readonly epoch: Epoch; readonly since: number } | null = null;
  /** Last fence request, or own decision, for each peer. */
  readonly #fencedAt = new Map<NodeId, number>();
  /** Proposals that wait for their commit: proposed once, not with every probe. */
  readonly #proposed = new Map<string, number>();

  constructor(
    driver: Driver,
    executor: Pick<ExecutorClient, 'resumeIo' | 'look'>,
    clock: Clock,
    log: Logger,
  ) {
    this.#driver = driver;
    this.#clock = clock;
    this.#executor = executor;
    this.#log = log;
  }

  onTaken(): void {
    this.#diskFailedSince = null;
    this.#proposed.clear();
  }

  /** Cached states are hints: they decide nothing about a peer, but say when to look (H3). */
  onProbes(event: Event<'probes'>): void {
    const { view } = this.#driver;
    if (!view.mayHold || view.hold.kind !== 'held') return;
    const { epoch } = view.hold;
    this.#seenSince(epoch);
    this.#followDisk(epoch, event.disk);
    const mayHaveChanged = Object.entries(event.peers).some(
      ([id, data]) => data !== 'unknown' && (data === 'in-sync') !== view.state.inSync.includes(nodeId(id)),
    );
    if (mayHaveChanged && this.#clock.now() - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = this.#clock.now();
      this.#executor.look();
    }
    if (
      event.ioSuspended &&
      // L7: how that ends, this process would not hear any more; the next one sees to it.
      view.leadership?.restart === null &&
      this.#openFences === 0 &&
      this.#resuming !== epoch &&
      this.#areAllOthersOut(epoch)
    ) {
      // mark: lost-handler-reply-made-good
      this.#resuming = epoch;
      this.#executor.resumeIo(epoch);
    }
  }

  /**
   * H3: a peer comes back, or is taken out, by what the block layer says to a command that began after the last fence
   * request for it: whatever is older may be from before its link broke.
   */
  onDataRead({ readAt, peers }: Event<'data-read'>): void {
    const { view } = this.#driver;
    if (!view.mayHold || view.hold.kind !== 'held') return;
    const { epoch } = view.hold;
    const notBefore = this.#seenSince(epoch);
    for (const [id, data] of Object.entries(peers)) {
      const peer = nodeId(id);
      const isIn = view.state.inSync.includes(peer);
      const isFresh = readAt > Math.max(notBefore, this.#fencedAt.get(peer) ?? notBefore);
      if (data === 'in-sync' && !isIn && isFresh && this.#resuming !== epoch) {
        this.#proposeOnce(epoch, { kind: 'peer-in-sync', peer });
      }
      // A peer whose disk fails while it stays connected: no handler is called for that.
      if (data === 'not-in-sync' && isIn) {
        this.#fencedAt.set(peer, this.#clock.now());
        this.#proposeOnce(epoch, { kind: 'peer-outdated', peer });
      }
    }
  }

  /**
   * H3: the holder writes alone from the moment that a resume takes effect: until that is known, and for all that was read
   * before, nobody comes back. Where it stays unknown, nobody comes back in this tenure.
   */
  onIoResumed({ outcome }: Event<'io-resumed'>): void {
    const { view } = this.#driver;
    for (const id of view.voters) if (id !== view.self) this.#fencedAt.set(id, this.#clock.now());
    if (outcome !== 'unknown') this.#resuming = null;
  }

  /** H3: what is in this process's memory alone, so that no other one may go on from here; null: nothing. */
  get openBusiness(): string | null {
    if (this.#openFences > 0) return 'a fence request is being answered';
    return this.#resuming === null ? null : 'whether the I/O of this tenure has been resumed is not known';
  }

  /** When this tenure was first seen here: what was read before it belongs to another one. */
  #seenSince(epoch: Epoch): number {
    if (this.#tenure?.epoch !== epoch) this.#tenure = { epoch, since: this.#clock.now() };
    return this.#tenure.since;
  }

  /** A fence request for this peer begins: nothing that was read before it brings the peer back. */
  fenceBegins(peer: NodeId): void {
    this.#openFences += 1;
    this.#fencedAt.set(peer, this.#clock.now());
  }
  fenceEnds(): void {
    this.#openFences -= 1;
  }

  /**
   * H3: a holder without good data of its own takes itself out. Not at once: a peer that comes back while this node is
   * being promoted may resync it for a moment, with its own data within reach all the time.
   */
  #followDisk(epoch: Epoch, disk: Event<'probes'>['disk']): void {
    if (disk !== 'failed') this.#diskFailedSince = null;
    else this.#diskFailedSince ??= this.#clock.now();
    // The last one in the set stays there, whatever its disk does (H3): saying so every second would only fill the log.
    if (this.#driver.view.state.inSync.length <= 1) return;
    if (this.#diskFailedSince !== null && this.#clock.now() - this.#diskFailedSince >= DISK_GRACE_MS) {
      this.#proposeOnce(epoch, { kind: 'self-outdated' });
    }
  }

  /** H3: the reply of a handler was lost: this epoch has taken every other data node out, and nothing in the log takes it back. */
  #areAllOthersOut(epoch: Epoch): boolean {
    const { log, commitIndex, self } = this.#driver.view;
    const others = mirrored(log.membership.members, self);
    return others.every((id) => {
      const last = log.all.findLast(
        ({ body }) => (body.kind === 'peer-outdated' || body.kind === 'peer-in-sync') && body.peer === id,
      );
      return last?.body.kind === 'peer-outdated' && last.body.epoch === epoch && last.index <= commitIndex;
    });
  }

  /** The same proposal again only after the log has moved on by a commit or a refusal. */
  #proposeOnce(epoch: Epoch, proposal: Proposal): void {
    const key = `${epoch} ${JSON.stringify(proposal)}`;
    const last = this.#proposed.get(key);
    const { view } = this.#driver;
    if (last !== undefined && last > view.commitIndex) return;
    const result = this.#driver.propose(proposal);
    if ('refused' in result)
      this.#log.warn({ event: 'proposal-refused', proposal, why: result.refused }, result.refused);
    else this.#proposed.set(key, result.index);
  }
}
