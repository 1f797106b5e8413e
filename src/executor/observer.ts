/**
 * What is known of every resource: probes at the pace that each kind can afford, kept for a second's report and for the
 * reconcile loop (H4). A probe runs alone for its resource; one that hangs delays only its own.
 */

import type { Clock } from '../clock.ts';
import type { Instant, NodeId } from '../core/index.ts';
import type { OwnDisk, PeerData, Probe, ProbeResult, Resource } from '../resources/index.ts';

export interface Observation extends ProbeResult {
  readonly name: string;
  readonly kind: Resource['kind'];
}

export interface ObservedResource {
  readonly name: string;
  readonly kind: Resource['kind'];
  probe(isFresh: boolean): Promise<ProbeResult>;
}

/** Milliseconds between two probes. */
interface Pace {
  readonly holding: number;
  readonly idle: number;
}
/** One or two processes. */
const COMMAND_PACE: Pace = { holding: 2000, idle: 15_000 };
/** Where the kernel tells of changes by itself (`ip monitor`); this is for a follower that has ended. */
const FOLLOWED_PACE: Pace = { holding: 5000, idle: 15_000 };
/** A call to the cloud, which counts against its limits. */
const CLOUD_PACE: Pace = { holding: 5000, idle: 10_000 };
const PACE_MS: Readonly<Record<Resource['kind'], Pace>> = {
  // The follower tells of every change at once, and of its own end; this is for what neither of them says.
  drbd: { holding: 5000, idle: 10_000 },
  mount: COMMAND_PACE,
  // One process, and a look into every file system.
  'zfs-pool': FOLLOWED_PACE,
  'replicated-pool': FOLLOWED_PACE,
  port: FOLLOWED_PACE,
  'route-table': COMMAND_PACE,
  'virtual-ip': FOLLOWED_PACE,
  'elastic-ip': CLOUD_PACE,
  'vpc-route': CLOUD_PACE,
  'private-ip': CLOUD_PACE,
  'target-group': { holding: 10_000, idle: 30_000 },
  service: COMMAND_PACE,
  hook: COMMAND_PACE,
  'port-block': COMMAND_PACE,
  inbound: COMMAND_PACE,
};
/** O2: after a takeover addresses are read every second for at least 30 s: a late call may steal them back. */
const WATCHED_KINDS: ReadonlySet<Resource['kind']> = new Set([
  'elastic-ip',
  'vpc-route',
  'private-ip',
  'target-group',
  'virtual-ip',
]);
/** These wait for the cloud, which costs this host nothing. */
const CALLING_KINDS: ReadonlySet<Resource['kind']> = new Set([
  'elastic-ip',
  'vpc-route',
  'private-ip',
  'target-group',
]);
const WATCHFUL_MS = 40_000;
const WATCHFUL_PACE_MS = 1000;
/**
 * Times its own duration, from the start of one probe to the next, but never longer than the pace of an idle node: on a slow or
 * overloaded host looking must not take the processor from heartbeats and renewals.
 */
const SHARE_OF_TIME = 10;
/** A reading by a command of its own now and then, in case the follower stands still. */
const FRESH_EVERY_MS = { holding: 10_000, idle: 30_000 } as const;

const AT_ONCE = 0;

interface Entry {
  readonly resource: ObservedResource;
  last: ProbeResult;
  nextAt: number;
  freshAt: number;
  running: Promise<void> | null;
}

export class Observer {
  readonly #entries: Entry[];
  readonly #clock: Clock;
  #holdingSince: Instant | null = null;
  /** Counts changes of the tenure: a probe that began before one says nothing about it. */
  #generation = 0;
  peers: Readonly<Record<NodeId, PeerData>>;
  disk: OwnDisk;
  ioSuspended = false;

  constructor(
    resources: readonly ObservedResource[],
    clock: Clock,
    initial: { peers: Readonly<Record<NodeId, PeerData>>; disk: OwnDisk },
  ) {
    this.#clock = clock;
    this.peers = initial.peers;
    this.disk = initial.disk;
    this.#entries = resources.map((resource) => ({
      resource,
      last: { probe: 'unknown', detail: 'not read yet' },
      nextAt: AT_ONCE,
      freshAt: 0,
      running: null,
    }));
  }

  setHolding(isHolding: boolean): void {
    this.#holdingSince = isHolding ? this.#clock.now() : null;
    this.#generation += 1;
    this.probeSoon();
    for (const entry of this.#entries) {
      entry.last = { probe: 'unknown', detail: 'not read since the change' };
      // A follower may lag behind what was just done.
      entry.freshAt = 0;
    }
  }

  /** All, or those of these kinds. */
  probeSoon(kinds: ReadonlySet<Resource['kind']> | null = null): void {
    for (const entry of this.#entries) if (kinds?.has(entry.resource.kind) ?? true) entry.nextAt = AT_ONCE;
  }

  get observed(): Map<string, Probe> {
    return new Map(this.#entries.map((entry) => [entry.resource.name, entry.last.probe]));
  }

  /** What is there of them, whole or in part; what cannot be read is not among them. */
  get present(): Set<string> {
    const isThere = ({ last }: Entry): boolean =>
      last.probe === 'held' || (last.probe === 'not-held' && last.isPartial === true);
    return new Set(this.#entries.filter(isThere).map(({ resource }) => resource.name));
  }

  get observations(): Observation[] {
    return this.#entries.map(({ resource, last }) => ({
      name: resource.name,
      kind: resource.kind,
      probe: last.probe,
      detail: last.detail,
    }));
  }

  /** Starts what is due; resolves when those have ended, with true if something changed. */
  async look(): Promise<boolean> {
    const before = JSON.stringify(this.observations);
    await Promise.all(this.#entries.map((entry) => this.#probe(entry)));
    return JSON.stringify(this.observations) !== before;
  }

  #probe(entry: Entry): Promise<void> {
    const now = this.#clock.now();
    if (entry.running !== null) return Promise.resolve();
    if (now < entry.nextAt) return Promise.resolve();
    const isFresh = now >= entry.freshAt;
    if (isFresh) entry.freshAt = now + FRESH_EVERY_MS[this.#holdingSince === null ? 'idle' : 'holding'];
    entry.nextAt = now + this.#paceMs(entry, now);
    const generation = this.#generation;
    entry.running = entry.resource
      .probe(isFresh)
      .then((result) => {
        if (generation === this.#generation) entry.last = result;
      })
      .finally(() => {
        entry.running = null;
        this.#spare(entry, now);
      });
    return entry.running;
  }

  #spare(entry: Entry, startedAt: Instant): void {
    // Meanwhile somebody asked for another one at once.
    if (entry.nextAt === AT_ONCE || CALLING_KINDS.has(entry.resource.kind)) return;
    const spared = Math.min(
      (this.#clock.now() - startedAt) * SHARE_OF_TIME,
      PACE_MS[entry.resource.kind].idle,
    );
    entry.nextAt = Math.max(entry.nextAt, startedAt + spared);
  }

  #paceMs(entry: Entry, now: Instant): number {
    const pace = PACE_MS[entry.resource.kind];
    if (this.#holdingSince === null) return pace.idle;
    const isWatchful = WATCHED_KINDS.has(entry.resource.kind) && now < this.#holdingSince + WATCHFUL_MS;
    return isWatchful ? WATCHFUL_PACE_MS : pace.holding;
  }
}
