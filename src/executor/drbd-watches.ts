/** What DRBD says of each resource: followed as it changes, and read anew where a decision needs it of now (H3). */
import type { Clock } from '../clock.ts';
import { assert, type Instant, type NodeId } from '../core/index.ts';
import {
  type ActionContext,
  type CommandRunner,
  DrbdResource,
  type DrbdState,
  isSuspended,
  type Resource,
  replicatedData,
  syncingVolumes,
} from '../resources/index.ts';
import { DrbdFollower } from './drbd-follower.ts';
import type { FreshData, GuardAnswers, GuardReport } from './guard-protocol.ts';

/** A reading by `events2 --now` counts this long where no follower runs. */
const READING_LIFE_MS = 15_000;

export interface DrbdWatchesOptions {
  readonly runner: CommandRunner;
  readonly clock: Clock;
  /** Of the guard, by name. */
  readonly local: ReadonlyMap<string, Resource>;
  readonly otherDataNodes: readonly NodeId[];
  readonly report: (report: GuardReport) => void;
}

interface Watch {
  readonly follower: DrbdFollower;
  reading: { readonly state: DrbdState; readonly at: Instant } | null;
}

export class DrbdWatches {
  readonly #options: DrbdWatchesOptions;
  readonly #watches = new Map<string, Watch>();
  #otherDataNodes: readonly NodeId[];
  #reported = '';

  constructor(options: DrbdWatchesOptions) {
    this.#options = options;
    this.#otherDataNodes = options.otherDataNodes;
  }

  get names(): readonly string[] {
    return [...this.#watches.keys()];
  }

  get otherDataNodes(): readonly NodeId[] {
    return this.#otherDataNodes;
  }

  /** `name` of the config, `resource` of DRBD. */
  add(name: string, resource: string): void {
    const { runner, clock } = this.#options;
    const follower = new DrbdFollower(resource, runner, clock, () => this.#report());
    this.#watches.set(name, { follower, reading: null });
  }

  start(): void {
    for (const { follower } of this.#watches.values()) follower.start();
  }

  close(): void {
    for (const { follower } of this.#watches.values()) follower.close();
  }

  setOthers(ids: readonly NodeId[]): void {
    this.#otherDataNodes = ids;
    // Also where nothing has changed: who asks does not know that.
    this.#reported = '';
    this.#report();
  }

  /** As its follower has it; null where none runs. */
  lastSeen(name: string): DrbdState | null {
    return this.#watches.get(name)?.follower.state() ?? null;
  }

  /** Also of what is no DRBD resource. */
  async probe(
    order: { name: string; isFresh: boolean },
    context: ActionContext,
  ): Promise<GuardAnswers['probe']> {
    const watch = this.#watches.get(order.name);
    const resource = this.#options.local.get(order.name);
    assert(resource !== undefined, `no local resource ${order.name}`);
    if (!(resource instanceof DrbdResource) || watch === undefined) return resource.probe(context);
    const seen = watch.follower.state();
    if (seen !== null && !order.isFresh) return DrbdResource.probeOf(seen);
    const look = await resource.look(context);
    watch.reading = look.state === null ? null : { state: look.state, at: this.#options.clock.now() };
    this.#report();
    return DrbdResource.probeOf(look.state, look.detail);
  }

  /** H3: for decisions that a cached state is too old for. */
  async look(context: ActionContext): Promise<FreshData> {
    const readAt = this.#options.clock.now();
    const states = await Promise.all(
      this.names.map(async (name) => {
        const resource = this.#options.local.get(name);
        assert(resource instanceof DrbdResource, `${name} is not a DRBD resource`);
        return (await resource.look(context)).state;
      }),
    );
    const { peers, disk, isWhole } = replicatedData(states, this.#otherDataNodes);
    return { readAt, peers: Object.fromEntries(peers), disk, isWhole };
  }

  /** Peers and own disk, told when they change (H3). */
  #report(): void {
    const now = this.#options.clock.now();
    const states = [...this.#watches.values()].map(({ follower, reading }): DrbdState | null => {
      const seen = follower.state();
      if (seen !== null) return seen;
      return reading !== null && now - reading.at < READING_LIFE_MS ? reading.state : null;
    });
    const data = replicatedData(states, this.#otherDataNodes);
    const report = {
      kind: 'data',
      peers: Object.fromEntries(data.peers),
      disk: data.disk,
      ioSuspended: states.some((state) => state !== null && isSuspended(state)),
      syncing: this.names.flatMap((name, at) =>
        syncingVolumes(states[at] ?? null, this.#otherDataNodes).map((volume) => ({ name, ...volume })),
      ),
    } as const;
    // The role is not in it, but a change of role must be looked at too.
    const text = JSON.stringify([report, states.map((state) => state?.role)]);
    if (text === this.#reported) return;
    this.#reported = text;
    this.#options.report(report);
  }
}
