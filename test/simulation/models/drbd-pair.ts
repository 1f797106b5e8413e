/**
 * Two ends of one DRBD device and the connection between them: when it is there, how its loss is noticed, and who brings whom
 * up to date. What is modelled and what not: `drbd.ts`.
 */
import { decide } from '../../../cluster/local/drbd/generation.ts';
import type { Host } from '../engine/host.ts';
import { between, type World } from '../engine/world.ts';
import { DrbdEnd } from './drbd.ts';
import type { Network } from './network.ts';

const PING_TIMEOUT_MS = [150, 500] as const;
const CONNECT_EVERY_MS = [80, 400] as const;
const RESYNC_MS = [50, 1_500] as const;

/** What a test may want to know of an acknowledged write; told to the checks. */
export interface PairEvents {
  onPrimary(end: DrbdEnd): void;
  /** The target's data becomes the source's. */
  onResynced(source: DrbdEnd, target: DrbdEnd): void;
  onSplitBrain(pair: DrbdPair): void;
}

/** Longest time until a dead peer is noticed, ms. */
export const MAX_PING_TIMEOUT_MS = PING_TIMEOUT_MS[1];

export class DrbdPair {
  readonly name: string;
  readonly world: World;
  readonly network: Network;
  readonly events: PairEvents;
  readonly random: () => number;
  readonly ends: readonly [DrbdEnd, DrbdEnd];
  #session = 0;
  #isConnecting = false;
  #generations = 0;

  constructor(name: string, hosts: readonly [Host, Host], network: Network, events: PairEvents) {
    this.name = name;
    this.world = hosts[0].world;
    this.network = network;
    this.events = events;
    this.random = this.world.random(`drbd ${name}`);
    this.ends = [new DrbdEnd(this, hosts[0]), new DrbdEnd(this, hosts[1])];
    network.watchers.push(() => this.watch());
    for (const end of this.ends) end.up();
  }

  end(host: string): DrbdEnd {
    const found = this.ends.find((end) => end.host.id === host);
    if (found === undefined) throw new Error(`${host} has no ${this.name}`);
    return found;
  }
  other(end: DrbdEnd): DrbdEnd {
    return end === this.ends[0] ? this.ends[1] : this.ends[0];
  }
  get session(): number {
    return this.#session;
  }
  newGeneration(): string {
    this.#generations += 1;
    return `generation-${this.#generations}`;
  }

  /** An operator ends a split brain, on both hosts: the loser's own changes are thrown away. */
  discard(loser: DrbdEnd): void {
    loser.discardsOwnData = true;
    this.other(loser).discardsOwnData = false;
    for (const end of this.ends)
      if (end.kernel !== null && end.view.connection === 'StandAlone')
        end.set({ connection: 'WFConnection' });
    this.connectSoon();
  }

  /** Is the way between the two open, and do both get time? */
  get isReachable(): boolean {
    const [one, other] = this.ends.map((end) => end.host);
    return (
      one !== undefined &&
      other !== undefined &&
      one.isRunning &&
      other.isRunning &&
      this.network.isOpen(one.id, other.id) &&
      this.network.isOpen(other.id, one.id)
    );
  }

  /** Something about the path or the hosts has changed: a side that hears nothing gives up after its ping time-out. */
  watch(): void {
    if (this.isReachable) return;
    for (const end of this.ends) {
      if (!end.isConnected) continue;
      const session = this.#session;
      end.kernel?.post(between(this.random, PING_TIMEOUT_MS), () => {
        if (end.isConnected && this.#session === session && !this.isReachable)
          end.drop('PingAck did not arrive in time');
      });
    }
  }

  connectSoon(): void {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    this.world.after(between(this.random, CONNECT_EVERY_MS), () => {
      this.#isConnecting = false;
      this.#tryConnect();
    });
  }

  #tryConnect(): void {
    const [one, other] = this.ends;
    if (one.isConnected && other.isConnected) return;
    if (this.ends.some((end) => end.view.connection === 'StandAlone' && end.host.isOn)) return;
    if (!this.isReachable) return this.connectSoon();
    // Whoever dials anew tells the other side that its old connection is dead.
    const stale = this.ends.find((end) => end.isConnected);
    if (stale !== undefined) {
      stale.drop('replaced');
      return this.connectSoon();
    }
    const verdict = decide(one.report(), other.report());
    const mirrored = decide(other.report(), one.report());
    if (verdict.kind === 'retry' || mirrored.kind === 'retry') return this.connectSoon();
    if (verdict.kind === 'split-brain' || verdict.kind === 'unrelated') {
      for (const end of this.ends) end.set({ connection: 'StandAlone' });
      return this.events.onSplitBrain(this);
    }
    this.#session += 1;
    if (verdict.kind === 'in-sync') {
      for (const end of this.ends) end.establishInSync(this.other(end));
      return;
    }
    const [source, target] = verdict.kind === 'source' ? [one, other] : [other, one];
    target.establishTarget(source);
    source.establishSource(target);
    this.world.marks.add('drbd-resync');
    const session = this.#session;
    source.kernel?.post(between(this.random, RESYNC_MS), () => {
      if (this.#session === session && source.isConnected) source.finishResync(target, session);
    });
  }
}
